/* Runs: somebody (sync/, a person) asked to send and waits for what that started. */
#include "base/alloc.h"
#include "base/clock.h"
#include "send/sender_internal.h"

#include <stdlib.h>
#include <string.h>

/* Longer than that nobody waits for a folder that takes no files, or lets none go. */
enum { QUEUEING_MS = 2000, BURYING_MS = 2000 };

struct run {
	TAILQ_ENTRY(run) entry;
	struct sender *s;
	bool all, started;
	bool impatient; /* it has waited long enough for what is on its way into the queue */
	bool lingers;   /* it has waited for the files of what was sent to go */
	uint64_t done_n, total;
	bool failed;
	char *error;
	void (*progress)(void *arg, const struct send_progress *p);
	void (*done)(void *arg, bool failed);
	void *arg;
	struct loop_timer *timer;
};

static void tell(struct run *r)
{
	struct send_progress p = {r->done_n, r->total, r->error};

	if (r->progress != NULL)
		r->progress(r->arg, &p);
}

static void free_run(struct run *r)
{
	TAILQ_REMOVE(&r->s->runs, r, entry);
	loop_timer_free(&r->timer);
	free(r->error);
	free(r);
}

static void join(struct run *r, struct message *m)
{
	for (size_t i = 0; i < m->nruns; i++)
		if (m->runs[i] == r)
			return;
	m->runs = xreallocarray(m->runs, m->nruns + 1, sizeof *m->runs);
	m->runs[m->nruns++] = r;
	r->total++;
}

static void start_all(struct run *r, bool all)
{
	struct sender *s = r->s;
	struct message *m, *next;

	for (m = TAILQ_FIRST(&s->messages); m != NULL; m = next) {
		next = TAILQ_NEXT(m, all);
		if (m->q->held)
			continue;
		/* First, so that an attempt that ends at once is counted too. */
		if (m->state != MESSAGE_WAITING) {
			if (all)
				join(r, m);
			continue;
		}
		if (attempt_due(m, all)) {
			join(r, m);
			attempt_start(m, all);
		}
	}
	lane_kick_all(s, all);
}

static void finish_if_done(struct run *r)
{
	if (r->done_n < r->total || !r->started)
		return;
	loop_timer_set(r->timer, 0);
}

static void finish(struct run *r)
{
	struct sender *s = r->s;
	void (*done)(void *, bool) = r->done;
	void *done_arg = r->arg;
	bool failed = r->failed;

	if (r->done_n < r->total)
		return;
	if (s->burying && !r->lingers) {
		r->lingers = true;
		loop_timer_set(r->timer, BURYING_MS);
		return;
	}
	free_run(r);
	if (TAILQ_EMPTY(&s->runs))
		lane_rest_all(s);
	if (done != NULL)
		done(done_arg, failed);
}

static void start(struct run *r)
{
	r->started = true;
	if (!r->s->stopping)
		start_all(r, r->all);
	tell(r);
	finish_if_done(r);
}

/* A run by hand sends all that was accepted before it, so it waits until that stands in the queue. */
static void start_if_ready(struct run *r)
{
	struct sender *s = r->s;

	if (r->started || s->loading)
		return;
	if (r->all && !r->impatient && !s->stopping && delivery_is_queueing(s->d.delivery))
		loop_timer_set(r->timer, QUEUEING_MS);
	else
		start(r);
}

/* From the loop: done() is never called from inside somebody's call. */
static void on_timer(void *arg)
{
	struct run *r = arg;

	r->impatient = true;
	if (r->started)
		finish(r);
	else
		start_if_ready(r);
}

void sender_run(struct sender *s, bool all, void (*progress)(void *arg, const struct send_progress *p),
                void (*done)(void *arg, bool failed), void *arg)
{
	struct run *r = xcalloc(1, sizeof *r);

	r->s = s;
	r->all = all;
	r->progress = progress;
	r->done = done;
	r->arg = arg;
	r->error = xstrdup("");
	r->timer = loop_timer_new(s->d.loop, on_timer, r);
	TAILQ_INSERT_TAIL(&s->runs, r, entry);
	start_if_ready(r);
}

static void run_now(void *arg)
{
	sender_run(arg, false, NULL, NULL, NULL);
}

void sender_run_soon(struct sender *s)
{
	if (s->soon_timer == NULL)
		s->soon_timer = loop_timer_new(s->d.loop, run_now, s);
	loop_timer_set(s->soon_timer, 0);
}

void runs_buried(struct sender *s)
{
	struct run *r;

	TAILQ_FOREACH(r, &s->runs, entry)
	if (r->lingers)
		loop_timer_set(r->timer, 0);
}

void runs_loaded(struct sender *s)
{
	struct run *r, *next;

	for (r = TAILQ_FIRST(&s->runs); r != NULL; r = next) {
		next = TAILQ_NEXT(r, entry);
		start_if_ready(r);
	}
}

void run_attempt_over(struct message *m, bool failed, const char *error)
{
	size_t n = m->nruns;
	struct run **runs = m->runs;

	m->runs = NULL;
	m->nruns = 0;
	for (size_t i = 0; i < n; i++) {
		struct run *r = runs[i];
		r->done_n++;
		if (failed) {
			r->failed = true;
			free(r->error);
			r->error = xstrdup(error);
		}
		tell(r);
		finish_if_done(r);
	}
	free(runs);
}

void runs_free(struct sender *s)
{
	struct run *r, *next;

	for (r = TAILQ_FIRST(&s->runs); r != NULL; r = next) {
		next = TAILQ_NEXT(r, entry);
		free_run(r);
	}
}
