/* When mail is tried again, warned about, given up: also on clocks that jump. */
#include "queue/retry.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

static void delays(void **state)
{
	static const struct {
		int64_t first;
		unsigned failures;
		int64_t delay;
	} rows[] = {
	    {300, 1, 300},
	    {300, 2, 600},
	    {300, 3, 1200},
	    {300, 6, 9600},
	    {300, 7, 14400},
	    {300, 8, 14400},
	    {300, 4000000000U, 14400},
	    {1, 1, 1},
	    {1, 5, 16},
	    {0, 1, 1},
	    {-5, 3, 4},
	    {14400, 1, 14400},
	    {86400, 1, 86400},
	    {86400, 9, 86400},
	    {300, 0, 300},
	    {INT64_MAX, 2, INT64_MAX},
	};

	(void)state;
	for (size_t i = 0; i < sizeof rows / sizeof *rows; i++)
		assert_true(retry_delay(rows[i].first, rows[i].failures) == rows[i].delay);
}

static void left_after_restart(void **state)
{
	(void)state;
	assert_true(retry_left(1000, 900, 300, 1) == 100);
	assert_true(retry_left(1000, 1100, 300, 1) == 0);
	/* The clock went ten years back: wait the whole delay at most. */
	assert_true(retry_left(1000000000, 1000000000 - 315360000, 300, 1) == 300);
	assert_true(retry_left(INT64_MAX, INT64_MIN, 300, 2) == 600);
	assert_true(retry_left(INT64_MIN, INT64_MAX, 300, 2) == 0);
}

static void age_after_restart(void **state)
{
	(void)state;
	assert_true(retry_age_after(100, 1000, 1500) == 600);
	assert_true(retry_age_after(100, 1000, 500) == 100);
	/* Ten years forward: a day at most, so nothing expires in a mass. */
	assert_true(retry_age_after(100, 1000, 1000 + 315360000) == 100 + 86400);
	assert_true(retry_age_after(-1, 1000, 1001) == 1);
	assert_true(retry_age_after(INT64_MAX, INT64_MIN, INT64_MAX) == INT64_MAX);
}

static void verdicts(void **state)
{
	(void)state;
	assert_false(retry_expired(431999, 432000));
	assert_true(retry_expired(432000, 432000));
	assert_false(retry_warns(14399, false));
	assert_true(retry_warns(14400, false));
	assert_false(retry_warns(14400, true));
}

int main(void)
{
	const struct CMUnitTest tests[] = {cmocka_unit_test(delays), cmocka_unit_test(left_after_restart),
	                                   cmocka_unit_test(age_after_restart), cmocka_unit_test(verdicts)};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
