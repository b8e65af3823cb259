#include "send/sender.h"

#include "base/alloc.h"
#include "base/clock.h"
#include "base/log.h"
#include "send/sender_internal.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

struct sender *sender_new(const struct sender_deps *deps)
{
	struct sender *s = xcalloc(1, sizeof *s);

	s->d = *deps;
	s->next_due = -1;
	TAILQ_INIT(&s->messages);
	TAILQ_INIT(&s->lanes);
	TAILQ_INIT(&s->runs);
	return s;
}

void sender_configure(struct sender *s, const struct config *c)
{
	struct config *before = s->config;

	s->config = config_ref(c);
	lane_configure(s, before);
	config_unref(&before);
}

/* ---- the table's beginning ---- */

static void take_loaded(void *arg, struct outqueue_message *q)
{
	message_add(arg, q);
}

/* true: nothing is left of it to send. */
static bool is_over(struct message *m)
{
	if (m->unplaced)
		return !message_waits(m);
	char *path = message_path(m->s, m->q->id, ".eml");
	bool gone = access(path, F_OK) != 0 && errno == ENOENT;

	free(path);
	if (gone && message_waits(m))
		log_warning("send.dropped", kv_s("id", m->q->id), kv_s("why", "its .eml was removed"));
	return gone || !message_waits(m);
}

static void mark_stuck(void *arg, const char *id)
{
	struct message *m = message_find(arg, id);

	if (m != NULL)
		m->unplaced = true;
}

int sender_load(struct sender *s, struct err *e)
{
	struct message *m, *next;

	if (outqueue_load(database_conn(s->d.database), NULL, take_loaded, s, e) != 0)
		return -1;
	struct db_conn *c = database_conn(s->d.database);
	if (outage_load(s, c, e) != 0 || missing_load(s, c, e) != 0 || held_back_load(s, c, e) != 0)
		return -1;
	delivery_each_stuck(s->d.delivery, mark_stuck, s);
	for (m = TAILQ_FIRST(&s->messages); m != NULL; m = next) {
		next = TAILQ_NEXT(m, all);
		if (!is_over(m))
			continue;
		strlist_add(&s->dead, m->q->id);
		message_remove(&m);
	}
	if (s->dead.n > 0)
		sender_mend_later(s);
	log_info("send.loaded", kv_u("messages", s->n), kv_u("over", s->dead.n));
	return 0;
}

/* ---- new mail ---- */

struct load {
	struct sender *s;
	struct strlist ids, stuck;
	struct outqueue_message **v;
	size_t n;
};

static void collect(void *arg, struct outqueue_message *q)
{
	struct load *l = arg;

	l->v = xreallocarray(l->v, l->n + 1, sizeof *l->v);
	l->v[l->n++] = q;
}

static int read_rows(struct db_conn *c, void *arg, struct err *e)
{
	struct load *l = arg;

	for (size_t i = 0; i < l->ids.n; i++)
		if (outqueue_load(c, l->ids.v[i], collect, l, e) != 0)
			return -1;
	for (size_t i = 0; i < l->stuck.n; i++)
		if (outqueue_load(c, l->stuck.v[i], collect, l, e) != 0)
			return -1;
	return 0;
}

/* Its files have come: it may be sent. Where it was dropped before they did, they go again. */
static void placed(struct sender *s, const char *id)
{
	struct message *m = message_find(s, id);

	if (m == NULL) {
		grave_dig(s, id);
		return;
	}
	m->unplaced = false;
	s->next_due = -1;
}

static void load_more(struct sender *s);

static void rows_read(void *arg, int rc, const struct err *e)
{
	struct load *l = arg;
	struct sender *s = l->s;

	if (rc != 0)
		log_error("send.load", kv_s("error", e->text), kv_s("effect", "sent after the next start"));
	for (size_t i = 0; i < l->n; i++) {
		struct message *m = message_add(s, l->v[i]);
		if (m != NULL)
			log_info("send.queued", kv_s("id", m->q->id), kv_s("from", m->q->entry.sender),
			         kv_u("recipients", m->q->nrecipients), kv_u("size", m->q->size));
	}
	for (size_t i = 0; i < l->stuck.n && rc == 0; i++)
		mark_stuck(s, l->stuck.v[i]);
	for (size_t i = 0; i < l->ids.n && rc == 0; i++)
		placed(s, l->ids.v[i]);
	free(l->v);
	strlist_free(&l->ids);
	strlist_free(&l->stuck);
	free(l);
	s->loading = false;
	if (s->arrivals.n > 0 || s->stuck.n > 0)
		load_more(s);
	else
		runs_loaded(s);
	sender_check_stopped(s);
}

static void load_more(struct sender *s)
{
	struct load *l = xcalloc(1, sizeof *l);

	l->s = s;
	l->ids = s->arrivals;
	s->arrivals = (struct strlist){NULL, 0};
	l->stuck = s->stuck;
	s->stuck = (struct strlist){NULL, 0};
	s->loading = true;
	database_read(s->d.database, read_rows, rows_read, l);
}

void sender_queued(struct sender *s, const char *id)
{
	strlist_add(&s->arrivals, id);
	if (!s->loading && !s->stopping)
		load_more(s);
}

void sender_stuck(struct sender *s, const char *id)
{
	strlist_add(&s->stuck, id);
	if (!s->loading && !s->stopping)
		load_more(s);
}

/* ---- when ---- */

static int64_t due_of(const struct message *m)
{
	int64_t due = INT64_MAX;

	if (m->state != MESSAGE_WAITING || m->q->held || m->unplaced)
		return due;
	for (size_t i = 0; i < m->q->nrecipients; i++)
		if (m->q->recipients[i].state == OUTQUEUE_WAITING && m->t[i].next_ms < due)
			due = m->t[i].next_ms;
	return due;
}

int64_t sender_next_due(const struct sender *s)
{
	const struct message *m = NULL;
	int64_t due = INT64_MAX;

	if (s->next_due >= 0)
		return s->next_due;
	TAILQ_FOREACH(m, &s->messages, all)
	{
		int64_t d = due_of(m);
		if (d < due)
			due = d;
	}
	((struct sender *)s)->next_due = due;
	return due;
}

/* ---- the stop ---- */

static bool quiet(const struct sender *s)
{
	const struct message *m;
	const struct lane *l;

	if (s->loading || s->burying || s->listing)
		return false;
	TAILQ_FOREACH(l, &s->lanes, entry)
	if (!TAILQ_EMPTY(&l->conns) || l->asking)
		return false;
	TAILQ_FOREACH(m, &s->messages, all)
	if (m->committing)
		return false;
	return true;
}

static void stop_now(struct sender *s)
{
	void (*stopped)(void *) = s->stopped;

	s->stopped = NULL;
	loop_timer_cancel(s->stop_timer);
	if (stopped != NULL)
		stopped(s->stopped_arg);
}

void sender_check_stopped(struct sender *s)
{
	if (s->stopping && s->stopped != NULL && quiet(s))
		loop_timer_set(s->stop_timer, 0);
}

static void abandon_connections(struct sender *s)
{
	struct lane *l;

	TAILQ_FOREACH(l, &s->lanes, entry)
	{
		struct relay_conn *c, *next;
		for (c = TAILQ_FIRST(&l->conns); c != NULL; c = next) {
			next = relay_conn_next(c);
			relay_conn_abandon(c);
		}
	}
}

static void on_stop_timer(void *arg)
{
	struct sender *s = arg;

	if (!quiet(s))
		abandon_connections(s);
	stop_now(s);
}

void sender_stop(struct sender *s, int64_t ms, void (*done)(void *arg), void *arg)
{
	struct lane *l = NULL;

	s->stopping = true;
	s->stopped = done;
	s->stopped_arg = arg;
	s->stop_timer = loop_timer_new(s->d.loop, on_stop_timer, s);
	loop_timer_set(s->stop_timer, ms);
	TAILQ_FOREACH(l, &s->lanes, entry)
	{
		struct message *m;
		struct relay_conn *c, *next;
		while ((m = lane_take(l)) != NULL)
			attempt_abandon(m);
		for (c = TAILQ_FIRST(&l->conns); c != NULL; c = next) {
			next = relay_conn_next(c);
			relay_conn_retire(c);
		}
	}
	sender_check_stopped(s);
}

void sender_free(struct sender **sp)
{
	struct sender *s = *sp;
	struct message *m;

	*sp = NULL;
	if (s == NULL)
		return;
	s->stopping = true;
	s->stopped = NULL;
	lane_abandon_all(s);
	while ((m = TAILQ_FIRST(&s->messages)) != NULL)
		message_remove(&m);
	lane_free_all(s);
	runs_free(s);
	strlist_free(&s->arrivals);
	strlist_free(&s->stuck);
	strlist_free(&s->dead);
	bounce_forget(s);
	loop_timer_free(&s->mend_timer);
	loop_timer_free(&s->soon_timer);
	loop_timer_free(&s->list_timer);
	loop_timer_free(&s->stop_timer);
	config_unref(&s->config);
	free(s);
}
