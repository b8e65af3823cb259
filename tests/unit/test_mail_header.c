#include "base/text.h"
#include "mail/header.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

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

/* The Russian for "Invoice for payment No. 5" and the like, in UTF-8. */
#define SCHET "\xd0\xa1\xd1\x87\xd1\x91\xd1\x82"
#define SCHET_NA SCHET " \xd0\xbd\xd0\xb0 \xd0\xbe\xd0\xbf\xd0\xbb\xd0\xb0\xd1\x82\xd1\x83"
#define PRIVET "\xd0\x9f\xd1\x80\xd0\xb8\xd0\xb2\xd0\xb5\xd1\x82"
#define BAD "\xef\xbf\xbd"

static const char *const decode_cases[][2] = {
    {"", ""},
    {"  plain text ", "plain text"},
    {"one\r\n two", "one two"},
    {"one \r\n\t two\n  three", "one two three"},
    {"a  b\tc", "a  b\tc"},
    {"a\rb", "a b"},
    /* every encoding of the same word */
    {"=?utf-8?B?0J/RgNC40LLQtdGC?=", PRIVET},
    {"=?UTF-8?q?=D0=9F=D1=80=D0=B8=D0=B2=D0=B5=D1=82?=", PRIVET},
    {"=?koi8-r?B?8NLJ18XU?=", PRIVET},
    {"=?KOI8-R?Q?=F0=D2=C9=D7=C5=D4?=", PRIVET},
    {"=?windows-1251?B?z/Do4uXy?=", PRIVET},
    {"=?cp1251?B?z/Do4uXy?=", PRIVET},
    {"=?x-win-1251?B?z/Do4uXy?=", PRIVET},
    {"=?Windows1251?B?z/Do4uXy?=", PRIVET},
    {"=?iso-8859-5?B?v+DY0tXi?=", PRIVET},
    {"=?ibm866?B?j+Co4qXi?=", "\xd0\x9f\xd1\x80\xd0\xb8\xd1\x82\xd0\xb5\xd1\x82"},
    {"=?cp-866?B?j+Coo6Xi?=", "\xd0\x9f\xd1\x80\xd0\xb8\xd0\xb3\xd0\xb5\xd1\x82"},
    {"=?utf-8*ru?B?0J/RgNC40LLQtdGC?=", PRIVET},
    {"=?unknown-8bit?B?8NLJ18XU?=", PRIVET},
    {"=?us-ascii?B?z/Do4uXy?=", PRIVET},
    {"=?no-such-charset?B?8NLJ18XU?=", PRIVET},
    {"=?../../etc/passwd?Q?abc?=", "abc"},
    {"=?iso-8859-1?Q?Andr=E9?=", "Andr\xc3\xa9"},
    {"=?iso-8859-1?Q?=80?=", "\xe2\x82\xac"},
    {"=?iso-2022-jp?B?GyRCJUYlOSVIGyhC?=", "\xe3\x83\x86\xe3\x82\xb9\xe3\x83\x88"},
    {"=?gb2312?B?suLK1A==?=", "\xe6\xb5\x8b\xe8\xaf\x95"},
    /* words in a row: blanks go, characters and base64 may be cut anywhere */
    {"=?utf-8?B?0J/R?=\r\n =?utf-8?B?gNC40LLQtdGC?=", PRIVET},
    {"=?utf-8?B?0J8=?= =?utf-8?B?0YDQuNCy0LXRgg==?=", PRIVET},
    {"=?utf-8?B?0A==?=\r\n\t=?UTF-8?B?n9GA0LjQstC10YI=?=", PRIVET},
    {"=?utf-8?Q?=D0?= =?utf-8?Q?=9F=D1=80=D0=B8=D0=B2=D0=B5=D1?= =?utf-8?Q?=82?=", PRIVET},
    {"=?utf-8?B?0A==?= =?utf-8?Q?=9F?=", "\xd0\x9f"},
    {"=?utf-8?B?0A==?= x =?utf-8?Q?=9F?=", BAD " x " BAD},
    {"=?utf-8?B?0A==?= =?koi8-r?Q?=F0?=", BAD "\xd0\x9f"},
    {"=?koi8-r?B?8NI=?= =?windows-1251?B?6OLl8g==?=", PRIVET},
    {"=?utf-8?B?0J/RgNC40LLQtdGC?==?utf-8?B?0J/RgNC40LLQtdGC?=", PRIVET PRIVET},
    {"=?utf-8?B?0J8==?=", "\xd0\x9f"},
    {"=?utf-8?Q?a_b?= c", "a b c"},
    {"x =?utf-8?Q?a?=\r\n y", "x a y"},
    {"(=?utf-8?Q?a?=)", "(a)"},
    {"\"=?utf-8?B?0J/RgNC40LLQtdGC?=\" <a@b>", "\"" PRIVET "\" <a@b>"},
    /* forgiven */
    {"=?utf-8?Q?two words?=", "two words"},
    {"=?utf-8?Q?what?\?=", "what?"},
    {"=?utf-8?Q?a=ZZb=?=", "a=ZZb="},
    {"=?utf-8?B?0J/RgNC4\r\n 0LLQtdGC?=", PRIVET},
    {"=?utf-8?Q?\?=", ""},
    /* broken words stay */
    {"=?utf-8?B?0J/R", "=?utf-8?B?0J/R"},
    {"=?utf-8?X?abc?=", "=?utf-8?X?abc?="},
    {"=?utf-8?B?!!!?=", "=?utf-8?B?!!!?="},
    {"=?utf-8?Q?abc", "=?utf-8?Q?abc"},
    {"=?utf-8?Q?abc =?utf-8?Q?def?=", "=?utf-8?Q?abc def"},
    {"=?\?Q?abc?=", "=?\?Q?abc?="},
    {"=?=?=?=", "=?=?=?="},
    {"a = b; c=d", "a = b; c=d"},
    /* raw 8-bit */
    {SCHET_NA, SCHET_NA},
    {"\xf3\xde\xa3\xd4 \xce\xc1 \xcf\xd0\xcc\xc1\xd4\xd5", SCHET_NA},
    {"\xd1\xf7\xb8\xf2 \xed\xe0 \xee\xef\xeb\xe0\xf2\xf3", SCHET_NA},
    {"\xf3\xfe\xe5\xf4 \xee\xe1 \xef\xf0\xec\xe1\xf4\xf5",
     "\xd0\xa1\xd0\xa7\xd0\x95\xd0\xa2 \xd0\x9d\xd0\x90 \xd0\x9e\xd0\x9f\xd0\x9b\xd0\x90\xd0\xa2\xd0\xa3"},
    {"\xd1\xd7\xc5\xd2 \xcd\xc0 \xce\xcf\xcb\xc0\xd2\xd3",
     "\xd0\xa1\xd0\xa7\xd0\x95\xd0\xa2 \xd0\x9d\xd0\x90 \xd0\x9e\xd0\x9f\xd0\x9b\xd0\x90\xd0\xa2\xd0\xa3"},
    {"\xf0\xd2\xc9\xd7\xc5\xd4", PRIVET},
    {"\xcf\xf0\xe8\xe2\xe5\xf2", PRIVET},
    {"Re: \xcf\xf0\xe8\xe2\xe5\xf2 =?koi8-r?B?8NLJ18XU?=", "Re: " PRIVET " " PRIVET},
    {SCHET_NA "\xd1", SCHET_NA BAD},
    {"\xd0", "\xd0\xa0"},
    /* parameters */
    {"attachment; filename*=UTF-8''%D0%9F%D1%80%D0%B8%D0%B2%D0%B5%D1%82.txt", "attachment; filename=" PRIVET ".txt"},
    {"attachment;\r\n filename*0*=koi8-r'ru'%F0%D2;\r\n filename*1*=%C9%D7;\r\n filename*2=\"\xc5\xd4.txt\"; size=5",
     "attachment; filename=" PRIVET ".txt; size=5"},
    {"x; name*0=\"one \"; name*1=\"two\"", "x; name=one two"},
    {"x; name*0=a; name*2=b", "x; name=a; name*2=b"},
    {"x; name*=no-quotes", "x; name*=no-quotes"},
    {"x; name=\"=?koi8-r?B?8NLJ18XU?=\"", "x; name=\"" PRIVET "\""},
    {"x; name*=utf-8'';y", "x; name=;y"},
    {"x; name*0=\"unclosed", "x; name=unclosed"},
    {";", ";"},
    {"; *=a'b'c", "; *=a'b'c"},
};

static void test_decode(void **state)
{
	(void)state;
	for (size_t i = 0; i < sizeof decode_cases / sizeof *decode_cases; i++) {
		struct buf out;
		buf_init(&out, 10000);
		header_decode(&out, slice_of(decode_cases[i][0]));
		if (strcmp(buf_str(&out), decode_cases[i][1]) != 0)
			fail_msg("%s\n  wants %s\n  got   %s", decode_cases[i][0], decode_cases[i][1], buf_str(&out));
		buf_free(&out);
	}
}

/* What does not fit is cut off, never inside a character; nothing shorter is put behind the cut. */
static void test_decode_maximum(void **state)
{
	(void)state;
	for (size_t i = 0; i < sizeof decode_cases / sizeof *decode_cases; i++) {
		for (size_t max = 0; max < 20; max++) {
			struct buf out;
			buf_init(&out, max);
			header_decode(&out, slice_of(decode_cases[i][0]));
			assert_true(out.n <= max && out.max == max);
			assert_true(utf8_valid(buf_slice(&out)));
			assert_memory_equal(buf_str(&out), decode_cases[i][1], out.n);
			buf_free(&out);
		}
	}
}

static void test_decode_nul(void **state)
{
	struct buf out;

	(void)state;
	buf_init(&out, 100);
	header_decode(&out, slice_make("a\0b =?utf-8?Q?c=00d=0D=0Ae?=", 28));
	assert_string_equal(buf_str(&out), "a b c d  e");
	buf_free(&out);
}

/* A megabyte or more of what could make a careless reader go back and forth. */
static void test_decode_linear(void **state)
{
	static const char *const pieces[] = {
	    "=?",
	    "=?a?Q?",
	    "=?a?Q? ",
	    "=?utf-8?Q?a?= ",
	    "=?x1?Q?\xff?= =?x2?Q?\xff?= =?x3?Q?\xff?= =?x4?Q?\xff?= =?x5?Q?\xff?= ",
	    "=?cp866?Q?=8f?= =?cp850?Q?=8f?= =?cp437?Q?=8f?= =?cp852?Q?=8f?= =?gbk?Q?=8f?= ",
	    ";",
	    "; ",
	    "; a*0=\"",
	    ";a*0=b",
	    ";a*=",
	    ";a*=x'",
	    "\r\n ",
	    "\xd0",
	    "\xd0\x9f\xff",
	};
	clock_t start = clock();

	(void)state;
	for (size_t i = 0; i < sizeof pieces / sizeof *pieces; i++) {
		struct buf in, out;
		buf_init(&in, 1 << 20);
		buf_init(&out, 4 << 20);
		while (buf_add_str(&in, pieces[i]))
			;
		header_decode(&out, buf_slice(&in));
		assert_true(utf8_valid(buf_slice(&out)));
		buf_free(&in);
		buf_free(&out);
	}
	assert_true((clock() - start) / CLOCKS_PER_SEC < 20);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(test_scan),       cmocka_unit_test(test_scan_odd),
	    cmocka_unit_test(test_find),       cmocka_unit_test(test_flood_is_capped),
	    cmocka_unit_test(test_decode),     cmocka_unit_test(test_decode_maximum),
	    cmocka_unit_test(test_decode_nul), cmocka_unit_test(test_decode_linear),
	};

	return cmocka_run_group_tests_name("mail/header", tests, NULL, NULL);
}
