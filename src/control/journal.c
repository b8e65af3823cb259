#include "journal/journal.h"

#include "base/alloc.h"
#include "control/control_internal.h"
#include "journal/query.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* A page stays within CODEC_REPLY_MAX: all names of a message as long as there is room, then so many and how many more.
 */
enum { NAMES_ALWAYS = 50, PAGE_BYTES = 4 * 1024 * 1024, NAMES_BYTES = 8 * 1024 * 1024 };

/* The question owns copies: its client may go while the journal's thread is at it. */
struct search {
	struct control_op *op;
	struct control_request r;
	json_t *messages;
	size_t bytes; /* of the texts in them, roughly */
	struct journal_page page;
};

/* Of so many names or recipients. */
static size_t shown(const struct search *s, size_t n)
{
	return s->bytes < NAMES_BYTES || n < NAMES_ALWAYS ? n : NAMES_ALWAYS;
}

static void set_names(struct search *s, json_t *o, const char *key, const struct strlist *l)
{
	json_t *v = json_array();
	size_t most = shown(s, l->n);

	for (size_t i = 0; i < most; i++) {
		json_array_append_new(v, codec_text(slice_of(l->v[i])));
		s->bytes += strlen(l->v[i]) + 8;
	}
	json_object_set_new(o, key, v);
	if (most < l->n) {
		char more[32];
		snprintf(more, sizeof more, "%s_more", key);
		codec_set_int(o, more, (int64_t)(l->n - most));
	}
}

static size_t length(const char *s)
{
	return s != NULL ? strlen(s) : 0;
}

static json_t *recipient(const struct journal_recipient *r)
{
	json_t *o = json_object();

	codec_set_text(o, "address", r->address);
	codec_set_text(o, "state", r->state == JOURNAL_ACCEPTED ? "waiting" : journal_kind_name(r->state));
	codec_set_int(o, "at", r->at_ms / 1000);
	codec_set_int(o, "tries", r->tries);
	codec_set_text(o, "relay", r->relay);
	codec_set_text(o, "reply", r->reply);
	return o;
}

static json_t *outgoing(struct search *s, const struct journal_fate *f)
{
	json_t *all = json_array();

	for (size_t i = 0; i < f->noutgoing; i++) {
		const struct journal_outgoing *q = &f->outgoing[i];
		json_t *o = json_object(), *v = json_array();
		codec_set_text(o, "id", q->id);
		codec_set_bool(o, "held", q->held);
		size_t most = shown(s, q->n);
		for (size_t k = 0; k < most; k++) {
			json_array_append_new(v, recipient(&q->v[k]));
			s->bytes += 120 + length(q->v[k].address) + length(q->v[k].relay) + length(q->v[k].reply);
		}
		json_object_set_new(o, "recipients", v);
		if (most < q->n)
			codec_set_int(o, "recipients_more", (int64_t)(q->n - most));
		json_array_append_new(all, o);
	}
	return all;
}

static bool add_message(void *arg, const struct journal_fate *f)
{
	struct search *s = arg;
	const struct {
		const char *key, *text;
	} texts[] = {{"id", f->id},         {"from", f->sender},     {"user", f->user},
	             {"peer", f->peer},     {"account", f->account}, {"uidl", f->uidl},
	             {"sorted", f->sorted}, {"subject", f->subject}, {"message_id", f->message_id},
	             {"reply", f->reply}};
	json_t *o = json_object();

	codec_set_int(o, "at", f->at_ms / 1000);
	codec_set_text(o, "kind", journal_kind_name(f->kind));
	codec_set_text(o, "state", journal_fate_state(f));
	for (size_t i = 0; i < sizeof texts / sizeof texts[0]; i++)
		codec_set_text(o, texts[i].key, texts[i].text);
	codec_set_int(o, "size", (int64_t)f->size);
	set_names(s, o, "to", &f->recipients);
	set_names(s, o, "delivered", &f->boxes);
	set_names(s, o, "copies", &f->copies);
	json_object_set_new(o, "outgoing", outgoing(s, f));
	json_array_append_new(s->messages, o);
	return s->bytes < PAGE_BYTES;
}

static int search(struct db_conn *c, void *arg, struct err *e)
{
	struct search *s = arg;
	const struct journal_query q = {.since_ms = s->r.since * 1000,
	                                .user = s->r.user,
	                                .from = s->r.from,
	                                .to = s->r.to,
	                                .subject = s->r.subject,
	                                .id = s->r.id,
	                                .after = s->r.behind,
	                                .event = s->r.event,
	                                .follow = s->r.follow};

	return journal_query(c, &q, add_message, s, &s->page, e);
}

static void on_found(void *arg, int rc, const struct err *e)
{
	struct search *s = arg;
	json_t *reply = rc == 0 ? codec_ok() : codec_error(e->text);

	json_object_set_new(reply, "messages", s->messages);
	codec_set_int(reply, "behind", s->page.after);
	codec_set_int(reply, "event", s->page.event);
	codec_set_bool(reply, "more", s->page.more);
	control_op_end(s->op, reply);
	codec_request_free(&s->r);
	free(s);
}

static char *copy(const char *s)
{
	return s != NULL ? xstrdup(s) : NULL;
}

void control_journal(struct control_client *cl, const struct control_request *r)
{
	struct search *s = xcalloc(1, sizeof *s);

	s->op = control_op_new(cl);
	s->messages = json_array();
	s->r = (struct control_request){.verb = r->verb,
	                                .since = r->since,
	                                .behind = r->behind,
	                                .event = r->event,
	                                .follow = r->follow,
	                                .user = copy(r->user),
	                                .from = copy(r->from),
	                                .to = copy(r->to),
	                                .id = copy(r->id),
	                                .subject = copy(r->subject)};
	journal_ask(cl->control->deps.journal, search, on_found, s);
}
