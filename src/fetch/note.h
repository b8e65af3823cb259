/* What the journal is told of collected mail. */
#ifndef OFM_FETCH_NOTE_H
#define OFM_FETCH_NOTE_H

#include "route/delivery.h"
#include "sort/sorter.h"

/* uidl: or whatever stands for it. */
struct journal_note *fetch_note(const struct config_account *a, const char *uidl, const struct sorter_verdict *v,
                                const struct gather *g);

#endif
