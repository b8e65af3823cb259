/* Bounces beyond a day's cap: postmaster gets lists of whom they were about. The rows go in the commit of the list. */
#include "base/alloc.h"
#include "base/log.h"
#include "route/report.h"
#include "send/sender_internal.h"

#include <stdio.h>
#include <stdlib.h>

enum { LIST_MAX = 1000, HELD_BACK_EVERY_MS = 60 * 60 * 1000 };

struct list {
	struct sender *s;
	struct outqueue_held_back *v; /* strings owned */
	size_t n;
};

static void list_free(void *arg)
{
	struct list *l = arg;

	for (size_t i = 0; i < l->n; i++) {
		free((char *)l->v[i].id);
		free((char *)l->v[i].reader);
		free((char *)l->v[i].address);
		free((char *)l->v[i].reply);
	}
	free(l->v);
	free(l);
}

static void take(void *arg, const struct outqueue_held_back *h)
{
	struct list *l = arg;

	l->v = xreallocarray(l->v, l->n + 1, sizeof *l->v);
	l->v[l->n++] = (struct outqueue_held_back){.id = xstrdup(h->id),
	                                           .n = h->n,
	                                           .reader = xstrdup(h->reader),
	                                           .address = xstrdup(h->address),
	                                           .reply = xstrdup(h->reply)};
}

static int read_rows(struct db_conn *c, void *arg, struct err *e)
{
	return outqueue_held_back(c, LIST_MAX, take, arg, e);
}

static int forget_rows(struct db_conn *c, void *arg, struct err *e)
{
	struct list *l = arg;

	for (size_t i = 0; i < l->n; i++)
		if (outqueue_forget_held_back(c, l->v[i].id, l->v[i].n, e) != 0)
			return -1;
	return 0;
}

static int keep_rows(struct db_conn *c, void *arg, struct err *e)
{
	struct list *l = arg;

	for (size_t i = 0; i < l->n; i++)
		if (outqueue_keep_held_back(c, &l->v[i], e) != 0)
			return -1;
	return 0;
}

/* The end of one list; the next comes at once where there is more, and else at its time. */
static void finish(struct sender *s, bool more)
{
	s->listing = false;
	if (more)
		held_back_tell(s, 0);
	else if (s->list_again)
		held_back_tell(s, HELD_BACK_EVERY_MS);
	sender_check_stopped(s);
}

static void accepted(void *arg, enum acceptance_result r)
{
	struct list *l = arg;
	struct sender *s = l->s;

	if (r != ACCEPTED) {
		log_error("send.held_back", kv_s("error", "the list could not be stored; it will be"));
		s->list_again = true;
	}
	finish(s, r == ACCEPTED && l->n == LIST_MAX);
}

static void commit(struct list *l)
{
	struct acceptance *a = acceptance_new(l->s->d.delivery, DB_LANE_SEND);
	struct buf list;
	char n[24];

	buf_init(&list, 2 * 1024 * 1024);
	for (size_t i = 0; i < l->n; i++)
		buf_printf(&list, "%s%s  %s -> %s\n    %.300s", i > 0 ? "\n" : "", l->v[i].id, l->v[i].reader,
		           l->v[i].address, l->v[i].reply);
	snprintf(n, sizeof n, "%zu", l->n);
	const struct letter_value values[] = {{"n", n}, {"list", buf_str(&list)}, {NULL, NULL}};
	report_add(a, l->s->config, LETTER_HELD_BACK, values);
	acceptance_extra(a, forget_rows, keep_rows, l, list_free);
	acceptance_commit(&a, accepted, l);
	buf_free(&list);
}

static void rows_read(void *arg, int rc, const struct err *e)
{
	struct list *l = arg;
	struct sender *s = l->s;

	if (rc == 0 && l->n > 0) {
		commit(l);
		return;
	}
	if (rc != 0)
		log_error("send.held_back", kv_s("error", e->text));
	s->list_again = s->list_again || rc != 0;
	list_free(l);
	finish(s, false);
}

static void on_timer(void *arg)
{
	struct sender *s = arg;
	struct list *l = xcalloc(1, sizeof *l);

	l->s = s;
	s->list_waits = s->list_again = false;
	s->listing = true;
	database_read(s->d.database, read_rows, rows_read, l);
}

void held_back_tell(struct sender *s, int64_t ms)
{
	if (s->stopping || s->list_waits)
		return;
	if (s->listing) {
		s->list_again = true;
		return;
	}
	/* The first list comes soon, and then one an hour. */
	if (s->list_timer == NULL)
		s->list_timer = loop_timer_new(s->d.loop, on_timer, s);
	else if (ms == HELD_BACK_SOON_MS)
		ms = HELD_BACK_EVERY_MS;
	s->list_waits = true;
	loop_timer_set(s->list_timer, ms);
}

static void note_any(void *arg, const struct outqueue_held_back *h)
{
	(void)h;
	*(bool *)arg = true;
}

int held_back_load(struct sender *s, struct db_conn *c, struct err *e)
{
	bool any = false;

	if (outqueue_held_back(c, 1, note_any, &any, e) != 0)
		return -1;
	if (any)
		held_back_tell(s, HELD_BACK_LEFT_MS);
	return 0;
}
