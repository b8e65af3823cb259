/* Bounces and warnings: what people and programs read in them. */
#include "send/dsn.h"

#include "mail/rewrite.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>

#include <cmocka.h>

static const char original[] = "From: anna@firm.example\r\nSubject: =?utf-8?B?0J/RgNC40LLQtdGC?=\r\n\r\nbody \xff\r\n";

static struct dsn make(const struct dsn_recipient *v, size_t n)
{
	return (struct dsn){.hostname = "gw.office.lan",
	                    .domain = "office.lan",
	                    .to = "anna@office.lan",
	                    .from = "anna@firm.example",
	                    .id = "17.abc",
	                    .relay = "mx.example",
	                    .queued_at = 1000000000,
	                    .now = 1000020000,
	                    .left = 7200,
	                    .boundary = "17.bound",
	                    .recipients = v,
	                    .n = n,
	                    .original = slice_of(original),
	                    .whole = true};
}

static void has(struct buf *b, const char *text)
{
	if (strstr(buf_str(b), text) == NULL)
		fail_msg("missing: %s\nin: %s", text, buf_str(b));
}

static void has_not(struct buf *b, const char *text)
{
	assert_null(strstr(buf_str(b), text));
}

static void lines_end_in_crlf(struct buf *b)
{
	for (size_t i = 0; i < b->n; i++)
		if (b->p[i] == '\n')
			assert_true(i > 0 && b->p[i - 1] == '\r');
}

static void bounce(void **state)
{
	static const struct dsn_recipient v[] = {
	    {"a@x.example", "5.1.1", 550, "550 5.1.1 no such user \xd0\xb0", false},
	    {"b@x.example", "", 554, "554 no", false},
	    {"c@x.example", "4.2.2", 452, "452 4.2.2 full", true},
	    {"d@x.example", "", 0, "", true},
	};
	struct dsn d = make(v, 4);
	struct buf b;

	(void)state;
	buf_init(&b, 1 << 20);
	dsn_format(&b, &d);
	lines_end_in_crlf(&b);
	assert_int_equal(strncmp(buf_str(&b), "Return-Path: <>\r\n", 17), 0);
	has(&b, "To: <anna@office.lan>\r\n");
	has(&b, "Auto-Submitted: auto-replied\r\n");
	has(&b, "Content-Type: multipart/report; report-type=delivery-status;\r\n\tboundary=\"17.bound\"\r\n\r\n");
	has(&b, "Content-Type: message/delivery-status\r\n\r\nReporting-MTA: dns; gw.office.lan\r\n");
	has(&b, "\r\n\r\nFinal-Recipient: rfc822; a@x.example\r\nAction: failed\r\nStatus: 5.1.1\r\n"
	        "Remote-MTA: dns; mx.example\r\nDiagnostic-Code: smtp; 550 5.1.1 no such user ??\r\n");
	has(&b, "Final-Recipient: rfc822; b@x.example\r\nAction: failed\r\nStatus: 5.0.0\r\n");
	has(&b, "Final-Recipient: rfc822; c@x.example\r\nAction: failed\r\nStatus: 4.4.7\r\n");
	has(&b, "Final-Recipient: rfc822; d@x.example\r\nAction: failed\r\nStatus: 4.4.7\r\nLast-Attempt-Date: ");
	has(&b, "Content-Type: message/rfc822\r\nContent-Transfer-Encoding: 8bit\r\n\r\nFrom: anna@firm.example\r\n");
	has(&b, "\r\n--17.bound--\r\n");
	has(&b, "  <a@x.example>\r\n      550 5.1.1 no such user \xd0\xb0\r\n      Check the address for a typing "
	        "mistake.\r\n\r\n");
	has(&b, "  <b@x.example>\r\n      554 no\r\n\r\n"); /* the answer says it all */
	has(&b, "      452 4.2.2 full\r\n      Check the address, or send it again later.\r\n");
	has_not(&b, "Will-Retry-Until");
	buf_free(&b);
}

static void warning_in_russian(void **state)
{
	static const struct dsn_recipient v[] = {{"a@x.example", "", 0, "the server fell silent", false}};
	struct dsn d = make(v, 1);
	struct buf b;

	(void)state;
	d.warning = d.russian = true;
	d.whole = false;
	buf_init(&b, 1 << 20);
	dsn_format(&b, &d);
	lines_end_in_crlf(&b);
	has(&b, "Action: delayed\r\nStatus: 4.4.1\r\nDiagnostic-Code: x-ofmsrv; the server fell silent\r\n");
	has(&b, "Will-Retry-Until: ");
	has(&b, "попытки продолжатся ещё 2 ч");
	has(&b, "Content-Type: text/rfc822-headers\r\n\r\nFrom: anna@firm.example\r\n");
	has_not(&b, "body");
	has_not(&b, "Проверьте адрес"); /* there is nothing to do yet */
	buf_free(&b);
}

static void many_recipients(void **state)
{
	static struct dsn_recipient v[DSN_RECIPIENTS_MAX + 5];
	struct dsn d = make(v, DSN_RECIPIENTS_MAX + 5);
	struct buf b;

	(void)state;
	for (size_t i = 0; i < d.n; i++)
		v[i] = (struct dsn_recipient){"a@x.example", "", 550, "550 no", false};
	buf_init(&b, 1 << 20);
	dsn_format(&b, &d);
	has(&b, "… and 5 more; the gateway's log names them.\r\n");
	buf_free(&b);
}

/* A raw subject is read as what the message says it is. */
static void subject_in_the_charset_of_the_message(void **state)
{
	static const struct dsn_recipient v[] = {{"a@x.example", "", 550, "550 no", false}};
	struct dsn d = make(v, 1);
	struct buf b, ascii;

	(void)state;
	d.original = slice_of("Subject: Gr\xfc\xdf"
	                      "e\r\nContent-Type: text/plain; charset=iso-8859-1\r\n\r\n");
	buf_init(&b, 1 << 20);
	buf_init(&ascii, 200);
	dsn_format(&b, &d);
	rewrite_add_field(&ascii, "Subject",
	                  "Not delivered: Gr\xc3\xbc\xc3\x9f"
	                  "e");
	has(&b, buf_str(&ascii));
	buf_free(&ascii);
	buf_free(&b);
}

/* RFC 5322 2.1.1. What the sender wrote stays as it is. */
static void no_line_is_too_long(void **state)
{
	static char address[2400], reply[5000];
	const struct dsn_recipient v[] = {{address, "5.1.1", 550, reply, false}};
	struct dsn d = make(v, 1);
	struct buf b;

	(void)state;
	memset(address, 'a', sizeof address - 1);
	memcpy(address + 2000, "@x.example", 11);
	for (int spaces = 0; spaces < 2; spaces++) {
		for (size_t i = 0; i + 1 < sizeof reply; i++)
			reply[i] = spaces && i % 7 == 6 ? ' ' : 'r';
		d.to = d.relay = d.hostname = d.id = address;
		buf_init(&b, 1 << 20);
		dsn_format(&b, &d);
		lines_end_in_crlf(&b);
		size_t start = 0;
		for (size_t i = 0; i < b.n; i++) {
			if (b.p[i] != '\n')
				continue;
			assert_true(i - 1 - start <= 998);
			start = i + 1;
		}
		buf_free(&b);
	}
}

/* No header, no end of line, no subject: still a report. */
static void odd_originals(void **state)
{
	static const struct dsn_recipient v[] = {{"a@x.example", "", 550, "550 no", false}};
	static const char *const odd[] = {"", "x", "no header at all\r\n", "\r\nbody alone", "Subject: a\r\n\tb"};
	struct buf b;

	(void)state;
	for (size_t i = 0; i < sizeof odd / sizeof *odd; i++) {
		struct dsn d = make(v, 1);
		d.original = slice_of(odd[i]);
		buf_init(&b, 1 << 20);
		dsn_format(&b, &d);
		lines_end_in_crlf(&b);
		has(&b, "\r\n--17.bound--\r\n");
		buf_free(&b);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {cmocka_unit_test(bounce),
	                                   cmocka_unit_test(warning_in_russian),
	                                   cmocka_unit_test(many_recipients),
	                                   cmocka_unit_test(subject_in_the_charset_of_the_message),
	                                   cmocka_unit_test(no_line_is_too_long),
	                                   cmocka_unit_test(odd_originals)};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
