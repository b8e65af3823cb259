#include "digest/facts.h"

#include "base/alloc.h"

#include <stdlib.h>
#include <string.h>

struct gathering {
	struct digest_deps d;
	struct digest_facts *facts;
	void (*done)(void *arg, struct digest_facts *f, const struct err *e);
	void *arg;
};

/* On a worker: one mailbox after another. One that cannot be read counts as empty; `ofmctl users` says why. */
static void measure(void *arg)
{
	struct gathering *g = arg;

	for (size_t i = 0; i < g->facts->nboxes; i++) {
		struct digest_box *b = &g->facts->boxes[i];
		struct maildir_list list = {0};
		struct err e;
		if (maildir_scan(g->d.maildir, b->name, &list, &e) != 0)
			continue;
		b->messages = list.n;
		b->bytes = list.total;
		maildir_list_free(&list);
	}
}

static int by_size(const void *a, const void *b)
{
	const struct digest_box *x = a, *y = b;

	return x->bytes != y->bytes ? (x->bytes < y->bytes ? 1 : -1) : strcmp(x->name, y->name);
}

static void on_measured(void *arg)
{
	struct gathering *g = arg;
	struct err e = {0, ""};

	if (g->facts->nboxes > 1)
		qsort(g->facts->boxes, g->facts->nboxes, sizeof *g->facts->boxes, by_size);
	g->done(g->arg, g->facts, &e);
	free(g);
}

static int sum_up(struct db_conn *c, void *arg, struct err *e)
{
	return journal_summarize(c, &((struct gathering *)arg)->facts->sum, e);
}

static void on_summed(void *arg, int rc, const struct err *e)
{
	struct gathering *g = arg;

	if (rc == 0) {
		workers_run(g->d.workers, measure, on_measured, g);
		return;
	}
	digest_facts_free(&g->facts);
	g->done(g->arg, NULL, e);
	free(g);
}

static void add_account(void *arg, const struct fetcher_account_status *s)
{
	struct digest_facts *f = arg;

	if (!s->enabled)
		return;
	f->accounts = xreallocarray(f->accounts, f->naccounts + 1, sizeof *f->accounts);
	f->accounts[f->naccounts++] = (struct digest_account){xstrdup(s->label), xstrdup(s->last_error)};
}

void digest_gather(const struct digest_deps *d, const struct config *c, int64_t from, int64_t to,
                   void (*done)(void *arg, struct digest_facts *f, const struct err *e), void *arg)
{
	struct gathering *g = xcalloc(1, sizeof *g);
	struct digest_facts *f = xcalloc(1, sizeof *f);

	*g = (struct gathering){.d = *d, .facts = f, .done = done, .arg = arg};
	f->sum.from = from;
	f->sum.to = to;
	f->queued = sender_length(d->sender);
	f->oldest = sender_oldest(d->sender);
	fetcher_status(d->fetcher, add_account, f);
	f->boxes = xcalloc(c->nusers + 1, sizeof *f->boxes);
	for (size_t i = 0; i < c->nusers; i++)
		if (!c->users[i]->is_daemon)
			f->boxes[f->nboxes++].name = xstrdup(c->users[i]->name);
	journal_ask(d->journal, sum_up, on_summed, g);
}

void digest_facts_free(struct digest_facts **fp)
{
	struct digest_facts *f = *fp;

	if (f == NULL)
		return;
	journal_summary_free(&f->sum);
	for (size_t i = 0; i < f->nboxes; i++)
		free(f->boxes[i].name);
	for (size_t i = 0; i < f->naccounts; i++) {
		free(f->accounts[i].name);
		free(f->accounts[i].error);
	}
	free(f->boxes);
	free(f->accounts);
	free(f);
	*fp = NULL;
}
