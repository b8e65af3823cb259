/* Headers made and changed: aliases for what goes outside, and what is added. Pure. */
#ifndef OFM_MAIL_REWRITE_H
#define OFM_MAIL_REWRITE_H

#include "mail/address.h"
#include "mail/header.h"

/* Gives the address to write instead, or NULL to leave it; the string stays the callee's until the next call. */
typedef const char *rewrite_lookup(void *arg, const struct address *a);

/* Appends the header section of h (without the empty line) with every address in From, Sender, Reply-To, To, Cc,
 * Resent-* (From Sender Reply-To To Cc), Disposition-Notification-To and Return-Receipt-To replaced for which lookup
 * gives one. Addresses only: every other byte stays, except that all line ends become CRLF (a bare CR is none, and
 * stays). Bcc and Resent-Bcc are left out of the copy. false where out is full. */
bool rewrite_header(struct buf *out, const struct header *h, rewrite_lookup *lookup, void *arg);
/* Appends Date, Message-ID and From lines for those of them that h lacks; From the mailer at hostname where `from` is
 * "". */
bool rewrite_add_missing(struct buf *out, const struct header *h, const char *from, const char *hostname);
/* Appends `Name: value` folded at 76 columns where it can, ending in CRLF; text that is not ASCII becomes RFC 2047
 * words. Controls in value become spaces, so that no value opens a line of its own. */
bool rewrite_add_field(struct buf *out, const char *name, const char *value);

#endif
