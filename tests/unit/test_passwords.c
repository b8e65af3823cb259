#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "store/passwords.h"

#include <string.h>
#include <time.h>

struct bench {
	struct loop *loop;
	struct workers *workers;
	struct passwords *p;
	unsigned answers;
	bool ok;
	unsigned awaited;
};

static void done(void *arg, bool ok)
{
	struct bench *b = arg;

	b->ok = ok;
	if (++b->answers == b->awaited)
		loop_stop(b->loop);
}

static bool check(struct bench *b, const char *stored, struct slice password, bool any_if_empty)
{
	struct config_user u = {.password = (char *)stored};

	b->answers = 0;
	b->awaited = 1;
	passwords_check(b->p, &u, password, any_if_empty, done, b);
	if (b->answers == 0)
		loop_run(b->loop);
	assert_int_equal(b->answers, 1);
	return b->ok;
}

static struct bench open_bench(void)
{
	struct bench b = {.loop = loop_new()};

	b.workers = workers_new(b.loop, 2);
	b.p = passwords_new(b.loop, b.workers);
	return b;
}

static void close_bench(struct bench *b)
{
	passwords_free(&b->p);
	workers_free(&b->workers);
	loop_free(&b->loop);
}

static void test_plain(void **state)
{
	static const struct {
		const char *stored, *given;
		bool any, ok;
	} t[] = {
	    {"secret", "secret", false, true}, {"secret", "Secret", false, false},
	    {"secret", "secre", true, false},  {"secret", "secret ", true, false},
	    {"secret", "", true, false},       {"", "", true, true},
	    {"", "anything", true, true},      {"", "", false, false},
	    {"", "x", false, false},           {"пароль с пробелом", "пароль с пробелом", false, true},
	};
	struct bench b = open_bench();

	(void)state;
	for (size_t i = 0; i < sizeof t / sizeof *t; i++)
		assert_int_equal(check(&b, t[i].stored, slice_of(t[i].given), t[i].any), t[i].ok);
	assert_false(check(&b, "secret", slice_make("secret\0x", 8), false));
	close_bench(&b);
}

static void test_hash(void **state)
{
	char stored[256], other[256];
	struct bench b = open_bench();
	clock_t begun;

	(void)state;
	assert_int_equal(passwords_hash("gross und klein", stored, NULL), 0);
	assert_int_equal(passwords_hash("gross und klein", other, NULL), 0);
	assert_memory_equal(stored, "$y$", 3);
	assert_string_not_equal(stored, other);
	assert_false(check(&b, stored, slice_of("falsch"), true));
	assert_false(check(&b, stored, slice_of(stored), true));
	assert_false(check(&b, stored, slice_make("gross und klein\0x", 17), true));
	assert_true(check(&b, stored, slice_of("gross und klein"), false));
	begun = clock();
	for (int i = 0; i < 200; i++)
		assert_true(check(&b, stored, slice_of("gross und klein"), false));
	assert_true((clock() - begun) / CLOCKS_PER_SEC < 3);
	passwords_forget(b.p);
	assert_true(check(&b, stored, slice_of("gross und klein"), false));
	assert_false(check(&b, "$y$broken", slice_of("x"), true));
	close_bench(&b);
}

static void test_many_wait_their_turn(void **state)
{
	char stored[256];
	struct bench b = open_bench();
	struct config_user u = {.password = stored};

	(void)state;
	assert_int_equal(passwords_hash("x", stored, NULL), 0);
	b.awaited = 5;
	for (unsigned i = 0; i < b.awaited; i++)
		passwords_check(b.p, &u, slice_of("wrong"), true, done, &b);
	loop_run(b.loop);
	assert_int_equal(b.answers, 5);
	assert_false(b.ok);
	close_bench(&b);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(test_plain),
	    cmocka_unit_test(test_hash),
	    cmocka_unit_test(test_many_wait_their_turn),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
