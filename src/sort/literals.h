/* What a pattern cannot match without, so that the filter may pass over it. Pure. */
#ifndef OFM_SORT_LITERALS_H
#define OFM_SORT_LITERALS_H

#include "base/strlist.h"

/* Adds texts to out of which at least one stands, without case, in whatever the PCRE2 pattern matches: one for each of
 * its outermost alternatives. false, and nothing added, where none is known for sure: that is always allowed, and done
 * for all that is seldom in rules of mail. The pattern compiles. */
bool literals_of(const char *pattern, struct strlist *out);

#endif
