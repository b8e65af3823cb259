#include "mail/address.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

struct path_case {
	const char *text, *local, *domain, *rest;
};

static const struct path_case good_paths[] = {
    {"<>", "", "", ""},
    {"< >", "", "", ""},
    {"<a@b>", "a", "b", ""},
    {" <a@b>  SIZE=1 BODY=8BITMIME", "a", "b", "SIZE=1 BODY=8BITMIME"},
    {"a@b SIZE=1", "a", "b", "SIZE=1"},
    {"<anna>", "anna", "", ""},
    {"anna", "anna", "", ""},
    {"<a@b> =", "a", "b", "="},
    {"<\"a b\"@x>", "a b", "x", ""},
    {"<a\\ b@x>", "a b", "x", ""},
    {"<\"a\\\"@b\"@x.y>", "a\"@b", "x.y", ""},
    {"<@one.example,@two:a@b.c>", "a", "b.c", ""},
    {"<@one:a@b.c>", "a", "b.c", ""},
    {"<a@[127.0.0.1]>", "a", "[127.0.0.1]", ""},
    {"<a@[IPv6:::1]>", "a", "[IPv6:::1]", ""},
    {"<|cmd@x>", "|cmd", "x", ""},
    {"<../../x@y>", "../../x", "y", ""},
    {"<%n%s@y>", "%n%s", "y", ""},
    {"<a..b@x>", "a..b", "x", ""},
    {"< a@b >", "a", "b", ""},
    {"<user_1@host_2.lan>", "user_1", "host_2.lan", ""},
    {"<анна@firm.example> SMTPUTF8", "анна", "firm.example", "SMTPUTF8"},
    {"<анна@почта.рф>", "анна", "xn--80a1acny.xn--p1ai", ""},
    {"анна@ПОЧТА.рф", "анна", "xn--80a1acny.xn--p1ai", ""},
    {"<\"анна б\"@x>", "анна б", "x", ""},
    {"<@почта.рф:a@b>", "a", "b", ""},
    /* what devices make of it */
    {"<<a@b>>", "a", "b", ""},
    {"<Name <a@b>>", "a", "b", ""},
    {"<Na me <a@b>> SIZE=1", "a", "b", "SIZE=1"},
    {"Name <a@b> SIZE=1", "a", "b", "SIZE=1"},
    {"\"Na me\"<a@b>", "a", "b", ""},
    {"\"Na me\" <a@b>\tSIZE=1", "a", "b", "SIZE=1"},
    {"<mailto:a@b>", "a", "b", ""},
    {"<a@b.example.>", "a", "b.example", ""},
    {"<a@b>  \t SIZE=1", "a", "b", "SIZE=1"},
    {"\t<a@b>\t", "a", "b", ""},
    {"<\ta@b\t>", "a", "b", ""},
    {"< >", "", "", ""},
    {"<\"x <y\"@b>", "x <y", "b", ""},
};

static void test_paths(void **state)
{
	(void)state;
	for (size_t i = 0; i < sizeof good_paths / sizeof *good_paths; i++) {
		const struct path_case *c = &good_paths[i];
		struct address a;
		struct slice rest;
		assert_true(address_parse_path(slice_of(c->text), &a, &rest));
		assert_string_equal(a.local, c->local);
		assert_string_equal(a.domain, c->domain);
		assert_true(slice_is(rest, c->rest));
		address_free(&a);
	}
}

static void test_bad_paths(void **state)
{
	static const char *const cases[] = {"",
	                                    " ",
	                                    "<",
	                                    ">",
	                                    "<a",
	                                    "<a@>",
	                                    "<@b>",
	                                    "<a@b>x",
	                                    "<>>",
	                                    "<a@b>>",
	                                    "a@b>",
	                                    "<<a@b>",
	                                    "<Name <a@b>",
	                                    "<Name <a@b>>>",
	                                    "<a@@b>",
	                                    "<a b@c>",
	                                    "<;id;@x>",
	                                    "<\"\">@",
	                                    "<\"\">",
	                                    "<\"\"@x>",
	                                    "<\"a@b>",
	                                    "<a@b..>",
	                                    "<a@.b>",
	                                    "<a@b..c>",
	                                    "<a@[b>",
	                                    "<a@b c>",
	                                    "<@x:>",
	                                    "<@x,a@b>",
	                                    "<a\x01@b>",
	                                    "<a\r\n@b>",
	                                    "<\"a\nb\"@b>",
	                                    "<a\xc3@b>",
	                                    "<a@b\xff>",
	                                    "<a\\\n@b>",
	                                    "<a\t@b>",
	                                    "<a\xc2\x85@b>",
	                                    "<a\xe2\x80\xa8@b>",
	                                    "<a@[\xc3\xa4]>",
	                                    "<a@b\xc3\xa4..c>",
	                                    "<a@b> <c@d>x",
	                                    "<a@b>,<c@d>",
	                                    "a@b <c@d>",
	                                    "<Name <>>",
	                                    "Name <>",
	                                    "<Name <a@b>> <c@d>x",
	                                    "\"Na <a@b>",
	                                    "<a@b .c>",
	                                    "<a@b\xe3\x80\x80>"};

	(void)state;
	for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
		struct address a;
		struct slice rest;
		if (address_parse_path(slice_of(cases[i]), &a, &rest))
			fail_msg("taken: %s", cases[i]);
		assert_null(a.local);
	}
	struct address a;
	struct slice rest;
	assert_false(address_parse_path(slice_make("<a\0b@c>", 7), &a, &rest));
	assert_false(address_parse_path(slice_make("<a@b\0>", 6), &a, &rest));
}

static void test_long_paths(void **state)
{
	char text[1000];
	struct address a;
	struct slice rest;

	(void)state;
	memset(text, 'a', sizeof text);
	text[0] = '<';
	text[101] = '@';
	text[200] = '>';
	assert_true(address_parse_path(slice_make(text, 201), &a, &rest));
	address_free(&a);
	text[200] = 'a';
	text[500] = '>';
	assert_false(address_parse_path(slice_make(text, 501), &a, &rest));
	assert_false(address_parse_path(slice_make(text, 1000), &a, &rest));
}

static void test_bare(void **state)
{
	struct address a;

	(void)state;
	assert_true(address_parse(slice_of("anna@firm.example"), &a));
	assert_string_equal(a.local, "anna");
	assert_string_equal(a.domain, "firm.example");
	address_free(&a);
	assert_true(address_parse(slice_of("anna"), &a));
	assert_string_equal(a.domain, "");
	address_free(&a);
	assert_false(address_parse(slice_of(""), &a));
	assert_false(address_parse(slice_of("<a@b>"), &a));
	assert_false(address_parse(slice_of("a@b c"), &a));
	assert_false(address_parse(slice_of(" a@b"), &a));
}

static void test_format(void **state)
{
	static const char *const cases[][3] = {
	    {"", "", ""},
	    {"a", "b", "a@b"},
	    {"a", "", "a"},
	    {"a b", "x", "\"a b\"@x"},
	    {"a\"\\", "x", "\"a\\\"\\\\\"@x"},
	    {"a..b", "x", "\"a..b\"@x"},
	    {".a", "x", "\".a\"@x"},
	    {"a@b", "x", "\"a@b\"@x"},
	};

	(void)state;
	for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
		char local[10], domain[10];
		strcpy(local, cases[i][0]);
		strcpy(domain, cases[i][1]);
		struct address a = {local, domain};
		char *s = address_format(&a);
		assert_string_equal(s, cases[i][2]);
		free(s);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(test_paths), cmocka_unit_test(test_bad_paths), cmocka_unit_test(test_long_paths),
	    cmocka_unit_test(test_bare),  cmocka_unit_test(test_format),
	};

	return cmocka_run_group_tests_name("mail/address", tests, NULL, NULL);
}
