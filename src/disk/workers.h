/* A pool of threads for what may block: file writes, flushes, directory scans, password hashes. */
#ifndef OFM_DISK_WORKERS_H
#define OFM_DISK_WORKERS_H

#include "net/loop.h"

struct workers;

struct workers *workers_new(struct loop *l, unsigned threads);
/* Finishes what is queued, joins the threads; `done`s not yet run are posted. Those may still ask for more work when
 * the loop is drained: it is not done. */
void workers_stop(struct workers *w);
/* Stops them where nobody has. */
void workers_free(struct workers **w);
/* Any thread: work(arg) on a worker, then, where done is not NULL, done(arg) on the loop's thread. */
void workers_run(struct workers *w, void (*work)(void *arg), void (*done)(void *arg), void *arg);

#endif
