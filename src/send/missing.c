/* A queue file that cannot be opened: removed by hand, or is its folder no longer the one it was? A disk that is not
 * mounted any more must not be taken for an emptied queue. */
#include "base/alloc.h"
#include "base/clock.h"
#include "base/log.h"
#include "route/phrase.h"
#include "route/report.h"
#include "send/sender_internal.h"
#include "store/installation.h"
#include "store/ledger.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum { AGAIN_MS = 60 * 1000 };

static const char once_key[] = "outqueue.folder";

struct look {
	struct message *m;
	struct config *c;
	int error;      /* of the file */
	struct err why; /* of the folder; text "" = it is the right one */
};

/* On a worker: a folder may be on a disk that does not answer. */
static void look_at_folder(void *arg)
{
	struct look *l = arg;
	const char *key;
	int fd = open(l->c->outqueue, O_RDONLY | O_DIRECTORY | O_CLOEXEC);

	if (fd < 0) {
		err_errno(&l->why, "%s", l->c->outqueue);
		return;
	}
	close(fd);
	if (installation_look(l->c->mailboxes, l->c->outqueue, l->c->state, &key, &l->why) == INSTALLATION_FINE)
		l->why.text[0] = '\0';
	else
		err_set(&l->why, 0, "its .ofmsrv-id is missing, or that of another gateway");
}

static void tell(struct sender *s, const struct err *why)
{
	char *text = phrase_in(why->text, s->config->russian);
	const struct letter_value values[] = {{"folder", s->config->outqueue}, {"why", text}, {NULL, NULL}};

	if (!s->folder_lost) {
		log_error("send.outqueue_lost", kv_s("folder", s->config->outqueue), kv_s("error", why->text));
		report_postmaster(s->d.delivery, s->config, once_key, LETTER_OUTQUEUE_LOST, values);
	}
	s->folder_lost = true;
	free(text);
}

static void looked(void *arg)
{
	struct look *l = arg;
	struct message *m = l->m;
	struct sender *s = m->s;

	m->committing = false;
	if (l->why.text[0] != '\0') {
		tell(s, &l->why);
		attempt_postpone(m, "waits: the folder outqueue is not the one it was", clock_mono_ms() + AGAIN_MS);
	} else if (l->error == ENOENT) {
		attempt_gone(m);
	} else {
		attempt_unreadable(m, l->error);
	}
	config_unref(&l->c);
	free(l);
	sender_check_stopped(s);
}

void missing_file(struct message *m, int error)
{
	struct look *l = xcalloc(1, sizeof *l);

	l->m = m;
	l->c = config_ref(m->s->config);
	l->error = error;
	m->committing = true;
	workers_run(m->s->d.workers, look_at_folder, looked, l);
}

void missing_found(struct sender *s)
{
	const struct letter_value values[] = {{"folder", s->config->outqueue}, {NULL, NULL}};

	if (!s->folder_lost)
		return;
	s->folder_lost = false;
	log_info("send.outqueue_found", kv_s("folder", s->config->outqueue));
	report_forget(s->d.database, once_key);
	report_postmaster(s->d.delivery, s->config, NULL, LETTER_OUTQUEUE_FOUND, values);
}

const char *sender_trouble(const struct sender *s)
{
	return s->folder_lost ? "its files are missing, and it is not the folder that it was: is its disk mounted?"
	                      : NULL;
}

int missing_load(struct sender *s, struct db_conn *c, struct err *e)
{
	char *value = NULL;
	int rc = fact_get(c, once_key, &value, e);

	s->folder_lost = value != NULL;
	free(value);
	return rc;
}
