#include "send/smtp_transaction.h"

#include "base/alloc.h"

#include <stdlib.h>
#include <string.h>

struct smtp_transaction *smtp_transaction_new(size_t n)
{
	struct smtp_transaction *t = xcalloc(1, sizeof *t);

	t->n = n;
	t->recipients = xcalloc(n, sizeof *t->recipients);
	t->results = xcalloc(n, sizeof *t->results);
	return t;
}

void smtp_transaction_free(struct smtp_transaction **t)
{
	if (*t == NULL)
		return;
	for (size_t i = 0; i < (*t)->n; i++)
		free((*t)->results[i].reply);
	free((*t)->results);
	free((*t)->recipients);
	free(*t);
	*t = NULL;
}

void smtp_transaction_settle(struct smtp_transaction *t, size_t i, enum smtp_fate fate, const struct smtp_reply *r)
{
	struct smtp_result *res = &t->results[i];

	res->fate = fate;
	if (r == NULL)
		return;
	free(res->reply);
	res->code = r->code;
	memcpy(res->status, r->status, sizeof res->status);
	res->reply = smtp_reply_show(r);
}

static void settle_local(struct smtp_transaction *t, size_t i, enum smtp_fate fate, const char *text)
{
	struct smtp_reply r = {0};

	r.code = (text[0] - '0') * 100 + (text[1] - '0') * 10 + (text[2] - '0');
	memcpy(r.status, text + 4, 5);
	buf_init(&r.text, SMTP_REPLY_TEXT_MAX);
	buf_add_str(&r.text, text + 4);
	smtp_transaction_settle(t, i, fate, &r);
	buf_free(&r.text);
}

/* 503 is "not now", about the order of commands, never about mail; so no message may die of it. */
enum smtp_fate smtp_fate_of(int code)
{
	return code < 500 || code == 503 ? SMTP_DEFERRED : SMTP_REFUSED;
}

/* RFC 5321 4.5.3.1.10 says 452, and servers say it by whatever code. Where none was taken before it, the reply means
 * this recipient, not their number. */
bool smtp_transaction_too_many(const struct smtp_transaction *t, const struct smtp_reply *r)
{
	enum smtp_topic topic = smtp_topic_of(r);

	if (t->priv.accepted == 0 || r->code < 400)
		return false;
	if (topic == SMTP_TOPIC_RECIPIENTS)
		return true;
	return topic == SMTP_TOPIC_COMMAND && (r->code == 452 || r->code == 552) && r->status[0] == '\0';
}

/* In words, for an enhanced code alone may be a mistake. */
bool smtp_transaction_none_is_too_many(const struct smtp_transaction *t, const struct smtp_reply *r)
{
	struct smtp_reply words = *r;

	words.status[0] = '\0';
	return t->priv.accepted == 0 && smtp_topic_of(&words) == SMTP_TOPIC_RECIPIENTS;
}

/* Everyone who waits for the message as a whole; those that RCPT took, or all where it was not yet said. */
void smtp_transaction_settle_rest(struct smtp_transaction *t, enum smtp_fate fate, const struct smtp_reply *r)
{
	for (size_t i = 0; i < t->n; i++)
		if (t->results[i].fate == SMTP_ACCEPTED || t->results[i].fate == SMTP_PENDING)
			smtp_transaction_settle(t, i, fate, r);
}

/* Nothing in an address may end the command or add a parameter to it. */
static bool fit(const char *address)
{
	bool quoted = false;

	if (strlen(address) > 512)
		return false;
	for (const char *p = address; *p != '\0'; p++) {
		unsigned char ch = (unsigned char)*p;
		if (ch < ' ' || ch == 0x7f)
			return false;
		if (quoted && ch == '\\' && p[1] != '\0')
			p++;
		else if (ch == '"')
			quoted = !quoted;
		else if (!quoted && (ch == ' ' || ch == '<' || ch == '>'))
			return false;
	}
	return !quoted;
}

static bool is_ascii(const char *address)
{
	for (; *address != '\0'; address++)
		if ((unsigned char)*address >= 0x80)
			return false;
	return true;
}

bool smtp_transaction_needs_utf8(const struct smtp_transaction *t)
{
	if (!is_ascii(t->sender))
		return true;
	for (size_t i = 0; i < t->n; i++)
		if (t->results[i].fate == SMTP_PENDING && !is_ascii(t->recipients[i]))
			return true;
	return false;
}

/* Refusals that need no question to the server. false: nothing is left to send. */
bool smtp_transaction_check(struct smtp_transaction *t, const struct smtp_caps *caps)
{
	size_t left = 0;

	for (size_t i = 0; i < t->n; i++) {
		if (!fit(t->sender))
			settle_local(t, i, SMTP_REFUSED, "553 5.1.7 The sender's address cannot be sent by SMTP");
		else if (!fit(t->recipients[i]))
			settle_local(t, i, SMTP_REFUSED, "553 5.1.3 The address cannot be sent by SMTP");
		else if (!caps->smtputf8 && (!is_ascii(t->sender) || !is_ascii(t->recipients[i])))
			settle_local(t, i, SMTP_REFUSED,
			             "553 5.6.7 The address cannot be sent by SMTP: the relay takes none beyond ASCII "
			             "(no SMTPUTF8)");
		else if (caps->size_max > 0 && t->size > caps->size_max)
			settle_local(t, i, SMTP_REFUSED, "552 5.3.4 The message is larger than the relay takes");
		else
			left++;
	}
	return left > 0;
}
