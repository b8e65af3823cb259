#include "fetch/digest.h"

#include <setjmp.h>
#include <stdarg.h>
#include <string.h>

#include <cmocka.h>

#define COUNT(v) (sizeof(v) / sizeof(v)[0])
#define BASE "From: a@x\r\nSubject: one\r\n two\r\n"

static void test_what_makes_a_header_the_same(void **state)
{
	static const struct {
		const char *head;
		bool same;
	} rows[] = {
	    {BASE "\r\n", true},
	    {BASE, true}, /* TOP of a message without a body */
	    {BASE "\r\nbody is no part of it\r\n", true},
	    {"From: a@x\nSubject: one\n two\n\n", true}, /* other line ends */
	    {"Status: RO\r\n" BASE "X-UIDL: 99\r\n\r\n", true},
	    {BASE "Content-Length: 5\r\nLines: 1\r\nX-Status: A\r\n\r\n", true},
	    {"X-IMAPbase: 1794000000 5\r\nX-UID: 1\r\n" BASE "X-Keywords: a\r\n\r\n", true},
	    {"Return-Path: <a@x>\r\nDelivered-To: b@y\r\nX-Original-To: b@y\r\n" BASE "\r\n", true},
	    {BASE "X-Spam-Status: No,\r\n score=1\r\nX-Evolution-Source: 1\r\nX-Mozilla-Keys: \r\n\r\n", true},
	    {"Received: from here\r\n" BASE "\r\n", false}, /* two alarms may differ in nothing else */
	    {"From: a@x\r\nSubject: one\r\n\r\n two\r\n", false},
	    {"From: a@x\r\nSubject: One\r\n two\r\n\r\n", false},
	    {"Subject: one\r\n two\r\nFrom: a@x\r\n\r\n", false},
	    {BASE "X-More: x\r\n\r\n", false},
	    {"\r\n", false},
	    {"", false},
	};
	unsigned char want[DIGEST_SIZE], got[DIGEST_SIZE];

	(void)state;
	digest_header(slice_of(BASE "\r\n"), want);
	for (size_t i = 0; i < COUNT(rows); i++) {
		digest_header(slice_of(rows[i].head), got);
		assert_true(digest_known(got));
		assert_int_equal(memcmp(got, want, DIGEST_SIZE) == 0, rows[i].same);
	}
	assert_false(digest_known((unsigned char[DIGEST_SIZE]){0}));
}

/* What earlier versions recorded is known again, with fewer or more of the fields that servers write. */
static void test_digests_of_earlier_versions(void **state)
{
	static const struct {
		const char *then, *now;
		bool same;
	} rows[] = {
	    {BASE "\r\n", BASE "\r\n", true},
	    {BASE "\r\n", "X-IMAPbase: 1 2\r\n" BASE "Status: O\r\n\r\n", true},
	    {BASE "X-Spam-Flag: NO\r\n\r\n", BASE "X-Spam-Flag: NO\r\nStatus: O\r\n\r\n", true},
	    {BASE "\r\n", BASE "X-More: x\r\n\r\n", false},
	};

	(void)state;
	for (size_t i = 0; i < COUNT(rows); i++) {
		struct digest_old then, now;
		unsigned char d[DIGEST_SIZE];

		digest_header_old(slice_of(rows[i].then), &then);
		digest_header_old(slice_of(rows[i].now), &now);
		digest_header(slice_of(rows[i].now), d);
		assert_int_equal(digest_same(then.few, d, &now), rows[i].same);
		assert_false(digest_same((unsigned char[DIGEST_SIZE]){0}, d, &now));
	}
}

static void test_the_author_s_part(void **state)
{
	static const struct {
		const char *a, *b;
		bool same, unique;
	} rows[] = {
	    {BASE "\r\n", BASE "X-Now: 5\r\n\r\n", true, false},
	    {BASE "Message-ID: <1@x>\r\n\r\n", "X-Now: 5\r\n" BASE "Message-ID: <1@x>\r\n\r\n", true, true},
	    {BASE "Message-ID: <1@x>\r\n\r\n", BASE "Message-ID: <2@x>\r\n\r\n", false, true},
	    {BASE "Received: x\r\n\r\n", BASE "Received: y\r\n\r\n", true, true},
	    {"X-A: 1\r\n\r\n", "X-A: 1\r\n\r\n", false, false}, /* there is none */
	};
	unsigned char a[DIGEST_SIZE], b[DIGEST_SIZE];

	(void)state;
	for (size_t i = 0; i < COUNT(rows); i++) {
		digest_header(slice_of(rows[i].a), a);
		digest_header(slice_of(rows[i].b), b);
		assert_int_equal(digest_same_author(a, b), rows[i].same);
		assert_int_equal(digest_is_unique(slice_of(rows[i].a)), rows[i].unique);
	}
}

static void test_hex(void **state)
{
	unsigned char d[DIGEST_SIZE] = {0x00, 0x0f, 0xff};
	char hex[2 * DIGEST_SIZE + 1];

	(void)state;
	digest_hex(d, hex);
	assert_memory_equal(hex, "000fff00", 8);
	assert_int_equal(strlen(hex), 64);
}

static void test_arrival(void **state)
{
	static const struct {
		const char *head;
		int64_t want;
	} rows[] = {
	    {"Received: from a by b; Thu, 01 Jan 1970 00:01:40 +0000\r\nDate: Thu, 01 Jan 1970 00:00:50 +0000\r\n\r\n",
	     100},
	    {"Received: by b (a; b);\r\n\tThu, 01 Jan 1970 00:01:40 +0000\r\nReceived: x; Thu, 01 Jan 1970 01:00:00 "
	     "+0000\r\n",
	     100},
	    {"Received: from nobody knows when\r\nDate: Thu, 01 Jan 1970 00:00:50 +0000\r\n\r\n", 50},
	    {"Received: x; nonsense\r\nDate: Thu, 01 Jan 1970 00:00:50 +0000\r\n\r\n", 50},
	    {"Date: Thu, 01 Jan 1970 02:00:50 +0200\r\n\r\n", 50},
	    {"Date: gestern\r\n\r\n", -1},
	    {"Subject: x\r\n\r\nDate: Thu, 01 Jan 1970 00:00:50 +0000\r\n", -1},
	    {"", -1},
	};

	(void)state;
	for (size_t i = 0; i < COUNT(rows); i++)
		assert_int_equal(digest_arrival(slice_of(rows[i].head)), rows[i].want);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(test_what_makes_a_header_the_same),
	    cmocka_unit_test(test_digests_of_earlier_versions),
	    cmocka_unit_test(test_the_author_s_part),
	    cmocka_unit_test(test_hex),
	    cmocka_unit_test(test_arrival),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
