/* By what a message is known again when its UIDL cannot be trusted: the digest of its header section. Pure. */
#ifndef OFM_FETCH_DIGEST_H
#define OFM_FETCH_DIGEST_H

#include "base/slice.h"

#include <stdint.h>

enum { DIGEST_SIZE = 32, DIGEST_HALF = 16 };

/* What a header section tells of its message. Two halves: SHA-256, cut to 128 bits, of the fields of `head` (a message,
 * its beginning, or a TOP reply), line ends aside, but for those that servers themselves write between two reads
 * (Status, X-IMAPbase, Return-Path, X-Spam-…, …); and of what the author wrote alone (From, To, Subject, Date,
 * Message-ID), all zero where there is none of these. Never all zero. */
void digest_header(struct slice head, unsigned char out[static DIGEST_SIZE]);

/* The first half can be compared with what earlier versions recorded: they knew fewer of the fields that servers
 * write, and kept all of SHA-256. */
struct digest_old {
	unsigned char few[DIGEST_SIZE];  /* with the fields that they did not know */
	unsigned char many[DIGEST_SIZE]; /* without them */
};
void digest_header_old(struct slice head, struct digest_old *out);
/* Whether a recorded digest, of any version, is that of such a header. Unknown ones equal nothing. */
bool digest_same(const unsigned char recorded[static DIGEST_SIZE], const unsigned char d[static DIGEST_SIZE],
                 const struct digest_old *old);
/* Whether the author's part is the same: then one is most likely a copy of the other. */
bool digest_same_author(const unsigned char a[static DIGEST_SIZE], const unsigned char b[static DIGEST_SIZE]);
int digest_compare(const unsigned char a[static DIGEST_SIZE],
                   const unsigned char b[static DIGEST_SIZE]); /* first halves */
/* Whether the header holds what no two messages have in common: a Message-ID or a Received line. */
bool digest_is_unique(struct slice head);
bool digest_has_id(struct slice head);                        /* a Message-ID */
bool digest_known(const unsigned char d[static DIGEST_SIZE]); /* not all zero */
void digest_hex(const unsigned char d[static DIGEST_SIZE], char out[static 2 * DIGEST_SIZE + 1]);
/* When the message reached the provider: its uppermost Received, else its Date; wall seconds, -1 = unknown. */
int64_t digest_arrival(struct slice head);

#endif
