/* UTF-8 and showing foreign bytes to people. */
#ifndef OFM_BASE_TEXT_H
#define OFM_BASE_TEXT_H

#include "base/buf.h"
#include "base/strlist.h"

#include <stdint.h>

/* Decodes one character at s.p[at]; returns its length 1..4 and sets *cp, or 0 where the bytes are no UTF-8
 * (overlong forms, surrogates and values over U+10FFFF included). */
size_t utf8_next(struct slice s, size_t at, uint32_t *cp);
bool utf8_valid(struct slice s);
/* Order and equality without case in the common Latin, Greek and Cyrillic letters, one for one; independent of the
 * locale. Bytes that are no UTF-8 count as themselves. */
int text_cmp_nocase(struct slice a, struct slice b);
bool text_eq_nocase(struct slice a, struct slice b);
/* Whether one of the list is equal so. Labels of accounts, rules, relays and groups are compared in no other way. */
bool text_listed_nocase(const struct strlist *l, const char *s);
/* Appends s as one harmless line of at most max bytes: controls, quotes, backslashes, bidirectional marks and
 * bytes that are no UTF-8 become \n, \", \\, \xHH or \u{HEX}; what is cut ends in "…". */
void text_escape(struct buf *out, struct slice s, size_t max);

/* How many characters s has; bytes that are no UTF-8 count as part of the one before. */
size_t text_chars(struct slice s);
/* Appends s with spaces behind it (or before it: `right`) to so many characters; a longer one as it is. */
void text_pad(struct buf *out, const char *s, size_t width, bool right);

#endif
