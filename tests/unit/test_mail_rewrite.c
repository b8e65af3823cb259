#include "base/alloc.h"
#include "mail/rewrite.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

static const char *alias_of(void *arg, struct slice field, const struct address *a)
{
	(void)arg;
	if (slice_is_nocase(field, "Reply-To") && strcmp(a->local, "none") == 0)
		return "";
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
	struct rewrite r = {.lookup = alias_of};
	assert_true(rewrite_header(&out, &h, &r));
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
	    {"Errors-To: anna\r\nMail-Followup-To: anna\r\nMail-Reply-To: anna\r\nX-Confirm-Reading-To: anna\r\n",
	     "Errors-To: anna@firm.example\r\nMail-Followup-To: anna@firm.example\r\nMail-Reply-To: "
	     "anna@firm.example\r\n"
	     "X-Confirm-Reading-To: anna@firm.example\r\n"},
	    {"Sender: <'anna@office.lan'>\r\n", "Sender: <anna@firm.example>\r\n"},
	    /* left out, with one comma */
	    {"X: y\r\nReply-To: none@office.lan\r\n", "X: y\r\n"},
	    {"Reply-To: None <none@office.lan>, x@y, none\r\n", "Reply-To: x@y\r\n"},
	    {"Reply-To: x@y, none,\r\n none@office.lan (a, b)\r\n", "Reply-To: x@y\r\n"},
	    {"Reply-To: a@b, none, anna,none\r\n", "Reply-To: a@b, anna@firm.example\r\n"},
	    {"Reply-To: a@b <none@office.lan > c@d\r\n", "Reply-To: a@b  c@d\r\n"},
	    {"Reply-To: g: none; , h: x@y;\r\n", "Reply-To: g:; , h: x@y;\r\n"},
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
	struct rewrite r = {.lookup = alias_of};
	struct header h;
	struct buf out;

	(void)state;
	header_scan(&h, slice_of("From: anna@office.lan\r\nTo: a@b\r\n"));
	for (size_t max = 0; max < 34; max++) {
		buf_init(&out, max);
		assert_false(rewrite_header(&out, &h, &r));
		buf_free(&out);
	}
	buf_init(&out, 34);
	assert_true(rewrite_header(&out, &h, &r));
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

/* Each line that gets too long is folded between addresses, and nowhere else. */
static void test_rewrite_folds(void **state)
{
	static const char *const entries[] = {"anna@office.lan", "\"Ivanova, Anna (x)\" <anna@office.lan>", "anna",
	                                      "<anna@office.lan>", "Anna of the office <anna@office.lan>"};
	static const char *const between[] = {",", ", ", " ,\t", ",\r\n ", ", \r\n\t"};

	(void)state;
	for (size_t e = 0; e < 5; e++)
		for (size_t k = 0; k < 5; k++) {
			struct mailbox_list before, after;
			struct header h;
			struct buf in;
			buf_init(&in, 1 << 20);
			buf_add_str(&in, "To: ");
			for (size_t i = 0; i < 80; i++)
				buf_printf(&in, "%s%s", i > 0 ? between[k] : "", entries[e]);
			buf_add_str(&in, "\r\nX: y\r\n");
			char *got = rewritten(buf_slice(&in));
			for (size_t at = 0, n; got[at] != '\0'; at += n + 2) {
				n = strcspn(got + at, "\r");
				assert_true(n <= 998 && strspn(got + at, " \t") < n);
			}
			header_scan(&h, slice_of(got));
			assert_int_equal(h.n, 2);
			mailbox_list_parse(h.v[0].value, &after);
			mailbox_list_parse(slice_sub(buf_slice(&in), 3, in.n - 11), &before);
			assert_int_equal(before.n, 80);
			assert_int_equal(after.n, 80);
			for (size_t i = 0; i < after.n; i++)
				assert_string_equal(after.v[i].address.domain, "firm.example");
			mailbox_list_free(&before);
			mailbox_list_free(&after);
			header_free(&h);
			free(got);
			buf_free(&in);
		}
}

static void add_missing(struct buf *out, const char *text, const char *from, const char *host)
{
	struct rewrite r = {.lookup = alias_of, .complete = true};
	struct header h;

	buf_clear(out);
	header_scan(&h, slice_of(text));
	assert_true(rewrite_header(out, &h, &r));
	assert_true(rewrite_add_missing(out, &r, from, host));
	header_free(&h);
}

static void test_add_missing(void **state)
{
	struct header added;
	struct buf out;

	(void)state;
	buf_init(&out, 10000);
	add_missing(&out, "Subject: x\r\n", "anna@firm.example", "mail.firm.example");
	header_scan(&added, buf_slice(&out));
	assert_int_equal(added.n, 4);
	assert_non_null(header_find(&added, "Date", 0));
	assert_true(slice_is(header_find(&added, "From", 0)->value, " anna@firm.example"));
	struct slice id = slice_trim(header_find(&added, "Message-ID", 0)->value);
	assert_int_equal(id.p[0], '<');
	assert_true(slice_is(slice_sub(id, slice_find(id, '@'), 100), "@mail.firm.example>"));
	header_free(&added);
	add_missing(&out, "date: x\r\nMessage-Id: y\r\n", "", "host");
	assert_string_equal(buf_str(&out), "date: x\r\nMessage-Id: y\r\nFrom: MAILER-DAEMON@host\r\n");
	buf_free(&out);
}

/* What says nothing counts as missing; of several one stays. */
static void test_required_fields(void **state)
{
#define ID "Message-ID: <1@x>\r\n"
#define DATE "Date: d\r\n"
#define FROM "From: a@b\r\n"
	static const char *const cases[][2] = {
	    {DATE ID FROM, DATE ID FROM},
	    {"From: \"Scanner\"\r\n" DATE ID, DATE ID "From: \"Scanner\" <me@x>\r\n"},
	    {"From: =?utf-8?B?0K8=?=\r\n" DATE ID, DATE ID "From: =?utf-8?B?0K8=?= <me@x>\r\n"},
	    {"From: Big Copier 3\r\n" DATE ID, DATE ID "From: Big Copier 3 <me@x>\r\n"},
	    {"From: \r\n" DATE ID, DATE ID "From: me@x\r\n"},
	    {"From:\r\n \r\n" DATE ID, DATE ID "From: me@x\r\n"},
	    {"From: <>\r\n" DATE ID, DATE ID "From: me@x\r\n"},
	    {"From: nobody:;\r\n" DATE ID, DATE ID "From: me@x\r\n"},
	    {"From: \"a\r\n b\"\r\n" DATE ID, DATE ID "From: me@x\r\n"},
	    {"From: \"open\r\n" DATE ID, DATE ID "From: me@x\r\n"},
	    {"From: \r\n" DATE ID FROM, DATE ID FROM},
	    {"From: Scanner One\r\n" FROM DATE ID, FROM DATE ID},
	    {FROM DATE ID "FROM: c@d\r\nDate: e\r\nMessage-Id: <2@x>\r\n", FROM DATE ID},
	    {"Message-ID: \r\n" DATE ID FROM, DATE ID FROM},
	    {"Message-ID: <>\r\n" DATE FROM ID, DATE FROM ID},
	    {"Date:\r\n" DATE ID FROM, DATE ID FROM},
	};
	static const char *const empty[] = {
	    DATE FROM, "Message-ID:\r\n" DATE FROM, "Message-ID: <>\r\n" DATE FROM, "Message-ID: <@>\r\n" DATE FROM,
	    ID FROM,   "Date: \r\n" ID FROM,        "Date: ()\r\n" ID FROM};
	struct buf out;

	(void)state;
	buf_init(&out, 10000);
	for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
		add_missing(&out, cases[i][0], "me@x", "host");
		if (strcmp(buf_str(&out), cases[i][1]) != 0)
			fail_msg("%s\n became\n%s", cases[i][0], buf_str(&out));
	}
	for (size_t i = 0; i < sizeof empty / sizeof *empty; i++) {
		struct header h;
		add_missing(&out, empty[i], "me@x", "host");
		header_scan(&h, buf_slice(&out));
		assert_int_equal(h.n, 3);
		assert_true(slice_trim(header_find(&h, "Message-ID", 0)->value).n > 5 || i > 3);
		assert_true(slice_trim(header_find(&h, "Date", 0)->value).n > 20 || i < 4);
		header_free(&h);
	}
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
	    cmocka_unit_test(test_rewrite_folds),  cmocka_unit_test(test_required_fields),
	    cmocka_unit_test(test_add_missing),    cmocka_unit_test(test_add_field),
	    cmocka_unit_test(test_add_field_long), cmocka_unit_test(test_add_field_full),
	};

	return cmocka_run_group_tests_name("mail/rewrite", tests, NULL, NULL);
}
