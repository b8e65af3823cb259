#include "base/alloc.h"
#include "mail/address.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include <cmocka.h>

/* All addresses of a list, each as "local@domain" or "local", with the bytes that rewriting would replace where
 * those differ: "local@domain{bytes}". */
static char *describe(struct slice value)
{
	struct mailbox_list l;
	struct buf out;

	buf_init(&out, 1 << 20);
	mailbox_list_parse(value, &l);
	for (size_t i = 0; i < l.n; i++) {
		struct slice raw = slice_sub(value, l.v[i].start, l.v[i].end - l.v[i].start);
		char *s = address_format(&l.v[i].address);
		buf_printf(&out, "%s%s", i > 0 ? " | " : "", s);
		if (!slice_is(raw, s))
			buf_printf(&out, "{%.*s}", (int)raw.n, raw.p);
		if (l.v[i].angle_start != SIZE_MAX)
			assert_int_equal(value.p[l.v[i].angle_start], '<');
		free(s);
	}
	mailbox_list_free(&l);
	return buf_steal(&out);
}

static void test_lists(void **state)
{
	static const char *const cases[][2] = {
	    {"", ""},
	    {" ", ""},
	    {" anna@firm.example", "anna@firm.example"},
	    {" Anna <anna@firm.example>, boris@x.y", "anna@firm.example | boris@x.y"},
	    {"\"Ivanova, Anna\" <a@b>", "a@b"},
	    {"\"x@y, z@w\" <a@b>", "a@b"},
	    {"=?utf-8?Q?Ivanova=2C_Anna?= <a@b>", "a@b"},
	    {"\"=?utf-8?Q?Ivanova,_Anna?=\" <a@b>", "a@b"},
	    {"=?utf-8?Q?Ivanova,_<Anna>_x@y?= <a@b>, c@d", "a@b | c@d"},
	    {"=?koi8-r?B?4c7OwQ==?= <a@b>", "a@b"},
	    {"\xd0\x90\xd0\xbd\xd0\xbd\xd0\xb0 <a@b>", "a@b"},
	    {"\xe1\xce\xce\xc1 <a@b>", "a@b"},
	    {"friends: a@b, Boris <c@d>;, e@f", "a@b | c@d | e@f"},
	    {"undisclosed-recipients:;", ""},
	    {"a@b (Anna), c@d", "a@b | c@d"},
	    {"(x@y) a@b (c, (d@e) f)", "a@b"},
	    {"Pete(A nice \\) chap) <pete(his account)@silly.test(his host)>",
	     "pete@silly.test{pete(his account)@silly.test}"},
	    {"a\r\n @\r\n b.c", "a@b.c{a\r\n @\r\n b.c}"},
	    {"Anna\r\n <a@b>,\r\n\tc@d", "a@b | c@d"},
	    {"\"a\\\n b\"@c", "\"a b\"@c{\"a\\\n b\"@c}"},
	    {"<@one,@two.x:a@b>", "a@b"},
	    {"<@one , @two.x : a@b>, c@d", "a@b | c@d"},
	    {"a@b c@d", "a@b | c@d"},
	    {"<a@b> <c@d>", "a@b | c@d"},
	    {"Anna <a@b> Boris <c@d>", "a@b | c@d"},
	    {"a@b; c@d", "a@b | c@d"},
	    {"anna@firm.example <a@b>", "a@b"},
	    {"a@b,,, ,c@d,", "a@b | c@d"},
	    {"anna", "anna"},
	    {"anna, boris", "anna | boris"},
	    {"Anna Ivanova, <boris>", "boris"},
	    {"\"anna\"", ""},
	    {"<>", ""},
	    {"\"a b\"@x", "\"a b\"@x"},
	    {"\"a\\\"b\".c@x", "\"a\\\"b.c\"@x{\"a\\\"b\".c@x}"},
	    {"\"Anna\"<a@b>", "a@b"},
	    {"\"Anna\" a@b", "a@b"},
	    {"a@[127.0.0.1]", "a@[127.0.0.1]"},
	    {"a@b.", "a@b"},
	    {"Anna <a@b", "a@b"},
	    {"<<a@b>>", "a@b"},
	    {"<mailto:a@b>", "a@b"},
	    {"[a@b]", "a@b"},
	    {"'a@b'", "a@b{'a@b'}"},
	    {"\"'a@b'\" <'a@b'>", "a@b{'a@b'}"},
	    {"o'neil@b", "o'neil@b"},
	    {"'a@b", "'a@b"},
	    {"''@b', x@y", "'@b{''@b'} | x@y"},
	    {"a@", ""},
	    {"@b", ""},
	    {"*b>", ""},
	    {"a@, c@d", "c@d"},
	    {"a@b@c, d@e", "d@e"},
	    {"<a@b@c>, d@e", "d@e"},
	    {"\"unclosed a@b, c@d", "a@b | c@d"},
	    {"(unclosed a@b, c@d", "a@b | c@d"},
	    {"Anna (unclosed <a@b>, c@d", "a@b | c@d"},
	    {"a\x01@b, c@d", "c@d"},
	    {"user%host@relay, a!b!c@d", "user%host@relay | a!b!c@d"},
	    {"a . b <c@d>", "c@d"},
	    {"Mr. Anna a@b", "a@b"},
	};

	(void)state;
	for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
		char *got = describe(slice_of(cases[i][0]));
		if (strcmp(got, cases[i][1]) != 0)
			fail_msg("%s\n  wants %s\n  got   %s", cases[i][0], cases[i][1], got);
		free(got);
	}
}

static void test_nul(void **state)
{
	char *got = describe(slice_make("a\0b@c, d@e\0f, \"x\0y\"@z", 22));

	(void)state;
	assert_string_equal(got, "b@c | d@e");
	free(got);
}

static char *repeat(const char *piece, size_t times)
{
	size_t n = strlen(piece);
	char *all = xmalloc(n * times + 1);

	for (size_t i = 0; i < times; i++)
		memcpy(all + i * n, piece, n);
	all[n * times] = '\0';
	return all;
}

static size_t count(const char *value)
{
	struct mailbox_list l;

	mailbox_list_parse(slice_of(value), &l);
	size_t n = l.n;
	mailbox_list_free(&l);
	return n;
}

/* Each of these is a megabyte or so: only a linear reader gets through all within seconds. */
static void test_linear(void **state)
{
	static const struct {
		const char *piece;
		size_t times, addresses;
	} cases[] = {
	    {"a@b,", 100000, 100000}, {"a@b,", 200000, 100000}, {"(", 1000000, 0},   {"\"", 999999, 0},
	    {"<", 1000000, 0},        {"<@a,", 300000, 0},      {"<(x)", 300000, 0}, {"=?a?b?", 200000, 0},
	    {"=?", 500000, 0},        {"a@(", 300000, 0},       {"a@b@", 300000, 0}, {"<\"", 499999, 0},
	    {"\\", 1000000, 0},       {"a:", 500000, 0},        {"<a@b", 100, 100},  {"<@[", 500000, 0},
	    {"<@[x<", 300000, 0},     {"<a@[x", 300000, 0},     {"a@[", 300000, 0},
	};
	clock_t start = clock();

	(void)state;
	for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
		char *value = repeat(cases[i].piece, cases[i].times);
		size_t n = count(value);
		if (n != cases[i].addresses)
			fail_msg("%s: %zu addresses", cases[i].piece, n);
		free(value);
	}
	assert_true((clock() - start) / CLOCKS_PER_SEC < 20);
}

static void test_deep_nesting(void **state)
{
	char *open = repeat("(", 10000), *close = repeat(")", 10000);
	char *value = xasprintf("x@y %s%s, a@b", open, close);

	(void)state;
	assert_int_equal(count(value), 2);
	free(open);
	free(close);
	free(value);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(test_lists),
	    cmocka_unit_test(test_nul),
	    cmocka_unit_test(test_linear),
	    cmocka_unit_test(test_deep_nesting),
	};

	return cmocka_run_group_tests_name("mail/mailboxes", tests, NULL, NULL);
}
