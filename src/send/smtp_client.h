/* An SMTP client after log-in (RFC 5321; pipelining 2920, chunking 3030, size 1870, 8BITMIME 6152, SMTPUTF8 6531), as a
 * pure machine: bytes in, events and bytes out.
 *
 * How transactions travel follows what the server offers:
 *   CHUNKING and PIPELINING   MAIL RCPT… BDAT, one behind the other, at most 20 unanswered
 *   PIPELINING                MAIL RCPT… DATA together; the next such group right behind the final dot
 *   neither                   one command, one reply
 * Every reply is settled for its own recipient. Nothing a server says makes the machine bounce mail but a 5xx reply in
 * the right place; garbage, silence and 421 end the connection. */
#ifndef OFM_SEND_SMTP_CLIENT_H
#define OFM_SEND_SMTP_CLIENT_H

#include "send/smtp_reply.h"

enum { SMTP_CLIENT_WINDOW = 20, SMTP_CLIENT_RECIPIENTS = 100 /* of one transaction (RFC 5321 4.5.3.1.8) */ };

enum smtp_fate {
	SMTP_PENDING,  /* no reply yet */
	SMTP_ACCEPTED, /* RCPT was; the message's own reply is awaited */
	/* final: */
	SMTP_DELIVERED,
	SMTP_DEFERRED, /* refused for now (4xx) */
	SMTP_REFUSED,  /* refused for good (5xx) */
	SMTP_SPLIT,    /* too many recipients in one transaction: again, at once, in another */
	SMTP_UNTRIED,  /* the connection ended first: cannot have been delivered */
	SMTP_UNKNOWN   /* the connection ended between the last byte of the message and its reply */
};

struct smtp_result {
	enum smtp_fate fate;
	int code;
	char status[SMTP_STATUS_MAX];
	char *reply; /* shown form; NULL = none */
};

struct smtp_transaction {
	const char *sender; /* borrowed until finished, as are the recipients */
	const char **recipients;
	struct smtp_result *results; /* one each */
	size_t n;
	uint64_t size; /* bytes of the message, exactly */
	bool eight_bit;
	bool smtputf8; /* its headers may need it; addresses are looked at by the machine */
	void *owner;
	/* private to the machine */
	struct {
		size_t next; /* lock step: recipient whose RCPT comes next */
		size_t accepted;
		bool sent; /* the message's last byte is written */
	} priv;
};

/* Both arrays are allocated here; the strings stay the caller's. */
struct smtp_transaction *smtp_transaction_new(size_t n);
void smtp_transaction_free(struct smtp_transaction **t);

struct smtp_client;

struct smtp_client_events { /* from inside smtp_client_* calls */
	/* All fates are final; the machine has forgotten t. */
	void (*finished)(void *arg, struct smtp_transaction *t);
};

struct smtp_client *smtp_client_new(const struct smtp_client_events *ev, void *arg);
void smtp_client_free(struct smtp_client **c); /* unfinished transactions are forgotten without an event */
/* Either is the start: capabilities as known, or EHLO to ask (HELO where it is refused). */
void smtp_client_start(struct smtp_client *c, const struct smtp_caps *caps);
void smtp_client_hello(struct smtp_client *c, const char *name);
/* One transaction at a time: for a server that lost a connection with several under way. */
void smtp_client_be_careful(struct smtp_client *c);
void smtp_client_no_chunking(struct smtp_client *c); /* DATA, whatever the server says */
const struct smtp_caps *smtp_client_caps(const struct smtp_client *c);

/* How many transactions may be unanswered, or answered and not yet on record: what a crash may send again. More than
 * may be unanswered, so that a slow disk does not make a slow line slower; at most SMTP_CLIENT_WINDOW. */
size_t smtp_client_at_risk(const struct smtp_client *c);
/* Whether there will be room for one more transaction once the bytes of the one that is being fed are written. */
bool smtp_client_has_room(const struct smtp_client *c);
/* Whether a transaction may begin now. */
bool smtp_client_ready(const struct smtp_client *c);
/* Borrows t until finished. It may finish inside this call (too large for what SIZE said, unfit addresses). */
void smtp_client_begin(struct smtp_client *c, struct smtp_transaction *t);
/* The transaction whose bytes are to be given next by smtp_client_body, NULL = none now. */
struct smtp_transaction *smtp_client_feeding(const struct smtp_client *c);
/* Exactly t->size bytes in all, with CRLF line ends; then body_end. false: out is full, drain it and give them again.
 */
bool smtp_client_body(struct smtp_client *c, struct slice bytes);
void smtp_client_body_end(struct smtp_client *c);

/* What the server sent. false: the connection is of no more use (smtp_client_trouble says why); call
 * smtp_client_lost. */
bool smtp_client_input(struct smtp_client *c, struct slice in);
/* The connection is gone: everything unfinished ends as UNTRIED or UNKNOWN, with `why` as its reply. */
void smtp_client_lost(struct smtp_client *c, const char *why);
void smtp_client_quit(struct smtp_client *c);

struct buf *smtp_client_out(struct smtp_client *c); /* bytes to send; the caller drains them */
size_t smtp_client_unfinished(const struct smtp_client *c);
bool smtp_client_awaits_reply(const struct smtp_client *c);
bool smtp_client_quit_done(const struct smtp_client *c); /* QUIT was answered */
/* Why input failed: a line for people, "" while all is well. */
const char *smtp_client_trouble(const struct smtp_client *c);
/* The trouble is that the server wants a log-in, or a better one (530, 534, 535, 538). */
bool smtp_client_wants_login(const struct smtp_client *c);
/* The trouble is that BDAT is no command there, whatever EHLO said. */
bool smtp_client_lied_chunking(const struct smtp_client *c);

#endif
