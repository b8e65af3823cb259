/* The queue of notes and the thread that writes them. */
#include "journal/journal.h"

#include "base/alloc.h"
#include "base/clock.h"
#include "base/log.h"
#include "journal/store.h"

#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

enum {
	GATHER_MS = 250,                 /* from a note to its commit */
	WAITING_BYTES = 8 * 1024 * 1024, /* of notes in memory; more are lost */
	REFUSALS_A_MINUTE = 300          /* written one by one; more are only counted */
};

struct question {
	struct question *next;
	struct loop *loop;
	int (*fn)(struct db_conn *c, void *arg, struct err *e);
	void (*done)(void *arg, int rc, const struct err *e);
	void *arg;
	int rc;
	struct err e;
};

struct minute {
	int64_t number; /* of monotonic time */
	unsigned n[JOURNAL_KINDS];
};

struct journal {
	struct loop *loop;
	struct store *store; /* the thread's */
	pthread_t thread;
	pthread_mutex_t lock;
	pthread_cond_t work;
	/* under the lock */
	struct journal_note *first, **last;
	size_t bytes;
	struct question *questions, **last_question;
	bool ending;
	uint64_t lost;
	struct journal_state state;
	void (*on_aside)(void *arg, const char *aside, const char *why);
	void *on_aside_arg;
	/* the loop's */
	struct journal_totals totals;
	struct minute minutes[JOURNAL_RATE_MINUTES];
	int64_t refusal_minute;
	unsigned refusals;
};

/* ---- the thread ---- */

static void nap(struct journal *j, int64_t ms)
{
	struct timespec until;

	clock_gettime(CLOCK_MONOTONIC, &until);
	until.tv_nsec += (long)(ms % 1000) * 1000000;
	until.tv_sec += ms / 1000 + until.tv_nsec / 1000000000;
	until.tv_nsec %= 1000000000;
	pthread_cond_timedwait(&j->work, &j->lock, &until);
}

/* Waits for something to do, and lets notes gather; nobody who asks waits for that. */
static void wait_for_work(struct journal *j)
{
	while (j->first == NULL && j->questions == NULL && !j->ending)
		pthread_cond_wait(&j->work, &j->lock);
	int64_t until = clock_mono_ms() + GATHER_MS;
	for (int64_t now = clock_mono_ms(); now < until && j->questions == NULL && !j->ending; now = clock_mono_ms())
		nap(j, until - now);
}

static void answer(void *arg)
{
	struct question *q = arg;

	q->done(q->arg, q->rc, &q->e);
	free(q);
}

static void ask(struct journal *j, struct question *q)
{
	struct db_conn *c = store_conn(j->store, &q->e);

	q->rc = c != NULL ? q->fn(c, q->arg, &q->e) : -1;
	if (c != NULL && q->rc != 0)
		store_failed(j->store, &q->e);
	loop_post(q->loop, answer, q);
}

static void work(struct journal *j, struct journal_note *notes, struct question *questions)
{
	size_t lost = notes != NULL ? store_write(j->store, notes) : 0;

	while (notes != NULL) {
		struct journal_note *n = notes;
		notes = n->next;
		journal_note_free(&n);
	}
	while (questions != NULL) {
		struct question *q = questions;
		questions = q->next;
		ask(j, q);
	}
	pthread_mutex_lock(&j->lock);
	j->lost += lost;
	j->state.failing = store_failing(j->store);
}

static void *run(void *arg)
{
	struct journal *j = arg;

	pthread_mutex_lock(&j->lock);
	while (!j->ending || j->first != NULL || j->questions != NULL) {
		wait_for_work(j);
		struct journal_note *notes = j->first;
		struct question *questions = j->questions;
		j->first = NULL;
		j->last = &j->first;
		j->bytes = 0;
		j->questions = NULL;
		j->last_question = &j->questions;
		pthread_mutex_unlock(&j->lock);
		work(j, notes, questions);
	}
	pthread_mutex_unlock(&j->lock);
	return NULL;
}

/* ---- files put aside ---- */

/* The journal itself may have been freed meanwhile. */
struct aside {
	void (*fn)(void *arg, const char *aside, const char *why);
	void *arg;
	char *name, *why;
};

static void tell_aside(void *arg)
{
	struct aside *a = arg;

	if (a->fn != NULL)
		a->fn(a->arg, a->name, a->why);
	free(a->name);
	free(a->why);
	free(a);
}

/* On the thread. */
static void on_aside(void *arg, const char *name, const char *why)
{
	struct journal *j = arg;
	struct aside *a = xcalloc(1, sizeof *a);

	pthread_mutex_lock(&j->lock);
	*a = (struct aside){j->on_aside, j->on_aside_arg, xstrdup(name), xstrdup(why)};
	j->state.aside_at = clock_wall_s();
	snprintf(j->state.aside, sizeof j->state.aside, "%s", name);
	pthread_mutex_unlock(&j->lock);
	loop_post(j->loop, tell_aside, a);
}

void journal_on_aside(struct journal *j, void (*fn)(void *arg, const char *aside, const char *why), void *arg)
{
	pthread_mutex_lock(&j->lock);
	j->on_aside = fn;
	j->on_aside_arg = arg;
	pthread_mutex_unlock(&j->lock);
}

void journal_state(struct journal *j, struct journal_state *out)
{
	pthread_mutex_lock(&j->lock);
	*out = j->state;
	pthread_mutex_unlock(&j->lock);
}

/* ---- life ---- */

static void start_thread(struct journal *j)
{
	sigset_t all, before;
	pthread_condattr_t attr;

	pthread_condattr_init(&attr);
	pthread_condattr_setclock(&attr, CLOCK_MONOTONIC);
	pthread_cond_init(&j->work, &attr);
	pthread_condattr_destroy(&attr);
	pthread_mutex_init(&j->lock, NULL);
	/* Signals belong to the loop's thread. */
	sigfillset(&all);
	pthread_sigmask(SIG_SETMASK, &all, &before);
	if (pthread_create(&j->thread, NULL, run, j) != 0)
		abort();
	pthread_sigmask(SIG_SETMASK, &before, NULL);
}

struct journal *journal_new(struct loop *l, const char *path)
{
	struct journal *j = xcalloc(1, sizeof *j);

	j->loop = l;
	j->store = store_new(path);
	store_on_aside(j->store, on_aside, j);
	j->last = &j->first;
	j->last_question = &j->questions;
	start_thread(j);
	return j;
}

void journal_free(struct journal **jp)
{
	struct journal *j = *jp;

	if (j == NULL)
		return;
	pthread_mutex_lock(&j->lock);
	j->ending = true;
	pthread_cond_signal(&j->work);
	pthread_mutex_unlock(&j->lock);
	pthread_join(j->thread, NULL);
	pthread_cond_destroy(&j->work);
	pthread_mutex_destroy(&j->lock);
	store_free(&j->store);
	free(j);
	*jp = NULL;
}

/* ---- counting ---- */

static int64_t this_minute(void)
{
	return clock_mono_ms() / 60000;
}

static void count(struct journal *j, const struct journal_note *n)
{
	struct journal_count *total = &j->totals.of[n->kind];
	struct minute *m = &j->minutes[this_minute() % JOURNAL_RATE_MINUTES];

	if (m->number != this_minute())
		*m = (struct minute){.number = this_minute()};
	m->n[n->kind]++;
	total->n++;
	total->bytes += n->size;
}

const struct journal_totals *journal_totals(const struct journal *j)
{
	struct journal *changing = (struct journal *)j;

	pthread_mutex_lock(&changing->lock);
	changing->totals.lost = j->lost;
	pthread_mutex_unlock(&changing->lock);
	return &j->totals;
}

void journal_rates(const struct journal *j, enum journal_kind kind, unsigned out[static JOURNAL_RATE_MINUTES])
{
	int64_t now = this_minute();

	for (int i = 0; i < JOURNAL_RATE_MINUTES; i++) {
		int64_t number = now - JOURNAL_RATE_MINUTES + 1 + i;
		const struct minute *m = number >= 0 ? &j->minutes[number % JOURNAL_RATE_MINUTES] : NULL;
		out[i] = m != NULL && m->number == number ? m->n[kind] : 0;
	}
}

/* ---- adding ---- */

static size_t list_bytes(const struct strlist *l)
{
	size_t n = l->n * sizeof *l->v;

	for (size_t i = 0; i < l->n; i++)
		n += strlen(l->v[i]) + 16;
	return n;
}

static size_t note_bytes(const struct journal_note *n)
{
	size_t bytes = sizeof *n + list_bytes(&n->recipients) + list_bytes(&n->boxes) + list_bytes(&n->queued);

	for (size_t i = 0; i < JOURNAL_TEXTS; i++)
		bytes += n->text[i] != NULL ? strlen(n->text[i]) + 16 : 0;
	return bytes;
}

/* Whoever is refused a thousand times a second must not push everybody else's mail out of the journal. */
static bool within_rate(struct journal *j, const struct journal_note *n)
{
	int64_t minute = this_minute();

	if (n->kind != JOURNAL_REFUSED)
		return true;
	if (minute != j->refusal_minute) {
		if (j->refusals > REFUSALS_A_MINUTE)
			log_warning("journal.refusals", kv_u("not_written", j->refusals - REFUSALS_A_MINUTE));
		j->refusal_minute = minute;
		j->refusals = 0;
	}
	return ++j->refusals <= REFUSALS_A_MINUTE;
}

static bool put(struct journal *j, struct journal_note *n)
{
	bool first;

	n->bytes = note_bytes(n);
	pthread_mutex_lock(&j->lock);
	if (j->bytes + n->bytes > WAITING_BYTES) {
		j->lost++;
		pthread_mutex_unlock(&j->lock);
		return false;
	}
	first = j->first == NULL;
	n->next = NULL;
	*j->last = n;
	j->last = &n->next;
	j->bytes += n->bytes;
	if (first)
		pthread_cond_signal(&j->work);
	pthread_mutex_unlock(&j->lock);
	return true;
}

void journal_add(struct journal *j, struct journal_note **np)
{
	struct journal_note *n = *np;

	*np = NULL;
	if (n == NULL)
		return;
	if (j != NULL)
		count(j, n);
	if (j == NULL || !within_rate(j, n) || !put(j, n))
		journal_note_free(&n);
}

void journal_ask(struct journal *j, int (*fn)(struct db_conn *c, void *arg, struct err *e),
                 void (*done)(void *arg, int rc, const struct err *e), void *arg)
{
	struct question *q = xcalloc(1, sizeof *q);

	*q = (struct question){.loop = j->loop, .fn = fn, .done = done, .arg = arg};
	pthread_mutex_lock(&j->lock);
	*j->last_question = q;
	j->last_question = &q->next;
	pthread_cond_signal(&j->work);
	pthread_mutex_unlock(&j->lock);
}
