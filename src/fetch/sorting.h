/* Whose a collected message is, found out without keeping anybody waiting. Loop thread. */
#ifndef OFM_FETCH_SORTING_H
#define OFM_FETCH_SORTING_H

#include "disk/workers.h"
#include "fetch/session.h"

/* Sorts the message whose header section `head` holds, at once where that takes moments; else on a worker, one such
 * message of these rules at a time, and done(arg) is called from the loop. Until then head must live. done takes the
 * verdict's contents. */
void sorting_start(struct fetch_rules *rules, struct workers *workers, struct slice head,
                   const struct config_account *account, void (*done)(void *arg, struct sorter_verdict *v), void *arg);

#endif
