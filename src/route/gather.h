/* Inside route/: what an acceptance reads of a gather. */
#ifndef OFM_ROUTE_GATHER_H
#define OFM_ROUTE_GATHER_H

#include "route/delivery.h"

/* The bytes, where all of them are in memory; p NULL where the message has spilled. */
struct slice gather_bytes(const struct gather *g);
/* Gives them away, where all are in memory: there are none in it any more. */
void gather_take(struct gather *g, struct buf *into);
/* Whether the bytes are in a file. */
bool gather_spilled(const struct gather *g);
/* That file, with all bytes in it; -1 without one or after a failure. Read it with pread. */
int gather_fd(struct gather *g);

#endif
