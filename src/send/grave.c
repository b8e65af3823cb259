/* The end of a message: its files are unlinked, that is flushed, and only then do the rows go. A crash in between
 * leaves rows whose recipients are all final, and the next start ends here too. */
#include "base/alloc.h"
#include "base/log.h"
#include "send/sender_internal.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

enum { BURY_BATCH = 200 };

struct burial {
	struct sender *s;
	char *folder;
	struct strlist ids;
	int error;
};

static void burial_free(struct burial *b)
{
	free(b->folder);
	strlist_free(&b->ids);
	free(b);
}

/* Removed by hand, or is the folder not the one it was? Then the files stand on a disk that will come back. */
static int why_missing(int dir)
{
	struct stat st;

	return fstatat(dir, ".ofmsrv-id", &st, AT_SYMLINK_NOFOLLOW) == 0 ? 0 : ENOENT;
}

static int unlink_both(int dir, const char *id)
{
	static const char *const suffixes[] = {".eml", ".env"};
	bool missing = false;

	for (size_t i = 0; i < 2; i++) {
		char *name = xasprintf("%s%s", id, suffixes[i]);
		int rc = unlinkat(dir, name, 0);
		free(name);
		if (rc != 0 && errno != ENOENT)
			return errno;
		missing = missing || rc != 0;
	}
	return missing ? why_missing(dir) : 0;
}

static void bury(void *arg)
{
	struct burial *b = arg;
	int dir = open(b->folder, O_RDONLY | O_DIRECTORY | O_CLOEXEC);

	b->error = dir < 0 ? errno : 0;
	for (size_t i = 0; i < b->ids.n && b->error == 0; i++)
		b->error = unlink_both(dir, b->ids.v[i]);
	if (b->error == 0 && fsync(dir) != 0)
		b->error = errno;
	if (dir >= 0)
		close(dir);
}

static int erase(struct db_conn *c, void *arg, struct err *e)
{
	struct burial *b = arg;

	for (size_t i = 0; i < b->ids.n; i++)
		if (outqueue_erase(c, b->ids.v[i], e) != 0)
			return -1;
	return 0;
}

static void finish(struct burial *b, bool ok)
{
	struct sender *s = b->s;

	s->burying = false;
	if (ok) {
		grave_work(s);
	} else {
		for (size_t i = 0; i < b->ids.n; i++)
			strlist_add(&s->dead, b->ids.v[i]);
		sender_mend_later(s);
	}
	burial_free(b);
	if (!s->burying)
		runs_buried(s);
	sender_check_stopped(s);
}

static void erased(void *arg, enum db_outcome outcome, const struct err *e)
{
	if (outcome != DB_COMMITTED)
		log_error("send.erase", kv_s("error", e != NULL ? e->text : ""));
	finish(arg, outcome == DB_COMMITTED);
}

static void unlinked(void *arg)
{
	struct burial *b = arg;
	struct db_job job = {.apply = erase, .done = erased, .arg = b, .lane = DB_LANE_SEND, .bytes = b->ids.n * 100};

	if (b->error == 0) {
		database_submit(b->s->d.database, &job);
		return;
	}
	log_error("send.unlink", kv_s("folder", b->folder), kv_s("error", strerror(b->error)));
	finish(b, false);
}

void grave_work(struct sender *s)
{
	if (s->burying || s->dead.n == 0)
		return;
	struct burial *b = xcalloc(1, sizeof *b);
	struct strlist rest = {NULL, 0};

	b->s = s;
	b->folder = xstrdup(s->config->outqueue);
	for (size_t i = 0; i < s->dead.n; i++)
		strlist_add(i < BURY_BATCH ? &b->ids : &rest, s->dead.v[i]);
	strlist_free(&s->dead);
	s->dead = rest;
	s->burying = true;
	workers_run(s->d.workers, bury, unlinked, b);
}

void grave_dig(struct sender *s, const char *id)
{
	strlist_add(&s->dead, id);
	grave_work(s);
}
