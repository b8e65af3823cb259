/* The SMTP client against any bytes a relay may send. The first bytes choose what it offers and what is to be sent;
 * the rest is replies, cut into pieces by the bytes themselves. However it ends: every transaction ends once, every
 * recipient has a final fate, nobody was delivered whose message was not written, nobody was refused by a reply to
 * something else, what stands behind a 421 was not tried, and no command was forged. */
#include "send/smtp_client.h"

#include <stdlib.h>
#include <string.h>

struct run {
	struct smtp_client *c;
	size_t begun, ended;
	bool losing;
	struct slice in;
};

static void check(bool ok)
{
	if (!ok)
		abort();
}

static void finished(void *arg, struct smtp_transaction *t)
{
	struct run *r = arg;

	r->ended++;
	for (size_t i = 0; i < t->n; i++) {
		const struct smtp_result *res = &t->results[i];
		check(res->fate > SMTP_ACCEPTED && res->fate <= SMTP_UNKNOWN);
		check(res->fate != SMTP_DELIVERED || (t->priv.sent && res->code / 100 == 2));
		check(res->fate != SMTP_REFUSED || (res->code / 100 == 5 && res->code != 503));
		check(res->fate != SMTP_DEFERRED || res->code >= 400);
		check(res->fate != SMTP_SPLIT || (res->code >= 400 && t->n > 1));
		check((res->fate != SMTP_SLOWED && res->fate != SMTP_DOUBTFUL) ||
		      (res->code >= 400 && res->code != 421));
		check(res->fate != SMTP_LOGIN || res->code == 530 || res->code == 534 || res->code == 535 ||
		      res->code == 538);
		/* A reply that is about the connection settles nobody. */
		check(res->code != 421 || res->fate == SMTP_UNTRIED);
		check(res->fate != SMTP_UNKNOWN || (r->losing && t->priv.sent && !smtp_client_dismissed(r->c)));
		check(!r->losing || !smtp_client_dismissed(r->c) || res->fate != SMTP_UNKNOWN);
		check(res->reply == NULL || strlen(res->reply) <= SMTP_REPLY_SHOWN_MAX + 64);
		check(res->reply == NULL || strpbrk(res->reply, "\r\n") == NULL);
	}
	check(t->most < t->n || t->most == 0);
	smtp_transaction_free(&t);
}

static const struct smtp_client_events events = {finished};

static unsigned next(struct run *r)
{
	if (r->in.n == 0)
		return 0;
	unsigned char b = (unsigned char)r->in.p[0];
	r->in = slice_sub(r->in, 1, r->in.n);
	return b;
}

static void begin(struct run *r)
{
	static const char *const names[] = {"a@x", "b@y", "\"q q\"@z", "bad\r\nRSET"};
	unsigned b = next(r);
	struct smtp_transaction *t = smtp_transaction_new(1 + b % 4);

	t->sender = b & 64 ? "" : "s@x";
	t->size = b & 16 ? SMTP_CLIENT_EAGER + 1 : 6; /* a large one waits for the replies to RCPT */
	t->by_data = (b & 128) != 0;
	t->eight_bit = (b & 32) != 0;
	for (size_t i = 0; i < t->n; i++)
		t->recipients[i] = names[(i + b / 4) % 4];
	r->begun++;
	smtp_client_begin(r->c, t);
}

/* Whatever may be done now is done, a little at a time. */
static void act(struct run *r)
{
	unsigned b = next(r);

	if (smtp_client_feeding(r->c) != NULL && (b & 1) == 0) {
		check(smtp_client_body(r->c, slice_of("..\r\n\r\n")));
		smtp_client_body_end(r->c);
	}
	while (smtp_client_ready(r->c) && r->begun < 60 && (b & 2) == 0) {
		begin(r);
		if (smtp_client_feeding(r->c) != NULL && (b & 4) == 0) {
			check(smtp_client_body(r->c, slice_of(".x\r\ny\n")));
			smtp_client_body_end(r->c);
		}
	}
	struct buf *out = smtp_client_out(r->c);
	check(memmem(out->p != NULL ? out->p : "", out->n, "bad", 3) == NULL);
	buf_clear(out);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct run r = {.in = slice_make((const char *)data, size)};
	unsigned offers = next(&r);
	struct smtp_caps caps = {.pipelining = offers & 1, .chunking = (offers & 2) != 0, .size = (offers & 4) != 0};
	bool alive = true;

	r.c = smtp_client_new(&events, &r);
	if (offers & 8)
		smtp_client_be_careful(r.c, true);
	if (offers & 16)
		smtp_client_no_chunking(r.c);
	if (offers & 64)
		smtp_client_no_pipelining(r.c);
	if (offers & 128)
		smtp_client_trust_chunking(r.c);
	if (offers & 32)
		smtp_client_hello(r.c, "me");
	else
		smtp_client_start(r.c, &caps);
	while (alive && r.in.n > 0) {
		act(&r);
		size_t n = 1 + next(&r);
		struct slice piece = slice_sub(r.in, 0, n);
		alive = smtp_client_input(r.c, piece);
		r.in = slice_sub(r.in, piece.n, r.in.n);
	}
	smtp_client_quit(r.c);
	r.losing = true;
	smtp_client_lost(r.c, "gone");
	check(r.begun == r.ended && smtp_client_unfinished(r.c) == 0);
	smtp_client_free(&r.c);
	return 0;
}
