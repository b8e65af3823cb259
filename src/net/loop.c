#include "net/loop.h"

#include "base/alloc.h"
#include "base/clock.h"
#include "net/trust.h"

#include <event2/thread.h>
#include <pthread.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/eventfd.h>
#include <unistd.h>

enum { TURNS_US = 2000 };
#define FOREVER_MS (INT64_MAX / 1000000) /* far away, and no sum of it overflows */

struct post {
	struct post *next;
	void (*fn)(void *arg);
	void *arg;
};

struct loop {
	struct event_base *base;
	struct event *wake;
	int wake_fd;
	pthread_mutex_t lock;
	struct post *first, **last;
	struct trust *trust; /* NULL until somebody asks */
	struct loop *helper; /* likewise */
	pthread_t helper_thread;
	loop_crew *crew; /* NULL: none */
	void *crew_arg;
	LIST_HEAD(, loop_orphan) orphans;
	TAILQ_HEAD(, loop_turn) turns;
	struct loop_timer *turns_timer;
	int64_t turns_us; /* a round's share of them */
};

struct loop_timer {
	struct event *ev;
	int64_t due_ms;
	void (*fn)(void *arg);
	void *arg;
};

static struct post *take_posts(struct loop *l)
{
	pthread_mutex_lock(&l->lock);
	struct post *all = l->first;
	l->first = NULL;
	l->last = &l->first;
	pthread_mutex_unlock(&l->lock);
	return all;
}

static void on_wake(evutil_socket_t fd, short what, void *arg)
{
	struct loop *l = arg;
	eventfd_t count;

	(void)what;
	eventfd_read(fd, &count);
	for (struct post *p = take_posts(l), *next; p != NULL; p = next) {
		next = p->next;
		p->fn(p->arg);
		free(p);
	}
}

static void on_turns(void *arg)
{
	struct loop *l = arg;
	int64_t end = clock_mono_us() + l->turns_us;
	struct loop_turn *t;

	while ((t = TAILQ_FIRST(&l->turns)) != NULL) {
		loop_turn_leave(l, t);
		t->fn(t->arg);
		if (clock_mono_us() >= end)
			break;
	}
	/* A timer, not an active event, which would come before the kernel was asked who else has something. */
	if (!TAILQ_EMPTY(&l->turns))
		loop_timer_set(l->turns_timer, 0);
}

struct loop *loop_new(void)
{
	struct loop *l = xcalloc(1, sizeof *l);

	evthread_use_pthreads();
	pthread_mutex_init(&l->lock, NULL);
	l->last = &l->first;
	l->turns_us = TURNS_US;
	TAILQ_INIT(&l->turns);
	l->wake_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	l->base = event_base_new();
	if (l->wake_fd < 0 || l->base == NULL)
		goto fail;
	l->wake = event_new(l->base, l->wake_fd, EV_READ | EV_PERSIST, on_wake, l);
	if (l->wake == NULL || event_add(l->wake, NULL) != 0)
		goto fail;
	l->turns_timer = loop_timer_new(l, on_turns, l);
	return l;
fail:
	loop_free(&l);
	return NULL;
}

bool loop_drain(struct loop *l)
{
	bool any = false;

	for (struct post *p; (p = take_posts(l)) != NULL;) {
		for (struct post *next; p != NULL; p = next) {
			next = p->next;
			p->fn(p->arg);
			free(p);
			any = true;
		}
	}
	return any;
}

static void *run_helper(void *arg)
{
	loop_run(arg);
	return NULL;
}

struct loop *loop_helper(struct loop *l)
{
	sigset_t all, before;

	if (l->helper != NULL)
		return l->helper;
	l->helper = loop_new();
	if (l->helper != NULL)
		l->helper->turns_us = 0;
	/* Signals belong to the loop's thread. */
	sigfillset(&all);
	pthread_sigmask(SIG_SETMASK, &all, &before);
	if (l->helper == NULL || pthread_create(&l->helper_thread, NULL, run_helper, l->helper) != 0)
		abort();
	pthread_sigmask(SIG_SETMASK, &before, NULL);
	return l->helper;
}

static void stop_itself(void *arg)
{
	loop_stop(arg);
}

static void end_helper(struct loop *l)
{
	if (l->helper == NULL)
		return;
	loop_post(l->helper, stop_itself, l->helper);
	pthread_join(l->helper_thread, NULL);
	/* Each may still have something for the other. */
	while (loop_drain(l) || loop_drain(l->helper))
		;
	loop_free(&l->helper);
}

void loop_free(struct loop **lp)
{
	struct loop *l = *lp;

	if (l == NULL)
		return;
	*lp = NULL;
	/* What was posted and not yet run still owns things: let it run. */
	loop_drain(l);
	end_helper(l);
	for (struct loop_orphan *o = LIST_FIRST(&l->orphans), *next; o != NULL; o = next) {
		next = LIST_NEXT(o, link);
		o->end(o->arg);
	}
	loop_timer_free(&l->turns_timer);
	if (l->wake != NULL)
		event_free(l->wake);
	if (l->base != NULL)
		event_base_free(l->base);
	if (l->wake_fd >= 0)
		close(l->wake_fd);
	pthread_mutex_destroy(&l->lock);
	trust_free(&l->trust);
	free(l);
}

void loop_set_crew(struct loop *l, loop_crew *run, void *crew)
{
	l->crew = run;
	l->crew_arg = crew;
}

void loop_hand_over(struct loop *l, void (*work)(void *arg), void (*done)(void *arg), void *arg)
{
	if (l->crew != NULL) {
		l->crew(l->crew_arg, work, done, arg);
		return;
	}
	work(arg);
	done(arg);
}

struct trust *loop_trust(struct loop *l)
{
	if (l->trust == NULL)
		l->trust = trust_new();
	return l->trust;
}

struct event_base *loop_base(struct loop *l)
{
	return l->base;
}

void loop_run(struct loop *l)
{
	event_base_loop(l->base, EVLOOP_NO_EXIT_ON_EMPTY);
}

void loop_stop(struct loop *l)
{
	event_base_loopbreak(l->base);
}

void loop_post(struct loop *l, void (*fn)(void *arg), void *arg)
{
	struct post *p = xmalloc(sizeof *p);

	*p = (struct post){NULL, fn, arg};
	pthread_mutex_lock(&l->lock);
	bool was_empty = l->first == NULL;
	*l->last = p;
	l->last = &p->next;
	/* One write wakes for all that is queued. Under the lock, so that the loop cannot be freed in between. */
	if (was_empty)
		eventfd_write(l->wake_fd, 1);
	pthread_mutex_unlock(&l->lock);
}

void loop_adopt(struct loop *l, struct loop_orphan *o, void (*end)(void *arg), void *arg)
{
	o->end = end;
	o->arg = arg;
	LIST_INSERT_HEAD(&l->orphans, o, link);
}

void loop_disown(struct loop_orphan *o)
{
	LIST_REMOVE(o, link);
}

static void arm(struct loop_timer *t)
{
	int64_t ms = t->due_ms - clock_mono_ms();

	if (ms < 0)
		ms = 0;
	struct timeval tv = {.tv_sec = (time_t)(ms / 1000), .tv_usec = (suseconds_t)(ms % 1000 * 1000)};
	evtimer_add(t->ev, &tv);
}

static void on_timer(evutil_socket_t fd, short what, void *arg)
{
	struct loop_timer *t = arg;

	(void)fd;
	(void)what;
	/* libevent counts from the time at which this turn of the loop began: a timer that was set late in the turn
	 * comes as much too early, and who then finds nothing due would not set it again. */
	if (t->due_ms > clock_mono_ms())
		arm(t);
	else
		t->fn(t->arg);
}

struct loop_timer *loop_timer_new(struct loop *l, void (*fn)(void *arg), void *arg)
{
	struct loop_timer *t = xmalloc(sizeof *t);

	*t = (struct loop_timer){NULL, 0, fn, arg};
	t->ev = evtimer_new(l->base, on_timer, t);
	if (t->ev == NULL)
		abort();
	return t;
}

void loop_timer_set(struct loop_timer *t, int64_t ms)
{
	t->due_ms = clock_mono_ms() + (ms < FOREVER_MS ? ms : FOREVER_MS);
	arm(t);
}

void loop_timer_cancel(struct loop_timer *t)
{
	evtimer_del(t->ev);
}

void loop_timer_free(struct loop_timer **t)
{
	if (*t == NULL)
		return;
	event_free((*t)->ev);
	free(*t);
	*t = NULL;
}

void loop_turn_ask(struct loop *l, struct loop_turn *t, void (*fn)(void *arg), void *arg)
{
	if (t->waiting)
		return;
	*t = (struct loop_turn){.fn = fn, .arg = arg, .waiting = true};
	if (TAILQ_EMPTY(&l->turns))
		loop_timer_set(l->turns_timer, 0);
	TAILQ_INSERT_TAIL(&l->turns, t, link);
}

void loop_turn_leave(struct loop *l, struct loop_turn *t)
{
	if (t->waiting)
		TAILQ_REMOVE(&l->turns, t, link);
	t->waiting = false;
}
