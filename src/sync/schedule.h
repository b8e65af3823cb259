/* When the schedule asks for a sync. Pure arithmetic: the caller brings both clocks.
 *
 * `every` lives on the monotonic clock, so that a clock set right (or wrong) neither floods nor starves it. `at` lives
 * on the wall's, in local time; what of it was served is remembered as a moment. */
#ifndef OFM_SYNC_SCHEDULE_H
#define OFM_SYNC_SCHEDULE_H

#include "config/config.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define SCHEDULE_NEVER INT64_MAX

/* Monotonic ms of the next one by `every` seconds: now before the first, then counted from the end of the last. */
int64_t schedule_every_next(int64_t every, bool ran, int64_t last_end_ms, int64_t now_ms);

/* The moment (wall seconds) at which this day (days since 1970 of the local calendar) shows hour:minute. An hour that
 * the clocks skip: as if they had not been changed yet. One that they show twice: the first time. */
int64_t schedule_moment(int64_t day, unsigned hour, unsigned minute);
/* The first `at` moment after now; SCHEDULE_NEVER where there is none. */
int64_t schedule_at_next(const struct config_time_of_day *at, size_t n, int64_t now);
/* The latest `at` moment that came after `served` and not after now: however many were missed, one is owed. 0 = none.
 * A `served` in the future (the clock was set back) counts as now. */
int64_t schedule_at_owed(const struct config_time_of_day *at, size_t n, int64_t served, int64_t now);
/* The same time of the day before t, which is one of its moments: 23 or 25 hours ago where the clocks were changed. */
int64_t schedule_at_before(const struct config_time_of_day *at, int64_t t);

#endif
