#include "base/buf.h"
#include "base/text.h"
#include "sort/filter.h"
#include "sort/pattern.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

static void add_cp(struct buf *out, uint32_t cp)
{
	if (cp < 0x80) {
		buf_add_char(out, (char)cp);
	} else if (cp < 0x800) {
		buf_add_char(out, (char)(0xc0 | cp >> 6));
		buf_add_char(out, (char)(0x80 | (cp & 0x3f)));
	} else if (cp < 0x10000) {
		buf_add_char(out, (char)(0xe0 | cp >> 12));
		buf_add_char(out, (char)(0x80 | (cp >> 6 & 0x3f)));
		buf_add_char(out, (char)(0x80 | (cp & 0x3f)));
	} else {
		buf_add_char(out, (char)(0xf0 | cp >> 18));
		buf_add_char(out, (char)(0x80 | (cp >> 12 & 0x3f)));
		buf_add_char(out, (char)(0x80 | (cp >> 6 & 0x3f)));
		buf_add_char(out, (char)(0x80 | (cp & 0x3f)));
	}
}

/* No character of another class may equal this one in PCRE2's eyes: the filter would hide a match. Ideographs and
 * Hangul have no case. */
static void check_class(uint32_t cp, struct pattern_matcher *m)
{
	struct buf one, others;
	size_t at;

	buf_init(&one, 8);
	buf_init(&others, 1 << 20);
	add_cp(&one, cp);
	for (uint32_t x = 1; x < 0x20000; x++) {
		bool caseless = (x >= 0x3400 && x < 0xa000) || (x >= 0xac00 && x < 0xe000);
		if (!caseless && filter_class(x) != filter_class(cp))
			add_cp(&others, x);
	}
	struct pattern *p = pattern_compile(buf_str(&one), PATTERN_TEXT, NULL);
	if (pattern_match(p, m, buf_slice(&others), &at) != PATTERN_NO)
		fail_msg("U+%04X equals a character of another class", cp);
	pattern_free(&p);
	buf_free(&one);
	buf_free(&others);
}

static void test_classes_agree_with_pcre2(void **state)
{
	struct pattern_matcher *m = pattern_matcher_new();

	(void)state;
	for (uint32_t cp = 1; cp < 0x80; cp++)
		check_class(cp, m);
	for (uint32_t cp = 0x400; cp < 0x482; cp++)
		check_class(cp, m);
	check_class(0x17f, m);
	check_class(0x212a, m);
	for (uint32_t cp = 0x1c80; cp < 0x1c89; cp++)
		check_class(cp, m);
	pattern_matcher_free(&m);
}

static uint64_t run(const struct filter *f, const char *text)
{
	struct filter_scratch *s = filter_scratch_new(f);
	uint64_t bits = 0, again = 0;

	filter_run(f, s, slice_of(text), &bits);
	filter_run(f, s, slice_of(text), &again);
	assert_true(bits == again);
	filter_scratch_free(&s);
	return bits;
}

static void test_names_what_may_match(void **state)
{
	static const struct filter_wanted wanted[] = {{"abc", 0}, {"bc", 1}, {"ABCDEFGHI", 2}, {"q", 3},
	                                              {"yy", 3},  {"x", 5},  {"bc", 6},        {"\xd1\x81\xd1\x87", 7}};
	struct filter *f = filter_new(wanted, 8);

	(void)state;
	assert_int_equal(run(f, ""), 0);
	assert_int_equal(run(f, "zzz"), 0);
	assert_int_equal(run(f, "zBCz"), 2 | 64);
	assert_int_equal(run(f, "abc"), 1 | 2 | 64);
	assert_int_equal(run(f, "ababcdefg"), 1 | 2 | 64);
	assert_int_equal(run(f, "ababcdefgh"), 1 | 2 | 64);
	assert_int_equal(run(f, "abcdefabcdefGhiI"), 1 | 2 | 4 | 64);
	assert_int_equal(run(f, "q"), 8);
	assert_int_equal(run(f, "xyy"), 8 | 32);
	assert_int_equal(run(f, "xX"), 32);
	assert_int_equal(run(f, "\xd0\xa1\xd0\xa7"), 128);
	filter_free(&f);
	f = filter_new(NULL, 0);
	assert_int_equal(run(f, "abc"), 0);
	filter_free(&f);
}

/* A text that holds a beginning over and over costs no more for it: behind some of them all that begin so are named. */
static void test_repeated_beginning(void **state)
{
	static const struct filter_wanted wanted[] = {{"aaaaaaab", 0}, {"aaaaaac", 1}};
	struct filter *f = filter_new(wanted, 2);

	(void)state;
	assert_int_equal(run(f, "aaaaaaaaaaaaaaaaa"), 0);
	assert_int_equal(run(f, "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa"), 1 | 2);
	filter_free(&f);
}

/* On random texts whatever PCRE2 finds was named. */
static void test_hides_no_match(void **state)
{
	static const char *const letters[] = {"a",        "A",        "b",           "k", "\xe2\x84\xaa",
	                                      "\xd0\xb2", "\xd0\x92", "\xe1\xb2\x80"};
	struct filter_wanted wanted[60];
	struct pattern *patterns[60];
	struct pattern_matcher *m = pattern_matcher_new();
	unsigned seed = 7;
	size_t matches = 0;

	(void)state;
	for (size_t i = 0; i < 60; i++) {
		struct buf b;
		buf_init(&b, 100);
		for (size_t k = 0; k <= i % 9; k++) {
			seed = seed * 1103515245U + 12345U;
			buf_add_str(&b, letters[seed >> 16 & 7]);
		}
		wanted[i] = (struct filter_wanted){buf_steal(&b), (uint32_t)i};
		patterns[i] = pattern_compile(wanted[i].text, PATTERN_TEXT, NULL);
	}
	struct filter *f = filter_new(wanted, 60);
	for (int round = 0; round < 500; round++) {
		struct buf b;
		size_t at;
		buf_init(&b, 1000);
		for (int k = 0; k < 40; k++) {
			seed = seed * 1103515245U + 12345U;
			buf_add_str(&b, letters[seed >> 16 & 7]);
		}
		uint64_t bits = run(f, buf_str(&b));
		for (size_t i = 0; i < 60; i++) {
			if (pattern_match(patterns[i], m, buf_slice(&b), &at) != PATTERN_YES)
				continue;
			assert_true((bits >> i & 1) != 0);
			matches++;
		}
		buf_free(&b);
	}
	assert_true(matches > 1000);
	for (size_t i = 0; i < 60; i++) {
		pattern_free(&patterns[i]);
		free((char *)(uintptr_t)wanted[i].text);
	}
	filter_free(&f);
	pattern_matcher_free(&m);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(test_classes_agree_with_pcre2),
	    cmocka_unit_test(test_names_what_may_match),
	    cmocka_unit_test(test_repeated_beginning),
	    cmocka_unit_test(test_hides_no_match),
	};

	return cmocka_run_group_tests_name("sort/filter", tests, NULL, NULL);
}
