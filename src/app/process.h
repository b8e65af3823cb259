/* What the process is allowed: one instance a home, limits, giving up root. */
#ifndef OFM_APP_PROCESS_H
#define OFM_APP_PROCESS_H

#include "config/config.h"

/* As root: makes the state folder (for run_as's user) and becomes that user, keeping nothing but the right to bind low
 * ports. As anyone: makes the state folder. 0, or -1 with e. */
int process_become(const struct config *c, struct err *e);
/* One program a home: locks state/lock for the life of the process. Descriptor, or -1 with e. */
int process_lock(const struct config *c, struct err *e);
/* Memory holds passwords: no core dump, and nobody but root looks into it. Inherited by the helper. */
void process_guard_memory(void);
/* The process keeps to its folders from here on, and runs no program: see app/confine.h. Before there are threads.
 * Where the kernel cannot do that, the log says so. Sets the version of the Landlock in force, 0 for none. 0, or -1
 * with e. */
int process_confine(const struct config *c, int *landlock, struct err *e);
/* Whether the confined process can read the files that a new configuration names. 0, or -1 with e. */
int process_reaches(const struct config *c, struct err *e);
/* As many descriptors as allowed, no new privileges, few heaps. Before there are threads. */
void process_limits(void);

#endif
