/* The loop's timers: from now means from now, however long a turn of the loop has lasted. */
#include "base/clock.h"
#include "net/loop.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <unistd.h>

#include <cmocka.h>

enum { BUSY_US = 30 * 1000, WAIT_MS = 20 };

struct scene {
	struct loop *loop;
	struct loop_timer *first, *second;
	int64_t set_at, waited;
};

static void set_late_in_the_turn(void *arg)
{
	struct scene *s = arg;

	usleep(BUSY_US);
	s->set_at = clock_mono_ms();
	loop_timer_set(s->second, WAIT_MS);
}

static void note(void *arg)
{
	struct scene *s = arg;

	s->waited = clock_mono_ms() - s->set_at;
	loop_stop(s->loop);
}

static void a_timer_never_comes_early(void **state)
{
	(void)state;
	for (int i = 0; i < 5; i++) {
		struct scene s = {.loop = loop_new()};
		s.first = loop_timer_new(s.loop, set_late_in_the_turn, &s);
		s.second = loop_timer_new(s.loop, note, &s);
		loop_timer_set(s.first, 0);
		loop_run(s.loop);
		assert_true(s.waited >= WAIT_MS);
		loop_timer_free(&s.first);
		loop_timer_free(&s.second);
		loop_free(&s.loop);
	}
}

static void a_timer_for_ever_does_not_come_at_all(void **state)
{
	struct scene s = {.loop = loop_new()};
	int64_t began = clock_mono_ms();

	(void)state;
	s.set_at = began;
	s.first = loop_timer_new(s.loop, set_late_in_the_turn, &s);
	s.second = loop_timer_new(s.loop, note, &s);
	loop_timer_set(s.first, INT64_MAX);
	loop_timer_set(s.second, WAIT_MS);
	loop_run(s.loop);
	assert_true(s.waited >= WAIT_MS && s.set_at == began);
	loop_timer_free(&s.first);
	loop_timer_free(&s.second);
	loop_free(&s.loop);
}

struct rounds { /* what ran on the helper, in order */
	struct loop *loop, *helper;
	struct loop_turn first, second;
	char order[4];
	size_t n;
};

static void heard(void *arg)
{
	struct rounds *r = arg;

	r->order[r->n++] = 'p';
}

static void take_first(void *arg)
{
	struct rounds *r = arg;

	r->order[r->n++] = '1';
	loop_post(r->helper, heard, r);
}

static void end_all(void *arg)
{
	loop_stop(((struct rounds *)arg)->loop);
}

static void take_second(void *arg)
{
	struct rounds *r = arg;

	r->order[r->n++] = '2';
	loop_post(r->loop, end_all, r);
}

static void ask_both(void *arg)
{
	struct rounds *r = arg;

	loop_turn_ask(r->helper, &r->first, take_first, r);
	loop_turn_ask(r->helper, &r->second, take_second, r);
}

/* Whatever else there is to do comes between. */
static void a_helper_takes_one_turn_a_round(void **state)
{
	struct rounds r = {.loop = loop_new()};

	(void)state;
	r.helper = loop_helper(r.loop);
	loop_post(r.helper, ask_both, &r);
	loop_run(r.loop);
	loop_free(&r.loop);
	assert_string_equal(r.order, "1p2");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(a_timer_never_comes_early),
	    cmocka_unit_test(a_timer_for_ever_does_not_come_at_all),
	    cmocka_unit_test(a_helper_takes_one_turn_a_round),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
