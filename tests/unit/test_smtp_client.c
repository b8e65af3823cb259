/* The SMTP client without a server: scripts of replies against what it writes and how recipients end. */
#include "base/alloc.h"
#include "send/smtp_client.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

enum { LINES = 1, PIPE = 2, CHUNK = 4 };

struct rig {
	struct smtp_client *c;
	char ended[4096]; /* one letter a recipient, one word a transaction, in order of finishing */
	bool by_data;     /* of the newest that finished */
	size_t most;
};

static void finished(void *arg, struct smtp_transaction *t)
{
	static const char letters[] = "paDdRS~?LUN"; /* by fate: pending accepted Delivered deferred Refused Split
	                                                slowed doubtful Login … uNknown */
	struct rig *r = arg;
	size_t n = strlen(r->ended);

	for (size_t i = 0; i < t->n; i++)
		r->ended[n++] = letters[t->results[i].fate];
	r->ended[n++] = ' ';
	r->ended[n] = '\0';
	r->by_data = t->by_data;
	r->most = t->most;
	smtp_transaction_free(&t);
}

static const struct smtp_client_events events = {finished};

static void rig_up(struct rig *r, unsigned offers)
{
	struct smtp_caps caps = {.pipelining = (offers & PIPE) != 0, .chunking = (offers & CHUNK) != 0};

	memset(r, 0, sizeof *r);
	r->c = smtp_client_new(&events, r);
	smtp_client_start(r->c, &caps);
}

static void rig_down(struct rig *r)
{
	smtp_client_lost(r->c, "gone");
	smtp_client_free(&r->c);
}

/* n recipients r0@x r1@x …; 5 bytes of message. */
static struct smtp_transaction *message(size_t n)
{
	static const char *const names[] = {"r0@x", "r1@x", "r2@x", "r3@x"};
	struct smtp_transaction *t = smtp_transaction_new(n);

	t->sender = "s@x";
	t->size = 5;
	for (size_t i = 0; i < n; i++)
		t->recipients[i] = names[i];
	return t;
}

static void feed_body(struct rig *r)
{
	assert_non_null(smtp_client_feeding(r->c));
	assert_true(smtp_client_body(r->c, slice_of(".hi\r\n")));
	smtp_client_body_end(r->c);
}

static void begin(struct rig *r, size_t n)
{
	assert_true(smtp_client_ready(r->c));
	smtp_client_begin(r->c, message(n));
}

static void wrote(struct rig *r, const char *expected)
{
	assert_string_equal(buf_str(smtp_client_out(r->c)), expected);
	buf_clear(smtp_client_out(r->c));
}

static bool says(struct rig *r, const char *text)
{
	return smtp_client_input(r->c, slice_of(text));
}

static void lock_step(void **state)
{
	struct rig r;

	(void)state;
	rig_up(&r, LINES);
	begin(&r, 2);
	wrote(&r, "MAIL FROM:<s@x>\r\n");
	assert_false(smtp_client_ready(r.c));
	assert_true(says(&r, "250 ok\r\n"));
	wrote(&r, "RCPT TO:<r0@x>\r\n");
	assert_true(says(&r, "550 5.1.1 no\r\n"));
	wrote(&r, "RCPT TO:<r1@x>\r\n");
	assert_true(says(&r, "25"));
	assert_true(says(&r, "0-a\r\n250 b\r\n"));
	wrote(&r, "DATA\r\n");
	assert_null(smtp_client_feeding(r.c));
	assert_true(says(&r, "354 go\r\n"));
	feed_body(&r);
	wrote(&r, "..hi\r\n.\r\n");
	assert_false(smtp_client_ready(r.c));
	assert_true(says(&r, "250 2.0.0 queued\r\n"));
	assert_string_equal(r.ended, "RD ");
	begin(&r, 1);
	wrote(&r, "MAIL FROM:<s@x>\r\n");
	assert_true(says(&r, "452 later\r\n"));
	assert_string_equal(r.ended, "RD d ");
	begin(&r, 1);
	assert_true(says(&r, "250 ok\r\n550 no\r\n"));
	assert_string_equal(r.ended, "RD d R ");
	buf_clear(smtp_client_out(r.c));
	begin(&r, 1); /* the refused one is still open there */
	wrote(&r, "RSET\r\nMAIL FROM:<s@x>\r\n");
	rig_down(&r);
	assert_string_equal(r.ended, "RD d R U ");
}

static void pipelined_data(void **state)
{
	struct rig r;

	(void)state;
	rig_up(&r, PIPE);
	begin(&r, 3);
	wrote(&r, "MAIL FROM:<s@x>\r\nRCPT TO:<r0@x>\r\nRCPT TO:<r1@x>\r\nRCPT TO:<r2@x>\r\nDATA\r\n");
	assert_true(says(&r, "250 a\r\n250 b\r\n450 4.2.1 c\r\n550 d\r\n354 e\r\n"));
	feed_body(&r);
	begin(&r, 1); /* travels behind the dot */
	wrote(&r, "..hi\r\n.\r\nMAIL FROM:<s@x>\r\nRCPT TO:<r0@x>\r\nDATA\r\n");
	assert_false(smtp_client_ready(r.c));
	assert_true(says(&r, "250 ok\r\n"));
	assert_string_equal(r.ended, "DdR ");
	assert_true(says(&r, "250 ok\r\n250 ok\r\n354 ok\r\n"));
	feed_body(&r);
	assert_true(says(&r, "554 spam\r\n"));
	assert_string_equal(r.ended, "DdR R ");
	rig_down(&r);
}

static void pipelined_data_all_refused(void **state)
{
	struct rig r;

	(void)state;
	rig_up(&r, PIPE);
	begin(&r, 2);
	buf_clear(smtp_client_out(r.c));
	assert_true(says(&r, "250 a\r\n550 b\r\n451 c\r\n354 d\r\n"));
	assert_null(smtp_client_feeding(r.c));
	wrote(&r, ".\r\n");
	begin(&r, 1);
	wrote(&r, "RSET\r\nMAIL FROM:<s@x>\r\nRCPT TO:<r0@x>\r\nDATA\r\n");
	assert_true(says(&r, "250 swallowed\r\n"));
	assert_string_equal(r.ended, "Rd ");
	assert_true(says(&r, "250 reset\r\n250 a\r\n550 b\r\n503 none\r\n"));
	assert_string_equal(r.ended, "Rd R ");
	rig_down(&r);
}

static void chunking(void **state)
{
	struct rig r;
	size_t n = 0;

	(void)state;
	rig_up(&r, PIPE | CHUNK);
	while (smtp_client_ready(r.c)) {
		begin(&r, 1);
		feed_body(&r);
		if (n++ == 0)
			wrote(&r, "MAIL FROM:<s@x>\r\nRCPT TO:<r0@x>\r\nBDAT 5 LAST\r\n.hi\r\n");
		else
			wrote(&r, "RSET\r\nMAIL FROM:<s@x>\r\nRCPT TO:<r0@x>\r\nBDAT 5 LAST\r\n.hi\r\n");
	}
	assert_int_equal(n, SMTP_CLIENT_WINDOW);
	/* A refused RCPT makes its own BDAT fail, not the next transaction. */
	assert_true(says(&r, "250 a\r\n550 5.1.1 b\r\n554 5.5.1 no valid recipients\r\n"));
	assert_string_equal(r.ended, "R ");
	assert_true(says(&r, "250 reset\r\n250 a\r\n250 b\r\n250 c\r\n"));
	assert_string_equal(r.ended, "R D ");
	assert_true(says(&r, "250 reset\r\n250 a\r\n250 b\r\n451 c\r\n"));
	assert_string_equal(r.ended, "R D d ");
	assert_int_equal(smtp_client_unfinished(r.c), SMTP_CLIENT_WINDOW - 3);
	smtp_client_lost(r.c, "gone");
	assert_string_equal(r.ended, "R D d N N N N N N N N N N N N N N N N N ");
	rig_down(&r);
}

static void chunking_refused_mail(void **state)
{
	struct rig r;

	(void)state;
	rig_up(&r, PIPE | CHUNK);
	begin(&r, 2);
	feed_body(&r);
	assert_true(says(&r, "550 5.7.1 not you\r\n503 a\r\n503 b\r\n503 c\r\n"));
	assert_string_equal(r.ended, "RR ");
	assert_true(smtp_client_ready(r.c));
	rig_down(&r);
}

static void careful_takes_one(void **state)
{
	struct rig r;

	(void)state;
	rig_up(&r, PIPE | CHUNK);
	smtp_client_be_careful(r.c, true);
	begin(&r, 1);
	feed_body(&r);
	assert_false(smtp_client_ready(r.c));
	rig_down(&r);
	assert_string_equal(r.ended, "N ");
}

static void too_many_recipients(void **state)
{
	static const struct {
		const char *replies, *ended;
	} rows[] = {
	    {"250 a\r\n250 b\r\n452 4.5.3 many\r\n552 5.5.3 many\r\n250 ok\r\n", "DSS "},
	    {"250 a\r\n250 b\r\n452 many\r\n552 many\r\n250 ok\r\n", "DSS "},
	    {"250 a\r\n250 b\r\n452 4.2.2 full\r\n552 5.2.2 full\r\n250 ok\r\n", "DdR "},
	    {"250 a\r\n250 b\r\n550 5.5.3 Too many recipients\r\n450 4.5.3 x\r\n250 ok\r\n", "DSS "},
	    {"250 a\r\n250 b\r\n554 too many recipients, 1 at most\r\n451 too many rcpts\r\n250 ok\r\n", "DSS "},
	    {"250 a\r\n250 b\r\n550 5.1.1 no\r\n450 4.2.1 no\r\n250 ok\r\n", "DRd "},
	    {"250 a\r\n554 too many recipients\r\n250 b\r\n250 c\r\n250 ok\r\n", "dDD "},
	    {"250 a\r\n452 4.5.3 x\r\n552 5.5.3 x\r\n250 b\r\n250 ok\r\n", "dRD "}, /* none before: no split */
	};

	(void)state;
	for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
		struct rig r;
		rig_up(&r, PIPE | CHUNK);
		begin(&r, 3);
		feed_body(&r);
		assert_true(says(&r, rows[i].replies));
		assert_string_equal(r.ended, rows[i].ended);
		rig_down(&r);
	}
}

/* Whatever a relay says that is no clear refusal, nobody bounces. */
static void hostile_relay(void **state)
{
	static const struct {
		const char *name, *replies, *ended; /* after the connection was given up */
	} rows[] = {
	    {"55", "55\r\n", "NN "},
	    {"garbage", "hello\r\n", "NN "},
	    {"NUL is cut by C strings: control instead", "\x01\x02\r\n", "NN "},
	    {"1xx", "150 x\r\n", "NN "},
	    {"600", "600 x\r\n", "NN "},
	    {"code changes", "250-a\r\n550 b\r\n", "NN "},
	    {"no space", "550x\r\n", "NN "},
	    {"354 to MAIL", "354 x\r\n", "NN "},
	    {"421 at once", "421 4.3.2 bye\r\n", "UU "},
	    {"421 after one refusal", "250 a\r\n550 b\r\n421 bye\r\n", "RU "},
	    {"421 to the message", "250 a\r\n250 b\r\n250 c\r\n421 bye\r\n", "UU "},
	    {"503 to the message", "250 a\r\n250 b\r\n250 c\r\n503 order\r\n", "UU "},
	    {"log-in wanted", "530 5.7.0 authenticate\r\n", "LL "},
	    {"BDAT unknown", "250 a\r\n250 b\r\n250 c\r\n500 what\r\n", "UU "},
	    {"half a reply", "250 a\r\n250 b\r\n250 c\r\n25", "NN "},
	    {"a reply too many", "250 a\r\n250 b\r\n250 c\r\n250 d\r\n250 e\r\n", "DD "},
	    {"bare LF", "250 a\n250 b\n250 c\n250 d\n", "DD "},
	    {"code alone", "250\r\n250\r\n250\r\n250\r\n", "DD "},
	};

	(void)state;
	for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
		struct rig r;
		rig_up(&r, PIPE | CHUNK);
		begin(&r, 2);
		feed_body(&r);
		says(&r, rows[i].replies);
		smtp_client_lost(r.c, "gone");
		if (strcmp(r.ended, rows[i].ended) != 0)
			fail_msg("%s: %s", rows[i].name, r.ended);
		rig_down(&r);
	}
}

/* ---- each reply belongs to what it answers ---- */

/* Three messages of two, two and one recipients, all under way: the replies, and how they end before and after the
 * connection is lost. */
static void each_reply_belongs_to_its_command(void **state)
{
	static const struct {
		const char *name, *replies, *ended;
		bool alive;
	} rows[] = {
	    {"530 at the end of the data", "250 m\r\n250 a\r\n250 b\r\n530 5.7.0 no\r\n", "RR N NN ", true},
	    {"534 at the end of the data", "250 m\r\n250 a\r\n250 b\r\n534 5.7.9 no\r\n", "RR N NN ", true},
	    {"535 at RCPT", "250 m\r\n535 5.7.8 no\r\n250 b\r\n250 ok\r\n", "RD N NN ", true},
	    {"538 at RCPT of all", "250 m\r\n538 no\r\n530 no\r\n554 none\r\n", "RR N NN ", true},
	    {"530 at the second MAIL",
	     "250 m\r\n250 a\r\n250 b\r\n250 ok\r\n250 r\r\n530 5.7.1 who\r\n503 a\r\n503 "
	     "b\r\n503 c\r\n",
	     "DD RR N ", true},
	    {"530 at the first MAIL",
	     "530 5.7.1 log in\r\n503 a\r\n503 b\r\n503 c\r\n250 r\r\n250 m\r\n250 a\r\n550 "
	     "b\r\n250 ok\r\n",
	     "LL DR N ", true},
	    {"454 at MAIL", "454 4.7.0 later\r\n503 a\r\n503 b\r\n503 c\r\n", "dd N NN ", true},
	    {"421 at the first MAIL", "421 4.7.0 bye\r\n", "U UU UU ", false},
	    {"421 at a RCPT", "250 m\r\n550 no\r\n421 bye\r\n", "U UU RU ", false},
	    {"421 at the end of the data", "250 m\r\n250 a\r\n250 b\r\n421 bye\r\n", "U UU UU ", false},
	    {"421 at RSET", "250 m\r\n250 a\r\n250 b\r\n250 ok\r\n421 4.7.0 too many\r\n", "DD U UU ", false},
	    {"421 at the second MAIL", "250 m\r\n250 a\r\n250 b\r\n250 ok\r\n250 r\r\n421 enough\r\n", "DD U UU ",
	     false},
	    {"lost without a word", "250 m\r\n250 a\r\n250 b\r\n250 ok\r\n250 r\r\n", "DD N NN ", true},
	};

	(void)state;
	for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
		struct rig r;
		rig_up(&r, PIPE | CHUNK);
		for (size_t n = 0; n < 3; n++) {
			begin(&r, n < 2 ? 2 : 1);
			feed_body(&r);
		}
		assert_int_equal(says(&r, rows[i].replies), rows[i].alive);
		assert_int_equal(smtp_client_dismissed(r.c), !rows[i].alive);
		smtp_client_lost(r.c, "gone");
		if (strcmp(r.ended, rows[i].ended) != 0)
			fail_msg("%s: %s", rows[i].name, r.ended);
		rig_down(&r);
	}
}

static void log_in_that_is_wanted(void **state)
{
	struct rig r;

	(void)state;
	rig_up(&r, PIPE | CHUNK);
	begin(&r, 1);
	feed_body(&r);
	assert_true(says(&r, "530 5.7.0 log in first\r\n503 a\r\n503 b\r\n"));
	assert_string_equal(r.ended, "L ");
	assert_true(smtp_client_wants_login(r.c));
	begin(&r, 1); /* another sender, alone */
	feed_body(&r);
	assert_false(smtp_client_ready(r.c));
	assert_true(says(&r, "250 r\r\n250 m\r\n250 a\r\n250 ok\r\n"));
	assert_false(smtp_client_wants_login(r.c));
	begin(&r, 1); /* now it is this sender that is refused */
	feed_body(&r);
	assert_true(says(&r, "530 5.7.0 log in first\r\n503 a\r\n503 b\r\n"));
	assert_string_equal(r.ended, "L D R ");
	rig_down(&r);
}

static void limits(void **state)
{
	static const struct {
		const char *name, *replies, *ended;
		bool spent;
	} rows[] = {
	    {"rate at MAIL", "454 Throttling failure: Maximum sending rate exceeded.\r\n503 a\r\n503 b\r\n", "~ ",
	     false},
	    {"rate at RCPT", "250 m\r\n450 4.7.1 Error: too much mail from you\r\n554 none\r\n", "~ ", false},
	    {"rate at the message", "250 m\r\n250 a\r\n451 4.7.1 Rate limit exceeded\r\n", "~ ", false},
	    {"permanent rate at MAIL", "550 5.7.1 Sending rate exceeded\r\n503 a\r\n503 b\r\n", "~ ", false},
	    {"a message about rates", "250 m\r\n250 a\r\n554 5.7.1 too many emails like this\r\n", "? ", false},
	    {"busy at MAIL", "452 4.3.1 Insufficient system storage\r\n503 a\r\n503 b\r\n", "? ", false},
	    {"busy at RCPT", "250 m\r\n452 4.3.1 Insufficient system storage\r\n554 none\r\n", "d ", false},
	    {"busy at the message", "250 m\r\n250 a\r\n451 4.7.500 Server busy\r\n", "? ", false},
	    {"a mailbox that gets much",
	     "250 m\r\n450 4.2.1 The user you are trying to contact is receiving mail at a rate "
	     "that prevents delivery\r\n554 none\r\n",
	     "d ", false},
	    {"greylisting", "250 m\r\n451 4.7.1 Greylisted, try again in 300 seconds\r\n554 none\r\n", "d ", false},
	    {"first of the connection", "452 4.7.0 too many messages in this session\r\n503 a\r\n503 b\r\n", "~ ",
	     false},
	};

	(void)state;
	for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
		struct rig r;
		rig_up(&r, PIPE | CHUNK);
		smtp_client_trust_chunking(r.c);
		begin(&r, 1);
		feed_body(&r);
		assert_true(says(&r, rows[i].replies));
		if (strcmp(r.ended, rows[i].ended) != 0 || smtp_client_spent(r.c) != rows[i].spent)
			fail_msg("%s: %s", rows[i].name, r.ended);
		rig_down(&r);
	}
}

static void spent_connection(void **state)
{
	struct rig r;

	(void)state;
	rig_up(&r, PIPE | CHUNK);
	for (size_t n = 0; n < 3; n++) {
		begin(&r, 1);
		feed_body(&r);
	}
	assert_true(says(&r, "250 m\r\n250 a\r\n250 ok\r\n"));
	assert_true(says(&r, "250 r\r\n452 4.7.0 too many messages in this connection\r\n503 a\r\n503 b\r\n"));
	assert_true(smtp_client_spent(r.c));
	assert_false(smtp_client_ready(r.c));
	assert_true(says(&r, "250 r\r\n452 4.7.0 too many messages in this connection\r\n503 a\r\n503 b\r\n"));
	assert_string_equal(r.ended, "D U U ");
	assert_int_equal(smtp_client_topic(r.c), SMTP_TOPIC_MESSAGES);
	rig_down(&r);
}

/* ---- BDAT that is refused ---- */

static void bdat_is_refused(void **state)
{
	static const struct {
		const char *reply;
		bool known_to_work, by_data;
		const char *ended;
	} rows[] = {
	    {"552 5.3.4 too big\r\n", true, true, "U "},
	    {"552 chunk\r\n", false, true, "U "},
	    {"501 5.5.4 syntax\r\n", true, true, "U "},
	    {"503 5.5.1 order\r\n", true, true, "U "},
	    {"504 5.5.4 BDAT\r\n", true, true, "U "},
	    {"555 5.5.4 no\r\n", true, true, "U "},
	    {"554 5.7.1 spam\r\n", true, false, "R "},
	    {"554 5.7.1 spam\r\n", false, true, "U "},
	    {"550 5.6.0 BDAT not allowed\r\n", true, true, "U "},
	    {"451 4.3.0 later\r\n", false, false, "d "},
	    {"250 ok\r\n", false, false, "D "},
	};

	(void)state;
	for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
		struct rig r;
		rig_up(&r, PIPE | CHUNK);
		if (rows[i].known_to_work)
			smtp_client_trust_chunking(r.c);
		begin(&r, 1);
		feed_body(&r);
		assert_true(says(&r, "250 m\r\n250 a\r\n"));
		assert_true(says(&r, rows[i].reply));
		if (strcmp(r.ended, rows[i].ended) != 0 || r.by_data != rows[i].by_data)
			fail_msg("%s: %s", rows[i].reply, r.ended);
		assert_true(smtp_client_ready(r.c));
		rig_down(&r);
	}
}

static void data_after_bdat(void **state)
{
	struct rig r;

	(void)state;
	rig_up(&r, PIPE | CHUNK);
	begin(&r, 1);
	feed_body(&r);
	assert_true(says(&r, "250 m\r\n250 a\r\n552 5.3.4 no\r\n"));
	buf_clear(smtp_client_out(r.c));
	struct smtp_transaction *t = message(1);
	t->by_data = true;
	smtp_client_begin(r.c, t);
	wrote(&r, "RSET\r\nMAIL FROM:<s@x>\r\nRCPT TO:<r0@x>\r\nDATA\r\n");
	assert_true(says(&r, "250 r\r\n250 m\r\n250 a\r\n354 go\r\n"));
	feed_body(&r);
	wrote(&r, "..hi\r\n.\r\n");
	assert_true(says(&r, "552 5.3.4 no\r\n"));
	assert_string_equal(r.ended, "U R ");
	begin(&r, 1);
	feed_body(&r);
	assert_true(says(&r, "250 m\r\n250 a\r\n250 ok\r\n"));
	assert_true(smtp_client_chunking_works(r.c));
	assert_string_equal(r.ended, "U R D ");
	rig_down(&r);
}

static void large_ones_wait_for_rcpt(void **state)
{
	struct rig r;

	(void)state;
	rig_up(&r, PIPE | CHUNK);
	struct smtp_transaction *t = message(2);
	t->size = SMTP_CLIENT_EAGER + 1;
	smtp_client_begin(r.c, t);
	wrote(&r, "MAIL FROM:<s@x>\r\nRCPT TO:<r0@x>\r\nRCPT TO:<r1@x>\r\n");
	assert_true(says(&r, "250 m\r\n550 5.1.1 no\r\n"));
	assert_null(smtp_client_feeding(r.c));
	assert_true(says(&r, "450 4.2.1 later\r\n"));
	assert_string_equal(r.ended, "Rd ");
	wrote(&r, "");
	t = message(2);
	t->size = SMTP_CLIENT_EAGER + 1;
	smtp_client_begin(r.c, t);
	wrote(&r, "RSET\r\nMAIL FROM:<s@x>\r\nRCPT TO:<r0@x>\r\nRCPT TO:<r1@x>\r\n");
	assert_true(says(&r, "250 r\r\n250 m\r\n550 5.1.1 no\r\n250 b\r\n"));
	assert_non_null(smtp_client_feeding(r.c));
	wrote(&r, "BDAT 65537 LAST\r\n");
	rig_down(&r);
	rig_up(&r, PIPE | CHUNK); /* one that is not: all at once */
	t = message(1);
	t->size = SMTP_CLIENT_EAGER;
	smtp_client_begin(r.c, t);
	wrote(&r, "MAIL FROM:<s@x>\r\nRCPT TO:<r0@x>\r\nBDAT 65536 LAST\r\n");
	rig_down(&r);
	rig_up(&r, PIPE | CHUNK); /* MAIL refused: RCPT's replies are its echo */
	t = message(1);
	t->size = SMTP_CLIENT_EAGER + 1;
	smtp_client_begin(r.c, t);
	assert_true(says(&r, "550 5.7.1 no\r\n503 what\r\n"));
	assert_string_equal(r.ended, "R ");
	rig_down(&r);
}

static void too_many_for_the_message(void **state)
{
	struct rig r;

	(void)state;
	rig_up(&r, PIPE | CHUNK);
	begin(&r, 4);
	feed_body(&r);
	assert_true(says(&r, "250 m\r\n250 a\r\n250 b\r\n250 c\r\n250 d\r\n554 5.5.3 Too many recipients\r\n"));
	assert_string_equal(r.ended, "SSSS ");
	assert_int_equal(r.most, 2);
	rig_down(&r);
	rig_up(&r, PIPE | CHUNK);
	begin(&r, 4);
	feed_body(&r);
	assert_true(says(&r, "250 m\r\n250 a\r\n250 b\r\n250 c\r\n550 5.5.3 Too many recipients\r\n250 ok\r\n"));
	assert_string_equal(r.ended, "DDDS ");
	assert_int_equal(r.most, 3);
	rig_down(&r);
}

static void no_pipelining_whatever_it_says(void **state)
{
	struct rig r;

	(void)state;
	rig_up(&r, PIPE | CHUNK);
	smtp_client_no_pipelining(r.c);
	begin(&r, 1);
	wrote(&r, "MAIL FROM:<s@x>\r\n");
	assert_true(says(&r, "250 m\r\n"));
	wrote(&r, "RCPT TO:<r0@x>\r\n");
	assert_true(says(&r, "250 a\r\n"));
	wrote(&r, "BDAT 5 LAST\r\n");
	feed_body(&r);
	assert_false(smtp_client_ready(r.c));
	assert_true(smtp_client_awaits_final(r.c));
	assert_true(says(&r, "250 ok\r\n"));
	assert_false(smtp_client_awaits_final(r.c));
	assert_string_equal(r.ended, "D ");
	rig_down(&r);
	rig_up(&r, PIPE); /* what pipelining is refused for is no fault of the message */
	begin(&r, 1);
	assert_true(says(&r, "250 m\r\n503 5.5.0 Improper use of SMTP command pipelining\r\n503 none\r\n"));
	assert_string_equal(r.ended, "U ");
	assert_int_equal(smtp_client_topic(r.c), SMTP_TOPIC_PIPELINING);
	rig_down(&r);
}

static void nul_and_endless(void **state)
{
	struct rig r;
	size_t n = 0;

	(void)state;
	rig_up(&r, PIPE | CHUNK);
	begin(&r, 1);
	assert_false(smtp_client_input(r.c, slice_make("550 a\0b\r\n", 9)));
	rig_down(&r);
	assert_string_equal(r.ended, "U ");
	rig_up(&r, PIPE);
	begin(&r, 1);
	while (says(&r, "250-more\r\n") && n < 10000)
		n++;
	assert_int_equal(n, SMTP_REPLY_LINES_MAX);
	rig_down(&r);
	rig_up(&r, PIPE);
	begin(&r, 1);
	for (n = 0; says(&r, "250 aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa") && n < 10000;)
		n++;
	assert_true(n < 300);
	rig_down(&r);
}

static void consent_before_the_message(void **state)
{
	struct rig r;

	(void)state;
	rig_up(&r, PIPE | CHUNK);
	begin(&r, 1);
	assert_false(says(&r, "250 a\r\n250 b\r\n250 c\r\n"));
	smtp_client_lost(r.c, smtp_client_trouble(r.c));
	assert_string_equal(r.ended, "U ");
	rig_down(&r);
	rig_up(&r, PIPE);
	begin(&r, 1);
	assert_false(says(&r, "250 a\r\n250 b\r\n354 c\r\n250 d\r\n"));
	rig_down(&r);
	assert_string_equal(r.ended, "U ");
}

static void unfit_addresses(void **state)
{
	static const char *const bad[] = {"a\r\nDATA", "a> SIZE=1", "a b@x", "\"a@x", "a@\xd0\xb0", "a<b@x", "a\x7f@x"};
	struct rig r;

	(void)state;
	for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
		rig_up(&r, LINES);
		struct smtp_transaction *t = message(2);
		t->recipients[0] = bad[i];
		smtp_client_begin(r.c, t);
		wrote(&r, "MAIL FROM:<s@x>\r\n");
		assert_true(says(&r, "250 ok\r\n"));
		wrote(&r, "RCPT TO:<r1@x>\r\n");
		rig_down(&r);
		rig_up(&r, PIPE);
		t = message(2);
		t->sender = bad[i];
		smtp_client_begin(r.c, t);
		wrote(&r, "");
		assert_string_equal(r.ended, "RR ");
		rig_down(&r);
	}
}

/* RFC 6531: with it where the relay offers it; without it as long as no address needs it. */
static void utf8(void **state)
{
	struct smtp_caps caps = {.pipelining = true, .eight_bit = true, .smtputf8 = true};
	struct rig r;

	(void)state;
	for (int offered = 1; offered >= 0; offered--) {
		rig_up(&r, PIPE);
		caps.smtputf8 = offered;
		smtp_client_start(r.c, &caps);
		struct smtp_transaction *t = message(1);
		t->smtputf8 = t->eight_bit = true;
		smtp_client_begin(r.c, t);
		wrote(&r, offered ? "MAIL FROM:<s@x> BODY=8BITMIME SMTPUTF8\r\nRCPT TO:<r0@x>\r\nDATA\r\n"
		                  : "MAIL FROM:<s@x> BODY=8BITMIME\r\nRCPT TO:<r0@x>\r\nDATA\r\n");
		rig_down(&r);
		rig_up(&r, PIPE);
		smtp_client_start(r.c, &caps);
		t = message(2);
		t->recipients[1] = "анна@x";
		smtp_client_begin(r.c, t);
		wrote(&r, offered ? "MAIL FROM:<s@x> SMTPUTF8\r\nRCPT TO:<r0@x>\r\nRCPT TO:<анна@x>\r\nDATA\r\n"
		                  : "MAIL FROM:<s@x>\r\nRCPT TO:<r0@x>\r\nDATA\r\n");
		if (!offered) {
			assert_string_equal(t->results[1].status, "5.6.7");
			assert_int_equal(t->results[1].fate, SMTP_REFUSED);
		}
		rig_down(&r);
	}
	/* A sender beyond ASCII: nobody can have it. */
	rig_up(&r, PIPE);
	smtp_client_start(r.c, &caps);
	struct smtp_transaction *t = message(2);
	t->sender = "анна@x";
	smtp_client_begin(r.c, t);
	wrote(&r, "");
	assert_string_equal(r.ended, "RR ");
	rig_down(&r);
	smtp_caps_of_ehlo(&caps, slice_of("you\nsmtputf8\n8BITMIME"));
	assert_true(caps.smtputf8 && caps.eight_bit);
}

static void parameters(void **state)
{
	struct smtp_caps caps = {.pipelining = true, .size = true, .size_max = 1000, .eight_bit = true};
	struct rig r;

	(void)state;
	memset(&r, 0, sizeof r);
	r.c = smtp_client_new(&events, &r);
	smtp_client_start(r.c, &caps);
	struct smtp_transaction *t = message(1);
	t->size = 1001;
	smtp_client_begin(r.c, t);
	assert_string_equal(r.ended, "R ");
	wrote(&r, "");
	t = message(1);
	t->recipients[0] = "\"a b>\\\"\"@x";
	t->sender = "";
	t->eight_bit = true;
	smtp_client_begin(r.c, t);
	wrote(&r, "MAIL FROM:<> SIZE=5 BODY=8BITMIME\r\nRCPT TO:<\"a b>\\\"\"@x>\r\nDATA\r\n");
	rig_down(&r);
}

static void hello(void **state)
{
	struct rig r;

	(void)state;
	memset(&r, 0, sizeof r);
	r.c = smtp_client_new(&events, &r);
	smtp_client_hello(r.c, "me.example");
	wrote(&r, "EHLO me.example\r\n");
	assert_false(smtp_client_ready(r.c));
	assert_true(says(&r, "250-you\r\n250-PIPELINING\r\n250-size 100\r\n250 CHUNKING\r\n"));
	assert_true(smtp_client_ready(r.c));
	assert_true(smtp_client_caps(r.c)->pipelining && smtp_client_caps(r.c)->chunking);
	assert_int_equal(smtp_client_caps(r.c)->size_max, 100);
	smtp_client_quit(r.c);
	wrote(&r, "QUIT\r\n");
	assert_false(smtp_client_quit_done(r.c));
	assert_true(says(&r, "221 bye\r\n"));
	assert_true(smtp_client_quit_done(r.c));
	rig_down(&r);
	memset(&r, 0, sizeof r);
	r.c = smtp_client_new(&events, &r);
	smtp_client_hello(r.c, "me");
	assert_true(says(&r, "502 what\r\n"));
	wrote(&r, "EHLO me\r\nHELO me\r\n");
	assert_true(says(&r, "250 you\r\n"));
	assert_true(smtp_client_ready(r.c) && !smtp_client_caps(r.c)->pipelining);
	rig_down(&r);
}

static void transcripts(void **state)
{
	static const struct {
		const char *text;
		bool found, pipelining, chunking;
		unsigned size;
	} rows[] = {
	    {"220 hi\r\n250-x\r\n250-PIPELINING\r\n250 CHUNKING\r\n", true, true, true, 0},
	    {"220 hi\r\n250-x\r\n250-PIPELINING\r\n250 STARTTLS\r\n220 go\r\n250-x\r\n250-SIZE 7\r\n250 AUTH PLAIN\r\n"
	     "334 \r\n235 2.7.0 in\r\n",
	     true, false, false, 7},
	    {"220 PIPELINING\r\n500 what\r\n250 x\r\n", true, false, false, 0},
	    {"220 hi\r\n250-x\r\n250-CHUNKING", false, false, false, 0},
	    {"", false, false, false, 0},
	};
	struct smtp_caps caps;

	(void)state;
	for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
		assert_int_equal(smtp_caps_of_transcript(&caps, slice_of(rows[i].text)), rows[i].found);
		assert_int_equal(caps.pipelining, rows[i].pipelining);
		assert_int_equal(caps.chunking, rows[i].chunking);
		assert_int_equal(caps.size_max, rows[i].size);
	}
}

static void enhanced_codes(void **state)
{
	static const struct {
		const char *line, *status, *shown;
	} rows[] = {
	    {"550 5.1.1 no\r\n", "5.1.1", "550 5.1.1 no"},
	    {"550-5.1.1 a\r\n550 5.1.1 b\r\n", "5.1.1", "550 5.1.1 a 5.1.1 b"},
	    {"550 4.1.1 class differs\r\n", "", "550 4.1.1 class differs"},
	    {"550 5.1 short\r\n", "", "550 5.1 short"},
	    {"550 5.123.456\r\n", "5.123.456", "550 5.123.456"},
	    {"550 5.1234.1 long\r\n", "", "550 5.1234.1 long"},
	    {"451\r\n", "", "451"},
	    {"550 esc\x1b[2J\r\n", "", "550 esc\\x1b[2J"},
	};

	(void)state;
	for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
		struct smtp_reader r;
		size_t used;
		smtp_reader_init(&r);
		assert_int_equal(smtp_reader_feed(&r, slice_of(rows[i].line), &used), SMTP_READ_DONE);
		assert_int_equal(used, strlen(rows[i].line));
		assert_string_equal(r.reply.status, rows[i].status);
		char *shown = smtp_reply_show(&r.reply);
		assert_string_equal(shown, rows[i].shown);
		free(shown);
		smtp_reader_free(&r);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(lock_step),
	    cmocka_unit_test(pipelined_data),
	    cmocka_unit_test(pipelined_data_all_refused),
	    cmocka_unit_test(chunking),
	    cmocka_unit_test(chunking_refused_mail),
	    cmocka_unit_test(careful_takes_one),
	    cmocka_unit_test(too_many_recipients),
	    cmocka_unit_test(hostile_relay),
	    cmocka_unit_test(each_reply_belongs_to_its_command),
	    cmocka_unit_test(log_in_that_is_wanted),
	    cmocka_unit_test(limits),
	    cmocka_unit_test(spent_connection),
	    cmocka_unit_test(bdat_is_refused),
	    cmocka_unit_test(data_after_bdat),
	    cmocka_unit_test(large_ones_wait_for_rcpt),
	    cmocka_unit_test(too_many_for_the_message),
	    cmocka_unit_test(no_pipelining_whatever_it_says),
	    cmocka_unit_test(nul_and_endless),
	    cmocka_unit_test(consent_before_the_message),
	    cmocka_unit_test(unfit_addresses),
	    cmocka_unit_test(utf8),
	    cmocka_unit_test(parameters),
	    cmocka_unit_test(hello),
	    cmocka_unit_test(transcripts),
	    cmocka_unit_test(enhanced_codes),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
