#include "fetch/sorting.h"

#include "base/alloc.h"
#include "base/log.h"

#include <stdlib.h>

struct sorting {
	struct sorting *next; /* that waits */
	struct fetch_rules *rules;
	struct workers *workers;
	struct slice head;
	const struct config_account *account;
	struct sorter_verdict verdict;
	void (*done)(void *arg, struct sorter_verdict *v);
	void *arg;
};

/* On a worker, with caches of its own: the rules' are the loop's. */
static void sort(void *arg)
{
	struct sorting *x = arg;
	struct sorter_scratch *scratch = sorter_scratch_new(x->rules->sorter);
	struct header h;

	header_scan(&h, x->head);
	sorter_sort(x->rules->sorter, scratch, &h, x->account, false, &x->verdict);
	header_free(&h);
	sorter_scratch_free(&scratch);
}

static void on_sorted(void *arg)
{
	struct sorting *x = arg, *next = x->rules->heavy->next;

	/* One at a time: somebody who sends many such messages gets one worker, and log-ins have the others. */
	x->rules->heavy = next;
	if (next != NULL)
		workers_run(next->workers, sort, on_sorted, next);
	x->done(x->arg, &x->verdict);
	fetch_rules_unref(&x->rules);
	free(x);
}

static void sort_beside(struct sorting *x)
{
	struct sorting **last = &x->rules->heavy;

	log_info("fetch.sort", kv_s("account", x->account->label), kv_u("header", x->head.n), kv_s("how", "beside"));
	while (*last != NULL)
		last = &(*last)->next;
	*last = x;
	if (x->rules->heavy == x)
		workers_run(x->workers, sort, on_sorted, x);
}

void sorting_start(struct fetch_rules *rules, struct workers *workers, struct slice head,
                   const struct config_account *account, void (*done)(void *arg, struct sorter_verdict *v), void *arg)
{
	struct sorter_verdict v;
	struct header h;

	header_scan(&h, head);
	bool sorted = sorter_sort_quick(rules->sorter, rules->scratch, &h, account, &v);
	header_free(&h);
	if (sorted) {
		done(arg, &v);
		return;
	}
	struct sorting *x = xcalloc(1, sizeof *x);
	*x = (struct sorting){.rules = fetch_rules_ref(rules),
	                      .workers = workers,
	                      .head = head,
	                      .account = account,
	                      .done = done,
	                      .arg = arg};
	sort_beside(x);
}
