/* Headers made and changed: aliases for what goes outside, and what is added. Pure. */
#ifndef OFM_MAIL_REWRITE_H
#define OFM_MAIL_REWRITE_H

#include "mail/address.h"
#include "mail/header.h"

/* Gives the address to write instead, NULL to leave it, or "" to leave the whole address out; the string stays the
 * callee's until the next call. */
typedef const char *rewrite_lookup(void *arg, struct slice field, const struct address *a);

struct rewrite {
	rewrite_lookup *lookup;
	void *arg;
	bool complete; /* the whole header section is at hand */
	/* What was found, where complete. */
	bool has_date, has_id, has_from;
	struct slice nameless; /* the value of a From field without an address */
};

/* Appends the header section of h (without the empty line) with every address in From, Sender, Reply-To, To, Cc,
 * Resent-* (From Sender Reply-To To Cc), receipts, Errors-To, Mail-Followup-To, Mail-Reply-To and Return-Path replaced
 * for which lookup gives one. Addresses only: every other byte stays, except that all line ends become CRLF (a bare CR
 * is none, and stays), and that a line which gets longer than 998 octets is folded between addresses. Bcc and
 * Resent-Bcc are left out of the copy. Where r is complete, so is what says nothing of Date, Message-ID and From (no
 * address), and a second one of each. false where out is full. */
bool rewrite_header(struct buf *out, const struct header *h, struct rewrite *r);
/* Appends Date, Message-ID and From lines for those of them that were not found; From the mailer at hostname where
 * `from` is "". */
bool rewrite_add_missing(struct buf *out, const struct rewrite *r, const char *from, const char *hostname);
/* Whether it is a field that no reader may see: Bcc, Resent-Bcc. */
bool rewrite_is_blind(struct slice name);
/* Appends `Name: value` folded at 76 columns where it can, ending in CRLF; text that is not ASCII becomes RFC 2047
 * words. Controls in value become spaces, so that no value opens a line of its own. */
bool rewrite_add_field(struct buf *out, const char *name, const char *value);

#endif
