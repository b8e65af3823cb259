#include "base/alloc.h"
#include "mail/rewrite.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

static const char *alias_of(void *arg, const struct address *a)
{
	(void)arg;
	if (strcmp(a->domain, "") != 0 && strcmp(a->domain, "office.lan") != 0)
		return NULL;
	return strcmp(a->local, "anna") == 0  ? "anna@firm.example"
	       : strcmp(a->local, "b c") == 0 ? "boris@firm.example"
	                                      : NULL;
}

static char *rewritten(struct slice text)
{
	struct header h;
	struct buf out;

	buf_init(&out, 1 << 24);
	header_scan(&h, text);
	assert_true(rewrite_header(&out, &h, alias_of, NULL));
	header_free(&h);
	return buf_steal(&out);
}

static void test_rewrite(void **state)
{
	static const char *const cases[][2] = {
	    {"", ""},
	    {"From: Anna  <anna@office.lan> (me)\r\n\r\n", "From: Anna  <anna@firm.example> (me)\r\n"},
	    {"from:anna\r\n", "from:anna@firm.example\r\n"},
	    {"FROM : anna@office.lan\n", "FROM : anna@firm.example\r\n"},
	    {"From: \"anna@office.lan\" <anna@office.lan>\r\n", "From: \"anna@office.lan\" <anna@firm.example>\r\n"},
	    {"To: x@y,\r\n\tanna@office.lan,\n \"b c\"@office.lan\r\n",
	     "To: x@y,\r\n\tanna@firm.example,\r\n boris@firm.example\r\n"},
	    {"Cc: list: anna@office.lan, nobody@office.lan;\r\n",
	     "Cc: list: anna@firm.example, nobody@office.lan;\r\n"},
	    {"Sender: anna@office.lan\r\nReply-To: anna@office.lan\r\nResent-To: anna@office.lan\r\n",
	     "Sender: anna@firm.example\r\nReply-To: anna@firm.example\r\nResent-To: anna@firm.example\r\n"},
	    {"Resent-From: anna\r\nResent-Sender: anna\r\nResent-Cc: anna\r\nResent-Reply-To: anna\r\n",
	     "Resent-From: anna@firm.example\r\nResent-Sender: anna@firm.example\r\nResent-Cc: anna@firm.example\r\n"
	     "Resent-Reply-To: anna@firm.example\r\n"},
	    {"Disposition-Notification-To: anna@office.lan\r\nReturn-Receipt-To: <anna@office.lan>\r\n",
	     "Disposition-Notification-To: anna@firm.example\r\nReturn-Receipt-To: <anna@firm.example>\r\n"},
	    {"Subject: anna@office.lan\r\nX-From: anna@office.lan\r\n",
	     "Subject: anna@office.lan\r\nX-From: anna@office.lan\r\n"},
	    {"To: a@b\r\nBcc: anna@office.lan,\r\n c@d\r\nbcc: x\r\nResent-Bcc: y\r\nX: z\r\n", "To: a@b\r\nX: z\r\n"},
	    {"broken line\nX: a\rb\r\r\n", "broken line\r\nX: a\rb\r\r\n"},
	    {"X: y", "X: y\r\n"},
	    {"To: anna", "To: anna@firm.example\r\n"},
	    {"To: \xe1\xce\xce\xc1 <anna@office.lan>\r\n", "To: \xe1\xce\xce\xc1 <anna@firm.example>\r\n"},
	};

	(void)state;
	for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
		char *got = rewritten(slice_of(cases[i][0]));
		assert_string_equal(got, cases[i][1]);
		free(got);
	}
}

static void test_rewrite_keeps_nul(void **state)
{
	char *got = rewritten(slice_make("X: a\0b\r\nTo: \0 anna@office.lan\r\n", 31));

	(void)state;
	assert_memory_equal(got, "X: a\0b\r\nTo: \0 anna@firm.example\r\n", 34);
	free(got);
}

static void test_rewrite_full(void **state)
{
	struct header h;
	struct buf out;

	(void)state;
	header_scan(&h, slice_of("From: anna@office.lan\r\nTo: a@b\r\n"));
	for (size_t max = 0; max < 34; max++) {
		buf_init(&out, max);
		assert_false(rewrite_header(&out, &h, alias_of, NULL));
		buf_free(&out);
	}
	buf_init(&out, 34);
	assert_true(rewrite_header(&out, &h, alias_of, NULL));
	buf_free(&out);
	header_free(&h);
}

/* Behind the scanner's maximum as well nothing blind leaves. */
static void test_rewrite_flood(void **state)
{
	struct buf in;

	(void)state;
	buf_init(&in, 1 << 24);
	for (int i = 0; i < HEADER_MAX_FIELDS; i++)
		buf_add_str(&in, "a:\n");
	buf_add_str(&in, "Bcc: secret\nTo: anna@office.lan\n");
	char *got = rewritten(buf_slice(&in));
	size_t n = strlen(got);
	assert_int_equal(n, HEADER_MAX_FIELDS * 4 + strlen("To: anna@firm.example\r\n"));
	assert_null(strstr(got, "secret"));
	assert_string_equal(got + HEADER_MAX_FIELDS * 4, "To: anna@firm.example\r\n");
	free(got);
	buf_free(&in);
}

static void test_add_missing(void **state)
{
	struct header h, added;
	struct buf out;

	(void)state;
	buf_init(&out, 10000);
	header_scan(&h, slice_of("Subject: x\r\n"));
	assert_true(rewrite_add_missing(&out, &h, "anna@firm.example", "mail.firm.example"));
	header_scan(&added, buf_slice(&out));
	assert_int_equal(added.n, 3);
	assert_non_null(header_find(&added, "Date", 0));
	assert_true(slice_is(header_find(&added, "From", 0)->value, " anna@firm.example"));
	struct slice id = slice_trim(header_find(&added, "Message-ID", 0)->value);
	assert_int_equal(id.p[0], '<');
	assert_true(slice_is(slice_sub(id, slice_find(id, '@'), 100), "@mail.firm.example>"));
	header_free(&h);
	header_free(&added);
	buf_clear(&out);
	header_scan(&h, slice_of("date: x\r\nMessage-Id: y\r\n"));
	assert_true(rewrite_add_missing(&out, &h, "", "host"));
	assert_string_equal(buf_str(&out), "From: MAILER-DAEMON@host\r\n");
	header_free(&h);
	buf_free(&out);
}

static void test_add_field(void **state)
{
	static const char *const cases[][2] = {
	    {"", "X:\r\n"},
	    {"plain text", "X: plain text\r\n"},
	    {"a  b", "X: a  b\r\n"},
	    {"  a\r\nBcc: b\n", "X: a  Bcc: b\r\n"},
	    {"\xd1\x91", "X: =?utf-8?B?0ZE=?=\r\n"},
	    {"a \xd1\x91 \xd1\x91 b", "X: a =?utf-8?B?0ZEg0ZE=?= b\r\n"},
	    {"=?x", "X: =?utf-8?B?PT94?=\r\n"},
	    {"a=?x", "X: =?utf-8?B?YT0/eA==?=\r\n"},
	    {"\xff", "X: =?utf-8?B?77+9?=\r\n"},
	    {"aaaaaaaaaaaaaaaaaaaaaaaaaaaaaa bbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbb cccccccccccccccccccccccccccc",
	     "X: aaaaaaaaaaaaaaaaaaaaaaaaaaaaaa bbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbb\r\n "
	     "cccccccccccccccccccccccccccc\r\n"},
	};

	(void)state;
	for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
		struct buf out;
		buf_init(&out, 1000);
		assert_true(rewrite_add_field(&out, "X", cases[i][0]));
		assert_string_equal(buf_str(&out), cases[i][1]);
		buf_free(&out);
	}
}

/* Long text: lines stay within 76 columns and decode to what went in. */
static void test_add_field_long(void **state)
{
	struct buf text, out, back;
	struct header h;

	(void)state;
	buf_init(&text, 100000);
	buf_init(&out, 100000);
	buf_init(&back, 100000);
	for (int i = 0; i < 40; i++)
		buf_add_str(&text, i % 3 == 0 ? "word " : "\xd0\xa1\xd1\x87\xd1\x91\xd1\x82 \xe2\x84\x96 ");
	buf_add_str(&text, "end");
	assert_true(rewrite_add_field(&out, "Subject", buf_str(&text)));
	for (size_t at = 0, n; at < out.n; at += n + 1) {
		n = slice_find(slice_sub(buf_slice(&out), at, out.n), '\n');
		assert_true(n <= 77);
	}
	header_scan(&h, buf_slice(&out));
	assert_int_equal(h.n, 1);
	header_decode(&back, slice_trim(h.v[0].value));
	assert_string_equal(buf_str(&back), buf_str(&text));
	header_free(&h);
	buf_free(&text);
	buf_free(&out);
	buf_free(&back);
}

static void test_add_field_full(void **state)
{
	struct buf out;

	(void)state;
	for (size_t max = 0; max < 22; max++) {
		buf_init(&out, max);
		assert_false(rewrite_add_field(&out, "X", "\xd1\x91 abc"));
		buf_free(&out);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(test_rewrite),        cmocka_unit_test(test_rewrite_keeps_nul),
	    cmocka_unit_test(test_rewrite_full),   cmocka_unit_test(test_rewrite_flood),
	    cmocka_unit_test(test_add_missing),    cmocka_unit_test(test_add_field),
	    cmocka_unit_test(test_add_field_long), cmocka_unit_test(test_add_field_full),
	};

	return cmocka_run_group_tests_name("mail/rewrite", tests, NULL, NULL);
}
