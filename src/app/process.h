/* What the process is allowed: one instance a home, limits, giving up root. */
#ifndef OFM_APP_PROCESS_H
#define OFM_APP_PROCESS_H

#include "config/config.h"

/* As root: makes the state folder (for run_as's user) and becomes that user, keeping nothing but the right to bind low
 * ports. As anyone: makes the state folder. 0, or -1 with e. */
int process_become(const struct config *c, struct err *e);
/* One program a home: locks state/lock for the life of the process. Descriptor, or -1 with e. */
int process_lock(const struct config *c, struct err *e);
/* As many descriptors as allowed, no core dumps (they hold passwords), no new privileges. */
void process_limits(void);

#endif
