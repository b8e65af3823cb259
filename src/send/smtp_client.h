/* An SMTP client after log-in (RFC 5321; pipelining 2920, chunking 3030, size 1870, 8BITMIME 6152, SMTPUTF8 6531), as a
 * pure machine: bytes in, events and bytes out.
 *
 * How transactions travel follows what the server offers:
 *   CHUNKING and PIPELINING   MAIL RCPT… BDAT, one behind the other, at most 20 unanswered
 *   PIPELINING                MAIL RCPT… DATA together; the next such group right behind the final dot
 *   neither                   one command, one reply
 * A message of more than SMTP_CLIENT_EAGER bytes waits for the replies to RCPT: nobody may be left to send it to.
 *
 * Every reply is settled for what it answers: RCPT's for that recipient, MAIL's and the message's for all of the
 * transaction. Nothing a server says makes the machine bounce mail but a 5xx reply in the right place; garbage, silence
 * and 421 end the connection. docs/CONFORMANCE.md has the table of replies, place by place. */
#ifndef OFM_SEND_SMTP_CLIENT_H
#define OFM_SEND_SMTP_CLIENT_H

#include "send/smtp_topic.h"

enum {
	SMTP_CLIENT_WINDOW = 20,
	SMTP_CLIENT_RECIPIENTS = 100, /* of one transaction (RFC 5321 4.5.3.1.8) */
	SMTP_CLIENT_EAGER = 64 * 1024 /* a message up to this size travels with its envelope */
};

enum smtp_fate {
	SMTP_PENDING,  /* no reply yet */
	SMTP_ACCEPTED, /* RCPT was; the message's own reply is awaited */
	/* final: */
	SMTP_DELIVERED,
	SMTP_DEFERRED, /* refused for now (4xx) */
	SMTP_REFUSED,  /* refused for good (5xx) */
	SMTP_SPLIT,    /* too many recipients in one transaction: again, at once, in another */
	SMTP_SLOWED,   /* refused for the relay's rate limit: again, as soon as the pace allows */
	SMTP_DOUBTFUL, /* refused, by the relay's limit or for this message's sake: the owner judges */
	SMTP_LOGIN,    /* MAIL was refused for want of a log-in, and nothing has worked in this connection yet */
	SMTP_UNTRIED,  /* cannot have been delivered: the connection ended first, or is spent, or BDAT was refused */
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
	bool by_data;  /* not by BDAT. Set by the machine where BDAT was refused and DATA should be tried */
	size_t
	    most; /* set by the machine: recipients at once, where the server said that these were too many; else 0 */
	void *owner;
	unsigned turn; /* the owner's */
	/* private to the machine */
	struct {
		size_t next; /* lock step: recipient whose RCPT comes next */
		size_t accepted;
		size_t asked; /* RCPTs without a reply */
		bool sent;    /* the message's last byte is written */
		bool chunked; /* it goes by BDAT */
		bool patient; /* its bytes wait for the replies to RCPT */
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
/* One transaction at a time, or no longer: for a server that lost a connection with several under way. */
void smtp_client_be_careful(struct smtp_client *c, bool careful);
void smtp_client_no_chunking(struct smtp_client *c);    /* DATA, whatever the server says */
void smtp_client_no_pipelining(struct smtp_client *c);  /* one command at a time, whatever the server says */
void smtp_client_trust_chunking(struct smtp_client *c); /* BDAT is known to work there: refusals mean the message */
bool smtp_client_chunking_works(const struct smtp_client *c); /* … known, or seen here */
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
/* The connection is gone: everything unfinished ends as UNTRIED or UNKNOWN, with `why` as its reply; the last that was
 * begun ends first. */
void smtp_client_lost(struct smtp_client *c, const char *why);
void smtp_client_quit(struct smtp_client *c);

struct buf *smtp_client_out(struct smtp_client *c); /* bytes to send; the caller drains them */
size_t smtp_client_unfinished(const struct smtp_client *c);
bool smtp_client_awaits_reply(const struct smtp_client *c);
/* The next reply is that to a whole message, which may take longer than others (RFC 5321 4.5.3.2.6). */
bool smtp_client_awaits_final(const struct smtp_client *c);
bool smtp_client_quit_done(const struct smtp_client *c); /* QUIT was answered */
/* The relay takes no more in this connection: it has room for nothing new. */
bool smtp_client_spent(const struct smtp_client *c);
/* Why input failed: a line for people, "" while all is well. */
const char *smtp_client_trouble(const struct smtp_client *c);
/* What the reply that ended the connection, or spent it, was about. */
enum smtp_topic smtp_client_topic(const struct smtp_client *c);
/* The trouble is a 421: what it answers and what stands behind it was not taken. */
bool smtp_client_dismissed(const struct smtp_client *c);
/* The relay wants a log-in, or a better one: that was its reply to MAIL, and none has been accepted. */
bool smtp_client_wants_login(const struct smtp_client *c);
/* The trouble is that BDAT is no command there, whatever EHLO said. */
bool smtp_client_lied_chunking(const struct smtp_client *c);

#endif
