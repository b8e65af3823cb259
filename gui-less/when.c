#include "when.h"

#include "config/values.h"

#include <string.h>
#include <time.h>

/* The first second of the day `days` away from t's. mktime knows days of 23 and 25 hours. */
static int64_t midnight(int64_t t, int days)
{
	time_t at = (time_t)t;
	struct tm tm;

	localtime_r(&at, &tm);
	tm.tm_mday += days;
	tm.tm_hour = tm.tm_min = tm.tm_sec = 0;
	tm.tm_isdst = -1;
	return (int64_t)mktime(&tm);
}

static bool by_format(const char *text, const char *format, int64_t *out)
{
	struct tm tm = {.tm_isdst = -1};
	const char *end = strptime(text, format, &tm);

	if (end == NULL || *end != '\0')
		return false;
	tm.tm_isdst = -1;
	*out = (int64_t)mktime(&tm);
	return *out != -1;
}

bool when_day(const char *text, int64_t now, int64_t *from, int64_t *to)
{
	if (strcmp(text, "today") == 0)
		*from = midnight(now, 0);
	else if (strcmp(text, "yesterday") == 0)
		*from = midnight(now, -1);
	else if (strlen(text) != 10 || !by_format(text, "%Y-%m-%d", from))
		return false;
	*to = midnight(*from, 1);
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
		*out = midnight(now, 0) + clock.hour * 3600 + clock.minute * 60;
		return true;
	}
	for (size_t i = 0; i < sizeof formats / sizeof formats[0]; i++)
		if (by_format(text, formats[i], out))
			return true;
	return false;
}
