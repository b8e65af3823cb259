/* The SMTP engine by scripts: log-in, TLS, limits, bytes cut anyhow. */
#include "smtp_rig.h"

static void log_in_works(void **state)
{
	static const struct {
		const char *say, *codes;
	} rows[] = {
	    {"AUTH PLAIN AGFubmEAc2VjcmV0\r\nAUTH PLAIN AGFubmEAc2VjcmV0\r\n", "235 503"},
	    {"AUTH PLAIN\r\nAGFubmEAc2VjcmV0\r\n", "334 235"},
	    {"auth plain YW5uYQBhbm5hAHNlY3JldA==\r\n", "235"},
	    {"AUTH PLAIN Ym9yaXMAYW5uYQBzZWNyZXQ=\r\n", "535"}, /* boris\0anna\0secret */
	    {"AUTH PLAIN AGFubmEAd3Jvbmc=\r\n", "535"},
	    {"AUTH LOGIN\r\nYW5uYQ==\r\nc2VjcmV0\r\n", "334 334 235"},
	    {"AUTH LOGIN YW5uYQ==\r\nc2VjcmV0\r\nMAIL FROM:<a@b.c>\r\n", "334 235 250"},
	    {"AUTH LOGIN\r\n*\r\nNOOP\r\n", "334 501 250"},
	    {"AUTH LOGIN\r\nYW5uYQ==\r\n*\r\nNOOP\r\n", "334 334 501 250"},
	    {"AUTH LOGIN\r\nYW5uYQ\r\nNOOP\r\n", "334 501 250"},
	    {"AUTH PLAIN =\r\n", "501"},
	    {"AUTH PLAIN\r\n\r\n", "334 501"},
	    {"AUTH PLAIN AGFubmEAc2VjcmV0AA==\r\n", "501"},
	    {"AUTH PLAIN !!!!\r\n", "501"},
	    {"AUTH CRAM-MD5\r\n", "504"},
	    {"AUTH\r\n", "501"},
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

static void log_in_has_limits(void **state)
{
	struct rig r;

	(void)state;
	set_up(&r);
	r.options.auth_tls = true;
	expect(&r, "EHLO pc\r\n", EHLO_BARE);
	expect(&r, "AUTH PLAIN AGFubmEAc2VjcmV0\r\n", "538");
	r.options.auth = AUTH_OFFER_OFF;
	expect(&r, "AUTH PLAIN AGFubmEAc2VjcmV0\r\n", "502");
	expect(&r, "MAIL FROM:<a@b.c> AUTH=<>\r\n", "555");
	r.options.auth = AUTH_OFFER_OPTIONAL;
	r.options.auth_tls = false;
	for (int i = 1; i < SMTP_MAX_LOGIN_FAILURES; i++)
		expect(&r, "AUTH PLAIN AGFubmEAd3Jvbmc=\r\n", "535");
	expect(&r, "AUTH PLAIN AGFubmEAd3Jvbmc=\r\nNOOP\r\n", "535 421");
	tear_down(&r);
}

/* What a reload forbids is forbidden in the midst of a log-in too; and the engine says why one was not looked at. */
static void options_may_change_within_a_log_in(void **state)
{
	struct rig r;

	(void)state;
	set_up(&r);
	expect(&r, "EHLO pc\r\nAUTH PLAIN\r\n", EHLO_CODES " 334");
	r.options.auth_tls = true;
	expect(&r, "AGFubmEAc2VjcmV0\r\n", "538");
	r.options.auth_tls = false;
	expect(&r, "AUTH LOGIN\r\nYW5uYQ==\r\n", "334 334");
	r.options.auth = AUTH_OFFER_OFF;
	expect(&r, "c2VjcmV0\r\n", "502");
	assert_int_equal(r.told.n, 0);
	r.options.auth = AUTH_OFFER_OPTIONAL;
	r.later = true;
	expect(&r, "AUTH PLAIN AGFubmEAc2VjcmV0\r\n", "");
	smtp_core_login_refused(r.core, "454 4.7.0 later");
	smtp_core_login_refused(r.core, "454 4.7.0 nobody asked");
	expect(&r, "NOOP\r\n", "454 250");
	tear_down(&r);
}

static void prompts_are_exact(void **state)
{
	struct rig r;
	struct buf answers;

	(void)state;
	set_up(&r);
	buf_init(&answers, 4096);
	feed(&r, slice_of("EHLO pc\r\n"), SIZE_MAX, &answers);
	assert_non_null(strstr(buf_str(&answers), "\r\n250-SIZE\r\n"));
	assert_non_null(strstr(buf_str(&answers), "\r\n250-AUTH PLAIN LOGIN\r\n"));
	assert_null(strstr(buf_str(&answers), "AUTH=")); /* no lawful keyword */
	buf_clear(&answers);
	feed(&r, slice_of("AUTH LOGIN\r\nYW5uYQ==\r\n*\r\nAUTH PLAIN\r\n"), SIZE_MAX, &answers);
	assert_string_equal(buf_str(&answers),
	                    "334 VXNlcm5hbWU6\r\n334 UGFzc3dvcmQ6\r\n501 5.7.0 cancelled\r\n334 \r\n");
	buf_free(&answers);
	tear_down(&r);
}

static void answers_may_come_later(void **state)
{
	static const char all[] = TO_DATA "x\r\n.\r\nMAIL FROM:<c@b.c>\r\nQUIT\r\n";
	struct rig r;
	struct buf answers;

	(void)state;
	set_up(&r);
	r.later = true;
	buf_init(&answers, 4096);
	size_t taken = feed(&r, slice_of(all), SIZE_MAX, &answers);
	assert_int_equal(taken, strstr(all, "MAIL FROM:<c") - all);
	assert_int_equal(smtp_core_phase(r.core), SMTP_PHASE_WAIT);
	assert_true(smtp_core_busy(r.core));
	smtp_core_login_done(r.core, true); /* nobody asked */
	assert_int_equal(smtp_core_out(r.core)->n, 0);
	smtp_core_content_done(r.core, "452 4.3.1 full");
	assert_false(smtp_core_busy(r.core));
	expect(&r, all + taken, "452 250 221");
	buf_free(&answers);
	tear_down(&r);
}

static void tls_forgets_everything(void **state)
{
	struct rig r;
	struct buf answers;
	static const char said[] = "STARTTLS\r\nRSET\r\n";

	(void)state;
	set_up(&r);
	r.options.tls_offered = true;
	expect(&r, "EHLO pc\r\n", "250- " EHLO_CODES);
	expect(&r, "AUTH PLAIN AGFubmEAc2VjcmV0\r\n", "235");
	expect(&r, "STARTTLS now\r\n", "501");
	buf_init(&answers, 4096);
	assert_int_equal(feed(&r, slice_of(said), SIZE_MAX, &answers), 10);
	assert_int_equal(smtp_core_phase(r.core), SMTP_PHASE_WAIT);
	r.options.secure = true;
	smtp_core_secured(r.core);
	expect(&r, "MAIL FROM:<a@b.c>\r\n", "503");
	expect(&r, "EHLO pc\r\n", ehlo_codes);
	expect(&r, "STARTTLS\r\n", "503");
	expect(&r, "AUTH PLAIN AGFubmEAc2VjcmV0\r\n", "235");
	assert_non_null(strstr(buf_str(&r.told), "forget\n"));
	buf_free(&answers);
	tear_down(&r);
}

static struct buf line_of(const char *start, size_t n, const char *end)
{
	struct buf b;

	buf_init(&b, 1 << 20);
	buf_add_str(&b, start);
	while (b.n < n)
		buf_add_char(&b, 'x');
	buf_add_str(&b, end);
	return b;
}

static void expect_line(struct rig *r, const char *start, size_t n, const char *end, const char *codes)
{
	struct buf b = line_of(start, n, end);
	const char *got = say(r, buf_slice(&b));

	if (strcmp(got, codes) != 0)
		fail_msg("%s, %zu octets -> %s, not %s", start, n, got, codes);
	buf_free(&b);
}

static void long_lines_are_cut(void **state)
{
	struct rig r;

	(void)state;
	set_up(&r);
	expect_line(&r, "NOOP ", SMTP_LINE_MAX - 2, "\r\n", "250");
	expect_line(&r, "NOOP ", SMTP_LINE_MAX - 1, "\r\nNOOP\r\n", "500 250");
	expect_line(&r, "NOOP ", 60000, "\r\nNOOP\r\n", "500 250");
	expect(&r, "EHLO pc\r\n", ehlo_codes);
	expect_line(&r, "AUTH PLAIN ", SMTP_AUTH_LINE_MAX - 2, "\r\n", "501");
	expect_line(&r, "AUTH PLAIN ", SMTP_AUTH_LINE_MAX, "\r\n", "500");
	expect(&r, "AUTH PLAIN\r\n", "334");
	expect_line(&r, "", SMTP_AUTH_LINE_MAX, "\r\nNOOP\r\n", "500 250");
	expect_line(&r, "NOOP ", SMTP_ENDLESS + 2, "", "500");
	assert_int_equal(smtp_core_phase(r.core), SMTP_PHASE_CLOSED);
	tear_down(&r);
}

static void too_many_errors_end(void **state)
{
	struct rig r;

	(void)state;
	set_up(&r);
	for (int i = 1; i < SMTP_MAX_ERRORS; i++)
		expect(&r, "FOO\r\n", "500");
	expect(&r, "FOO\r\nNOOP\r\n", "500 421");
	assert_int_equal(smtp_core_phase(r.core), SMTP_PHASE_CLOSED);
	tear_down(&r);
	set_up(&r);
	expect(&r, "GET / HTTP/1.1\r\nHost: x\r\n", "421");
	tear_down(&r);
}

static void old_devices_end_lines_in_lf(void **state)
{
	struct rig r;

	(void)state;
	set_up(&r);
	expect(&r, "HELO till\nMAIL FROM:<a@b.c>\nRCPT TO:<x@y.z>\r\nDATA\nx\n.\n", "250 250 250 354");
	expect(&r, "\r\n.\r\nQUIT\n", "250 221");
	assert_memory_equal(r.content.p, "x\r\n.\r\n\r\n", 8);
	tear_down(&r);
}

/* However the bytes are cut, the same is said and told. */
static void pieces_change_nothing(void **state)
{
	static const char session[] =
	    "EHLO pc\r\nAUTH LOGIN\r\nYW5uYQ==\r\nc2VjcmV0\r\nFOO\nBAR\r\nMAIL FROM:<a@b.c> SIZE=5\r\nRCPT "
	    "TO:<x@y.z>\r\n"
	    "DATA\r\n..a\nb\r\n\r.\r\n.\r\nMAIL FROM:<d@b.c>\r\nRCPT TO:<nobody@x>\r\nRCPT TO:<b@c.d>\r\n"
	    "BDAT 3\r\na\nbBDAT 4 LAST\r\n\r\ncdRSET\r\nQUIT\r\n";
	struct rig one, many;
	struct buf a, b;

	(void)state;
	buf_init(&a, 1 << 16);
	set_up(&one);
	feed(&one, slice_of(session), SIZE_MAX, &a);
	for (size_t piece = 1; piece < 20; piece++) {
		buf_init(&b, 1 << 16);
		set_up(&many);
		feed(&many, slice_of(session), piece, &b);
		assert_string_equal(buf_str(&a), buf_str(&b));
		assert_string_equal(buf_str(&one.told), buf_str(&many.told));
		tear_down(&many);
		buf_free(&b);
	}
	buf_free(&a);
	tear_down(&one);
}

static void names_are_cleaned(void **state)
{
	struct rig r;

	(void)state;
	set_up(&r);
	expect(&r, "HELO \xd0\xb0(x) y\r\n", "250");
	assert_string_equal(smtp_core_helo(r.core), "???x??y");
	assert_false(smtp_core_extended(r.core));
	expect(&r, "HELO a\x1b[0m\r\n", "501");
	tear_down(&r);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(log_in_works),
	    cmocka_unit_test(log_in_has_limits),
	    cmocka_unit_test(options_may_change_within_a_log_in),
	    cmocka_unit_test(prompts_are_exact),
	    cmocka_unit_test(answers_may_come_later),
	    cmocka_unit_test(tls_forgets_everything),
	    cmocka_unit_test(long_lines_are_cut),
	    cmocka_unit_test(too_many_errors_end),
	    cmocka_unit_test(old_devices_end_lines_in_lf),
	    cmocka_unit_test(pieces_change_nothing),
	    cmocka_unit_test(names_are_cleaned),
	};

	return cmocka_run_group_tests_name("smtp core", tests, NULL, NULL);
}
