#include "digest/text.h"

#include "base/alloc.h"
#include "base/log.h"
#include "control/control_internal.h"
#include "digest/words.h"

static json_t *count(const struct journal_count *c)
{
	json_t *o = json_object();

	codec_set_int(o, "count", (int64_t)c->n);
	codec_set_int(o, "bytes", (int64_t)c->bytes);
	return o;
}

static json_t *people(const struct journal_summary *s)
{
	json_t *v = json_array();

	for (size_t i = 0; i < s->npeople; i++) {
		json_t *o = json_object();
		codec_set_text(o, "name", s->people[i].name);
		json_object_set_new(o, "wrote", count(&s->people[i].wrote));
		json_object_set_new(o, "sent", count(&s->people[i].sent));
		json_object_set_new(o, "received", count(&s->people[i].received));
		json_array_append_new(v, o);
	}
	return v;
}

static json_t *accounts(const struct journal_summary *s)
{
	json_t *v = json_array();

	for (size_t i = 0; i < s->nsources; i++) {
		json_t *o = json_object();
		codec_set_text(o, "name", s->sources[i].name);
		json_object_set_new(o, "collected", count(&s->sources[i].collected));
		json_array_append_new(v, o);
	}
	return v;
}

static json_t *boxes(const struct digest_facts *f)
{
	json_t *v = json_array();

	for (size_t i = 0; i < f->nboxes; i++) {
		json_t *o = json_object();
		codec_set_text(o, "name", f->boxes[i].name);
		codec_set_int(o, "messages", (int64_t)f->boxes[i].messages);
		codec_set_int(o, "bytes", (int64_t)f->boxes[i].bytes);
		json_array_append_new(v, o);
	}
	return v;
}

static json_t *hours(const unsigned n[static 24])
{
	json_t *v = json_array();

	for (int i = 0; i < 24; i++)
		json_array_append_new(v, json_integer(n[i]));
	return v;
}

static json_t *render(const struct digest_facts *f)
{
	json_t *o = codec_ok(), *queue = json_object();
	struct buf text;

	codec_set_int(o, "from", f->sum.from);
	codec_set_int(o, "to", f->sum.to);
	for (size_t i = 0; i < DIGEST_ROWS; i++)
		json_object_set_new(o, digest_words(false)->rows[i], count(digest_row(&f->sum, i)));
	json_object_set_new(o, "users", people(&f->sum));
	json_object_set_new(o, "accounts", accounts(&f->sum));
	codec_set_int(queue, "length", (int64_t)f->queued);
	codec_set_int(queue, "oldest_at", f->oldest);
	json_object_set_new(o, "queue", queue);
	json_object_set_new(o, "mailboxes", boxes(f));
	json_object_set_new(o, "in_by_hour", hours(f->sum.came));
	json_object_set_new(o, "out_by_hour", hours(f->sum.left));
	buf_init(&text, DIGEST_MAX);
	digest_text(&text, f, false);
	codec_set_text(o, "text", buf_str(&text));
	buf_free(&text);
	return o;
}

static void on_gathered(void *arg, struct digest_facts *f, const struct err *e)
{
	control_op_end(arg, f != NULL ? render(f) : codec_error(e->text));
	digest_facts_free(&f);
}

void control_report(struct control_client *cl, const struct control_request *r)
{
	struct control *c = cl->control;
	struct control_op *op = control_op_new(cl);

	digest_gather(&c->deps.digest, c->deps.config(c->deps.arg), r->since, r->until, on_gathered, op);
}
