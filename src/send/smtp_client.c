#include "send/smtp_client.h"

#include "base/alloc.h"
#include "send/smtp_client_internal.h"
#include "send/smtp_transaction.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

enum { OUT_MAX = 1024 * 1024 };

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

void smtp_client_be_careful(struct smtp_client *c, bool careful)
{
	c->careful = careful;
}

void smtp_client_no_chunking(struct smtp_client *c)
{
	c->no_chunking = true;
}

void smtp_client_no_pipelining(struct smtp_client *c)
{
	c->no_pipelining = true;
}

void smtp_client_trust_chunking(struct smtp_client *c)
{
	c->chunking_works = true;
}

bool smtp_client_chunking_works(const struct smtp_client *c)
{
	return c->chunking_works;
}

const struct smtp_caps *smtp_client_caps(const struct smtp_client *c)
{
	return &c->caps;
}

/* ---- what is written ---- */

void smtp_client_expect(struct smtp_client *c, enum smtp_expected kind, struct smtp_transaction *t, size_t i)
{
	if (c->n == c->cap) {
		size_t cap = c->cap != 0 ? c->cap * 2 : 16;
		struct smtp_expect *bigger = xcalloc(cap, sizeof *bigger);
		for (size_t k = 0; k < c->n; k++)
			bigger[k] = c->expects[(c->head + k) % c->cap];
		free(c->expects);
		c->expects = bigger;
		c->head = 0;
		c->cap = cap;
	}
	c->expects[(c->head + c->n++) % c->cap] = (struct smtp_expect){kind, t, i};
}

static bool chunks(const struct smtp_client *c)
{
	return c->caps.chunking && !c->no_chunking;
}

bool smtp_client_lock_step(const struct smtp_client *c)
{
	return !c->caps.pipelining || c->no_pipelining;
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
	smtp_client_expect(c, EXPECT_MAIL, t, 0);
}

void smtp_client_say_rcpt(struct smtp_client *c, struct smtp_transaction *t, size_t i)
{
	buf_printf(&c->out, "RCPT TO:<%s>\r\n", t->recipients[i]);
	t->priv.asked++;
	smtp_client_expect(c, EXPECT_RCPT, t, i);
}

static void say_bdat(struct smtp_client *c, struct smtp_transaction *t)
{
	buf_printf(&c->out, "BDAT %" PRIu64 " LAST\r\n", t->size);
	smtp_client_expect(c, EXPECT_FINAL, t, 0);
	c->feeding = true;
}

void smtp_client_say_data(struct smtp_client *c, struct smtp_transaction *t)
{
	if (t->priv.chunked) {
		say_bdat(c, t);
		return;
	}
	buf_add_str(&c->out, "DATA\r\n");
	smtp_client_expect(c, EXPECT_DATA, t, 0);
}

static void say_rset(struct smtp_client *c)
{
	buf_add_str(&c->out, "RSET\r\n");
	smtp_client_expect(c, EXPECT_RSET, NULL, 0);
	c->needs_rset = false;
}

void smtp_client_quit(struct smtp_client *c)
{
	if (c->quitting || c->failed)
		return;
	c->quitting = true;
	buf_add_str(&c->out, "QUIT\r\n");
	smtp_client_expect(c, EXPECT_QUIT, NULL, 0);
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
	smtp_client_expect(c, EXPECT_EHLO, NULL, 0);
}

/* ---- how transactions end ---- */

void smtp_client_fail(struct smtp_client *c, const char *why)
{
	c->failed = true;
	c->feeding = false;
	if (c->trouble == NULL)
		c->trouble = xstrdup(why);
}

void smtp_client_finish(struct smtp_client *c, struct smtp_transaction *t)
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

/* What stands behind a 421, or was given to a server that does not know BDAT, was not taken. */
static void lose(struct smtp_client *c, struct smtp_transaction *t, const char *why)
{
	for (size_t i = 0; i < t->n; i++) {
		struct smtp_result *r = &t->results[i];
		if (r->fate != SMTP_PENDING && r->fate != SMTP_ACCEPTED)
			continue;
		r->fate = t->priv.sent && !c->untaken ? SMTP_UNKNOWN : SMTP_UNTRIED;
		if (r->code < 400) {
			free(r->reply);
			r->reply = xstrdup(why);
			r->code = 0;
			r->status[0] = '\0';
		}
	}
	smtp_client_finish(c, t);
}

void smtp_client_lost(struct smtp_client *c, const char *why)
{
	c->n = 0;
	smtp_client_fail(c, why);
	while (c->nopen > 0)
		lose(c, c->open[c->nopen - 1], why);
}

bool smtp_client_input(struct smtp_client *c, struct slice in)
{
	while (in.n > 0 && !c->failed) {
		size_t used;
		enum smtp_reading got = smtp_reader_feed(&c->reader, in, &used);

		in = slice_sub(in, used, in.n);
		if (got == SMTP_READ_BAD)
			smtp_client_fail(c, "the relay sent something that is no SMTP reply");
		else if (got == SMTP_READ_DONE)
			smtp_client_take_reply(c, &c->reader.reply);
	}
	return !c->failed;
}

/* ---- transactions and their bytes ---- */

static size_t window(const struct smtp_client *c)
{
	/* Where none has been accepted and one was refused for want of a log-in, the others need not all try at once.
	 */
	if (c->careful || smtp_client_lock_step(c) || smtp_client_wants_login(c))
		return 1;
	return chunks(c) ? SMTP_CLIENT_WINDOW : 2;
}

size_t smtp_client_at_risk(const struct smtp_client *c)
{
	size_t unanswered = window(c);

	return unanswered == 1 ? 2 : unanswered == 2 ? 6 : unanswered;
}

bool smtp_client_has_room(const struct smtp_client *c)
{
	return c->started && !c->failed && !c->quitting && !c->spent && c->nopen < window(c);
}

bool smtp_client_ready(const struct smtp_client *c)
{
	return smtp_client_has_room(c) && c->current == NULL && c->out.n <= OUT_MAX / 2;
}

static void say_all(struct smtp_client *c, struct smtp_transaction *t)
{
	say_mail(c, t);
	if (smtp_client_lock_step(c))
		return;
	for (size_t i = 0; i < t->n; i++)
		if (t->results[i].fate == SMTP_PENDING)
			smtp_client_say_rcpt(c, t, i);
	/* The bytes of a large one are not sent to a server that may take nobody. */
	t->priv.patient = t->priv.chunked && t->size > SMTP_CLIENT_EAGER;
	if (!t->priv.patient)
		smtp_client_say_data(c, t);
}

void smtp_client_begin(struct smtp_client *c, struct smtp_transaction *t)
{
	memset(&t->priv, 0, sizeof t->priv);
	t->priv.chunked = chunks(c) && !t->by_data;
	t->most = 0;
	c->open[c->nopen++] = t;
	c->current = t;
	if (!smtp_transaction_check(t, &c->caps)) {
		smtp_client_finish(c, t);
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
	if (c->current->priv.chunked)
		return buf_add_slice(&c->out, bytes);
	return dot_encode(&c->dot, bytes, &c->out);
}

void smtp_client_body_end(struct smtp_client *c)
{
	if (!c->current->priv.chunked)
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

bool smtp_client_awaits_final(const struct smtp_client *c)
{
	const struct smtp_expect *x = c->n > 0 ? &c->expects[c->head] : NULL;

	return x != NULL && x->kind == EXPECT_FINAL && (x->t == NULL || c->current != x->t);
}

bool smtp_client_quit_done(const struct smtp_client *c)
{
	return c->quit_done;
}

const char *smtp_client_trouble(const struct smtp_client *c)
{
	return c->trouble != NULL ? c->trouble : "";
}

bool smtp_client_spent(const struct smtp_client *c)
{
	return c->spent;
}

enum smtp_topic smtp_client_topic(const struct smtp_client *c)
{
	return c->topic;
}

bool smtp_client_dismissed(const struct smtp_client *c)
{
	return c->dismissed;
}

bool smtp_client_wants_login(const struct smtp_client *c)
{
	return c->login_refused && !c->worked;
}

bool smtp_client_lied_chunking(const struct smtp_client *c)
{
	return c->lied_chunking;
}
