/* The SMTP engine by scripts: commands, parameters, recipients, content. */
#include "smtp_rig.h"

static void commands_keep_their_order(void **state)
{
	static const struct {
		const char *say, *codes;
	} rows[] = {
	    {"MAIL FROM:<a@b.c>\r\n", "503"},
	    {"RCPT TO:<a@b.c>\r\n", "503"},
	    {"NOOP\r\n", "250"},
	    {"HELO\r\n", "250"},
	    {"helo  pc\r\n", "250"},
	    {"DATA\r\n", "503"},
	    {"RCPT TO:<a@b.c>\r\n", "503"},
	    {"MAIL FROM:<a@b.c>\r\n", "250"},
	    {"MAIL FROM:<a@b.c>\r\n", "503"},
	    {"DATA\r\n", "503"},
	    {"RCPT TO:<nobody@b.c>\r\n", "550"},
	    {"DATA\r\n", "503"},
	    {"RCPT TO:<a@b.c>\r\n", "250"},
	    {"AUTH PLAIN\r\n", "503"},
	    {"RSET\r\n", "250"},
	    {"DATA\r\n", "503"},
	    {"MAIL FROM:<refused@b.c>\r\n", "550"},
	    {"MAIL FROM:<>\r\n", "250"},
	    {"RCPT TO:<a@b.c>\r\nRCPT TO:<b@b.c>\r\nDATA\r\nx\r\n.\r\n", "250 250 354 250"},
	    {"EHLO pc\r\n", ehlo_codes},
	    {"MAIL FROM:<a@b.c>\r\nEHLO pc\r\nRCPT TO:<a@b.c>\r\n", "250 " EHLO_CODES " 503"},
	    {"VRFY a\r\n", "252"},
	    {"VRFY\r\n", "501"},
	    {"EXPN a\r\n", "502"},
	    {"HELP\r\n", "214"},
	    {"NOOP whatever\r\n", "250"},
	    {"RSET x\r\n", "501"},
	    {"FOO\r\n", "500"},
	    {"\r\n", "500"},
	    {"STARTTLS\r\n", "502"},
	    {"QUIT\r\nNOOP\r\n", "221"},
	};
	struct rig r;

	(void)state;
	set_up(&r);
	for (size_t i = 0; i < sizeof rows / sizeof *rows; i++)
		expect(&r, rows[i].say, rows[i].codes);
	assert_int_equal(smtp_core_phase(r.core), SMTP_PHASE_CLOSED);
	tear_down(&r);
}

static void parameters_are_strict(void **state)
{
	static const struct {
		const char *say, *codes;
	} rows[] = {
	    {"MAIL FROM:<a@b.c> SIZE=100 BODY=8BITMIME\r\n", "250"},
	    {"MAIL FROM: <a@b.c>\r\n", "250"},
	    {"MAIL FROM : a@b.c\r\n", "250"},
	    {"mail from:a@b.c size=5\r\n", "250"},
	    {"MAIL FROM:<a@b.c> BODY=7bit\r\n", "250"},
	    {"MAIL FROM:<a@b.c> AUTH=<>\r\n", "250"},
	    {"MAIL FROM:<a@b.c> AUTH=e+3Dmc2@example.com\r\n", "250"},
	    {"MAIL FROM:<a@b.c> AUTH=a+0Ab@example.com\r\n", "501"},
	    {"MAIL FROM:<a@b.c> AUTH=a+0@example.com\r\n", "501"},
	    {"MAIL FROM:<a@b.c> AUTH=a+3d\r\n", "501"},
	    {"MAIL FROM:<a@b.c> AUTH=\r\n", "501"},
	    {"MAIL FROM:<a@b.c> AUTH\r\n", "501"},
	    {"MAIL FROM:<a@b.c> AUTH=a\nb@c.d\r\n", "501"},
	    {"MAIL FROM:<a@b.c> =\r\n", "501"},
	    {"MAIL FROM:<a@b.c> SIZE=\r\n", "501"},
	    {"MAIL FROM:<a@b.c> SIZE\r\n", "501"},
	    {"MAIL FROM:<a@b.c> SIZE=-1\r\n", "501"},
	    {"MAIL FROM:<a@b.c> SIZE=99999999999999999999\r\n", "501"},
	    {"MAIL FROM:<a@b.c> SIZE=18446744073709551615\r\n", "250"},
	    {"MAIL FROM:<a@b.c> SIZE=1 SIZE=1\r\n", "501"},
	    {"MAIL FROM:<a@b.c> BODY=BINARYMIME\r\n", "501"},
	    {"MAIL FROM:<a@b.c> RET=FULL\r\n", "555"},
	    {"MAIL FROM:<a@b.c> ENVID=x+41\r\n", "555"},
	    {"MAIL FROM:<a@b.c> ENVID=x+4\r\n", "501"},
	    {"MAIL FROM:<a@b.c> SMTPUTF8\r\n", "250"},
	    {"MAIL FROM:<a@b.c> BODY=8BITMIME SMTPUTF8\r\n", "250"},
	    {"MAIL FROM:<a@b.c> SMTPUTF8=x\r\n", "501"},
	    {"MAIL FROM:<a@b.c> SMTPUTF8 SMTPUTF8\r\n", "501"},
	    {"MAIL FROM:<a@b.c>\tSIZE=5 \t BODY=7BIT\t\r\n", "250"},
	    {"MAIL FROM:\t<a@b.c> \r\n", "250"},
	    {"MAIL\tFROM:<Name <a@b.c>>\r\n", "250"},
	    {"MAIL FROM:<a@b.c>SIZE=5\r\n", "501"},
	    {"MAIL FROM:<a@b.c> SIZE= 5\r\n", "501"},
	    {"MAIL FROM:<a@b.c>,<d@e.f>\r\n", "501"},
	    {"MAIL FROM:<a@b.c>\r\nRCPT TO:\tName <x@y.z>\t\r\n", "250 250"},
	    {"MAIL FROM:<a@b.c>\r\nRCPT TO:<a@b.c> SMTPUTF8\r\n", "250 555"},
	    {"MAIL FROM:<a@b.c> FOO=bar SIZE=x\r\n", "501"},
	    {"MAIL FROM:<a@b.c> -X=1\r\n", "501"},
	    {"MAIL FROM:<a@b.c> X==1\r\n", "501"},
	    {"MAIL FROM:<\"a@b.c>\r\n", "501"},
	    {"MAIL FROM:<a@b.c\r\n", "501"},
	    {"MAIL FROM:<;id;@x>\r\n", "501"},
	    {"MAIL FROM:<\"\">@\r\n", "501"},
	    {"MAIL FROM:\r\n", "501"},
	    {"MAIL <a@b.c>\r\n", "501"},
	    {"MAIL FROM:<\xd0\xb0@b.c>\r\n", "553"}, /* RFC 6531 3.4 */
	    {"MAIL FROM:<a@b.c>\r\nRCPT TO:<\xd0\xb0@b.c>\r\nRCPT TO:<a@\xd0\xb0.c>\r\n",
	     "250 553 250"}, /* a domain has a form in ASCII */
	    {"MAIL FROM:<\xd0\xb0@b.c> SMTPUTF8\r\nRCPT TO:<\xd0\xb0@\xd0\xb0.c>\r\n", "250 250"},
	    {"MAIL FROM:<\xd0@b.c> SMTPUTF8\r\n", "553"},
	    {"MAIL FROM:<a\xc2\x85@b.c> SMTPUTF8\r\n", "501"},
	    {"MAIL FROM:<a@b.c>\x01\r\n", "501"},
	    {"MAIL FROM:<a\r@b.c>\r\n", "501"},
	};
	struct rig r;

	(void)state;
	for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
		set_up(&r);
		expect(&r, "EHLO pc\r\n", ehlo_codes);
		expect(&r, rows[i].say, rows[i].codes);
		tear_down(&r);
	}
}

static void recipients_are_strict(void **state)
{
	static const struct {
		const char *say, *codes;
	} rows[] = {
	    {"RCPT TO:<a@b.c>\r\n", "250"},
	    {"RCPT TO: a@b.c\r\n", "250"},
	    {"RCPT TO:<@relay.example:a@b.c>\r\n", "250"},
	    {"RCPT TO:<postmaster>\r\n", "250"},
	    {"RCPT TO:<\"a b\"@b.c>\r\n", "250"},
	    {"RCPT TO:<>\r\n", "501"},
	    {"RCPT TO:<a@b.c> NOTIFY=NEVER\r\n", "555"},
	    {"RCPT TO:<a@b.c> ORCPT=rfc822;a+40b.c\r\n", "555"},
	    {"RCPT TO:<a@b.c> ORCPT=rfc822;a+0A\r\n", "501"},
	    {"RCPT TO:<a@b.c> ORCPT=rfc822;a\nb\r\n", "501"},
	    {"RCPT TO:<a@b.c> ORCPT=a\r\n", "501"},
	    {"RCPT TO:<a@b.c> ORCPT\r\n", "501"},
	    {"RCPT TO:<../../x@b.c> SIZE=1\r\n", "555"},
	    {"RCPT TO:<a@b.c> x\r\n", "555"},
	    {"RCPT FROM:<a@b.c>\r\n", "501"},
	};
	struct rig r;

	(void)state;
	for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
		set_up(&r);
		expect(&r, "EHLO pc\r\nMAIL FROM:<>\r\n", EHLO_CODES " 250");
		expect(&r, rows[i].say, rows[i].codes);
		tear_down(&r);
	}
}

static void only_crlf_dot_crlf_ends(void **state)
{
	static const struct {
		const char *data, *kept;
	} rows[] = {
	    {"\n.\nMAIL FROM:<evil@x.y>\r\n.\r\n", "\r\n.\r\nMAIL FROM:<evil@x.y>\r\n"},
	    {"a\n.\r\nMAIL FROM:<evil@x.y>\r\n.\r\n", "a\r\n.\r\nMAIL FROM:<evil@x.y>\r\n"},
	    {"a\r.\rMAIL FROM:<evil@x.y>\r\n.\r\n", "a\r.\rMAIL FROM:<evil@x.y>\r\n"},
	    {".\r\n", ""},
	    {"..\r\n.x\r\n.\r\n", ".\r\nx\r\n"},
	};
	struct rig r;

	(void)state;
	for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
		set_up(&r);
		expect(&r, TO_DATA, "250 250 250 354");
		expect(&r, rows[i].data, "250");
		assert_int_equal(r.contents, 1);
		if (!slice_is(buf_slice(&r.content), rows[i].kept))
			fail_msg("row %zu: %.*s", i, (int)r.content.n, r.content.p);
		expect(&r, "NOOP\r\n", "250");
		tear_down(&r);
	}
}

static void nul_is_kept_in_content(void **state)
{
	struct rig r;

	(void)state;
	set_up(&r);
	expect(&r, TO_DATA, "250 250 250 354");
	assert_string_equal(say(&r, slice_make("a\0b\r\n.\r\n", 8)), "250");
	assert_int_equal(r.content.n, 5);
	assert_memory_equal(r.content.p, "a\0b\r\n", 5);
	assert_string_equal(say(&r, slice_make("NOOP\0\r\n", 7)), "500");
	assert_string_equal(say(&r, slice_make("NOOP \0\r\n", 8)), "501");
	tear_down(&r);
}

static void chunks_are_taken(void **state)
{
	struct rig r;

	(void)state;
	set_up(&r);
	expect(&r, "EHLO pc\r\nBDAT 6\r\nRSET\r\nNOOP\r\n", EHLO_CODES " 503 250");
	expect(&r, "MAIL FROM:<a@b.c>\r\nBDAT 6 LAST\r\nRSET\r\nRCPT TO:<x@y.z>\r\n", "250 503 250");
	expect(&r, "BDAT 4\r\na\nb\rBDAT 2\r\n\nc", "250 250");
	expect(&r, "DATA\r\n", "503");
	expect(&r, "MAIL FROM:<a@b.c>\r\n", "503");
	expect(&r, "BDAT 0 LAST\r\n", "250");
	assert_memory_equal(r.content.p, "a\r\nb\r\nc", 7);
	assert_int_equal(r.content.n, 7);
	expect(&r, "MAIL FROM:<a@b.c>\r\nRCPT TO:<x@y.z>\r\nBDAT 5 LAST\r\n\r\n.\r\nNOOP\r\n", "250 250 250 250");
	assert_memory_equal(r.content.p, "\r\n.\r\n", 5);
	expect(&r, "MAIL FROM:<a@b.c>\r\nRCPT TO:<x@y.z>\r\nBDAT 3\r\nabcRSET\r\nBDAT 1 LAST\r\nx",
	       "250 250 250 250 503");
	expect(&r, "BDAT x\r\nMAIL FROM:<evil@x.y>\r\n", "501");
	assert_int_equal(smtp_core_phase(r.core), SMTP_PHASE_CLOSED);
	tear_down(&r);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(commands_keep_their_order), cmocka_unit_test(parameters_are_strict),
	    cmocka_unit_test(recipients_are_strict),     cmocka_unit_test(only_crlf_dot_crlf_ends),
	    cmocka_unit_test(nul_is_kept_in_content),    cmocka_unit_test(chunks_are_taken),
	};

	return cmocka_run_group_tests_name("smtp commands", tests, NULL, NULL);
}
