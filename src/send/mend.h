/* What people can do about mail that does not leave or arrive, in their language: whoever looks after the gateway about
 * a relay, the sender about a message. Pure. */
#ifndef OFM_SEND_MEND_H
#define OFM_SEND_MEND_H

#include <stdbool.h>
#include <stdint.h>

enum mend_trouble {
	MEND_NETWORK,     /* name, connection, silence, a break */
	MEND_BUSY,        /* it refuses for now: a 4xx at the greeting or the log-in */
	MEND_NO_SMTP,     /* no SMTP server behind that port, or one that refuses everybody */
	MEND_LOGIN,       /* the log-in was refused for good */
	MEND_TOKEN,       /* … and it was made with an OAuth2 token */
	MEND_WANTS_LOGIN, /* it wants one, or a better one */
	MEND_HELLO,       /* it refuses our name in EHLO */
	MEND_RATE,        /* it takes nothing more within its limits, for minutes */
	MEND_COMMAND,     /* password_command gave nothing */
	MEND_TRUST,       /* certificate or TLS handshake */
	MEND_NO_TLS,      /* TLS is required and not to be had */
	MEND_SETTING      /* a key's value that can never be sent */
};

/* Failures in a row after which it is worth telling: what no waiting mends, at once. */
unsigned mend_patience(enum mend_trouble t);
/* A constant text, lines ending in LF. */
const char *mend_text(enum mend_trouble t, const char *host, uint16_t port, bool russian);
/* For the sender of a message that was refused with this status (RFC 3463), or given up for age. NULL = the answer says
 * it all. */
const char *mend_message(const char *status, bool expired, bool russian);
/* The same, with the reply as people see it: its words may say more than its status. */
const char *mend_refusal(const char *status, const char *reply, bool expired, bool russian);

#endif
