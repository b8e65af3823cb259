#include "base/alloc.h"
#include "base/buf.h"
#include "control/control_internal.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum { HEADER_SHOWN_MAX = 64 * 1024 };

/* ---- queue: pages by id, so that a queue of any length costs bounded memory and is whole while it changes ---- */

/* What of a message is told in one row. */
static void summarize(json_t *o, const struct sender_entry *en)
{
	const struct sender_recipient *first = NULL;
	int64_t waiting = 0;

	for (size_t i = 0; i < en->nrecipients; i++) {
		const struct sender_recipient *rc = &en->recipients[i];
		if (strcmp(rc->state, "waiting") != 0 && strcmp(rc->state, "sending") != 0)
			continue;
		waiting++;
		if (first == NULL || rc->next_at < first->next_at)
			first = rc;
	}
	codec_set_int(o, "recipients", (int64_t)en->nrecipients);
	codec_set_int(o, "waiting", waiting);
	codec_set_text(o, "to", first != NULL ? first->address : "");
	codec_set_text(o, "state", en->held ? "held" : first != NULL ? first->state : "");
	codec_set_int(o, "attempts", first != NULL ? first->attempts : 0);
	codec_set_int(o, "next_at", first != NULL && !en->held ? first->next_at : 0);
	codec_set_text(o, "last_reply", first != NULL ? first->last_reply : "");
}

static json_t *envelope(const struct sender_entry *en)
{
	json_t *o = json_object();

	codec_set_text(o, "id", en->id);
	codec_set_text(o, "from", en->from);
	codec_set_int(o, "size", (int64_t)en->size);
	codec_set_int(o, "queued_at", en->queued_at);
	codec_set_bool(o, "held", en->held);
	return o;
}

static void render_row(void *arg, const struct sender_entry *en)
{
	json_t *rows = arg, *o = envelope(en);

	summarize(o, en);
	json_array_append_new(rows, o);
}

void control_queue_list(struct control_client *cl, const char *after)
{
	json_t *reply = codec_ok(), *rows = json_array();
	bool more = sender_page(cl->control->deps.sender, after, CONTROL_PAGE, render_row, rows);

	json_object_set_new(reply, "messages", rows);
	codec_set_bool(reply, "more", more);
	control_client_reply(cl, reply);
}

/* ---- queue show: the header section is read by a worker ---- */

struct show {
	struct control_op *op;
	char *path;
	json_t *reply;
	char *header; /* NULL: not readable, for … */
	int error;
	size_t n;
	bool cut;
};

struct find {
	const char *id;
	json_t *reply;
};

static void render_whole(void *arg, const struct sender_entry *en)
{
	struct find *f = arg;

	if (f->reply != NULL || strcmp(en->id, f->id) != 0)
		return;
	json_t *message = envelope(en), *list = json_array();
	for (size_t i = 0; i < en->nrecipients; i++) {
		const struct sender_recipient *rc = &en->recipients[i];
		json_t *o = json_object();
		codec_set_text(o, "address", rc->address);
		codec_set_text(o, "state", rc->state);
		codec_set_int(o, "attempts", rc->attempts);
		codec_set_int(o, "next_at", rc->next_at);
		codec_set_text(o, "last_reply", rc->last_reply);
		json_array_append_new(list, o);
	}
	json_object_set_new(message, "recipients", list);
	f->reply = codec_ok();
	json_object_set_new(f->reply, "message", message);
}

/* Up to the empty line; CR goes, it is for wires. */
static size_t header_length(char *p, size_t n)
{
	size_t to = 0;

	for (size_t i = 0; i < n; i++) {
		if (p[i] == '\r')
			continue;
		if (p[i] == '\n' && to > 0 && p[to - 1] == '\n')
			return to;
		p[to++] = p[i];
	}
	return to;
}

static void read_header(void *arg)
{
	struct show *s = arg;
	int fd = open(s->path, O_RDONLY | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK);

	if (fd < 0) {
		s->error = errno;
		return;
	}
	char *p = xmalloc(HEADER_SHOWN_MAX);
	ssize_t n = pread(fd, p, HEADER_SHOWN_MAX, 0);
	s->error = n < 0 ? errno : 0;
	close(fd);
	if (n < 0) {
		free(p);
		return;
	}
	s->n = header_length(p, (size_t)n);
	s->cut = n == HEADER_SHOWN_MAX && s->n > HEADER_SHOWN_MAX / 2;
	s->header = p;
}

static void on_header(void *arg)
{
	struct show *s = arg;
	json_t *message = json_object_get(s->reply, "message");

	json_object_set_new(message, "header", codec_text(slice_make(s->header != NULL ? s->header : "", s->n)));
	codec_set_bool(message, "header_cut", s->cut);
	codec_set_text(message, "header_error", s->error != 0 ? strerror(s->error) : "");
	control_op_end(s->op, s->reply);
	free(s->header);
	free(s->path);
	free(s);
}

/* The one of these ids that waits; NULL with the words for what is wrong, which the caller frees. */
static json_t *render_one(struct control *c, const char *asked, const struct strlist *ids, const char **id,
                          char **error)
{
	struct find f = {NULL, NULL};
	struct buf several;

	buf_init(&several, 64 * 1024);
	for (size_t i = 0; i < ids->n; i++) {
		struct find next = {ids->v[i], NULL};
		sender_list(c->deps.sender, render_whole, &next);
		if (next.reply == NULL)
			continue;
		buf_printf(&several, "%s%s", several.n > 0 ? ", " : "", ids->v[i]);
		if (f.reply != NULL) {
			json_decref(next.reply);
			continue;
		}
		f = next;
	}
	*error = NULL;
	if (f.reply == NULL)
		*error = xasprintf("no message %s waits in the queue (ofmctl queue lists what waits)", asked);
	else if (slice_find(buf_slice(&several), ',') < several.n)
		*error = xasprintf("the message %s waits as several; name one of %s", asked, buf_str(&several));
	buf_free(&several);
	if (*error != NULL) {
		json_decref(f.reply);
		return NULL;
	}
	*id = f.id;
	return f.reply;
}

/* Takes the op. The id equals one of ours, so it is a plain file name. */
static void show_message(struct control_op *op, struct control *c, const char *asked, const struct strlist *ids)
{
	const char *id = NULL;
	char *error;
	json_t *reply = render_one(c, asked, ids, &id, &error);

	if (reply == NULL) {
		control_op_end(op, codec_error(error));
		free(error);
		return;
	}
	struct show *s = xcalloc(1, sizeof *s);
	s->op = op;
	s->path = xasprintf("%s/%s.eml", c->deps.config(c->deps.arg)->outqueue, id);
	s->reply = reply;
	workers_run(c->deps.workers, read_header, on_header, s);
}

struct seeking { /* the outqueue's id for another one */
	struct control_op *op;
	struct control *control;
	char *id;
};

static void on_kept(void *arg, const struct strlist *ids, const struct err *e)
{
	struct seeking *s = arg;

	if (s->op->client == NULL)
		control_op_free(s->op);
	else if (e != NULL)
		control_op_end(s->op, codec_error(e->text));
	else
		show_message(s->op, s->control, s->id, ids);
	free(s->id);
	free(s);
}

void control_queue_show(struct control_client *cl, const char *id)
{
	struct control *c = cl->control;
	struct find f = {id, NULL};

	sender_list(c->deps.sender, render_whole, &f);
	if (f.reply == NULL && control_kept_is_id(id)) {
		struct seeking *s = xcalloc(1, sizeof *s);
		*s = (struct seeking){control_op_new(cl), c, xstrdup(id)};
		control_kept_find(c, id, on_kept, s);
		return;
	}
	json_decref(f.reply);
	struct strlist one = {NULL, 0};
	strlist_add(&one, id);
	show_message(control_op_new(cl), c, id, &one);
	strlist_free(&one);
}
