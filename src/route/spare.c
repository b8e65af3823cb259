/* What a burst of mail took is given back to the system soon after it: the heap alone keeps it for ever, since a few
 * bytes that stay are spread over all of its pages. */
#include "disk/workers.h"
#include "net/loop.h"
#include "route/delivery_internal.h"

#include <malloc.h>

enum { WORTH_IT = 4 * 1024 * 1024, FEW = 1024 * 1024, QUIET_MS = 500 };

static void give_back(void *arg)
{
	(void)arg;
	malloc_trim(0);
}

static void on_timer(void *arg)
{
	struct delivery *d = arg;

	if (delivery_unplaced(d) > FEW) {
		loop_timer_set(d->spare_timer, QUIET_MS);
		return;
	}
	d->spared_bytes = 0;
	workers_run(d->workers, give_back, NULL, NULL);
}

void spare_placed(struct delivery *d, uint64_t bytes)
{
	bool enough = d->spared_bytes >= WORTH_IT;

	d->spared_bytes += bytes;
	if (enough || d->spared_bytes < WORTH_IT)
		return;
	if (d->spare_timer == NULL)
		d->spare_timer = loop_timer_new(d->loop, on_timer, d);
	loop_timer_set(d->spare_timer, QUIET_MS);
}
