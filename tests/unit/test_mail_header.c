#include "mail/header.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

static void check_field(const struct header *h, size_t i, const char *name, const char *value)
{
	assert_true(i < h->n);
	assert_true(slice_is(h->v[i].name, name));
	assert_true(slice_is(h->v[i].value, value));
}

static void test_scan(void **state)
{
	const char *text = "From: a@b\r\nSubject: one\r\n two\r\nbroken line\nX-Y :z\n\r\nbody\r\n";
	struct header h;

	(void)state;
	header_scan(&h, slice_of(text));
	assert_int_equal(h.n, 4);
	check_field(&h, 0, "From", " a@b");
	check_field(&h, 1, "Subject", " one\r\n two");
	check_field(&h, 2, "", "broken line");
	check_field(&h, 3, "X-Y", "z");
	assert_int_equal(h.v[1].start, 11);
	assert_int_equal(h.v[1].end, 31);
	assert_string_equal(text + h.body, "body\r\n");
	assert_string_equal(text + h.end, "\r\nbody\r\n");
	assert_int_equal(h.bytes.n, h.end);
	header_free(&h);
}

static void test_scan_odd(void **state)
{
	static const struct {
		const char *text;
		size_t n, fields, end, body;
	} cases[] = {
	    {"", 0, 0, 0, 0},
	    {"\r\n", 2, 0, 0, 2},
	    {"\n", 1, 0, 0, 1},
	    {"\r", 1, 1, 1, 1},
	    {"a: b", 4, 1, 4, 4},
	    {"a: b\r\n", 6, 1, 6, 6},
	    {"a: b\n\nx", 7, 1, 5, 6},
	    {" fold\r\na:b\r\n", 12, 2, 12, 12},
	    {"a:\r\n \r\n\r\n", 9, 1, 7, 9},
	    {"a\0b: c\r\n\r\n", 10, 1, 8, 10},
	    {"a: \0\r\n\r\n", 8, 1, 6, 8},
	    {": x\r\n\r\n", 7, 1, 5, 7},
	};

	(void)state;
	for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
		struct header h;
		header_scan(&h, slice_make(cases[i].text, cases[i].n));
		assert_int_equal(h.n, cases[i].fields);
		assert_int_equal(h.end, cases[i].end);
		assert_int_equal(h.body, cases[i].body);
		header_free(&h);
	}
}

static void test_find(void **state)
{
	struct header h;

	(void)state;
	header_scan(&h, slice_of("To: a\r\nCc: b\r\nTO: c\r\n\r\nTo: d\r\n"));
	assert_ptr_equal(header_find(&h, "to", 0), &h.v[0]);
	assert_ptr_equal(header_find(&h, "to", 1), &h.v[2]);
	assert_null(header_find(&h, "to", 3));
	assert_null(header_find(&h, "Subject", 0));
	assert_int_equal(header_count(&h, "tO"), 2);
	header_free(&h);
}

static void test_flood_is_capped(void **state)
{
	size_t lines = HEADER_MAX_FIELDS + 50000, n = 0;
	char *text = malloc(lines * 3 + 2);
	struct header h;

	(void)state;
	assert_non_null(text);
	for (size_t i = 0; i < lines; i++, n += 3)
		memcpy(text + n, "a:\n", 3);
	text[n++] = '\n';
	header_scan(&h, slice_make(text, n));
	assert_int_equal(h.n, HEADER_MAX_FIELDS);
	assert_int_equal(h.end, n - 1);
	assert_int_equal(h.v[h.n - 1].name.n, 0);
	assert_int_equal(h.v[h.n - 1].start, h.v[h.n - 2].end);
	assert_int_equal(h.v[h.n - 1].end, n - 1);
	assert_int_equal(h.v[h.n - 1].value.n, 50001 * 3 - 1);
	header_free(&h);
	free(text);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(test_scan),
	    cmocka_unit_test(test_scan_odd),
	    cmocka_unit_test(test_find),
	    cmocka_unit_test(test_flood_is_capped),
	};

	return cmocka_run_group_tests_name("mail/header", tests, NULL, NULL);
}
