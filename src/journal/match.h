/* Inside journal/: whether a message is one that was asked for. */
#ifndef OFM_JOURNAL_MATCH_H
#define OFM_JOURNAL_MATCH_H

#include "journal/query.h"

struct match; /* what is sought, made ready for comparing */

struct match *match_new(const struct journal_query *q);
void match_free(struct match **m);
bool match_fate(struct match *m, const struct journal_query *q, const struct journal_fate *f);

#endif
