#include "when.h"

#include "config/values.h"
#include "sync/schedule.h"

#include <string.h>
#include <time.h>

enum { DAY_S = 86400 };

/* Days since 1970 of the local calendar. */
static int64_t day_of(int64_t t)
{
	time_t at = (time_t)t;
	struct tm tm;

	if (localtime_r(&at, &tm) == NULL)
		return t / DAY_S;
	tm.tm_hour = tm.tm_min = tm.tm_sec = 0;
	return (int64_t)timegm(&tm) / DAY_S;
}

/* The first second of a day: one whose midnight the clocks skip begins when they do. */
static int64_t midnight(int64_t day)
{
	return schedule_moment(day, 0, 0);
}

/* A date and perhaps a time. An hour that the clocks skip is as if they had not been changed yet; of one that they show
 * twice it is the first. A day that the month does not have is none. */
static bool by_format(const char *text, const char *format, int64_t *out)
{
	struct tm tm = {0};
	const char *end = strptime(text, format, &tm);
	struct tm date = {.tm_year = tm.tm_year, .tm_mon = tm.tm_mon, .tm_mday = tm.tm_mday};

	if (end == NULL || *end != '\0' || tm.tm_sec > 59)
		return false;
	int64_t day = (int64_t)timegm(&date) / DAY_S;
	if (date.tm_mday != tm.tm_mday || date.tm_year < 70)
		return false;
	*out = schedule_moment(day, (unsigned)tm.tm_hour, (unsigned)tm.tm_min) + tm.tm_sec;
	return true;
}

bool when_day(const char *text, int64_t now, int64_t *from, int64_t *to)
{
	if (strcmp(text, "today") == 0)
		*from = midnight(day_of(now));
	else if (strcmp(text, "yesterday") == 0)
		*from = midnight(day_of(now) - 1);
	else if (strlen(text) != 10 || !by_format(text, "%Y-%m-%d", from))
		return false;
	*to = midnight(day_of(*from) + 1);
	return true;
}

bool when_parse(const char *text, int64_t now, int64_t *out)
{
	static const char *const formats[] = {"%Y-%m-%dT%H:%M:%S", "%Y-%m-%dT%H:%M", "%Y-%m-%d %H:%M:%S",
	                                      "%Y-%m-%d %H:%M"};
	struct config_time_of_day clock;
	int64_t ago, next;

	if (when_day(text, now, out, &next))
		return true;
	if (value_duration(slice_of(text), &ago)) {
		*out = now - ago;
		return true;
	}
	if (value_time(slice_of(text), &clock)) {
		*out = schedule_moment(day_of(now), clock.hour, clock.minute);
		return true;
	}
	for (size_t i = 0; i < sizeof formats / sizeof formats[0]; i++)
		if (by_format(text, formats[i], out))
			return true;
	return false;
}
