#include "sync/schedule.h"

#include <time.h>

enum { DAY = 86400 };

int64_t schedule_every_next(int64_t every, bool ran, int64_t last_end_ms, int64_t now_ms)
{
	if (every <= 0)
		return SCHEDULE_NEVER;
	if (!ran)
		return now_ms;
	if (every > (SCHEDULE_NEVER - last_end_ms) / 1000)
		return SCHEDULE_NEVER;
	return last_end_ms + every * 1000;
}

/* Seconds east of Greenwich at a moment. */
static int64_t offset_at(int64_t wall)
{
	time_t t = (time_t)wall;
	struct tm tm;

	return localtime_r(&t, &tm) != NULL ? tm.tm_gmtoff : 0;
}

static bool shows(int64_t wall, unsigned hour, unsigned minute)
{
	time_t t = (time_t)wall;
	struct tm tm;

	return localtime_r(&t, &tm) != NULL && tm.tm_hour == (int)hour && tm.tm_min == (int)minute;
}

/* Not mktime: for a time shown twice its answer depends on earlier calls. Both offsets that may be in force around
 * this day are tried instead; the larger one gives the earlier moment. */
int64_t schedule_moment(int64_t day, unsigned hour, unsigned minute)
{
	int64_t utc = day * DAY + hour * 3600 + minute * 60;
	int64_t before = offset_at(utc - DAY), after = offset_at(utc + DAY);
	int64_t first = utc - (before > after ? before : after);
	int64_t second = utc - (before > after ? after : before);

	if (shows(first, hour, minute))
		return first;
	if (shows(second, hour, minute))
		return second;
	return utc - before;
}

static int64_t local_day(int64_t wall)
{
	int64_t local = wall + offset_at(wall);

	return local / DAY - (local % DAY < 0 ? 1 : 0);
}

int64_t schedule_at_next(const struct config_time_of_day *at, size_t n, int64_t now)
{
	int64_t today = local_day(now), best = SCHEDULE_NEVER;

	for (int64_t day = today - 1; day <= today + 2; day++)
		for (size_t i = 0; i < n; i++) {
			int64_t t = schedule_moment(day, at[i].hour, at[i].minute);
			if (t > now && t < best)
				best = t;
		}
	return best;
}

int64_t schedule_at_owed(const struct config_time_of_day *at, size_t n, int64_t served, int64_t now)
{
	int64_t today = local_day(now), best = 0;

	if (served > now)
		served = now;
	for (int64_t day = today - 2; day <= today + 1; day++)
		for (size_t i = 0; i < n; i++) {
			int64_t t = schedule_moment(day, at[i].hour, at[i].minute);
			if (t <= now && t > served && t > best)
				best = t;
		}
	return best;
}

int64_t schedule_at_before(const struct config_time_of_day *at, int64_t t)
{
	return schedule_at_owed(at, 1, INT64_MIN, t - 1);
}
