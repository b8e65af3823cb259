#include "base/buf.h"
#include "sort/literals.h"
#include "sort/pattern.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#define SCHET "\xd1\x81\xd1\x87\xd1\x91\xd1\x82"

/* The texts of the alternatives, joined by "|"; NULL where nothing may be said. */
static const char *const cases[][2] = {
    {"abc", "abc"},
    {SCHET " \xe2\x84\x96 5", SCHET " \xe2\x84\x96 5"},
    {"^inv-\\d+", "inv-"},
    {"^abc$", "abc"},
    {"a.bc", "bc"},
    {"ab.cd", "ab"},
    {"ab|cde", "ab|cde"},
    {"(re|fwd): abc", ": abc"},
    {"(re|fwd)", NULL},
    {"a|", NULL},
    {"", NULL},
    {".*", NULL},
    {"\\d+", NULL},
    {"abc*", "ab"},
    {"abc?d", "ab"},
    {"abc+d", "abc"},
    {"ab" SCHET "?", "ab\xd1\x81\xd1\x87\xd1\x91"},
    {"a?", NULL},
    {"abc{2}", "abc"},
    {"abc{0,2}", "ab"},
    {"abc{00}", "ab"},
    {"abc{1,}d", "abc"},
    {"abc{,2}", NULL},
    {"abc{x}", NULL},
    {"[0-9]{4} abc", " abc"},
    {"[]abc]def", "def"},
    {"[^]]def", "def"},
    {"[[:alpha:]]def", "def"},
    {"[\\]abc]de", "de"},
    {"[a\\Q]\\E]de", NULL},
    {"ab\\.c", "ab.c"},
    {"ab\\-\\ c", "ab- c"},
    {"\\babc\\b", "abc"},
    {"\\x{41}bc", NULL},
    {"\\p{L}bc", NULL},
    {"\\Qa.b\\E", NULL},
    {"(?i)abc", "abc"},
    {"(?x)a b c", NULL},
    {"ab(?x: c )", NULL},
    {"(?:x(y)[)])abc", "abc"},
    {"(a\\)b)cde", "cde"},
    {"abc(?=x)", "abc"},
    {"(?#abc)x", NULL},
    {"(*ACCEPT)abc", NULL},
    {"(?|a|b)abc", NULL},
    {"((a))bc(d)", "bc"},
    {"a+?bc", "bc"},
    {"\\cAabc", NULL},
};

static void test_literals(void **state)
{
	(void)state;
	for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
		struct strlist l = {NULL, 0};
		struct buf got;
		buf_init(&got, 1000);
		bool known = literals_of(cases[i][0], &l);
		for (size_t k = 0; k < l.n; k++)
			buf_printf(&got, "%s%s", k > 0 ? "|" : "", l.v[k]);
		if (known != (l.n > 0) || known != (cases[i][1] != NULL) ||
		    (known && strcmp(buf_str(&got), cases[i][1]) != 0))
			fail_msg("%s\n  wants %s\n  got   %s", cases[i][0], cases[i][1], buf_str(&got));
		buf_free(&got);
		strlist_free(&l);
	}
}

static void random_text(struct buf *out, const char *const *pieces, unsigned n, unsigned most, unsigned *seed)
{
	for (unsigned k = 0; k < most; k++) {
		*seed = *seed * 1103515245U + 12345U;
		buf_add_str(out, pieces[(*seed >> 16) % n]);
	}
}

static bool has_one(const struct strlist *l, struct pattern_matcher *m, struct slice text)
{
	bool has = false;
	size_t at;

	for (size_t i = 0; i < l->n && !has; i++) {
		struct pattern *p = pattern_compile(l->v[i], PATTERN_TEXT, NULL);
		has = pattern_match(p, m, text, &at) == PATTERN_YES;
		pattern_free(&p);
	}
	return has;
}

/* Random patterns of all that has a meaning: what PCRE2 matches holds one of the texts. */
static void test_texts_are_in_every_match(void **state)
{
	static const char *const pieces[] = {
	    "a",     "b",   "c",        "A",           "(",    ")",    "|",   "*",   "+",       "?",
	    ".",     "^",   "$",        "[",           "]",    "[^",   "\\.", "\\d", "\\",      "{2}",
	    "{0,1}", "{",   "}",        "(?:",         "(?i)", "(?x)", "(?=", " ",   "#",       "\\Q",
	    "\\E",   "\\b", "\xd1\x87", "[[:alpha:]]", "-",    "(?#",  ",",   "1",   "\\x{61}", "\\1"};
	static const char *const letters[] = {"a", "b", "c", "B", "\xd1\x87", "1", " ", ".", "#", "{2}", "-"};
	struct pattern_matcher *m = pattern_matcher_new();
	unsigned seed = 11, known = 0, matched = 0;

	(void)state;
	for (unsigned round = 0; round < 60000; round++) {
		struct strlist l = {NULL, 0};
		struct buf pattern, text;
		size_t at;
		buf_init(&pattern, 1000);
		buf_init(&text, 1000);
		random_text(&pattern, pieces, sizeof pieces / sizeof *pieces, 2 + round % 9, &seed);
		struct pattern *p = pattern_compile(buf_str(&pattern), PATTERN_REGEX, NULL);
		if (p != NULL && literals_of(buf_str(&pattern), &l)) {
			known++;
			for (unsigned k = 0; k < 4; k++) {
				buf_clear(&text);
				random_text(&text, letters, sizeof letters / sizeof *letters, 3 + k * 4, &seed);
				if (pattern_match(p, m, buf_slice(&text), &at) != PATTERN_YES)
					continue;
				matched++;
				if (!has_one(&l, m, buf_slice(&text)))
					fail_msg("%s matches %s without %s", buf_str(&pattern), buf_str(&text), l.v[0]);
			}
		}
		pattern_free(&p);
		strlist_free(&l);
		buf_free(&pattern);
		buf_free(&text);
	}
	assert_true(known > 5000 && matched > 2000);
	pattern_matcher_free(&m);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(test_literals),
	    cmocka_unit_test(test_texts_are_in_every_match),
	};

	return cmocka_run_group_tests_name("sort/literals", tests, NULL, NULL);
}
