/* When the writer stays awake for a client in lock-step. */
#include "disk/lock_step.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

/* An answer to so many, and the next job so long after it: how long somebody would have waited for it. */
static int64_t step(struct lock_step *s, int64_t *now, unsigned submissions, int64_t gap)
{
	int64_t waited = 0;

	lock_step_answered(s, *now, submissions);
	while (waited < gap && lock_step_waits(s, *now + waited))
		waited++;
	*now += gap;
	lock_step_came(s, *now);
	*now += 300;
	return waited;
}

static void waits_for_one_who_comes_soon(void **state)
{
	struct lock_step s;
	int64_t now = 1000;

	(void)state;
	lock_step_init(&s, 2);
	assert_int_equal(step(&s, &now, 1, 700), 0); /* nobody has come soon yet */
	for (int i = 0; i < 5; i++)
		assert_int_equal(step(&s, &now, 1, 250), 250);
}

static void never_waits_long_and_not_often_in_vain(void **state)
{
	struct lock_step s;
	int64_t now = 1000, waited = 0;

	(void)state;
	lock_step_init(&s, 2);
	step(&s, &now, 1, 200);
	assert_int_equal(step(&s, &now, 1, 60000000), LOCK_STEP_US);
	assert_int_equal(step(&s, &now, 1, 200), 0); /* that was long */
	for (int i = 1; i < LOCK_STEP_VAIN; i++)
		assert_int_equal(step(&s, &now, 1, LOCK_STEP_US + 100), LOCK_STEP_US);
	for (int i = 0; i < 1000; i++)
		waited += step(&s, &now, 1, LOCK_STEP_US + 100);
	assert_in_range(waited, 1, LOCK_STEP_US * 1000 * LOCK_STEP_VAIN / (LOCK_STEP_VAIN + LOCK_STEP_SKIPS - 2));
	for (int i = 0; i <= LOCK_STEP_SKIPS; i++)
		step(&s, &now, 1, 200);
	assert_int_equal(step(&s, &now, 1, 200), 200); /* it has learned again */
}

static void waits_for_nobody_in_a_crowd(void **state)
{
	struct lock_step s;
	int64_t now = 1000;

	(void)state;
	lock_step_init(&s, 2);
	for (unsigned n = 0; n < 10; n++)
		assert_int_equal(step(&s, &now, n == 1 ? 20 : n, 100), 0);
}

static void waits_on_no_single_processor(void **state)
{
	struct lock_step s;
	int64_t now = 1000;

	(void)state;
	lock_step_init(&s, 1);
	for (int i = 0; i < 10; i++)
		assert_int_equal(step(&s, &now, 1, 100), 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(waits_for_one_who_comes_soon),
	    cmocka_unit_test(never_waits_long_and_not_often_in_vain),
	    cmocka_unit_test(waits_for_nobody_in_a_crowd),
	    cmocka_unit_test(waits_on_no_single_processor),
	};

	return cmocka_run_group_tests_name("lock_step", tests, NULL, NULL);
}
