#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "base/alloc.h"
#include "config/config.h"
#include "pop3/sweep.h"

#include <stdlib.h>

enum { DAY = 86400 };

/* A mailbox of n messages, one a day, the newest `newest` days old. */
static struct maildir_list box(size_t n, int64_t now, int64_t newest)
{
	struct maildir_list l = {xcalloc(n + 1, sizeof *l.v), n, 0, NULL};

	for (size_t i = 0; i < n; i++)
		l.v[i].arrived = now - (newest + (int64_t)(n - 1 - i)) * DAY;
	return l;
}

static void test_table(void **state)
{
	static const struct {
		size_t n;
		int64_t newest, keep_days;
		bool jumped, steady, confirmed;
		size_t goes;
	} t[] = {
	    {100, 0, 90, false, false, false, 9}, /* the usual: what is over 90 days old */
	    {100, 0, 200, false, true, true, 0},
	    {0, 0, 1, false, true, true, 0},
	    {100, 0, 90, true, true, true, 0},       /* the clock has jumped */
	    {100, 3650, 90, false, false, false, 0}, /* ten years ahead since the start: nothing */
	    {100, 3650, 90, false, true, false, 1},  /* and still so a day later: a twentieth a day */
	    {9600, 3650, 90, false, true, false, 21},
	    {100, 3650, 90, false, false, true, 100},
	    {100, -3650, 90, false, true, true, 0}, /* ten years back */
	    {100, 0, 40, false, false, false, 0},   /* more than half */
	    {100, 0, 40, false, false, true, 59},
	    {1, 100, 90, false, false, false, 0},
	    {1, 100, 90, false, true, false, 1},
	    {20000, 0, 15000, false, false, false, 4999},
	    {20000, 0, 14000, false, false, false, POP3_SWEEP_AT_ONCE},
	};
	const int64_t now = 2000000000;

	(void)state;
	for (size_t i = 0; i < sizeof t / sizeof *t; i++) {
		struct maildir_list l = box(t[i].n, now, t[i].newest);
		struct pop3_sweep_rule r = {now, t[i].keep_days * DAY, t[i].jumped, t[i].steady, t[i].confirmed};

		assert_int_equal(pop3_sweep_count(&r, &l), t[i].goes);
		r.keep = CONFIG_FOREVER;
		assert_int_equal(pop3_sweep_count(&r, &l), 0);
		free(l.v);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {cmocka_unit_test(test_table)};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
