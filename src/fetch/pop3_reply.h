/* What a provider's words mean: capabilities, refusals, and what a person can do about them. Pure. */
#ifndef OFM_FETCH_POP3_REPLY_H
#define OFM_FETCH_POP3_REPLY_H

#include "base/buf.h"

#include <stdint.h>

struct pop3_caps {  /* RFC 2449 6 */
	bool known; /* a CAPA reply was seen */
	bool pipelining, top, uidl, user, sasl_plain;
	int64_t login_delay; /* seconds; 0 = none */
};

/* One line of a CAPA reply. */
void pop3_caps_line(struct pop3_caps *caps, struct slice line);
/* The last CAPA reply in the lines (separated by LF) that a server sent during greeting and log-in. */
void pop3_caps_transcript(struct pop3_caps *caps, const char *transcript);

enum pop3_refusal {
	POP3_LATER,  /* busy, locked, too early, too often: nobody's fault (RFC 2449 8, RFC 3206) */
	POP3_WRONG,  /* for good, until somebody does something: [AUTH], blocked, POP3 switched off, an app password */
	POP3_UNCLEAR /* refused without a reason that a machine could read, or with several */
};

/* Behind RETR: all messages are refused for a while, as opposed to one that the server cannot read. */
bool pop3_reply_busy(struct slice text);

/* text: a status line with or without its "-ERR". login: it answers a log-in, not another command. */
enum pop3_refusal pop3_reply_refusal(struct slice text, bool login);
/* Whether it says that we have too many connections there. */
bool pop3_reply_crowded(struct slice text);
/* Whether it says that another session has the mailbox. */
bool pop3_reply_in_use(struct slice text);
/* The JSON that a server answers to a token which it refuses, decoded from its "+ BASE64" and added to out as one clean
 * line. The status in it (401), 0 where there is none; -1 where the reply is no such challenge. */
int pop3_reply_challenge(struct slice reply, struct buf *out);
/* What to look at when this provider refuses a log-in; a sentence or two. */
const char *pop3_reply_mend(const char *host, bool russian);
/* The same where it refuses a token. */
const char *pop3_reply_token_mend(bool russian);

#endif
