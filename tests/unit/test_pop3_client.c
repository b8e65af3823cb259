#include "fetch/pop3_client.h"
#include "fetch/pop3_reply.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

/* ---- what the machine tells, as one line of text ---- */

static void note_reply(void *arg, const struct pop3_command *cmd, bool ok, struct slice text)
{
	buf_printf(arg, "%c%u:%.*s|", ok ? '+' : '-', (unsigned)cmd->number, (int)text.n, text.p);
}

static void note_line(void *arg, const struct pop3_command *cmd, struct slice line)
{
	(void)cmd;
	buf_printf(arg, "L%.*s|", (int)line.n, line.p);
}

static void note_body(void *arg, const struct pop3_command *cmd, struct slice run)
{
	(void)cmd;
	buf_add_slice(arg, run);
}

static void note_end(void *arg, const struct pop3_command *cmd)
{
	buf_printf(arg, "E%u|", (unsigned)cmd->number);
}

static const struct pop3_client_events events = {note_reply, note_line, note_body, note_end};

static struct pop3_client *client(struct buf *told)
{
	buf_init(told, 1 << 20);
	return pop3_client_new(&events, told);
}

static void queue(struct pop3_client *c, enum pop3_verb v, uint32_t number, const char *argument)
{
	struct pop3_command cmd = {.verb = v, .number = number, .expect = 100};

	pop3_client_queue(c, &cmd, argument);
}

static void expect_out(struct pop3_client *c, const char *want)
{
	assert_string_equal(buf_str(pop3_client_out(c)), want);
	buf_clear(pop3_client_out(c));
}

static int feed(struct pop3_client *c, const char *s)
{
	struct err e;

	return pop3_client_feed(c, slice_of(s), &e);
}

static void test_one_at_a_time_without_pipelining(void **state)
{
	struct buf told;
	struct pop3_client *c = client(&told);

	(void)state;
	queue(c, POP3_RETR, 1, NULL);
	queue(c, POP3_RETR, 2, NULL);
	expect_out(c, "RETR 1\r\n");
	assert_int_equal(feed(c, "+OK\r\nx\r\n.\r\n"), 0);
	expect_out(c, "RETR 2\r\n");
	assert_int_equal(feed(c, "-ERR gone\r\n"), 0);
	assert_string_equal(buf_str(&told), "+1:|x\r\nE1|-2:gone|");
	pop3_client_free(&c);
	buf_free(&told);
}

static void test_many_at_once_with_pipelining(void **state)
{
	struct buf told;
	struct pop3_client *c = client(&told);

	(void)state;
	pop3_client_set_pipelining(c, true);
	for (uint32_t i = 1; i <= 3000; i++)
		queue(c, POP3_DELE, i, NULL);
	assert_int_equal(pop3_client_outstanding(c), POP3_WINDOW);
	assert_int_equal(pop3_client_queued(c), 3000 - POP3_WINDOW);
	for (uint32_t i = 1; i <= 3000; i++)
		assert_int_equal(feed(c, "+OK\r\n"), 0);
	assert_int_equal(pop3_client_outstanding(c) + pop3_client_queued(c), 0);
	pop3_client_free(&c);
	buf_free(&told);
}

/* A change of state is waited for: real servers hand over to another program there, and lose what came early. */
static void test_user_and_password_travel_alone(void **state)
{
	struct buf told;
	struct pop3_client *c = client(&told);

	(void)state;
	pop3_client_set_pipelining(c, true);
	queue(c, POP3_CAPA, 0, NULL);
	queue(c, POP3_USER, 0, "u");
	queue(c, POP3_PASS, 0, "p");
	queue(c, POP3_UIDL, 0, NULL);
	queue(c, POP3_LIST, 0, NULL);
	expect_out(c, "CAPA\r\n");
	assert_int_equal(feed(c, "+OK\r\n.\r\n"), 0);
	expect_out(c, "USER u\r\n");
	assert_int_equal(feed(c, "+OK\r\n"), 0);
	expect_out(c, "PASS p\r\n");
	assert_false(pop3_client_in_pipeline(c) || pop3_client_has_pipelined(c));
	assert_int_equal(feed(c, "+OK in\r\n"), 0);
	expect_out(c, "UIDL\r\nLIST\r\n");
	pop3_client_free(&c);
	buf_free(&told);
}

/* Of which silence pipelining may be the cause: of one that comes before a reply, if the command had company. */
static void test_what_pipelining_may_be_to_blame_for(void **state)
{
	static const struct {
		const char *in;
		bool due, blamed;
	} rows[] = {
	    {"", true, true},          {"+O", false, false},
	    {"+OK\r\n", false, false}, {"+OK\r\n.\r\n", true, true},
	    {"-ERR\r\n", true, true},  {"-ERR\r\n+OK\r\n.\r\n", false, false},
	};

	(void)state;
	for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
		struct buf told;
		struct pop3_client *c = client(&told);

		pop3_client_set_pipelining(c, true);
		queue(c, POP3_UIDL, 0, NULL);
		queue(c, POP3_LIST, 0, NULL);
		assert_int_equal(feed(c, rows[i].in), 0);
		assert_int_equal(pop3_client_awaits_reply(c), rows[i].due);
		assert_int_equal(pop3_client_in_pipeline(c), rows[i].blamed);
		assert_true(pop3_client_has_pipelined(c));
		pop3_client_free(&c);
		buf_free(&told);
	}
}

static void test_empty_lines_before_a_reply(void **state)
{
	struct buf told, many;
	struct pop3_client *c = client(&told);

	(void)state;
	buf_init(&many, 1000);
	queue(c, POP3_LIST, 0, NULL);
	queue(c, POP3_RETR, 1, NULL);
	assert_int_equal(feed(c, "\r\n\n \t\r\n+OK\r\n\r\n1 2\r\n\r\n.\r\n\r\n+OK\r\n\r\nx\r\n.\r\n\r\n"), 0);
	assert_string_equal(buf_str(&told), "+0:|L|L1 2|L|E0|+1:|\r\nx\r\nE1|");
	for (int i = 0; i < POP3_BLANK_MAX; i++)
		buf_add_str(&many, "\r\n");
	queue(c, POP3_DELE, 1, NULL);
	assert_int_equal(pop3_client_feed(c, slice_sub(buf_slice(&many), 2, many.n), &(struct err){0}), 0);
	assert_int_equal(feed(c, "+OK\r\n"), 0);
	queue(c, POP3_DELE, 2, NULL);
	assert_int_equal(feed(c, buf_str(&many)), 0);
	assert_int_equal(feed(c, "\r\n"), -1);
	pop3_client_free(&c);
	buf_free(&told);
	buf_free(&many);
}

static void test_nothing_travels_behind_auth_and_quit(void **state)
{
	struct buf told;
	struct pop3_client *c = client(&told);

	(void)state;
	pop3_client_set_pipelining(c, true);
	queue(c, POP3_AUTH_PLAIN, 0, "AHUAcA==");
	queue(c, POP3_UIDL, 0, NULL);
	queue(c, POP3_QUIT, 0, NULL);
	queue(c, POP3_CAPA, 0, NULL);
	expect_out(c, "AUTH PLAIN\r\n");
	assert_int_equal(feed(c, "+ \r\n"), 0);
	expect_out(c, "AHUAcA==\r\n");
	assert_int_equal(feed(c, "+OK in\r\n"), 0);
	expect_out(c, "UIDL\r\nQUIT\r\n");
	pop3_client_free(&c);
	buf_free(&told);
}

static void test_auth_plain_waits_for_its_turn(void **state)
{
	struct buf told;
	struct pop3_client *c = client(&told);

	(void)state;
	queue(c, POP3_AUTH_PLAIN, 0, "AHUAcA==");
	expect_out(c, "AUTH PLAIN\r\n");
	assert_int_equal(feed(c, "+ \r\n"), 0);
	expect_out(c, "AHUAcA==\r\n");
	assert_int_equal(feed(c, "+ again\r\n"), -1);
	pop3_client_free(&c);
	buf_free(&told);
}

/* Whatever the pieces, the events are the same; and no end before the last byte. */
static void test_cut_at_any_byte_is_not_received(void **state)
{
	static const char reply[] = "+OK 3 octets\r\nA: b\r\n\r\n..dot\r\nbare\n.\nx\r\n.\r\n";
	static const char want[] = "+7:3 octets|A: b\r\n\r\n.dot\r\nbare\n.\nx\r\nE7|";

	(void)state;
	for (size_t cut = 0; cut <= sizeof reply - 1; cut++) {
		struct buf told;
		struct pop3_client *c = client(&told);
		struct err e;

		queue(c, POP3_RETR, 7, NULL);
		assert_int_equal(pop3_client_feed(c, slice_make(reply, cut), &e), 0);
		assert_int_equal(strstr(buf_str(&told), "E7|") != NULL, cut == sizeof reply - 1);
		assert_int_equal(pop3_client_feed(c, slice_make(reply + cut, sizeof reply - 1 - cut), &e), 0);
		assert_string_equal(buf_str(&told), want);
		pop3_client_free(&c);
		buf_free(&told);
	}
}

static void test_listing_ends_at_its_dot_alone(void **state)
{
	struct buf told;
	struct pop3_client *c = client(&told);

	(void)state;
	queue(c, POP3_UIDL, 0, NULL);
	assert_int_equal(feed(c, "+OK\r\n1 a\r\n2 b\r\n.\n..x\r\n.\r"), 0);
	assert_string_equal(buf_str(&told), "+0:|L1 a|L2 b|L|L.x|");
	assert_int_equal(feed(c, "\n"), 0);
	assert_non_null(strstr(buf_str(&told), "E0|"));
	pop3_client_free(&c);
	buf_free(&told);
}

static void test_lies_end_the_conversation(void **state)
{
	static char longest[POP3_LINE_MAX + 10];
	const char *const lies[] = {"garbage\r\n", "* OK imap\r\n", "..\r\n", longest};

	(void)state;
	memset(longest, 'x', sizeof longest - 1);
	for (size_t i = 0; i < sizeof lies / sizeof lies[0]; i++) {
		struct buf told;
		struct pop3_client *c = client(&told);

		queue(c, POP3_LIST, 0, NULL);
		assert_int_equal(feed(c, lies[i]), -1);
		assert_int_equal(feed(c, "+OK\r\n"), 0);
		assert_int_equal(told.n, 0);
		pop3_client_free(&c);
		buf_free(&told);
	}
	struct buf told;
	struct pop3_client *c = client(&told);
	assert_int_equal(feed(c, "+OK nobody asked\r\n"), -1);
	pop3_client_free(&c);
	buf_free(&told);
}

static void test_refusals_are_told_apart(void **state)
{
	static const struct {
		const char *text;
		enum pop3_refusal want;
	} rows[] = {
	    {"-ERR [IN-USE] locked", POP3_LATER},
	    {"[LOGIN-DELAY] wait", POP3_LATER},
	    {"[SYS/TEMP] x", POP3_LATER},
	    {"[AUTH] wrong password", POP3_WRONG},
	    {"[SYS/PERM] gone", POP3_UNCLEAR},
	    {"mailbox is locked by another", POP3_LATER},
	    {"invalid user or password", POP3_UNCLEAR},
	    {"", POP3_UNCLEAR},
	    /* Gmail */
	    {"[AUTH] Username and password not accepted.", POP3_WRONG},
	    {"[AUTH] Application-specific password required: https://support.google.com/accounts/answer/185833",
	     POP3_WRONG},
	    {"[SYS/PERM] Your account is not enabled for POP access. Please visit your Gmail settings page and enable "
	     "your "
	     "account for POP access.",
	     POP3_WRONG},
	    {"Web login required: https://support.google.com/mail/answer/78754", POP3_WRONG},
	    {"Account exceeded command or bandwidth limits. Learn more at https://support.google.com/mail", POP3_LATER},
	    {"[SYS/TEMP] Temporary System Problem. Please try again later.", POP3_LATER},
	    /* Outlook, Exchange */
	    {"Exceeded the login limit for a 15 minute period. Reduce the frequency of requests to the POP3 server.",
	     POP3_LATER},
	    {"Logon failure: unknown user name or bad password.", POP3_UNCLEAR},
	    {"Authentication failure: unknown user name or bad password.", POP3_UNCLEAR},
	    {"Server Unavailable. 21", POP3_LATER},
	    {"Service not available.", POP3_LATER},
	    {"Your account has been blocked.", POP3_WRONG},
	    {"Account is blocked. Sign in on the web to unblock it.", POP3_WRONG},
	    {"Basic Authentication is disabled.", POP3_WRONG},
	    /* Yandex, Mail.ru */
	    {"[AUTH] login failure or POP3 disabled, try later. sc=xYzAbC12", POP3_WRONG},
	    {"login failure or POP3 disabled, try later", POP3_UNCLEAR},
	    {"[SYS/PERM] This user does not have access to this service", POP3_WRONG},
	    {"NEOBHODIM parol prilozheniya https://help.mail.ru/mail/security/protection/external / Application "
	     "password is "
	     "REQUIRED",
	     POP3_WRONG},
	    {"Ваш ящик заблокирован", POP3_WRONG},
	    /* QQ, 163 */
	    {"Login fail. Account is abnormal, service is not open, password is incorrect, login frequency limited, or "
	     "system is busy. More information at https://service.mail.qq.com/detail/0/1053",
	     POP3_UNCLEAR},
	    {"Login fail. Please using authorized code to login. More information at http://service.mail.qq.com/",
	     POP3_UNCLEAR},
	    {"ERR.LOGIN.REQCODE", POP3_WRONG},
	    {"ERR.LOGIN.PASSERR", POP3_WRONG},
	    {"您没有权限使用pop3功能", POP3_UNCLEAR},
	    /* GMX, web.de, T-Online, OVH */
	    {"[LOGIN-DELAY] minimum time between mail checks violation", POP3_LATER},
	    {"minimum time between mail checks violation", POP3_LATER},
	    {"POP3 ist nicht aktiviert", POP3_WRONG},
	    {"Zu viele Verbindungen", POP3_LATER},
	    /* Yahoo, AOL */
	    {"[AUTH] (#MBR1212) Incorrect username or password. (#AUTHFAILURE)", POP3_WRONG},
	    {"[SYS/TEMP] Server error - Please try again later.", POP3_LATER},
	    {"(#AUTH999) Server error, please try later.", POP3_LATER},
	    {"(#AUTH012) Incorrect username or password.", POP3_UNCLEAR},
	    /* Dovecot, Courier, Cyrus, Zimbra, qmail, MDaemon, hMailServer */
	    {"[SYS/TEMP] Temporary authentication failure. [mx:2026-11-30]", POP3_LATER},
	    {"[IN-USE] Maximum number of connections from user+IP exceeded (mail_max_userip_connections=10)",
	     POP3_LATER},
	    {"[AUTH] Plaintext authentication disallowed on non-secure (SSL/TLS) connections.", POP3_WRONG},
	    {"Login failed.", POP3_UNCLEAR},
	    {"Temporary problem, please try again later", POP3_LATER},
	    {"[IN-USE] Unable to lock maildrop: Mailbox is locked by POP server", POP3_LATER},
	    {"[SYS/PERM] Unable to locate maildrop: Mailbox does not exist", POP3_WRONG},
	    {"invalid username/password", POP3_UNCLEAR},
	    {"pop access not enabled for account", POP3_WRONG},
	    {"authorization failed", POP3_UNCLEAR},
	    {"aack, child crashed", POP3_LATER},
	    {"maildrop already locked", POP3_LATER},
	    {"Your mailbox is already locked", POP3_LATER},
	    {"Sorry, this account is frozen", POP3_WRONG},
	    /* a while, or for good */
	    {"Your account is temporarily blocked, wait 30 minutes", POP3_LATER},
	    {"account is locked", POP3_WRONG},
	    {"Too many failed log-ins: this address is blocked for 10 minutes", POP3_LATER},
	    {"Too many invalid logon attempts.", POP3_UNCLEAR},
	};

	(void)state;
	for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++)
		if (pop3_reply_refusal(slice_of(rows[i].text), true) != rows[i].want)
			fail_msg("%s", rows[i].text);
	assert_non_null(strstr(pop3_reply_mend("pop.gmail.com", false), "app password"));
	assert_null(strstr(pop3_reply_mend("pop.notgmail.com", false), "Gmail"));
}

static void test_too_many_connections(void **state)
{
	static const struct {
		const char *text;
		bool crowded, in_use;
	} rows[] = {
	    {"-ERR Too many connections from your address", true, false},
	    {"-ERR [IN-USE] Maximum number of connections from user+IP exceeded (mail_max_userip_connections=10)", true,
	     true},
	    {"421 4.7.0 come back later", true, false},
	    {"-ERR 421 too busy", true, false},
	    {"-ERR too many concurrent sessions", true, false},
	    {"-ERR [IN-USE] mailbox", false, true},
	    {"-ERR maildrop already locked", false, true},
	    {"-ERR your account is locked", false, false},
	    {"-ERR [AUTH] no", false, false},
	    {"", false, false},
	};

	(void)state;
	for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
		assert_int_equal(pop3_reply_crowded(slice_of(rows[i].text)), rows[i].crowded);
		assert_int_equal(pop3_reply_in_use(slice_of(rows[i].text)), rows[i].in_use);
	}
}

static void test_a_refused_tokens_challenge(void **state)
{
	static const struct {
		const char *reply, *json;
		int status;
	} rows[] = {
	    {"+ eyJzdGF0dXMiOiI0MDEiLCJzY2hlbWVzIjoiQmVhcmVyIn0=", "{\"status\":\"401\",\"schemes\":\"Bearer\"}", 401},
	    {"+ eyJzdGF0dXMiOiA1MDB9", "{\"status\": 500}", 500},
	    {"+ eyJlcnJvciI6ImludmFsaWRfdG9rZW4ifQ==", "{\"error\":\"invalid_token\"}", 0},
	    {"+ VXNlcm5hbWU6", "", -1},
	    {"+ ", "", -1},
	    {"+", "", -1},
	    {"+OK", "", -1},
	    {"-ERR eyJzdGF0dXMiOiA1MDB9", "", -1},
	    {"+ !!!!", "", -1},
	    {"", "", -1},
	};

	(void)state;
	for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
		struct buf out;

		buf_init(&out, 1000);
		assert_int_equal(pop3_reply_challenge(slice_of(rows[i].reply), &out), rows[i].status);
		assert_string_equal(buf_str(&out), rows[i].json);
		buf_free(&out);
	}
	assert_null(strstr(pop3_reply_token_mend(false), "app password"));
}

static void test_capabilities_of_the_last_reply_count(void **state)
{
	struct pop3_caps caps;

	(void)state;
	pop3_caps_transcript(
	    &caps, "+OK hi\n+OK\nTOP\nSTLS\n.\n+OK\nPIPELINING\nUIDL\nSASL LOGIN PLAIN\nLOGIN-DELAY 900\n.\n");
	assert_true(caps.known && caps.pipelining && caps.uidl && caps.sasl_plain);
	assert_false(caps.top || caps.user);
	assert_int_equal(caps.login_delay, 900);
	pop3_caps_transcript(&caps, "+OK hi\n-ERR what\n");
	assert_false(caps.known || caps.pipelining);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(test_one_at_a_time_without_pipelining),
	    cmocka_unit_test(test_many_at_once_with_pipelining),
	    cmocka_unit_test(test_user_and_password_travel_alone),
	    cmocka_unit_test(test_what_pipelining_may_be_to_blame_for),
	    cmocka_unit_test(test_empty_lines_before_a_reply),
	    cmocka_unit_test(test_nothing_travels_behind_auth_and_quit),
	    cmocka_unit_test(test_auth_plain_waits_for_its_turn),
	    cmocka_unit_test(test_cut_at_any_byte_is_not_received),
	    cmocka_unit_test(test_listing_ends_at_its_dot_alone),
	    cmocka_unit_test(test_lies_end_the_conversation),
	    cmocka_unit_test(test_refusals_are_told_apart),
	    cmocka_unit_test(test_too_many_connections),
	    cmocka_unit_test(test_a_refused_tokens_challenge),
	    cmocka_unit_test(test_capabilities_of_the_last_reply_count),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
