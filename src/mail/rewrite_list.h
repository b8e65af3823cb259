/* One field with addresses, rewritten. Internal to mail/. Pure. */
#ifndef OFM_MAIL_REWRITE_LIST_H
#define OFM_MAIL_REWRITE_LIST_H

#include "mail/rewrite.h"

/* Appends the field with the addresses replaced or left out as lookup says; nothing at all where it leaves out every
 * one. All line ends become CRLF. A line that is longer than RFC 5322 allows afterwards is folded between addresses;
 * otherwise no other byte changes. false where out is full. */
bool rewrite_list(struct buf *out, struct slice bytes, const struct header_field *f, rewrite_lookup *lookup, void *arg);
/* Appends bytes with all line ends CRLF; only LF ends a line, a bare CR stays. */
bool rewrite_lines(struct buf *out, struct slice s);

#endif
