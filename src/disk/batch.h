/* Inside disk/: one batch of jobs in one transaction. */
#ifndef OFM_DISK_BATCH_H
#define OFM_DISK_BATCH_H

#include "disk/database.h"

struct db_node {
	struct db_node *next;
	struct db_job job;
	enum db_outcome outcome;
	struct err *e; /* owned; NULL where all went well */
};

/* Runs all jobs and sets each outcome. *c may be closed and reopened (and is NULL after a failure to reopen: the
 * next call tries again). */
void batch_run(struct db_conn **c, const char *path, struct db_node *batch);

#endif
