#include "config_text.h"
#include "fetch/stamp.h"

#include <setjmp.h>
#include <stdarg.h>
#include <string.h>

#include <cmocka.h>

static const char ini[] = "[server]\nhostname = gate.test\n[user anna]\n"
                          "[account in(f)o]\nhost = pop.test\nuser = u\nkeep = 0\n"
                          "[account почта]\nhost = pop.test\nuser = v\nkeep = 0\n";

static const char *stamp(struct buf *out, const struct config *c, size_t account, const char *uidl, enum sorter_why why)
{
	struct sorter_verdict v = {.why = why};

	buf_clear(out);
	stamp_write(out, c, &c->accounts[account], uidl, &v);
	return buf_str(out);
}

static void test_received_names_account_and_uidl(void **state)
{
	struct config *c = config_from_text(ini);
	struct buf out;

	(void)state;
	assert_non_null(c);
	buf_init(&out, 4096);
	const char *s = stamp(&out, c, 0, "a(b)c\\d", SORTED_BY_RULE);
	assert_memory_equal(
	    s, "Received: from pop.test by gate.test with POP3 (account in\\(f\\)o, uidl a\\(b\\)c\\\\d); ", 84);
	assert_non_null(strstr(s, " +0") != NULL ? s : strstr(s, " -"));
	assert_ptr_equal(strstr(s, "\r\n"), s + strlen(s) - 2);
	s = stamp(&out, c, 1, "x", SORTED_BY_RULE);
	assert_non_null(strstr(s, "(account =?utf-8?B?0L/QvtGH0YLQsA==?=, uidl x)"));
	buf_free(&out);
	config_unref(&c);
}

/* Whatever a server calls its messages: one header field, no line of the server's own. */
static void test_no_uidl_breaks_the_line(void **state)
{
	static const char *const uidls[] = {"\r\nX: y", "a\x01\x1f", "\xff\xfe", "é\r\n", "", ")))(((", "\\"};
	struct config *c = config_from_text(ini);
	struct buf out;

	(void)state;
	buf_init(&out, 4096);
	for (size_t i = 0; i < sizeof uidls / sizeof uidls[0]; i++) {
		const char *s = stamp(&out, c, 0, uidls[i], SORTED_BY_RULE);

		assert_ptr_equal(strpbrk(s, "\r\n"), s + strlen(s) - 2);
		for (const char *p = s; *p != '\r'; p++)
			assert_true(*p >= ' ' && *p < 0x7f);
	}
	buf_free(&out);
	config_unref(&c);
}

static void test_only_what_nobody_claims_says_so(void **state)
{
	struct config *c = config_from_text(ini);
	struct buf out;

	(void)state;
	buf_init(&out, 4096);
	for (enum sorter_why w = SORTED_BY_RULE; w <= SORTED_TO_POSTMASTER; w++)
		assert_int_equal(strstr(stamp(&out, c, 0, "u", w), "\r\nX-Ofmsrv-Unsorted: ") != NULL,
		                 w == SORTED_TO_POSTMASTER);
	buf_free(&out);
	config_unref(&c);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(test_received_names_account_and_uidl),
	    cmocka_unit_test(test_no_uidl_breaks_the_line),
	    cmocka_unit_test(test_only_what_nobody_claims_says_so),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
