/* The SMTP engine by scripts: what is said to it, and what it says and tells. */
#include "base/alloc.h"
#include "smtp/core.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

struct rig {
	struct smtp_core *core;
	struct smtp_options options;
	bool later;      /* log-ins and messages are answered by hand */
	struct buf told; /* events, one a line */
	struct buf content;
	size_t contents;
};

static void hook_options(void *arg, struct smtp_options *out)
{
	*out = ((struct rig *)arg)->options;
}

static const char *hook_mail(void *arg, const struct smtp_mail *m)
{
	struct rig *r = arg;
	char *text = address_format(&m->from);

	buf_printf(&r->told, "mail %s", text);
	if (m->has_size)
		buf_printf(&r->told, " %llu", (unsigned long long)m->size);
	buf_printf(&r->told, "%s\n", m->eight_bit ? " 8" : "");
	free(text);
	return strcmp(m->from.local, "refused") == 0 ? "550 5.7.1 not you" : NULL;
}

static const char *hook_rcpt(void *arg, const struct address *to)
{
	struct rig *r = arg;
	char *text = address_format(to);

	buf_printf(&r->told, "rcpt %s\n", text);
	free(text);
	return strcmp(to->local, "nobody") == 0 ? "550 5.1.1 no such user here" : NULL;
}

static const char *hook_begin(void *arg)
{
	struct rig *r = arg;

	buf_clear(&r->content);
	buf_add_str(&r->told, "begin\n");
	return NULL;
}

static void hook_content(void *arg, struct slice run)
{
	buf_add_slice(&((struct rig *)arg)->content, run);
}

static void hook_end(void *arg)
{
	struct rig *r = arg;

	r->contents++;
	buf_printf(&r->told, "end %zu\n", r->content.n);
	if (!r->later)
		smtp_core_content_done(r->core, "250 2.0.0 kept");
}

static void hook_reset(void *arg)
{
	(void)arg;
}

static void hook_login(void *arg, struct slice name, struct slice password)
{
	struct rig *r = arg;

	buf_printf(&r->told, "login %.*s/%.*s\n", (int)name.n, name.p, (int)password.n, password.p);
	if (!r->later)
		smtp_core_login_done(r->core, slice_is(password, "secret"));
}

static void hook_tls(void *arg)
{
	buf_add_str(&((struct rig *)arg)->told, "tls\n");
}

static void hook_forget(void *arg)
{
	buf_add_str(&((struct rig *)arg)->told, "forget\n");
}

static const struct smtp_hooks hooks = {hook_options, hook_mail,  hook_rcpt,  hook_begin, hook_content,
                                        hook_end,     hook_reset, hook_login, hook_tls,   hook_forget};

static void set_up(struct rig *r)
{
	*r = (struct rig){.options = {.hostname = "gate", .auth = AUTH_OFFER_OPTIONAL}};
	buf_init(&r->told, 1 << 20);
	buf_init(&r->content, 1 << 20);
	r->core = smtp_core_new(&hooks, r);
}

static void tear_down(struct rig *r)
{
	smtp_core_free(&r->core);
	buf_free(&r->told);
	buf_free(&r->content);
}

/* Feeds in pieces, collecting the answers; returns how much was taken. */
static size_t feed(struct rig *r, struct slice in, size_t piece, struct buf *answers)
{
	size_t at = 0;

	while (at < in.n) {
		size_t n = smtp_core_feed(r->core, slice_sub(in, at, piece));
		struct buf *out = smtp_core_out(r->core);
		buf_add_slice(answers, buf_slice(out));
		if (n == 0 && out->n == 0)
			break;
		buf_clear(out);
		at += n;
	}
	return at;
}

/* Says text and gives the codes of the answers, as "250 250- 354". */
static const char *say(struct rig *r, struct slice in)
{
	static char codes[4096];
	struct buf answers;

	buf_init(&answers, 1 << 20);
	feed(r, in, SIZE_MAX, &answers);
	codes[0] = '\0';
	char *text = buf_steal(&answers);
	for (char *line = strtok(text, "\r\n"); line != NULL; line = strtok(NULL, "\r\n")) {
		size_t n = strlen(codes), keep = line[3] == '-' ? 4 : 3;
		if (n + keep + 2 < sizeof codes)
			snprintf(codes + n, sizeof codes - n, "%s%.*s", n > 0 ? " " : "", (int)keep, line);
	}
	free(text);
	return codes;
}

static const char *say_text(struct rig *r, const char *text)
{
	return say(r, slice_of(text));
}

static void expect(struct rig *r, const char *text, const char *codes)
{
	const char *got = say_text(r, text);

	if (strcmp(got, codes) != 0)
		fail_msg("%.200s -> %s, not %s", text, got, codes);
}

static const char ehlo_codes[] = "250- 250- 250- 250- 250- 250- 250- 250- 250";

static void commands_keep_their_order(void **state)
{
	static const struct {
		const char *say, *codes;
	} rows[] = {
	    {"MAIL FROM:<a@b.c>\r\n", "503"},
	    {"RCPT TO:<a@b.c>\r\n", "503"},
	    {"NOOP\r\n", "250"},
	    {"HELO\r\n", "501"},
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
	    {"MAIL FROM:<a@b.c>\r\nEHLO pc\r\nRCPT TO:<a@b.c>\r\n",
	     "250 250- 250- 250- 250- 250- 250- 250- 250- 250 503"},
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
	    {"MAIL FROM:<a@b.c> SMTPUTF8\r\n", "555"},
	    {"MAIL FROM:<a@b.c> FOO=bar SIZE=x\r\n", "501"},
	    {"MAIL FROM:<a@b.c> -X=1\r\n", "501"},
	    {"MAIL FROM:<a@b.c> X==1\r\n", "501"},
	    {"MAIL FROM:<\"a@b.c>\r\n", "501"},
	    {"MAIL FROM:<a@b.c\r\n", "501"},
	    {"MAIL FROM:<;id;@x>\r\n", "501"},
	    {"MAIL FROM:<\"\">@\r\n", "501"},
	    {"MAIL FROM:\r\n", "501"},
	    {"MAIL <a@b.c>\r\n", "501"},
	    {"MAIL FROM:<\xd0\xb0@b.c>\r\n", "553"},
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
		expect(&r, "EHLO pc\r\nMAIL FROM:<>\r\n", "250- 250- 250- 250- 250- 250- 250- 250- 250 250");
		expect(&r, rows[i].say, rows[i].codes);
		tear_down(&r);
	}
}

#define TO_DATA "HELO pc\r\nMAIL FROM:<a@b.c>\r\nRCPT TO:<x@y.z>\r\nDATA\r\n"

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
	expect(&r, "EHLO pc\r\nBDAT 6\r\nRSET\r\nNOOP\r\n", "250- 250- 250- 250- 250- 250- 250- 250- 250 503 250");
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
	expect(&r, "EHLO pc\r\n", "250- 250- 250- 250- 250- 250- 250");
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
	assert_non_null(strstr(buf_str(&answers), "\r\n250-AUTH=LOGIN PLAIN\r\n"));
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
	expect(&r, "EHLO pc\r\n", "250- 250- 250- 250- 250- 250- 250- 250- 250- 250");
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
	    cmocka_unit_test(commands_keep_their_order),
	    cmocka_unit_test(parameters_are_strict),
	    cmocka_unit_test(recipients_are_strict),
	    cmocka_unit_test(only_crlf_dot_crlf_ends),
	    cmocka_unit_test(nul_is_kept_in_content),
	    cmocka_unit_test(chunks_are_taken),
	    cmocka_unit_test(log_in_works),
	    cmocka_unit_test(log_in_has_limits),
	    cmocka_unit_test(prompts_are_exact),
	    cmocka_unit_test(answers_may_come_later),
	    cmocka_unit_test(tls_forgets_everything),
	    cmocka_unit_test(long_lines_are_cut),
	    cmocka_unit_test(too_many_errors_end),
	    cmocka_unit_test(old_devices_end_lines_in_lf),
	    cmocka_unit_test(pieces_change_nothing),
	    cmocka_unit_test(names_are_cleaned),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
