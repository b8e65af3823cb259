/* The program put together: which room talks to which. */
#ifndef OFM_APP_APP_H
#define OFM_APP_APP_H

#include "app/options.h"
#include "base/err.h"

struct app;

/* Reads the configuration, recovers, opens everything. NULL after a failed start: every fault was said on stderr, and
 * nothing is left running or bound. */
struct app *app_start(const struct options *o);
/* Serves until SIGTERM, SIGINT or `ofmctl stop`, then stops cleanly. */
void app_run(struct app *a);
void app_free(struct app **a);

#endif
