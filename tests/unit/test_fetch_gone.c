#include "fetch/gone.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>

#include <cmocka.h>

static void test_news_come_after_some_sessions_and_once(void **state)
{
	/* What each session saw again; - nothing, b some. And what postmaster hears: . nothing, B back, A away. */
	static const char seen[] = "-bb-bbbbb-b---bb----bbb", *heard = "......B......A........B";
	struct gone g = {0};
	uint64_t size = 10;

	(void)state;
	for (size_t i = 0; seen[i] != '\0'; i++) {
		char *text = gone_text(&g);

		gone_free(&g);
		gone_read(&g, text);
		free(text);
		assert_int_equal(".BA"[gone_add(&g, &size, 1, seen[i] == 'b')], heard[i]);
	}
	gone_free(&g);
}

static void test_the_latest_sizes_are_remembered(void **state)
{
	struct gone g = {0}, copy;
	uint64_t many[GONE_MOST + 7], one = 5;

	(void)state;
	for (size_t i = 0; i < GONE_MOST + 7; i++)
		many[i] = 1000 + i;
	gone_add(&g, many, GONE_MOST + 7, 0);
	gone_add(&g, &one, 1, 0);
	assert_int_equal(g.n, GONE_MOST);
	char *text = gone_text(&g);
	gone_read(&copy, text);
	free(text);
	assert_int_equal(gone_count(&copy, many, GONE_MOST + 7), GONE_MOST - 1);
	assert_int_equal(gone_count(&copy, many, 8), 0);
	assert_int_equal(gone_count(&copy, &one, 1), 1);
	assert_int_equal(copy.last, 1);
	gone_free(&g);
	gone_free(&copy);
}

static void test_how_many_are_much(void **state)
{
	static const struct {
		uint64_t last;
		unsigned back;
		size_t count;
		bool want;
	} rows[] = {{1, 0, 1, false}, {2, 0, 1, false},      {2, 0, 2, true},     {3, 0, 1, false}, {3, 0, 2, true},
	            {9, 0, 4, false}, {9, 0, 5, true},       {9, 1, 1, true},     {9, 1, 0, false}, {0, 0, 0, false},
	            {0, 0, 1, false}, {9000, 0, 249, false}, {9000, 0, 250, true}};

	(void)state;
	for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
		struct gone g = {.last = rows[i].last, .back = rows[i].back};

		assert_int_equal(gone_is_much(&g, rows[i].count), rows[i].want);
	}
}

static void test_what_is_no_such_text(void **state)
{
	static const char *const texts[] = {
	    NULL, "", "x", "1 2", "1 2 0 3 x", "1 1 1 1 ", "99999999999999999999 1 1 1"};

	(void)state;
	for (size_t i = 0; i < sizeof texts / sizeof texts[0]; i++) {
		struct gone g;

		gone_read(&g, texts[i]);
		assert_int_equal(g.n, 0);
		gone_free(&g);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(test_news_come_after_some_sessions_and_once),
	    cmocka_unit_test(test_the_latest_sizes_are_remembered),
	    cmocka_unit_test(test_how_many_are_much),
	    cmocka_unit_test(test_what_is_no_such_text),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
