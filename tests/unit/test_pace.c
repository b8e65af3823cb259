/* The pace of a lane, against relays that limit by the second, by the minute, or not at all. */
#include "send/pace.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>

#include <cmocka.h>

enum { UNDER_WAY = 80 };

struct relay { /* takes `most` in each window; 0 = all */
	int most;
	int64_t window;
	int64_t began;
	int n;
	bool counts_refused;
};

static bool takes(struct relay *r, int64_t now)
{
	if (now - r->began >= r->window) {
		r->began = now;
		r->n = 0;
	}
	bool taken = r->most == 0 || r->n < r->most;
	r->n += taken || r->counts_refused;
	return taken;
}

/* Sends `n` messages with many under way; how many milliseconds that takes, and how many refusals. */
static int64_t send(struct pace *p, struct relay *r, int n, int64_t round_trip, int *refusals)
{
	struct {
		unsigned turn;
		int64_t at;
		bool taken;
	} way[UNDER_WAY];
	int nway = 0, left = n, taken = 0;

	*refusals = 0;
	for (int64_t now = 0; now < 3600 * 1000; now++) {
		for (int i = 0; i < nway;) {
			if (way[i].at > now) {
				i++;
				continue;
			}
			if (way[i].taken) {
				taken++;
				pace_taken(p, way[i].turn, now);
			} else {
				left++;
				++*refusals;
				pace_refused(p, way[i].turn, now);
				assert_true(p->pause_ms <= PACE_PAUSE_MAX_MS);
			}
			memmove(&way[i], &way[i + 1], (size_t)(nway - i - 1) * sizeof way[0]);
			nway--;
		}
		while (left > 0 && nway < UNDER_WAY && pace_wait_ms(p, now) == 0) {
			way[nway].turn = pace_begin(p, now);
			way[nway].at = now + round_trip;
			way[nway++].taken = takes(r, now);
			left--;
		}
		if (taken == n)
			return now;
	}
	fail_msg("%d of %d in an hour", taken, n);
	return 0;
}

static void no_limit(void **state)
{
	struct pace p = {0};
	struct relay r = {0};
	int refusals;

	(void)state;
	assert_true(send(&p, &r, 1000, 10, &refusals) < 200);
	assert_int_equal(refusals, 0);
	assert_int_equal(pace_found(&p), 0);
}

static void configured_rate(void **state)
{
	struct pace p = {0};
	struct relay r = {0};
	int refusals;

	(void)state;
	pace_set(&p, 60, 0);
	int64_t took = send(&p, &r, 10, 10, &refusals);
	assert_in_range(took, 8900, 9100);
	struct pace fast = {0};
	pace_set(&fast, 6000, 0);
	took = send(&fast, &r, 600, 10, &refusals);
	assert_in_range(took, 5900, 6100);
}

static void relays_with_a_limit(void **state)
{
	static const struct {
		struct relay r;
		int n;
		int64_t most_ms;
		int most_refusals;
	} rows[] = {
	    {{.most = 14, .window = 1000}, 200, 30000, 100},
	    {{.most = 14, .window = 1000, .counts_refused = true}, 200, 30000, 100},
	    {{.most = 1, .window = 1000}, 50, 70000, 120},
	    {{.most = 5, .window = 10000}, 60, 260000, 120},
	    {{.most = 30, .window = 60000}, 200, 500000, 120},
	    {{.most = 100, .window = 1000}, 2000, 45000, 200},
	};

	(void)state;
	for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
		for (int64_t round_trip = 1; round_trip <= 100; round_trip *= 10) {
			struct pace p = {0};
			struct relay r = rows[i].r;
			int refusals;
			int64_t took = send(&p, &r, rows[i].n, round_trip, &refusals);
			if (took > rows[i].most_ms || refusals > rows[i].most_refusals)
				fail_msg("row %zu: %d s, %d refusals", i, (int)(took / 1000), refusals);
			assert_true(pace_found(&p) > 0);
			/* Known from the beginning, hardly anything is refused. */
			struct pace again = {0};
			r = rows[i].r;
			pace_set(&again, 0, pace_found(&p));
			send(&again, &r, rows[i].n, round_trip, &refusals);
			assert_true(refusals < rows[i].most_refusals / 2);
		}
	}
}

static void one_tries_while_nothing_is_taken(void **state)
{
	struct pace p = {0};
	unsigned turn;

	(void)state;
	turn = pace_begin(&p, 0);
	assert_int_equal(pace_wait_ms(&p, 0), 0);
	assert_true(pace_refused(&p, turn, 5));
	assert_false(pace_refused(&p, turn, 6)); /* it was on its way before the pause */
	assert_int_equal(pace_wait_ms(&p, 5), PACE_PAUSE_MS);
	turn = pace_begin(&p, 1005);
	assert_true(pace_wait_ms(&p, 1006) > 10000);
	pace_unknown(&p, turn); /* it said nothing */
	assert_int_equal(pace_wait_ms(&p, 1006), 0);
	turn = pace_begin(&p, 1006);
	assert_true(pace_refused(&p, turn, 1010));
	assert_int_equal(pace_wait_ms(&p, 1010), 2 * PACE_PAUSE_MS);
	turn = pace_begin(&p, 3010);
	pace_taken(&p, turn, 3011);
	assert_true(pace_wait_ms(&p, 3011) <= 2 * PACE_PAUSE_MS);
}

static void pauses_end_somewhere(void **state)
{
	struct pace p = {0};
	int64_t now = 0;
	int n = 0;

	(void)state;
	do {
		unsigned turn = pace_begin(&p, now);
		assert_true(pace_refused(&p, turn, now));
		n++;
		now += pace_wait_ms(&p, now);
	} while (!pace_exhausted(&p) && n < 100);
	assert_int_equal(n, 8);
	assert_in_range(now, 120000, 300000);
	assert_true(p.paused);
	assert_int_equal(pace_wait_ms(&p, now), 0);
}

static void pace_rises(void **state)
{
	struct pace p = {0};
	struct relay r = {0};
	int refusals;

	(void)state;
	pace_set(&p, 0, 600);
	send(&p, &r, 400, 10, &refusals);
	assert_true(pace_found(&p) > 1200);
	send(&p, &r, 4000, 10, &refusals);
	assert_int_equal(pace_found(&p), 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(no_limit),
	    cmocka_unit_test(configured_rate),
	    cmocka_unit_test(relays_with_a_limit),
	    cmocka_unit_test(one_tries_while_nothing_is_taken),
	    cmocka_unit_test(pauses_end_somewhere),
	    cmocka_unit_test(pace_rises),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
