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
	POP3_LATER,  /* busy, locked, too early, out of order: nobody's fault (RFC 2449 8, RFC 3206) */
	POP3_WRONG,  /* credentials: [AUTH] */
	POP3_UNCLEAR /* refused without a reason that a machine could read */
};

/* text: a status line with or without its "-ERR". login: it answers a log-in, not another command. */
enum pop3_refusal pop3_reply_refusal(struct slice text, bool login);
/* What to look at when this provider refuses a log-in; a sentence or two. */
const char *pop3_reply_mend(const char *host, bool russian);

#endif
