/* Workers at their end: what is queued is done, what is asked for afterwards is not, and neither touches freed memory.
 */
#include "disk/workers.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

struct tally {
	struct workers *w;
	atomic_int worked;
	int done;
};

static void work(void *arg)
{
	atomic_fetch_add(&((struct tally *)arg)->worked, 1);
}

/* As the settler does: each end begins the next. */
static void done(void *arg)
{
	struct tally *t = arg;

	t->done++;
	workers_run(t->w, work, done, t);
}

static void what_is_asked_for_after_the_stop_is_not_done(void **state)
{
	struct loop *l = loop_new();
	struct tally t = {.w = workers_new(l, 2)};

	(void)state;
	for (int i = 0; i < 50; i++)
		workers_run(t.w, work, done, &t);
	workers_stop(t.w);
	assert_int_equal(t.worked, 50);
	assert_int_equal(t.done, 0);
	loop_drain(l);
	assert_int_equal(t.done, 50);
	assert_int_equal(t.worked, 50);
	workers_free(&t.w);
	assert_null(t.w);
	workers_free(&t.w);
	loop_free(&l);
	assert_int_equal(t.worked, 50);
	assert_int_equal(t.done, 50);
}

int main(void)
{
	const struct CMUnitTest tests[] = {cmocka_unit_test(what_is_asked_for_after_the_stop_is_not_done)};

	return cmocka_run_group_tests_name("workers", tests, NULL, NULL);
}
