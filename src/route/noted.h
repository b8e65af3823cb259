/* What the journal is told of a message, taken from its header section. */
#ifndef OFM_ROUTE_NOTED_H
#define OFM_ROUTE_NOTED_H

#include "journal/journal.h"

/* Subject and Message-ID; of collected mail the From field too, since its envelope is not known. */
void noted_head(struct journal_note *n, struct slice head);
/* A message of our own. */
struct journal_note *noted_own(struct slice message);
void noted_queued(struct journal_note *n, const char *id, const struct strlist *recipients);

#endif
