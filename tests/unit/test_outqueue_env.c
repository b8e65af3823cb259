/* ID.env: what is written can be read back; what is no envelope is refused. */
#include "base/alloc.h"
#include "queue/outqueue.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

static void round_trip(void **state)
{
	struct outqueue_entry en = {
	    .sender = xstrdup("anna@firm.example"), .local_sender = xstrdup("anna"), .eight_bit = true};
	struct outqueue_entry back;

	(void)state;
	strlist_add(&en.recipients, "a@b.example");
	strlist_add(&en.recipients, "\"c: d\"@e.example");
	char *text = outqueue_env_format(&en);
	assert_string_equal(text, "ofmsrv-outqueue: 1\nsender: anna@firm.example\nlocal-sender: anna\neight-bit: yes\n"
	                          "recipient: a@b.example\nrecipient: \"c: d\"@e.example\n");
	assert_true(outqueue_env_parse(slice_of(text), &back));
	assert_string_equal(back.sender, "anna@firm.example");
	assert_string_equal(back.local_sender, "anna");
	assert_true(back.eight_bit);
	assert_int_equal(back.recipients.n, 2);
	assert_string_equal(back.recipients.v[1], "\"c: d\"@e.example");
	assert_false(back.smtputf8);
	free(text);
	outqueue_entry_free(&back);
	en.smtputf8 = true;
	text = outqueue_env_format(&en);
	assert_non_null(strstr(text, "\nsmtputf8: yes\n"));
	assert_true(outqueue_env_parse(slice_of(text), &back) && back.smtputf8);
	free(text);
	outqueue_entry_free(&back);
	outqueue_entry_free(&en);
}

static void null_sender_and_controls(void **state)
{
	struct outqueue_entry en = {.sender = xstrdup(""), .local_sender = xstrdup("")};
	struct outqueue_entry back;

	(void)state;
	strlist_add(&en.recipients, "a\nrecipient: evil@x.example");
	char *text = outqueue_env_format(&en);
	assert_true(outqueue_env_parse(slice_of(text), &back));
	assert_string_equal(back.sender, "");
	assert_false(back.eight_bit);
	assert_int_equal(back.recipients.n, 1);
	assert_string_equal(back.recipients.v[0], "a?recipient: evil@x.example");
	free(text);
	outqueue_entry_free(&back);
	outqueue_entry_free(&en);
}

static void refused(void **state)
{
	static const char *const bad[] = {
	    "",
	    "ofmsrv-outqueue: 1\n",
	    "ofmsrv-outqueue: 2\nsender: a@b\nlocal-sender:\nrecipient: c@d\n",
	    "sender: a@b\nlocal-sender:\nrecipient: c@d\n",
	    "ofmsrv-outqueue: 1\nsender: a@b\nlocal-sender:\neight-bit: no\n",
	    "ofmsrv-outqueue: 1\nsender: a@b\nlocal-sender:\nrecipient: c@d",
	    "ofmsrv-outqueue: 1\nsender: a@b\nsender: b@b\nlocal-sender:\nrecipient: c@d\n",
	    "ofmsrv-outqueue: 1\nsender: a@b\nlocal-sender:\nrecipient:\n",
	    "ofmsrv-outqueue: 1\nsender: a@b\nlocal-sender:\nnonsense\nrecipient: c@d\n",
	};
	struct outqueue_entry en;

	(void)state;
	for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
		assert_false(outqueue_env_parse(slice_of(bad[i]), &en));
		assert_null(en.sender);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {cmocka_unit_test(round_trip), cmocka_unit_test(null_sender_and_controls),
	                                   cmocka_unit_test(refused)};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
