#include "base/alloc.h"
#include "base/log.h"
#include "control/control_internal.h"

#include <stdlib.h>

struct mailbox {
	json_t *row;
	char *name; /* NULL: owns no mailbox */
	uint64_t messages, bytes;
	struct err error;
	bool failed;
};

struct users_scan {
	struct control *control; /* NULL: gone */
	struct maildir *maildir;
	struct mailbox *v;
	size_t n;
};

static json_t *row_of(const struct config_user *u)
{
	json_t *o = json_object();

	codec_set_text(o, "name", u->name);
	codec_set_text(o, "full_name", u->full_name);
	codec_set_text(o, "alias", u->alias);
	codec_set_bool(o, "alias_shared", u->alias_shared);
	codec_set_bool(o, "password", u->password[0] != '\0');
	codec_set_bool(o, "postmaster", u->is_postmaster);
	codec_set_bool(o, "daemon", u->is_daemon);
	codec_set_bool(o, "boss", u->is_boss);
	return o;
}

/* On a worker: counts one mailbox after another. A mailbox that does not exist yet is an empty one. */
static void scan(void *arg)
{
	struct users_scan *s = arg;

	for (size_t i = 0; i < s->n; i++) {
		struct mailbox *m = &s->v[i];
		struct maildir_list list = {0};
		if (m->name == NULL)
			continue;
		if (maildir_scan(s->maildir, m->name, &list, &m->error) != 0) {
			m->failed = true;
			continue;
		}
		m->messages = list.n;
		m->bytes = list.total;
		maildir_list_free(&list);
	}
}

static json_t *render(struct users_scan *s)
{
	json_t *reply = codec_ok(), *rows = json_array();

	for (size_t i = 0; i < s->n; i++) {
		struct mailbox *m = &s->v[i];
		codec_set_int(m->row, "messages", (int64_t)m->messages);
		codec_set_int(m->row, "bytes", (int64_t)m->bytes);
		codec_set_text(m->row, "error", m->failed ? m->error.text : "");
		json_array_append(rows, m->row);
	}
	json_object_set_new(reply, "users", rows);
	return reply;
}

static void scan_free(struct users_scan *s)
{
	for (size_t i = 0; i < s->n; i++) {
		json_decref(s->v[i].row);
		free(s->v[i].name);
	}
	free(s->v);
	free(s);
}

static void on_scanned(void *arg)
{
	struct users_scan *s = arg;
	struct control *c = s->control;

	if (c != NULL) {
		struct control_op *op = c->scan_waiting;
		json_t *reply = render(s);
		c->scan = NULL;
		c->scan_waiting = NULL;
		while (op != NULL) {
			struct control_op *next = op->next;
			control_op_end(op, json_incref(reply));
			op = next;
		}
		json_decref(reply);
	}
	scan_free(s);
}

static void begin(struct control *c)
{
	const struct config *config = c->deps.config(c->deps.arg);
	struct users_scan *s = xcalloc(1, sizeof *s);

	s->control = c;
	s->maildir = c->deps.maildir;
	s->v = xcalloc(config->nusers, sizeof *s->v);
	s->n = config->nusers;
	for (size_t i = 0; i < s->n; i++) {
		const struct config_user *u = config->users[i];
		s->v[i].row = row_of(u);
		s->v[i].name = u->is_daemon ? NULL : xstrdup(u->name);
	}
	c->scan = s;
	workers_run(c->deps.workers, scan, on_scanned, s);
}

/* One scan at a time, whoever asks: it must not take all workers from the mail. */
void control_users_list(struct control_client *cl)
{
	struct control *c = cl->control;
	struct control_op *op = control_op_new(cl);

	op->next = c->scan_waiting;
	c->scan_waiting = op;
	if (c->scan == NULL)
		begin(c);
}

void control_users_forget(struct control *c)
{
	if (c->scan != NULL)
		c->scan->control = NULL;
	c->scan = NULL;
	while (c->scan_waiting != NULL) {
		struct control_op *op = c->scan_waiting;
		c->scan_waiting = op->next;
		control_op_free(op);
	}
}
