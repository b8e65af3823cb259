/* [special] daemon_reply: whoever wrote to the daemon is told what their sync did. Loop thread. */
#ifndef OFM_SYNC_REPLY_H
#define OFM_SYNC_REPLY_H

#include "sync/sync_internal.h"

/* Watches r, and at its end writes to each of these users. Nothing where the configuration does not say so. */
void sync_reply_watch(struct run *r, const struct strlist *users);

#endif
