/* Advice about relays: complete in both languages, and the provider's own where that helps. */
#include "base/slice.h"
#include "send/mend.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>

#include <cmocka.h>

static void test_every_trouble_has_advice_in_both_languages(void **state)
{
	(void)state;
	for (int t = MEND_NETWORK; t <= MEND_SETTING; t++) {
		const char *en = mend_text((enum mend_trouble)t, "smtp.firm.example", 587, false);
		const char *ru = mend_text((enum mend_trouble)t, "smtp.firm.example", 587, true);
		assert_true(strlen(en) > 20 && en[strlen(en) - 1] == '\n');
		assert_true(strlen(ru) > 20 && ru[strlen(ru) - 1] == '\n');
		assert_string_not_equal(en, ru);
		assert_true(mend_patience((enum mend_trouble)t) >= 1);
	}
}

static void test_providers(void **state)
{
	static const struct {
		enum mend_trouble trouble;
		const char *host;
		uint16_t port;
		const char *word;
	} rows[] = {
	    {MEND_LOGIN, "smtp.gmail.com", 587, "app password"},
	    {MEND_LOGIN, "SMTP.YANDEX.RU", 465, "app password of type"},
	    {MEND_LOGIN, "smtp.mail.ru", 465, "external"},
	    {MEND_LOGIN, "smtp.office365.com", 587, "SMTP AUTH"},
	    {MEND_LOGIN, "notgmail.com", 587, "Many providers"},
	    {MEND_LOGIN, "mail.ru.evil.example", 587, "Many providers"},
	    {MEND_NETWORK, "smtp.gmail.com", 25, "block port 25"},
	    {MEND_NETWORK, "smtp.gmail.com", 587, "Internet line"},
	    {MEND_NO_TLS, "smtp.gmail.com", 465, "587 goes with"},
	};

	(void)state;
	for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++)
		assert_non_null(strstr(mend_text(rows[i].trouble, rows[i].host, rows[i].port, false), rows[i].word));
}

static void test_messages(void **state)
{
	static const char *const known[] = {"5.1.1", "5.1.2", "5.1.3", "5.1.7", "5.1.8", "5.1.10",
	                                    "5.2.1", "5.2.2", "5.2.3", "5.3.4", "5.7",   "5.7.1"};

	(void)state;
	for (size_t i = 0; i < sizeof known / sizeof known[0]; i++) {
		assert_non_null(mend_message(known[i], false, false));
		assert_string_not_equal(mend_message(known[i], false, false), mend_message(known[i], false, true));
	}
	assert_string_equal(mend_message("5.7.1", false, false), mend_message("5.7.26", false, false));
	assert_null(mend_message("", false, false));
	assert_null(mend_message("5.1.11", false, false));
	assert_null(mend_message("5.70", false, false));
	assert_non_null(mend_message("", true, false));
	static const char helo[] = "504 5.5.2 <filesrv>: Helo command rejected: need fully-qualified hostname";
	assert_non_null(strstr(mend_refusal("5.5.2", helo, false, false), "hostname"));
	assert_non_null(strstr(mend_refusal("5.5.2", helo, false, true), "hostname"));
	assert_string_equal(mend_refusal("5.1.1", "550 5.1.1 nobody", false, false),
	                    mend_message("5.1.1", false, false));
	assert_null(mend_refusal("", "", false, false));
}

/* What waiting may mend is waited for; what only a person can mend is told at once. */
static void test_patience(void **state)
{
	(void)state;
	assert_true(mend_patience(MEND_NETWORK) > 1 && mend_patience(MEND_BUSY) > 1 && mend_patience(MEND_COMMAND) > 1);
	assert_int_equal(mend_patience(MEND_LOGIN), 1);
	assert_int_equal(mend_patience(MEND_TRUST), 1);
}

static void test_domains(void **state)
{
	(void)state;
	assert_true(slice_in_domain(slice_of("mail.ru"), "mail.ru"));
	assert_true(slice_in_domain(slice_of("SMTP.Mail.RU"), "mail.ru"));
	assert_false(slice_in_domain(slice_of("gmail.ru"), "mail.ru"));
	assert_false(slice_in_domain(slice_of("ru"), "mail.ru"));
	assert_false(slice_in_domain(slice_of(""), "mail.ru"));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(test_every_trouble_has_advice_in_both_languages),
	    cmocka_unit_test(test_providers),
	    cmocka_unit_test(test_patience),
	    cmocka_unit_test(test_messages),
	    cmocka_unit_test(test_domains),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
