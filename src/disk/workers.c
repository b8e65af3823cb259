#include "disk/workers.h"

#include "base/alloc.h"

#include <pthread.h>
#include <signal.h>
#include <stdbool.h>
#include <stdlib.h>

struct task {
	struct task *next;
	void (*work)(void *arg);
	void (*done)(void *arg);
	void *arg;
};

struct workers {
	struct loop *loop;
	pthread_mutex_t lock;
	pthread_cond_t some;
	struct task *first, **last;
	bool ending;
	unsigned n;
	pthread_t threads[];
};

static void *run(void *arg)
{
	struct workers *w = arg;

	pthread_mutex_lock(&w->lock);
	for (;;) {
		while (w->first == NULL && !w->ending)
			pthread_cond_wait(&w->some, &w->lock);
		struct task *t = w->first;
		if (t == NULL)
			break;
		w->first = t->next;
		if (w->first == NULL)
			w->last = &w->first;
		pthread_mutex_unlock(&w->lock);
		t->work(t->arg);
		if (t->done != NULL)
			loop_post(w->loop, t->done, t->arg);
		free(t);
		pthread_mutex_lock(&w->lock);
	}
	pthread_mutex_unlock(&w->lock);
	return NULL;
}

struct workers *workers_new(struct loop *l, unsigned threads)
{
	struct workers *w = xcalloc(1, sizeof *w + threads * sizeof w->threads[0]);
	sigset_t all, before;

	w->loop = l;
	w->last = &w->first;
	pthread_mutex_init(&w->lock, NULL);
	pthread_cond_init(&w->some, NULL);
	/* Signals belong to the loop's thread. */
	sigfillset(&all);
	pthread_sigmask(SIG_SETMASK, &all, &before);
	while (w->n < threads && pthread_create(&w->threads[w->n], NULL, run, w) == 0)
		w->n++;
	pthread_sigmask(SIG_SETMASK, &before, NULL);
	if (w->n == 0)
		abort();
	return w;
}

void workers_stop(struct workers *w)
{
	pthread_mutex_lock(&w->lock);
	w->ending = true;
	pthread_cond_broadcast(&w->some);
	pthread_mutex_unlock(&w->lock);
	for (unsigned i = 0; i < w->n; i++)
		pthread_join(w->threads[i], NULL);
	w->n = 0;
}

void workers_free(struct workers **wp)
{
	struct workers *w = *wp;

	if (w == NULL)
		return;
	*wp = NULL;
	workers_stop(w);
	for (struct task *t; (t = w->first) != NULL;) {
		w->first = t->next;
		free(t);
	}
	pthread_cond_destroy(&w->some);
	pthread_mutex_destroy(&w->lock);
	free(w);
}

void workers_run(struct workers *w, void (*work)(void *arg), void (*done)(void *arg), void *arg)
{
	struct task *t = xmalloc(sizeof *t);

	*t = (struct task){NULL, work, done, arg};
	pthread_mutex_lock(&w->lock);
	*w->last = t;
	w->last = &t->next;
	pthread_cond_signal(&w->some);
	pthread_mutex_unlock(&w->lock);
}
