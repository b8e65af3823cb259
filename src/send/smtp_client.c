#include "send/smtp_client.h"

#include "base/alloc.h"
#include "mail/dot.h"
#include "send/smtp_transaction.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

enum { OUT_MAX = 1024 * 1024 };

enum expected {
	EXPECT_EHLO,
	EXPECT_HELO,
	EXPECT_RSET,
	EXPECT_MAIL,
	EXPECT_RCPT,
	EXPECT_DATA,
	EXPECT_FINAL,
	EXPECT_QUIT
};

struct expect { /* a reply that will come */
	enum expected kind;
	struct smtp_transaction *t;
	size_t i;
};

struct smtp_client {
	const struct smtp_client_events *ev;
	void *arg;
	struct smtp_caps caps;
	struct smtp_reader reader;
	struct buf out;
	struct dot_encoder dot;
	struct expect *expects; /* a queue: [head, head + n) of cap, in a ring */
	size_t head, n, cap;
	struct smtp_transaction *open[SMTP_CLIENT_WINDOW]; /* begun and unfinished, in order */
	size_t nopen;
	struct smtp_transaction *current; /* begun, its last byte not yet written */
	bool feeding;                     /* … and its bytes are wanted */
	bool started, careful, no_chunking, needs_rset, quitting, quit_done;
	bool failed, wants_login, lied_chunking;
	char *trouble;
	char *name;
};

struct smtp_client *smtp_client_new(const struct smtp_client_events *ev, void *arg)
{
	struct smtp_client *c = xcalloc(1, sizeof *c);

	c->ev = ev;
	c->arg = arg;
	smtp_reader_init(&c->reader);
	buf_init(&c->out, OUT_MAX);
	return c;
}

void smtp_client_free(struct smtp_client **c)
{
	if (*c == NULL)
		return;
	smtp_reader_free(&(*c)->reader);
	buf_free(&(*c)->out);
	free((*c)->expects);
	free((*c)->trouble);
	free((*c)->name);
	free(*c);
	*c = NULL;
}

void smtp_client_be_careful(struct smtp_client *c)
{
	c->careful = true;
}

void smtp_client_no_chunking(struct smtp_client *c)
{
	c->no_chunking = true;
}

const struct smtp_caps *smtp_client_caps(const struct smtp_client *c)
{
	return &c->caps;
}

/* ---- what is written ---- */

static void expect(struct smtp_client *c, enum expected kind, struct smtp_transaction *t, size_t i)
{
	if (c->n == c->cap) {
		size_t cap = c->cap != 0 ? c->cap * 2 : 16;
		struct expect *bigger = xcalloc(cap, sizeof *bigger);
		for (size_t k = 0; k < c->n; k++)
			bigger[k] = c->expects[(c->head + k) % c->cap];
		free(c->expects);
		c->expects = bigger;
		c->head = 0;
		c->cap = cap;
	}
	c->expects[(c->head + c->n++) % c->cap] = (struct expect){kind, t, i};
}

static bool chunks(const struct smtp_client *c)
{
	return c->caps.chunking && !c->no_chunking;
}

static void say_mail(struct smtp_client *c, struct smtp_transaction *t)
{
	buf_printf(&c->out, "MAIL FROM:<%s>", t->sender);
	if (c->caps.size)
		buf_printf(&c->out, " SIZE=%" PRIu64, t->size);
	/* Where 8BITMIME is not offered, 8-bit mail is sent as it is: every server of this century takes it, and a
	 * bounce would help nobody. */
	if (t->eight_bit && c->caps.eight_bit)
		buf_add_str(&c->out, " BODY=8BITMIME");
	/* Where it is not offered and only header fields need it, they are sent as they are, for the same reason. */
	if (c->caps.smtputf8 && (t->smtputf8 || smtp_transaction_needs_utf8(t)))
		buf_add_str(&c->out, " SMTPUTF8");
	buf_add_str(&c->out, "\r\n");
	expect(c, EXPECT_MAIL, t, 0);
}

static void say_rcpt(struct smtp_client *c, struct smtp_transaction *t, size_t i)
{
	buf_printf(&c->out, "RCPT TO:<%s>\r\n", t->recipients[i]);
	expect(c, EXPECT_RCPT, t, i);
}

static void say_bdat(struct smtp_client *c, struct smtp_transaction *t)
{
	buf_printf(&c->out, "BDAT %" PRIu64 " LAST\r\n", t->size);
	expect(c, EXPECT_FINAL, t, 0);
	c->feeding = true;
}

static void say_data(struct smtp_client *c, struct smtp_transaction *t)
{
	if (chunks(c)) {
		say_bdat(c, t);
		return;
	}
	buf_add_str(&c->out, "DATA\r\n");
	expect(c, EXPECT_DATA, t, 0);
}

static void say_rset(struct smtp_client *c)
{
	buf_add_str(&c->out, "RSET\r\n");
	expect(c, EXPECT_RSET, NULL, 0);
	c->needs_rset = false;
}

void smtp_client_quit(struct smtp_client *c)
{
	if (c->quitting || c->failed)
		return;
	c->quitting = true;
	buf_add_str(&c->out, "QUIT\r\n");
	expect(c, EXPECT_QUIT, NULL, 0);
}

void smtp_client_start(struct smtp_client *c, const struct smtp_caps *caps)
{
	c->caps = *caps;
	c->started = true;
}

void smtp_client_hello(struct smtp_client *c, const char *name)
{
	c->name = xstrdup(name);
	buf_printf(&c->out, "EHLO %s\r\n", name);
	expect(c, EXPECT_EHLO, NULL, 0);
}

/* ---- how transactions end ---- */

static void fail(struct smtp_client *c, const char *why)
{
	c->failed = true;
	c->feeding = false;
	if (c->trouble == NULL)
		c->trouble = xstrdup(why);
}

static void finish(struct smtp_client *c, struct smtp_transaction *t)
{
	size_t i = 0;

	while (i < c->nopen && c->open[i] != t)
		i++;
	memmove(&c->open[i], &c->open[i + 1], (c->nopen - i - 1) * sizeof *c->open);
	c->nopen--;
	if (c->current == t) {
		c->current = NULL;
		c->feeding = false;
	}
	c->ev->finished(c->arg, t);
}

void smtp_client_lost(struct smtp_client *c, const char *why)
{
	c->n = 0;
	fail(c, why);
	while (c->nopen > 0) {
		struct smtp_transaction *t = c->open[0];
		for (size_t i = 0; i < t->n; i++) {
			struct smtp_result *r = &t->results[i];
			if (r->fate != SMTP_PENDING && r->fate != SMTP_ACCEPTED)
				continue;
			r->fate = t->priv.sent ? SMTP_UNKNOWN : SMTP_UNTRIED;
			if (r->code < 400) {
				free(r->reply);
				r->reply = xstrdup(why);
				r->code = 0;
				r->status[0] = '\0';
			}
		}
		finish(c, t);
	}
}

/* ---- what is read ---- */

static bool lock_step(const struct smtp_client *c)
{
	return !c->caps.pipelining;
}

static void on_ehlo(struct smtp_client *c, const struct expect *x, const struct smtp_reply *r)
{
	struct smtp_caps caps = {0};

	if (r->code / 100 == 2) {
		if (x->kind == EXPECT_EHLO)
			smtp_caps_of_ehlo(&caps, buf_slice(&r->text));
		smtp_client_start(c, &caps);
	} else if (x->kind == EXPECT_EHLO && r->code / 100 == 5) {
		buf_printf(&c->out, "HELO %s\r\n", c->name);
		expect(c, EXPECT_HELO, NULL, 0);
	} else {
		char *shown = smtp_reply_show(r);
		fail(c, shown);
		free(shown);
	}
}

static void on_rset(struct smtp_client *c, const struct expect *x, const struct smtp_reply *r)
{
	(void)x;
	if (r->code / 100 != 2)
		fail(c, "RSET was refused");
}

static void step(struct smtp_client *c, struct smtp_transaction *t)
{
	while (t->priv.next < t->n && t->results[t->priv.next].fate != SMTP_PENDING)
		t->priv.next++;
	if (t->priv.next < t->n) {
		say_rcpt(c, t, t->priv.next++);
	} else if (t->priv.accepted > 0) {
		say_data(c, t);
	} else {
		c->needs_rset = true;
		finish(c, t);
	}
}

static void on_mail(struct smtp_client *c, const struct expect *x, const struct smtp_reply *r)
{
	if (r->code / 100 != 2)
		smtp_transaction_settle_rest(x->t, smtp_fate_of(r->code), r);
	if (!lock_step(c))
		return;
	if (r->code / 100 == 2)
		step(c, x->t);
	else
		finish(c, x->t);
}

static void on_rcpt(struct smtp_client *c, const struct expect *x, const struct smtp_reply *r)
{
	/* Behind a refused MAIL it is only the echo of that. */
	if (x->t->results[x->i].fate == SMTP_PENDING) {
		if (r->code / 100 == 2) {
			x->t->priv.accepted++;
			smtp_transaction_settle(x->t, x->i, SMTP_ACCEPTED, NULL);
		} else if (smtp_transaction_too_many(x->t, r)) {
			smtp_transaction_settle(x->t, x->i, SMTP_SPLIT, r);
		} else {
			smtp_transaction_settle(x->t, x->i, smtp_fate_of(r->code), r);
		}
	}
	if (lock_step(c))
		step(c, x->t);
}

static void on_data(struct smtp_client *c, const struct expect *x, const struct smtp_reply *r)
{
	struct smtp_transaction *t = x->t;

	if (r->code != 354) {
		smtp_transaction_settle_rest(t, smtp_fate_of(r->code), r);
		c->needs_rset = true;
		finish(c, t);
		return;
	}
	dot_encoder_init(&c->dot);
	expect(c, EXPECT_FINAL, t, 0);
	if (t->priv.accepted > 0) {
		c->feeding = true;
		return;
	}
	/* Nobody was taken, yet the server waits for a message (RFC 2920 3.1): it gets an empty one. */
	buf_add_str(&c->out, ".\r\n");
	c->current = NULL;
	c->needs_rset = true;
}

static void on_final(struct smtp_client *c, const struct expect *x, const struct smtp_reply *r)
{
	struct smtp_transaction *t = x->t;

	if (chunks(c) && t->priv.accepted > 0 && (r->code == 500 || r->code == 502)) {
		/* Then the message's text has been read as commands: no second try of that. */
		c->lied_chunking = true;
		fail(c, "the relay offers CHUNKING and does not know BDAT");
		return;
	}
	if (c->current == t) {
		/* A refusal may come early; a consent to what was not sent is worth nothing. */
		fail(c, "the relay answered before the message was sent");
		if (r->code / 100 == 2)
			return;
	}
	if (r->code / 100 != 2 && chunks(c))
		c->needs_rset = true;
	for (size_t i = 0; i < t->n; i++)
		if (t->results[i].fate == SMTP_ACCEPTED)
			smtp_transaction_settle(t, i, r->code / 100 == 2 ? SMTP_DELIVERED : smtp_fate_of(r->code), r);
	finish(c, t);
}

static void on_quit(struct smtp_client *c, const struct expect *x, const struct smtp_reply *r)
{
	(void)x;
	(void)r;
	c->quit_done = true;
}

/* Which replies may come: digits of the first figure. */
static const struct {
	void (*fn)(struct smtp_client *c, const struct expect *x, const struct smtp_reply *r);
	const char *classes;
} handlers[] = {
    [EXPECT_EHLO] = {on_ehlo, "245"},   [EXPECT_HELO] = {on_ehlo, "245"},  [EXPECT_RSET] = {on_rset, "245"},
    [EXPECT_MAIL] = {on_mail, "245"},   [EXPECT_RCPT] = {on_rcpt, "245"},  [EXPECT_DATA] = {on_data, "345"},
    [EXPECT_FINAL] = {on_final, "245"}, [EXPECT_QUIT] = {on_quit, "2345"},
};

/* Replies about the connection, whatever they answer. */
static bool about_connection(struct smtp_client *c, const struct expect *x, const struct smtp_reply *r)
{
	bool login = r->code == 530 || r->code == 534 || r->code == 535 || r->code == 538;

	if (x->kind == EXPECT_QUIT || (r->code != 421 && !login))
		return false;
	/* 421 to the message itself is an answer: refused for now. */
	if (r->code == 421 && x->kind == EXPECT_FINAL && (x->t->priv.sent || c->current != x->t))
		smtp_transaction_settle_rest(x->t, SMTP_DEFERRED, r);
	char *shown = smtp_reply_show(r);
	c->wants_login = login;
	fail(c, shown);
	free(shown);
	return true;
}

static void dispatch(struct smtp_client *c, const struct smtp_reply *r)
{
	if (c->n == 0) {
		/* Some say 421 unasked before they close. */
		char *shown = smtp_reply_show(r);
		fail(c, r->code == 421 ? shown : "the relay sent a reply to no command");
		free(shown);
		return;
	}
	struct expect x = c->expects[c->head];
	c->head = (c->head + 1) % c->cap;
	c->n--;
	if (about_connection(c, &x, r))
		return;
	if (strchr(handlers[x.kind].classes, '0' + r->code / 100) == NULL) {
		fail(c, "the relay's reply does not fit the command");
		return;
	}
	handlers[x.kind].fn(c, &x, r);
}

bool smtp_client_input(struct smtp_client *c, struct slice in)
{
	while (in.n > 0 && !c->failed) {
		size_t used;
		enum smtp_reading got = smtp_reader_feed(&c->reader, in, &used);

		in = slice_sub(in, used, in.n);
		if (got == SMTP_READ_BAD)
			fail(c, "the relay sent something that is no SMTP reply");
		else if (got == SMTP_READ_DONE)
			dispatch(c, &c->reader.reply);
	}
	return !c->failed;
}

/* ---- transactions and their bytes ---- */

static size_t window(const struct smtp_client *c)
{
	return c->careful || !c->caps.pipelining ? 1 : chunks(c) ? SMTP_CLIENT_WINDOW : 2;
}

size_t smtp_client_at_risk(const struct smtp_client *c)
{
	size_t unanswered = window(c);

	return unanswered == 1 ? 2 : unanswered == 2 ? 6 : unanswered;
}

bool smtp_client_has_room(const struct smtp_client *c)
{
	return c->started && !c->failed && !c->quitting && c->nopen < window(c);
}

bool smtp_client_ready(const struct smtp_client *c)
{
	return smtp_client_has_room(c) && c->current == NULL && c->out.n <= OUT_MAX / 2;
}

static void say_all(struct smtp_client *c, struct smtp_transaction *t)
{
	say_mail(c, t);
	if (lock_step(c))
		return;
	for (size_t i = 0; i < t->n; i++)
		if (t->results[i].fate == SMTP_PENDING)
			say_rcpt(c, t, i);
	say_data(c, t);
}

void smtp_client_begin(struct smtp_client *c, struct smtp_transaction *t)
{
	memset(&t->priv, 0, sizeof t->priv);
	c->open[c->nopen++] = t;
	c->current = t;
	if (!smtp_transaction_check(t, &c->caps)) {
		finish(c, t);
		return;
	}
	/* Whether the one under way will fail cannot be known yet: a BDAT behind refused recipients may leave the
	 * server inside its transaction, and ours must not end up in that one. */
	if (c->needs_rset || (chunks(c) && c->nopen > 1))
		say_rset(c);
	say_all(c, t);
}

struct smtp_transaction *smtp_client_feeding(const struct smtp_client *c)
{
	return c->feeding ? c->current : NULL;
}

bool smtp_client_body(struct smtp_client *c, struct slice bytes)
{
	if (c->out.n > OUT_MAX / 2 || bytes.n > OUT_MAX / 8)
		return false;
	if (chunks(c))
		return buf_add_slice(&c->out, bytes);
	return dot_encode(&c->dot, bytes, &c->out);
}

void smtp_client_body_end(struct smtp_client *c)
{
	if (!chunks(c))
		dot_encode_end(&c->dot, &c->out);
	c->current->priv.sent = true;
	c->current = NULL;
	c->feeding = false;
}

struct buf *smtp_client_out(struct smtp_client *c)
{
	return &c->out;
}

size_t smtp_client_unfinished(const struct smtp_client *c)
{
	return c->nopen;
}

bool smtp_client_awaits_reply(const struct smtp_client *c)
{
	return c->n > 0;
}

bool smtp_client_quit_done(const struct smtp_client *c)
{
	return c->quit_done;
}

const char *smtp_client_trouble(const struct smtp_client *c)
{
	return c->trouble != NULL ? c->trouble : "";
}

bool smtp_client_wants_login(const struct smtp_client *c)
{
	return c->wants_login;
}

bool smtp_client_lied_chunking(const struct smtp_client *c)
{
	return c->lied_chunking;
}
