#include "fetch/listing.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#define COUNT(v) (sizeof(v) / sizeof(v)[0])

static void test_size_lines(void **state)
{
	static const struct {
		const char *line;
		bool good;
		uint32_t number;
		uint64_t size;
	} rows[] = {
	    {"1 120", true, 1, 120},
	    {"  7   0 ", true, 7, 0},
	    {"1 120 extra words", true, 1, 120},
	    {"1\t120", true, 1, 120},
	    {"\t1 \t 120\t(octets)", true, 1, 120},
	    {"100000000 1", true, 100000000, 1},
	    {"1 1099511627776", true, 1, LISTING_SIZE_MAX},
	    {"1 1099511627777", false, 0, 0},
	    {"1 9223372036854775808", false, 0, 0},
	    {"1 18446744073709551616", false, 0, 0},
	    {"1 -1", false, 0, 0},
	    {"1 0x10", false, 0, 0},
	    {"1", false, 0, 0},
	    {"0 1", false, 0, 0},
	    {"-1 1", false, 0, 0},
	    {"+1 1", false, 0, 0},
	    {"100000001 1", false, 0, 0},
	    {"4294967297 1", false, 0, 0},
	    {"x 1", false, 0, 0},
	};

	(void)state;
	for (size_t i = 0; i < COUNT(rows); i++) {
		struct listing l = {0};
		struct err e;

		assert_int_equal(listing_add_size(&l, slice_of(rows[i].line), &e) == 0, rows[i].good);
		assert_int_equal(l.n, rows[i].good);
		if (rows[i].good) {
			assert_int_equal(l.v[0].number, rows[i].number);
			assert_int_equal(l.v[0].size, rows[i].size);
		}
		listing_free(&l);
	}
}

static void test_uidl_lines(void **state)
{
	static char longest[LISTING_UIDL_MAX + 10] = "1 ";
	static const struct {
		const char *line, *uidl; /* "" = none was given; NULL = a lie */
	} rows[] = {
	    {"1 abc", "abc"},
	    {"1   a b c ", "a b c"},
	    {"1 ../../x", "../../x"},
	    {"1", ""},
	    {"1 ", ""},
	    {"1 caf\xc3\xa9", "caf\xc3\xa9"},
	    {"1\tabc", "abc"},
	    {"\t1\t abc\t", "abc"},
	    {"1 a\tb", "a\tb"},
	    {"1\t", ""},
	    {"1 a\x1b", NULL},
	    {"1 a\x7f", NULL},
	    {"0 a", NULL},
	    {"-1 a", NULL},
	    {"4294967296 a", NULL},
	};
	struct err e;

	(void)state;
	for (size_t i = 0; i < COUNT(rows); i++) {
		struct listing l = {0};

		assert_int_equal(listing_add_uidl(&l, slice_of(rows[i].line), &e) == 0, rows[i].uidl != NULL);
		if (rows[i].uidl != NULL && rows[i].uidl[0] != '\0')
			assert_string_equal(l.uidls[0].uidl, rows[i].uidl);
		else if (rows[i].uidl != NULL)
			assert_null(l.uidls[0].uidl);
		listing_free(&l);
	}
	memset(longest + 2, 'u', LISTING_UIDL_MAX);
	struct listing l = {0};
	assert_int_equal(listing_add_uidl(&l, slice_of(longest), &e), 0);
	longest[2 + LISTING_UIDL_MAX] = 'u';
	assert_int_equal(listing_add_uidl(&l, slice_of(longest), &e), -1);
	listing_free(&l);
}

static void test_empty_lines_are_passed_over(void **state)
{
	static const char *const lines[] = {"", " ", "\t", "\r"};
	struct listing l = {0};
	struct err e;

	(void)state;
	for (size_t i = 0; i < COUNT(lines); i++) {
		assert_int_equal(listing_add_size(&l, slice_of(lines[i]), &e), 0);
		assert_int_equal(listing_add_uidl(&l, slice_of(lines[i]), &e), 0);
	}
	assert_int_equal(l.n + l.nuidls, 0);
	listing_free(&l);
}

/* "number:uidl" or "number:size" words in, "number:size:uidl" (! = not its own) out. */
static char *join(const char *uidls, const char *sizes, bool with_uidl, size_t *odd)
{
	static char out[256];
	struct listing l = {0};
	struct err e;
	char text[128], *save;

	snprintf(text, sizeof text, "%s", uidls);
	for (char *w = strtok_r(text, " ", &save); w != NULL; w = strtok_r(NULL, " ", &save)) {
		*strchr(w, ':') = ' ';
		assert_int_equal(listing_add_uidl(&l, slice_of(w), &e), 0);
	}
	snprintf(text, sizeof text, "%s", sizes);
	for (char *w = strtok_r(text, " ", &save); w != NULL; w = strtok_r(NULL, " ", &save)) {
		*strchr(w, ':') = ' ';
		assert_int_equal(listing_add_size(&l, slice_of(w), &e), 0);
	}
	out[0] = '\0';
	if (listing_finish(&l, with_uidl, &e) != 0)
		snprintf(out, sizeof out, "error");
	for (size_t i = 0; i < l.n && strcmp(out, "error") != 0; i++)
		snprintf(out + strlen(out), sizeof out - strlen(out), "%s%u:%u:%s%s", i > 0 ? " " : "",
		         (unsigned)l.v[i].number, (unsigned)l.v[i].size, l.v[i].uidl != NULL ? l.v[i].uidl : "-",
		         l.v[i].twice ? "!" : "");
	*odd = l.odd;
	listing_free(&l);
	return out;
}

static void test_the_two_replies_joined(void **state)
{
	static const struct {
		const char *uidls, *sizes;
		bool with_uidl;
		const char *want;
		size_t odd;
	} rows[] = {
	    {"1:a 2:b", "1:10 2:20", true, "1:10:a 2:20:b", 0},
	    {"2:b 1:a", "1:10 2:20", true, "1:10:a 2:20:b", 0},
	    {"1:a 2:b", "2:20 1:10", true, "1:10:a 2:20:b", 0},
	    {"", "", true, "", 0},
	    {"", "1:10", false, "1:10:-", 0},
	    {"1:a", "1:10 2:20", true, "1:10:a 2:20:-", 1},
	    {"1:a 3:c", "1:10 2:20 3:30", true, "1:10:a 2:20:- 3:30:c", 1},
	    {"1:a 2:b 3:c", "2:20", true, "2:20:b", 2},
	    {"", "1:10 2:20", true, "1:10:- 2:20:-", 2},
	    {"1:", "1:10", true, "1:10:-", 0},
	    {"1: 2:a 3: 4:a", "1:10 2:20 3:30 4:40", true, "1:10:- 2:20:a! 3:30:- 4:40:a!", 0},
	    {"1:a 2:a 3:b", "1:10 2:20 3:30", true, "1:10:a! 2:20:a! 3:30:b", 0},
	    {"1:a 2:A", "1:10 2:20", true, "1:10:a 2:20:A", 0},
	    {"1:a 1:b", "1:10", true, "error", 0},
	    {"1:a", "1:10 1:10", true, "error", 0},
	    {"", "1:10 1:20", false, "error", 0},
	};

	(void)state;
	for (size_t i = 0; i < COUNT(rows); i++) {
		size_t odd;

		assert_string_equal(join(rows[i].uidls, rows[i].sizes, rows[i].with_uidl, &odd), rows[i].want);
		if (strcmp(rows[i].want, "error") != 0)
			assert_int_equal(odd, rows[i].odd);
	}
}

static void test_more_messages_than_any_mailbox_has(void **state)
{
	struct listing l = {0};
	struct err e;
	char line[32];
	int rc = 0;
	unsigned n = 0;

	(void)state;
	while (rc == 0) {
		snprintf(line, sizeof line, "%u 1", ++n);
		rc = listing_add_size(&l, slice_of(line), &e);
	}
	assert_int_equal(n, LISTING_MAX + 1);
	listing_free(&l);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(test_size_lines),
	    cmocka_unit_test(test_uidl_lines),
	    cmocka_unit_test(test_empty_lines_are_passed_over),
	    cmocka_unit_test(test_the_two_replies_joined),
	    cmocka_unit_test(test_more_messages_than_any_mailbox_has),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
