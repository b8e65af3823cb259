/* What the relay's replies do: each to what it answers. */
#include "base/alloc.h"
#include "send/smtp_client_internal.h"
#include "send/smtp_transaction.h"

#include <stdlib.h>
#include <string.h>

static void fail_shown(struct smtp_client *c, const struct smtp_reply *r)
{
	char *shown = smtp_reply_show(r);

	c->topic = smtp_topic_of(r);
	smtp_client_fail(c, shown);
	free(shown);
}

/* The relay takes no more in this connection. What was sent already gets its own replies. */
static enum smtp_fate spend(struct smtp_client *c, enum smtp_topic topic, const struct smtp_reply *r)
{
	c->spent = true;
	c->topic = topic;
	if (c->trouble == NULL)
		c->trouble = smtp_reply_show(r);
	return SMTP_UNTRIED;
}

/* How those end whom this refusal (4xx, 5xx) of MAIL, RCPT, DATA or the message means. A limit of the relay's means
 * none of them. That a connection is at its end is believed where something was done in it: else the next would end so
 * too. */
static enum smtp_fate refusal(struct smtp_client *c, const struct smtp_expect *x, const struct smtp_reply *r)
{
	enum smtp_topic topic = smtp_topic_of(r);
	bool permanent = r->code / 100 == 5;

	switch (topic) {
	case SMTP_TOPIC_LOGIN:
		if (x->kind != EXPECT_MAIL || c->worked)
			break;
		c->login_refused = true;
		return SMTP_LOGIN;
	case SMTP_TOPIC_RATE:
		return permanent && x->kind == EXPECT_FINAL ? SMTP_DOUBTFUL : SMTP_SLOWED;
	case SMTP_TOPIC_BUSY:
		return x->kind == EXPECT_RCPT ? SMTP_DEFERRED : SMTP_DOUBTFUL;
	case SMTP_TOPIC_MESSAGES:
	case SMTP_TOPIC_CONNECTIONS:
		if (c->answered)
			return spend(c, topic, r);
		return permanent && x->kind == EXPECT_FINAL ? SMTP_DOUBTFUL : SMTP_SLOWED;
	case SMTP_TOPIC_RECIPIENTS:
		/* MAIL has none: OpenSMTPD says "Too many recipients: Too many messages sent" of the connection. */
		if (x->kind == EXPECT_MAIL && c->answered)
			return spend(c, SMTP_TOPIC_MESSAGES, r);
		break;
	case SMTP_TOPIC_PIPELINING:
		if (!smtp_client_lock_step(c))
			return spend(c, topic, r);
		break;
	default:
		break;
	}
	return smtp_fate_of(r->code);
}

static void end(struct smtp_client *c, struct smtp_transaction *t)
{
	for (size_t i = 0; i < t->n; i++)
		c->answered = c->answered || t->results[i].fate == SMTP_DELIVERED ||
		              t->results[i].fate == SMTP_DEFERRED || t->results[i].fate == SMTP_REFUSED;
	smtp_client_finish(c, t);
}

static void on_ehlo(struct smtp_client *c, const struct smtp_expect *x, const struct smtp_reply *r)
{
	struct smtp_caps caps = {0};

	if (r->code / 100 == 2) {
		if (x->kind == EXPECT_EHLO)
			smtp_caps_of_ehlo(&caps, buf_slice(&r->text));
		smtp_client_start(c, &caps);
	} else if (x->kind == EXPECT_EHLO && r->code / 100 == 5) {
		buf_printf(&c->out, "HELO %s\r\n", c->name);
		smtp_client_expect(c, EXPECT_HELO, NULL, 0);
	} else {
		fail_shown(c, r);
	}
}

static void on_rset(struct smtp_client *c, const struct smtp_expect *x, const struct smtp_reply *r)
{
	(void)x;
	if (r->code / 100 != 2)
		smtp_client_fail(c, "RSET was refused");
}

static void step(struct smtp_client *c, struct smtp_transaction *t)
{
	while (t->priv.next < t->n && t->results[t->priv.next].fate != SMTP_PENDING)
		t->priv.next++;
	if (t->priv.next < t->n) {
		smtp_client_say_rcpt(c, t, t->priv.next++);
	} else if (t->priv.accepted > 0) {
		smtp_client_say_data(c, t);
	} else {
		c->needs_rset = true;
		end(c, t);
	}
}

static void on_mail(struct smtp_client *c, const struct smtp_expect *x, const struct smtp_reply *r)
{
	bool fine = r->code / 100 == 2;

	if (fine)
		c->worked = true;
	else
		smtp_transaction_settle_rest(x->t, refusal(c, x, r), r);
	if (!smtp_client_lock_step(c))
		return;
	if (fine)
		step(c, x->t);
	else
		end(c, x->t);
}

static void settle_rcpt(struct smtp_client *c, const struct smtp_expect *x, const struct smtp_reply *r)
{
	struct smtp_transaction *t = x->t;

	if (r->code / 100 == 2) {
		t->priv.accepted++;
		smtp_transaction_settle(t, x->i, SMTP_ACCEPTED, NULL);
	} else if (smtp_transaction_too_many(t, r)) {
		if (t->most == 0 && smtp_topic_of(r) == SMTP_TOPIC_RECIPIENTS)
			t->most = t->priv.accepted;
		smtp_transaction_settle(t, x->i, SMTP_SPLIT, r);
	} else if (smtp_transaction_none_is_too_many(t, r)) {
		smtp_transaction_settle(t, x->i, SMTP_DEFERRED, r);
	} else {
		smtp_transaction_settle(t, x->i, refusal(c, x, r), r);
	}
}

static void on_rcpt(struct smtp_client *c, const struct smtp_expect *x, const struct smtp_reply *r)
{
	struct smtp_transaction *t = x->t;

	t->priv.asked--;
	/* Behind a refused MAIL it is only the echo of that. */
	if (t->results[x->i].fate == SMTP_PENDING)
		settle_rcpt(c, x, r);
	if (smtp_client_lock_step(c)) {
		step(c, t);
	} else if (t->priv.patient && t->priv.asked == 0) {
		if (t->priv.accepted > 0) {
			smtp_client_say_data(c, t);
			return;
		}
		c->needs_rset = true;
		end(c, t);
	}
}

/* The message as a whole was refused. More recipients than the server takes at once: half of them will do. */
static void settle_message(struct smtp_client *c, const struct smtp_expect *x, const struct smtp_reply *r)
{
	struct smtp_transaction *t = x->t;
	enum smtp_fate fate;

	if (t->priv.accepted > 1 && smtp_topic_of(r) == SMTP_TOPIC_RECIPIENTS) {
		t->most = t->priv.accepted / 2;
		fate = SMTP_SPLIT;
	} else {
		fate = refusal(c, x, r);
	}
	smtp_transaction_settle_rest(t, fate, r);
}

static void on_data(struct smtp_client *c, const struct smtp_expect *x, const struct smtp_reply *r)
{
	struct smtp_transaction *t = x->t;

	if (r->code / 100 == 3 && r->code != 354) {
		smtp_client_fail(c, "the relay's reply does not fit the command");
		return;
	}
	if (r->code != 354) {
		settle_message(c, x, r);
		c->needs_rset = true;
		end(c, t);
		return;
	}
	dot_encoder_init(&c->dot);
	smtp_client_expect(c, EXPECT_FINAL, t, 0);
	if (t->priv.accepted > 0) {
		c->feeding = true;
		return;
	}
	/* Nobody was taken, yet the server waits for a message (RFC 2920 3.1): it gets an empty one. */
	buf_add_str(&c->out, ".\r\n");
	c->current = NULL;
	c->needs_rset = true;
}

/* Whether it may be BDAT that is refused and not the message: always where BDAT has not been seen to work there. */
static bool means_bdat(const struct smtp_client *c, const struct smtp_transaction *t, const struct smtp_reply *r)
{
	enum smtp_topic topic = smtp_topic_of(r);

	if (!t->priv.chunked || t->priv.accepted == 0 || r->code / 100 != 5)
		return false;
	if (topic != SMTP_TOPIC_COMMAND && topic != SMTP_TOPIC_CHUNKING && topic != SMTP_TOPIC_PIPELINING)
		return false;
	return !c->chunking_works || topic == SMTP_TOPIC_CHUNKING || (r->code >= 500 && r->code <= 504) ||
	       r->code == 521 || r->code == 552 || r->code == 555;
}

/* The message goes once more, by DATA, whose reply counts. */
static void refuse_bdat(struct smtp_client *c, const struct smtp_expect *x, const struct smtp_reply *r)
{
	struct smtp_transaction *t = x->t;

	t->by_data = true;
	if (r->code == 500 || r->code == 502) {
		/* Then the message's text has been read as commands, and nothing that came by BDAT was taken. */
		c->lied_chunking = c->untaken = true;
		smtp_client_fail(c, "the relay offers CHUNKING and does not know BDAT");
		return;
	}
	if (c->current == t)
		smtp_client_fail(c, "the relay answered before the message was sent");
	c->needs_rset = true;
	for (size_t i = 0; i < t->n; i++)
		if (t->results[i].fate == SMTP_ACCEPTED)
			smtp_transaction_settle(t, i, SMTP_UNTRIED, r);
	end(c, t);
}

static void on_final(struct smtp_client *c, const struct smtp_expect *x, const struct smtp_reply *r)
{
	struct smtp_transaction *t = x->t;
	bool fine = r->code / 100 == 2;

	if (means_bdat(c, t, r)) {
		refuse_bdat(c, x, r);
		return;
	}
	if (c->current == t) {
		/* A refusal may come early; a consent to what was not sent is worth nothing. */
		smtp_client_fail(c, "the relay answered before the message was sent");
		if (fine)
			return;
	}
	if (!fine && t->priv.chunked)
		c->needs_rset = true;
	if (!fine) {
		if (t->priv.accepted > 0)
			settle_message(c, x, r);
	} else {
		c->chunking_works = c->chunking_works || (t->priv.chunked && t->priv.accepted > 0);
		for (size_t i = 0; i < t->n; i++)
			if (t->results[i].fate == SMTP_ACCEPTED)
				smtp_transaction_settle(t, i, SMTP_DELIVERED, r);
	}
	end(c, t);
}

static void on_quit(struct smtp_client *c, const struct smtp_expect *x, const struct smtp_reply *r)
{
	(void)x;
	(void)r;
	c->quit_done = true;
}

/* Which replies may come: digits of the first figure. */
static const struct {
	void (*fn)(struct smtp_client *c, const struct smtp_expect *x, const struct smtp_reply *r);
	const char *classes;
} handlers[] = {
    [EXPECT_EHLO] = {on_ehlo, "245"},   [EXPECT_HELO] = {on_ehlo, "245"},  [EXPECT_RSET] = {on_rset, "245"},
    [EXPECT_MAIL] = {on_mail, "245"},   [EXPECT_RCPT] = {on_rcpt, "245"},  [EXPECT_DATA] = {on_data, "345"},
    [EXPECT_FINAL] = {on_final, "245"}, [EXPECT_QUIT] = {on_quit, "2345"},
};

/* 421 ends the connection, whatever it answers (RFC 5321 3.8): neither that nor what stands behind it was taken. */
static void dismiss(struct smtp_client *c, const struct smtp_expect *x, const struct smtp_reply *r)
{
	c->dismissed = c->untaken = true;
	if (x != NULL && x->kind == EXPECT_RCPT && smtp_transaction_too_many(x->t, r))
		x->t->most = x->t->priv.accepted;
	fail_shown(c, r);
}

void smtp_client_take_reply(struct smtp_client *c, const struct smtp_reply *r)
{
	if (c->n == 0) {
		/* Some say 421 unasked before they close. */
		if (r->code == 421)
			dismiss(c, NULL, r);
		else
			smtp_client_fail(c, "the relay sent a reply to no command");
		return;
	}
	struct smtp_expect x = c->expects[c->head];
	c->head = (c->head + 1) % c->cap;
	c->n--;
	if (r->code == 421 && x.kind != EXPECT_QUIT) {
		dismiss(c, &x, r);
		return;
	}
	if (strchr(handlers[x.kind].classes, '0' + r->code / 100) == NULL) {
		smtp_client_fail(c, "the relay's reply does not fit the command");
		return;
	}
	handlers[x.kind].fn(c, &x, r);
}
