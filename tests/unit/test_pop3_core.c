#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "base/alloc.h"
#include "pop3/core.h"

#include <stdlib.h>
#include <string.h>

/* A core with a mailbox of three messages, its wishes fulfilled like a session does, all output gathered. */
struct peer {
	struct pop3_core core;
	struct maildir_list list;
	struct buf got;
	enum pop3_step last;
	char user[64], password[64];
	size_t password_len;
	enum pop3_login verdict;
	bool commit_ok, committed;
	unsigned retrs, tls;
	int64_t top;
};

static const struct pop3_offer open_offer = {.stls = true, .login = true, .expire = -1};

static struct maildir_entry entries[] = {
    {.name = (char *)"1700000000.00112233445566778899,S=100", .size = 100, .ours = true},
    {.name = (char *)"1700000001.00112233445566778899,S=200:2,S", .size = 200, .ours = true},
    {.name = (char *)"1700000002.M1P2.host", .size = 300},
};

static struct peer *peer_new(const struct pop3_offer *offer)
{
	struct peer *p = xcalloc(1, sizeof *p);

	p->list = (struct maildir_list){entries, 3, 600, NULL};
	p->commit_ok = true;
	pop3_core_init(&p->core, offer);
	buf_init(&p->got, 64 << 20);
	return p;
}

static void peer_free(struct peer *p)
{
	pop3_core_free(&p->core);
	buf_free(&p->got);
	free(p);
}

static void fulfil(struct peer *p, struct buf *out)
{
	if (p->last == POP3_WANTS_LOGIN) {
		snprintf(p->user, sizeof p->user, "%s", p->core.login_user);
		p->password_len = p->core.login_password_len;
		memcpy(p->password, p->core.login_password, p->password_len < 64 ? p->password_len : 63);
		pop3_core_login(&p->core, p->verdict, p->verdict == POP3_LOGIN_OK ? &p->list : NULL, 90, out);
	} else if (p->last == POP3_WANTS_MESSAGE) {
		p->retrs++;
		p->top = p->core.top;
		buf_add_str(out, "+OK\r\ntext\r\n.\r\n");
		pop3_core_sent(&p->core);
	} else if (p->last == POP3_WANTS_COMMIT) {
		p->committed = true;
		pop3_core_committed(&p->core, p->commit_ok, out);
	}
}

/* Feeds text, `step` bytes at a time. */
static void feed(struct peer *p, const char *text, size_t n, size_t step)
{
	struct buf out;

	buf_init(&out, POP3_OUT_MAX);
	for (size_t at = 0; at < n; at += step) {
		struct slice in = slice_sub(slice_make(text, n), at, step);

		do {
			p->last = pop3_core_run(&p->core, &in, &out);
			fulfil(p, &out);
			assert_true(buf_add_slice(&p->got, buf_slice(&out)));
			buf_clear(&out);
		} while (p->last != POP3_WANTS_INPUT && p->last != POP3_WANTS_CLOSE && p->last != POP3_WANTS_TLS);
		if (p->last != POP3_WANTS_INPUT)
			break;
	}
	buf_free(&out);
}

static void expect(struct peer *p, const char *send, const char *want)
{
	buf_clear(&p->got);
	feed(p, send, strlen(send), strlen(send));
	assert_string_equal(buf_str(&p->got), want);
}

static struct peer *logged_in(void)
{
	struct peer *p = peer_new(&open_offer);

	expect(p, "USER anna\r\nPASS secret\r\n", "+OK Password?\r\n+OK 3 messages (600 octets)\r\n");
	return p;
}

#define NOT_AFTER "-ERR Not after log-in\r\n"
#define FIRST "-ERR Log in first\r\n"
#define NO_SUCH "-ERR No such message\r\n"
#define MALFORMED "-ERR Malformed authentication data\r\n"

static void test_states(void **state)
{
	struct peer *p = peer_new(&open_offer);

	(void)state;
	expect(p, "STAT\r\nLIST\r\nRETR 1\r\nDELE 1\r\nTOP 1 1\r\nUIDL\r\nRSET\r\nNOOP\r\n",
	       FIRST FIRST FIRST FIRST FIRST FIRST FIRST FIRST);
	expect(p, "PASS x\r\n", "-ERR USER comes first\r\n");
	expect(p, "APOP anna c4c9334bac560ecc979e58001b3e22fb\r\n", "-ERR Unknown command\r\n");
	expect(p, "\r\n", "-ERR Unknown command\r\n");
	expect(p, "QUIT\r\n", "+OK Bye\r\n");
	assert_int_equal(p->last, POP3_WANTS_CLOSE);
	assert_false(p->committed);
	peer_free(p);
	p = logged_in();
	expect(p, "USER x\r\nPASS y\r\nAUTH\r\nSTLS\r\n", NOT_AFTER NOT_AFTER NOT_AFTER NOT_AFTER);
	expect(p, "noop\r\nNoOp x\r\n", "+OK\r\n-ERR This command takes no argument\r\n");
	peer_free(p);
}

static void test_passwords_keep_their_spaces(void **state)
{
	static const struct {
		const char *line, *password;
	} t[] = {{"PASS a b", "a b"}, {"PASS  a ", " a "}, {"PASS ", ""}, {"PASS", ""}, {"pass \xd0\xbf", "\xd0\xbf"}};

	(void)state;
	for (size_t i = 0; i < sizeof t / sizeof *t; i++) {
		struct peer *p = peer_new(&open_offer);
		char line[64];

		snprintf(line, sizeof line, "USER Anna@Office.lan\r\n%s\r\n", t[i].line);
		expect(p, line, "+OK Password?\r\n+OK 3 messages (600 octets)\r\n");
		assert_string_equal(p->user, "Anna@Office.lan");
		assert_string_equal(p->password, t[i].password);
		peer_free(p);
	}
}

static void test_refusals(void **state)
{
	struct peer *p = peer_new(&open_offer);

	(void)state;
	p->verdict = POP3_LOGIN_WRONG;
	expect(p, "USER a\r\nPASS b\r\nPASS c\r\n",
	       "+OK Password?\r\n-ERR [AUTH] Wrong user name or password\r\n-ERR USER comes first\r\n");
	p->verdict = POP3_LOGIN_IN_USE;
	expect(p, "USER a\r\nPASS b\r\n", "+OK Password?\r\n-ERR [IN-USE] Another session has this mailbox open\r\n");
	p->verdict = POP3_LOGIN_TEMP;
	expect(p, "USER a\r\nPASS b\r\n",
	       "+OK Password?\r\n-ERR [SYS/TEMP] The mailbox cannot be opened now, try later\r\n");
	p->verdict = POP3_LOGIN_OK;
	expect(p, "USER a\r\nPASS b\r\n", "+OK Password?\r\n+OK 3 messages (600 octets)\r\n");
	peer_free(p);
}

static void test_sasl(void **state)
{
	static const struct {
		const char *send, *want, *user, *password;
	} t[] = {
	    {"AUTH\r\n", "+OK Mechanisms follow\r\nPLAIN\r\nLOGIN\r\n.\r\n", "", ""},
	    {"AUTH \r\n", "+OK Mechanisms follow\r\nPLAIN\r\nLOGIN\r\n.\r\n", "", ""},
	    {"AUTH PLAIN AGFubmEAc2VjcmV0\r\n", "+OK 3 messages (600 octets)\r\n", "anna", "secret"},
	    {"auth plain\r\nAGFubmEAc2VjcmV0\r\n", "+ \r\n+OK 3 messages (600 octets)\r\n", "anna", "secret"},
	    {"AUTH PLAIN YW5uYQBhbm5hAHNlY3JldA==\r\n", "+OK 3 messages (600 octets)\r\n", "anna", "secret"},
	    {"AUTH PLAIN Ym9zcwBhbm5hAHNlY3JldA==\r\n", MALFORMED, "", ""}, /* boss NUL anna NUL secret */
	    {"AUTH PLAIN\r\n*\r\n", "+ \r\n-ERR Authentication cancelled\r\n", "", ""},
	    {"AUTH PLAIN =\r\n", MALFORMED, "", ""},
	    {"AUTH PLAIN !!!!\r\n", MALFORMED, "", ""},
	    {"AUTH PLAIN AGFubmEAc2VjcmV\r\n", MALFORMED, "", ""},
	    {"AUTH PLAIN AGFub=EAc2VjcmV0\r\n", MALFORMED, "", ""},
	    {"AUTH PLAIN\r\n\r\n", "+ \r\n" MALFORMED, "", ""},
	    {"AUTH LOGIN\r\nYW5uYQ==\r\nc2VjcmV0\r\n",
	     "+ VXNlcm5hbWU6\r\n+ UGFzc3dvcmQ6\r\n+OK 3 messages (600 octets)\r\n", "anna", "secret"},
	    {"AUTH LOGIN YW5uYQ==\r\nc2VjcmV0\r\n", "+ UGFzc3dvcmQ6\r\n+OK 3 messages (600 octets)\r\n", "anna",
	     "secret"},
	    {"AUTH LOGIN YW5uYQ==\r\n\r\n", "+ UGFzc3dvcmQ6\r\n+OK 3 messages (600 octets)\r\n", "anna", ""},
	    {"AUTH LOGIN YW5uYQ==\r\n*\r\nPASS x\r\n",
	     "+ UGFzc3dvcmQ6\r\n-ERR Authentication cancelled\r\n-ERR USER comes first\r\n", "", ""},
	    {"AUTH CRAM-MD5\r\n", "-ERR Unknown authentication mechanism\r\n", "", ""},
	};

	(void)state;
	for (size_t i = 0; i < sizeof t / sizeof *t; i++) {
		struct peer *p = peer_new(&open_offer);

		expect(p, t[i].send, t[i].want);
		assert_string_equal(p->user, t[i].user);
		assert_string_equal(p->password, t[i].password);
		peer_free(p);
	}
}

static void test_tls_first(void **state)
{
	const struct pop3_offer locked = {.stls = true, .login = false, .expire = 30, .expire_varies = true};
	struct peer *p = peer_new(&locked);

	(void)state;
	expect(p, "USER a\r\n", "-ERR Log-in needs TLS: STLS comes first\r\n");
	expect(p, "AUTH PLAIN\r\n", "-ERR Log-in needs TLS: STLS comes first\r\n");
	expect(p, "CAPA\r\n",
	       "+OK Capabilities follow\r\nTOP\r\nUIDL\r\nPIPELINING\r\nRESP-CODES\r\nAUTH-RESP-CODE\r\nSTLS\r\n"
	       "LOGIN-DELAY 0\r\nEXPIRE 30 USER\r\nIMPLEMENTATION ofmsrv\r\n.\r\n");
	/* What comes behind STLS is not looked at before the handshake. */
	expect(p, "STLS\r\nUSER a\r\n", "+OK Begin TLS\r\n");
	assert_int_equal(p->last, POP3_WANTS_TLS);
	pop3_core_secured(&p->core, &(struct pop3_offer){.stls = false, .login = true, .expire = -1});
	expect(p, "CAPA\r\nSTLS\r\n",
	       "+OK Capabilities follow\r\nTOP\r\nUIDL\r\nPIPELINING\r\nRESP-CODES\r\nAUTH-RESP-CODE\r\nUSER\r\n"
	       "SASL PLAIN LOGIN\r\nLOGIN-DELAY 0\r\nEXPIRE NEVER\r\nIMPLEMENTATION ofmsrv\r\n.\r\n"
	       "-ERR TLS is not available here\r\n");
	peer_free(p);
}

static void test_user_is_forgotten_by_tls(void **state)
{
	struct peer *p = peer_new(&open_offer);

	(void)state;
	expect(p, "USER anna\r\nSTLS\r\n", "+OK Password?\r\n+OK Begin TLS\r\n");
	pop3_core_secured(&p->core, &open_offer);
	expect(p, "PASS secret\r\n", "-ERR USER comes first\r\n");
	peer_free(p);
}

static void test_mailbox(void **state)
{
	struct peer *p = logged_in();

	(void)state;
	expect(p, "STAT\r\nLIST\r\nLIST 2\r\nUIDL\r\nUIDL 3\r\n",
	       "+OK 3 600\r\n+OK 3 messages (600 octets)\r\n1 100\r\n2 200\r\n3 300\r\n.\r\n+OK 2 200\r\n"
	       "+OK 3 messages (600 octets)\r\n1 1700000000.00112233445566778899\r\n"
	       "2 1700000001.00112233445566778899\r\n3 1700000002.M1P2.host\r\n.\r\n+OK 3 1700000002.M1P2.host\r\n");
	expect(p, "LIST 0\r\nLIST 4\r\nLIST -1\r\nLIST 4294967297\r\nLIST 1x\r\nRETR\r\nRETR 1 2\r\nDELE x\r\n",
	       NO_SUCH NO_SUCH NO_SUCH NO_SUCH NO_SUCH NO_SUCH NO_SUCH NO_SUCH);
	expect(p, "DELE 2\r\nDELE 2\r\nRETR 2\r\nSTAT\r\nLIST\r\n",
	       "+OK Marked as deleted\r\n-ERR This message is marked as deleted\r\n"
	       "-ERR This message is marked as deleted\r\n+OK 2 400\r\n+OK 2 messages (400 octets)\r\n"
	       "1 100\r\n3 300\r\n.\r\n");
	expect(p, "RSET\r\nSTAT\r\n", "+OK 3 messages (600 octets)\r\n+OK 3 600\r\n");
	expect(p, "RETR 1\r\nTOP 3 0\r\nTOP 3\r\nTOP 3 -1\r\nTOP 9 1\r\n",
	       "+OK\r\ntext\r\n.\r\n+OK\r\ntext\r\n.\r\n-ERR TOP needs a message and a number of lines\r\n"
	       "-ERR TOP needs a message and a number of lines\r\n" NO_SUCH);
	assert_int_equal(p->retrs, 2);
	assert_int_equal(p->top, 0);
	assert_int_equal(p->core.retrieved, 1);
	peer_free(p);
}

static void test_quit(void **state)
{
	struct peer *p = logged_in();

	(void)state;
	expect(p, "DELE 1\r\nRSET\r\nQUIT\r\nNOOP\r\n",
	       "+OK Marked as deleted\r\n+OK 3 messages (600 octets)\r\n+OK Bye\r\n");
	assert_false(p->committed);
	peer_free(p);
	p = logged_in();
	expect(p, "DELE 1\r\nDELE 3\r\nQUIT\r\n", "+OK Marked as deleted\r\n+OK Marked as deleted\r\n+OK Bye\r\n");
	assert_true(p->committed);
	assert_int_equal(pop3_core_deletions(&p->core), 2);
	assert_true(pop3_core_deleted(&p->core, 0) && !pop3_core_deleted(&p->core, 1) &&
	            pop3_core_deleted(&p->core, 2));
	peer_free(p);
	p = logged_in();
	p->commit_ok = false;
	expect(p, "DELE 1\r\nQUIT\r\n", "+OK Marked as deleted\r\n-ERR [SYS/TEMP] Not all deletions could be made\r\n");
	peer_free(p);
}

static void test_failed_message(void **state)
{
	struct peer *p = logged_in();
	struct slice in = slice_of("RETR 1\r\nNOOP\r\n");
	struct buf out;

	(void)state;
	buf_init(&out, POP3_OUT_MAX);
	assert_int_equal(pop3_core_run(&p->core, &in, &out), POP3_WANTS_MESSAGE);
	assert_int_equal(pop3_core_run(&p->core, &in, &out), POP3_WANTS_MESSAGE); /* nothing before the answer */
	assert_int_equal(in.n, 6);
	pop3_core_failed(&p->core, true, &out);
	assert_int_equal(pop3_core_run(&p->core, &in, &out), POP3_WANTS_INPUT);
	assert_string_equal(buf_str(&out), "-ERR This message was removed by another program\r\n+OK\r\n");
	buf_free(&out);
	peer_free(p);
}

static void test_any_split(void **state)
{
	static const char text[] = "USER anna\r\nPASS se cret\r\nSTAT\nLIST\r\nAUTH\r\nTOP 2 5\r\nDELE 1\r\nQUIT\r\n";
	struct peer *whole = peer_new(&open_offer);

	(void)state;
	feed(whole, text, strlen(text), strlen(text));
	assert_true(whole->committed);
	for (size_t step = 1; step < 12; step++) {
		struct peer *p = peer_new(&open_offer);

		feed(p, text, strlen(text), step);
		assert_string_equal(buf_str(&p->got), buf_str(&whole->got));
		peer_free(p);
	}
	peer_free(whole);
}

static void test_long_lines(void **state)
{
	static const size_t steps[] = {1, 7, 512, 100000};
	static char text[3000];

	(void)state;
	memset(text, 'x', sizeof text);
	memcpy(text, "USER ", 5);
	memcpy(text + 2990, "\r\nQUIT\r\n", 8);
	for (size_t i = 0; i < sizeof steps / sizeof *steps; i++) {
		struct peer *p = peer_new(&open_offer);

		feed(p, text, 2998, steps[i]);
		assert_string_equal(buf_str(&p->got), "-ERR Line too long\r\n+OK Bye\r\n");
		peer_free(p);
		p = peer_new(&open_offer);
		memcpy(text, "AUTH ", 5);
		feed(p, text, 2998, steps[i]);
		assert_string_equal(buf_str(&p->got), "-ERR Unknown authentication mechanism\r\n+OK Bye\r\n");
		peer_free(p);
		memcpy(text, "USER ", 5);
	}
}

static void test_endless_line(void **state)
{
	static const char *const before[] = {"", "USER a\r\nPASS b\r\n", "AUTH PLAIN\r\n", "AUTH "};
	char chunk[4096];

	(void)state;
	memset(chunk, 'A', sizeof chunk);
	for (size_t i = 0; i < sizeof before / sizeof *before; i++) {
		struct peer *p = peer_new(&open_offer);
		unsigned chunks = 0;

		feed(p, before[i], strlen(before[i]), 100);
		while (p->last == POP3_WANTS_INPUT && chunks++ < 100)
			feed(p, chunk, sizeof chunk, sizeof chunk);
		assert_int_equal(p->last, POP3_WANTS_CLOSE);
		assert_true(p->core.line.cap <= 2 * POP3_AUTH_MAX);
		peer_free(p);
	}
}

static void test_no_pop3_client(void **state)
{
	struct peer *p = peer_new(&open_offer);
	unsigned lines = 0;

	(void)state;
	do
		feed(p, "GET / HTTP/1.1\r\n", 16, 16);
	while (p->last == POP3_WANTS_INPUT && lines++ < 1000);
	assert_int_equal(p->last, POP3_WANTS_CLOSE);
	assert_int_equal(lines, POP3_BAD_MAX - 1);
	peer_free(p);
	p = peer_new(&open_offer);
	feed(p, "US\0ER x\r\nUSER a\0b\r\n", 19, 19);
	assert_string_equal(buf_str(&p->got), "-ERR Unknown command\r\n-ERR Unknown command\r\n");
	peer_free(p);
}

static void test_big_listing_comes_in_pieces(void **state)
{
	enum { MANY = 20000 };
	struct maildir_list list = {xcalloc(MANY, sizeof *list.v), MANY, 0, NULL};
	struct peer *p = peer_new(&open_offer);
	struct slice in = slice_of("UIDL\r\nLIST\r\nNOOP\r\n");
	struct buf out;
	size_t total = 0, runs = 0;
	enum pop3_step s;

	(void)state;
	for (size_t i = 0; i < MANY; i++)
		list.v[i] = entries[0];
	p->list = list;
	feed(p, "USER a\r\nPASS b\r\n", 16, 16);
	buf_init(&out, POP3_OUT_MAX);
	do {
		s = pop3_core_run(&p->core, &in, &out);
		assert_true(out.n < POP3_OUT_MAX);
		total += out.n;
		runs++;
		buf_clear(&out);
	} while (s == POP3_WANTS_OUTPUT);
	assert_int_equal(s, POP3_WANTS_INPUT);
	assert_true(runs > 50);
	assert_true(total > MANY * 40);
	buf_free(&out);
	peer_free(p);
	free(list.v);
}

/* What a reload takes away is not there any more, in the midst of a log-in too. */
static void test_offer_changes(void **state)
{
	struct pop3_offer now = {.stls = false, .login = true, .expire = -1};
	struct peer *p = peer_new(&open_offer);

	(void)state;
	pop3_core_offer(&p->core, &now);
	expect(p, "STLS\r\n", "-ERR TLS is not available here\r\n");
	expect(p, "USER anna\r\nAUTH PLAIN\r\n", "+OK Password?\r\n+ \r\n");
	now.login = false;
	pop3_core_offer(&p->core, &now);
	expect(p, "AGFubmEAc2VjcmV0\r\n", "-ERR Log-in needs TLS\r\n");
	assert_string_equal(p->user, "");
	now.login = true;
	pop3_core_offer(&p->core, &now);
	expect(p, "USER anna\r\n", "+OK Password?\r\n");
	now.login = false;
	pop3_core_offer(&p->core, &now);
	expect(p, "PASS secret\r\n", "-ERR Log-in needs TLS\r\n");
	assert_string_equal(p->user, "");
	now.login = now.stls = true;
	pop3_core_offer(&p->core, &now);
	expect(p, "PASS secret\r\nSTLS\r\n", "+OK 3 messages (600 octets)\r\n" NOT_AFTER);
	peer_free(p);
}

static void test_banned(void **state)
{
	struct peer *p = peer_new(&open_offer);

	(void)state;
	p->verdict = POP3_LOGIN_BANNED;
	expect(p, "USER anna\r\nPASS secret\r\n",
	       "+OK Password?\r\n"
	       "-ERR [SYS/TEMP] Too many failed log-ins from your address, try in some minutes\r\n");
	peer_free(p);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(test_states),         cmocka_unit_test(test_passwords_keep_their_spaces),
	    cmocka_unit_test(test_refusals),       cmocka_unit_test(test_sasl),
	    cmocka_unit_test(test_tls_first),      cmocka_unit_test(test_user_is_forgotten_by_tls),
	    cmocka_unit_test(test_mailbox),        cmocka_unit_test(test_quit),
	    cmocka_unit_test(test_failed_message), cmocka_unit_test(test_any_split),
	    cmocka_unit_test(test_long_lines),     cmocka_unit_test(test_endless_line),
	    cmocka_unit_test(test_offer_changes),  cmocka_unit_test(test_banned),
	    cmocka_unit_test(test_no_pop3_client), cmocka_unit_test(test_big_listing_comes_in_pieces),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
