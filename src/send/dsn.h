/* Bounces and delay warnings: multipart/report messages of RFC 3462 and 3464. Pure. */
#ifndef OFM_SEND_DSN_H
#define OFM_SEND_DSN_H

#include "base/buf.h"

#include <stdint.h>

enum { DSN_ORIGINAL_MAX = 64 * 1024, DSN_RECIPIENTS_MAX = 1000 };

struct dsn_recipient {
	const char *address;
	const char *status; /* "5.1.1"; "" = to be derived from code */
	int code;           /* the relay's, 0 = it gave none */
	const char *reply;  /* what the relay said, or why it could not be asked; one harmless line */
	bool expired;       /* given up for age, not refused */
};

struct dsn {
	bool warning; /* delayed, not failed */
	bool russian;
	const char *hostname, *domain; /* of this gateway */
	const char *to;                /* address of who reads it */
	const char *from;              /* envelope sender of the original, for people; "" = null sender */
	const char *id;                /* queue id */
	const char *relay;             /* host, "" = none was reached */
	int64_t queued_at, now;        /* wall seconds */
	int64_t left;                  /* warning: seconds until it is given up */
	const char *boundary;          /* unique */
	const struct dsn_recipient *recipients;
	size_t n;              /* the first DSN_RECIPIENTS_MAX are listed */
	struct slice original; /* the message, or its beginning */
	bool whole;            /* original is the whole message */
};

/* Appends the message, lines ending in CRLF, with Return-Path: <>. */
void dsn_format(struct buf *out, const struct dsn *d);
/* RFC 3463 status of a recipient: its own, or one made from the code. buf of at least SMTP_STATUS_MAX bytes. */
const char *dsn_status(const struct dsn_recipient *r, bool warning, char buf[static 12]);

#endif
