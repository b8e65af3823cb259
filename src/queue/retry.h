/* When a refused message is tried again, warned about, given up. Pure: seconds in, seconds out.
 *
 * Waits run on the monotonic clock. A message's age is the time it was seen waiting, not a difference of two wall
 * times, so that a clock that jumps ten years expires nothing. */
#ifndef OFM_QUEUE_RETRY_H
#define OFM_QUEUE_RETRY_H

#include <stdbool.h>
#include <stdint.h>

enum { RETRY_MAX_DELAY = 4 * 3600, RETRY_WARN_AGE = 4 * 3600, RETRY_DOWNTIME_MAX = 24 * 3600 };

/* Seconds to wait after the failure that made `failures` of them: first, then doubling to 4 h. */
int64_t retry_delay(int64_t first, unsigned failures);
/* The wait that is left after a restart: what the wall clock says, but never more than the whole delay. */
int64_t retry_left(int64_t next_at, int64_t now, int64_t first, unsigned failures);
/* A message's age after a restart: what was counted, and of the time since then at most a day. */
int64_t retry_age_after(int64_t waited, int64_t counted_at, int64_t now);
/* Asked after a failed try. */
bool retry_expired(int64_t waited, int64_t max_age);
bool retry_warns(int64_t waited, bool warned);

#endif
