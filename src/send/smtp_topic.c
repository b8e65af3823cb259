#include "send/smtp_topic.h"

#include "base/alloc.h"

#include <stdlib.h>
#include <string.h>

static bool has(const char *text, const char *const *words)
{
	for (; *words != NULL; words++)
		if (strstr(text, *words) != NULL)
			return true;
	return false;
}

/* A limit on what comes within some time. */
static bool speaks_of_time(const char *t)
{
	static const char *const words[] = {
	    "per second", "per minute", "per hour", "per day",      "hourly",    "daily",       "/hour",
	    "/minute",    "in an hour", "a second", "messages/sec", "this hour", "this minute", "per-hour",
	    "per-minute", "per-day",    "24 hours", "/day",         "/min",      "/sec",        NULL};

	return has(t, words);
}

static bool speaks_of_limit(const char *t)
{
	static const char *const words[] = {"too many", "too much", "too high", "exceed",
	                                    "limit",    "maximum",  "quota",    NULL};

	return has(t, words);
}

static bool speaks_of_number(const char *t)
{
	static const char *const words[] = {"max ", "max. ", "at most", "more than", "allowed", NULL};

	return speaks_of_limit(t) || has(t, words);
}

static bool is_letter(char c)
{
	return c >= 'a' && c <= 'z';
}

/* "rate" as a word of its own, not inside "generated" or "operate". */
static bool has_rate(const char *t)
{
	for (const char *at = strstr(t, "rate"); at != NULL; at = strstr(at + 1, "rate"))
		if ((at == t || !is_letter(at[-1])) && !is_letter(at[4]))
			return true;
	return false;
}

static bool speaks_of_rate(const char *t)
{
	static const char *const plain[] = {"throttl",
	                                    "rate limit",
	                                    "ratelimit",
	                                    "rate-limit",
	                                    "rate_limit",
	                                    "sending rate",
	                                    "unusual rate",
	                                    "sending limit",
	                                    "sending quota",
	                                    "too much mail",
	                                    "too many messages",
	                                    "too many mails",
	                                    "too many emails",
	                                    "too many e-mails",
	                                    "too many requests",
	                                    "too many recipients from",
	                                    "too fast",
	                                    "so fast",
	                                    "frequency",
	                                    "slow down",
	                                    "unexpected volume",
	                                    "message volume",
	                                    NULL};

	return has(t, plain) || (has_rate(t) && speaks_of_limit(t)) || (speaks_of_time(t) && speaks_of_limit(t));
}

/* How fast one mailbox receives is no limit of the relay for us. */
static bool speaks_of_receiving(const char *t)
{
	static const char *const words[] = {"receiving",         "recipient has", "recipient's", "mailbox",
	                                    "you are trying to", "inbox",         NULL};

	return has(t, words);
}

static bool speaks_of_recipients(const char *t)
{
	static const char *const who[] = {"recipient", "rcpt", NULL};

	return has(t, who) && speaks_of_number(t) && !speaks_of_time(t) && strstr(t, "recipients from") == NULL &&
	       !has_rate(t);
}

static bool speaks_of_many_recipients(const char *t)
{
	static const char *const words[] = {"too many recipients",
	                                    "too many rcpt",
	                                    "recipients limit",
	                                    "recipient limit",
	                                    "number of recipients",
	                                    "recipients exceed",
	                                    "recipient count",
	                                    "recipients allowed",
	                                    "recipients per",
	                                    "many recipients in",
	                                    "recipients are allowed",
	                                    "max recipients",
	                                    "maximum recipients",
	                                    "max rcpt",
	                                    NULL};

	return has(t, words) && speaks_of_recipients(t);
}

static bool speaks_of_messages(const char *t)
{
	static const char *const what[] = {"message", "mail", "transaction", "envelope", "deliver", NULL};
	static const char *const where[] = {"this connection",
	                                    "this session",
	                                    "per connection",
	                                    "per session",
	                                    "one connection",
	                                    "one session",
	                                    "single connection",
	                                    "single session",
	                                    "in connection",
	                                    "in session",
	                                    "same connection",
	                                    "same session",
	                                    NULL};

	return has(t, what) && has(t, where);
}

static bool speaks_of_connections(const char *t)
{
	static const char *const words[] = {"too many connections",    "too many concurrent",
	                                    "too many simultaneous",   "too many sessions",
	                                    "too many open",           "concurrent connection",
	                                    "simultaneous connection", "concurrent session",
	                                    "parallel connection",     "connections from your",
	                                    "connection limit",        "maximum connections",
	                                    "max connections",         NULL};

	return has(t, words);
}

static bool speaks_of_hello(const char *t)
{
	static const char *const words[] = {"fully-qualified hostname",
	                                    "fully qualified hostname",
	                                    "helo command rejected",
	                                    "ehlo command rejected",
	                                    "invalid helo",
	                                    "invalid ehlo",
	                                    "bad helo",
	                                    "helo name",
	                                    "ehlo name",
	                                    "helo/ehlo",
	                                    "ehlo/helo",
	                                    "helo argument",
	                                    "ehlo argument",
	                                    "helo/ehlo argument",
	                                    NULL};

	return has(t, words);
}

/* The part of an enhanced code behind its class: ".7.28" */
static bool ends_in(const char *status, const char *rest)
{
	return status[0] != '\0' && strcmp(status + 1, rest) == 0;
}

static bool is_of_address(const struct smtp_reply *r)
{
	const char *rest = r->status + (r->status[0] != '\0');

	return strncmp(rest, ".1.", 3) == 0 || strncmp(rest, ".2.", 3) == 0;
}

static bool is_rate(const struct smtp_reply *r, const char *t)
{
	if (ends_in(r->status, ".7.28"))
		return true;
	return !is_of_address(r) && speaks_of_rate(t) && !speaks_of_receiving(t);
}

/* For now, and neither for this address (X.1, X.2) nor, as with 421, with the end of the connection. */
static bool is_busy(const struct smtp_reply *r, const char *t)
{
	static const char *const words[] = {
	    "server busy",    "server is busy", "server too busy", "server is too busy",  "system busy",
	    "system is busy", "too busy",       "overload",        "insufficient system", NULL};

	if (r->code / 100 != 4 || r->code == 421 || is_of_address(r) || speaks_of_receiving(t))
		return false;
	return ends_in(r->status, ".3.1") || ends_in(r->status, ".3.2") || ends_in(r->status, ".4.5") || has(t, words);
}

static enum smtp_topic by_words(const struct smtp_reply *r, const char *t)
{
	static const char *const pipelining[] = {"pipelin", "synchronization", "synchronisation", NULL};
	static const char *const chunking[] = {"bdat", "chunking", NULL};

	if (speaks_of_many_recipients(t) || (ends_in(r->status, ".5.3") && !speaks_of_rate(t)))
		return SMTP_TOPIC_RECIPIENTS;
	if (speaks_of_messages(t))
		return SMTP_TOPIC_MESSAGES;
	if (speaks_of_connections(t))
		return SMTP_TOPIC_CONNECTIONS;
	if (is_rate(r, t))
		return SMTP_TOPIC_RATE;
	if (has(t, pipelining))
		return SMTP_TOPIC_PIPELINING;
	if (has(t, chunking))
		return SMTP_TOPIC_CHUNKING;
	if (speaks_of_hello(t))
		return SMTP_TOPIC_HELLO;
	if (is_busy(r, t))
		return SMTP_TOPIC_BUSY;
	return SMTP_TOPIC_COMMAND;
}

enum smtp_topic smtp_topic_of(const struct smtp_reply *r)
{
	if (r->code < 400)
		return SMTP_TOPIC_COMMAND;
	if (r->code == 530 || r->code == 534 || r->code == 535 || r->code == 538)
		return SMTP_TOPIC_LOGIN;
	char *t = slice_dup(buf_slice(&r->text));
	ascii_lower_in_place(t);
	for (char *p = t; *p != '\0'; p++)
		if (*p == '\n' || *p == '\t')
			*p = ' ';
	enum smtp_topic topic = by_words(r, t);
	free(t);
	return topic;
}

enum smtp_topic smtp_topic_of_line(const char *line)
{
	struct smtp_reader reader;
	size_t used;

	smtp_reader_init(&reader);
	enum smtp_topic topic = SMTP_TOPIC_COMMAND;
	if (smtp_reader_feed(&reader, slice_of(line), &used) == SMTP_READ_MORE &&
	    smtp_reader_feed(&reader, slice_of("\n"), &used) == SMTP_READ_DONE)
		topic = smtp_topic_of(&reader.reply);
	smtp_reader_free(&reader);
	return topic;
}
