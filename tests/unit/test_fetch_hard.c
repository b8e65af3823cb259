#include "fetch/hard.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#define COUNT(v) (sizeof(v) / sizeof(v)[0])

static void test_read_and_written(void **state)
{
	static const struct {
		const char *text, *again; /* NULL: none */
	} rows[] = {
	    {NULL, NULL},
	    {"", NULL},
	    {"3 17 -pt u1\n", "3 17 -pt u1\n"},
	    {"1 5 - a b  c\n2 6 -h x\n", "1 5 - a b  c\n2 6 -h x\n"}, /* some UIDLs hold spaces */
	    {"1 5 -p x", "1 5 -p x\n"},
	    {"x 5 - a\n1 y - a\n1 5 -\n\n1 5\n-1 5 - a\n", NULL},
	    {"1 5 -ptzdh a\n", "1 5 -pthd a\n"},
	};

	(void)state;
	for (size_t i = 0; i < COUNT(rows); i++) {
		struct hard_list l;

		hard_read(&l, rows[i].text);
		char *text = hard_text(&l);
		assert_int_equal(text == NULL, rows[i].again == NULL);
		if (text != NULL)
			assert_string_equal(text, rows[i].again);
		free(text);
		hard_free(&l);
	}
}

static void test_what_is_left(void **state)
{
	enum { NOW = 1000000 };
	static const struct {
		struct hard h;
		bool left;
	} rows[] = {
	    {{.tries = 3, .at = NOW, .proven = true, .told = true}, true},
	    {{.tries = 2, .at = NOW, .proven = true, .told = true}, false},
	    {{.tries = 9, .at = NOW, .proven = false, .told = true}, false}, /* it may be the line */
	    {{.tries = 9, .at = NOW, .proven = true, .told = false}, false}, /* nobody knows of it yet */
	    {{.tries = 9, .at = NOW - HARD_AGAIN_S, .proven = true, .told = true}, false},
	};

	(void)state;
	for (size_t i = 0; i < COUNT(rows); i++)
		assert_int_equal(hard_is_left(&rows[i].h, NOW), rows[i].left);
}

static void test_blamed_and_forgotten(void **state)
{
	struct hard_list l = {0};
	char name[20];

	(void)state;
	for (unsigned i = 1; i <= 3; i++)
		assert_int_equal(hard_blame(&l, "a", 10 + i, i == 2)->tries, i);
	assert_true(l.n == 1 && l.v[0].at == 13 && l.v[0].by_head);
	for (unsigned i = 1; i < HARD_MOST; i++) {
		snprintf(name, sizeof name, "n%u", i);
		assert_non_null(hard_blame(&l, name, 1, false));
	}
	assert_null(hard_blame(&l, "more", 1, false));
	assert_non_null(hard_blame(&l, "a", 1, false));
	hard_forget(&l, "a");
	hard_forget(&l, "nobody");
	assert_true(l.n == HARD_MOST - 1 && hard_find(&l, "a") == NULL && hard_find(&l, "n5") != NULL);
	hard_free(&l);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(test_read_and_written),
	    cmocka_unit_test(test_what_is_left),
	    cmocka_unit_test(test_blamed_and_forgotten),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
