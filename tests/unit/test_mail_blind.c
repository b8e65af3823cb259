/* Blind fields are left out of a header section that comes in any pieces; the body keeps every byte. */
#include "mail/blind.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

static char *filtered(const char *text, size_t piece, uint64_t most)
{
	struct blind_filter f;
	struct slice s = slice_of(text);
	struct buf out;

	buf_init(&out, 1 << 20);
	blind_init(&f, most);
	for (size_t at = 0; at < s.n; at += piece)
		assert_true(blind_add(&f, slice_sub(s, at, piece), &out));
	assert_true(blind_end(&f, &out));
	blind_free(&f);
	return buf_steal(&out);
}

static void fields_are_left_out(void **state)
{
	static const char *const cases[][2] = {
	    {"", ""},
	    {"To: a\r\nBcc: s\r\nX: y\r\n\r\nBcc: body\r\n", "To: a\r\nX: y\r\n\r\nBcc: body\r\n"},
	    {"BCC : s,\r\n\tt,\r\n  u\r\nresent-bcc:v\r\nX: y\r\n\r\n", "X: y\r\n\r\n"},
	    {"Bcc \t  : s\nX: y\n\nb", "X: y\n\nb"},
	    {"Bcc: s", ""},
	    {"Bcc", "Bcc"},
	    {"Bcc:", ""},
	    {"Bcc\r\n: x\r\n", "Bcc\r\n: x\r\n"},
	    {"Bccx: s\r\nX-Bcc: s\r\n", "Bccx: s\r\nX-Bcc: s\r\n"},
	    {"X: a\r\n Bcc: b\r\n\r\n", "X: a\r\n Bcc: b\r\n\r\n"},
	    {" Bcc: a\r\n\r\n", " Bcc: a\r\n\r\n"},
	    {"\r\nBcc: body\r\n", "\r\nBcc: body\r\n"},
	    {"no colon\r\nBcc: s\r\nX", "no colon\r\nX"},
	    {"X: a\rBcc: b\r\n\r\n", "X: a\rBcc: b\r\n\r\n"},
	};

	(void)state;
	for (size_t i = 0; i < sizeof cases / sizeof *cases; i++)
		for (size_t piece = 1; piece < 20; piece++) {
			char *got = filtered(cases[i][0], piece, UINT64_MAX);
			assert_string_equal(got, cases[i][1]);
			free(got);
		}
}

static void no_further_than_told(void **state)
{
	(void)state;
	for (size_t piece = 1; piece < 30; piece++) {
		char *got = filtered("Bcc: s\r\nX: y\r\nBcc: body\r\n", piece, 14);
		assert_string_equal(got, "X: y\r\nBcc: body\r\n");
		free(got);
	}
}

static void blanks_without_end(void **state)
{
	char text[5000] = "X: y\r\nBcc", *got;

	(void)state;
	memset(text + 9, ' ', sizeof text - 30);
	strcpy(text + sizeof text - 25, ":secret\r\nZ: z\r\n");
	got = filtered(text, 7, UINT64_MAX);
	assert_string_equal(got, "X: y\r\nZ: z\r\n");
	free(got);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(fields_are_left_out),
	    cmocka_unit_test(no_further_than_told),
	    cmocka_unit_test(blanks_without_end),
	};

	return cmocka_run_group_tests_name("mail/blind", tests, NULL, NULL);
}
