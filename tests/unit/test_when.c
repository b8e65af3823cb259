/* Times as people write them, on the days on which the clocks are changed. */
#include "../../gui-less/when.c"
#include "base/alloc.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include <cmocka.h>

/* False where this machine does not know it. */
static bool in_zone(const char *zone)
{
	char *file = xasprintf("/usr/share/zoneinfo/%s", zone);
	bool known = access(file, R_OK) == 0;

	free(file);
	setenv("TZ", zone, 1);
	tzset();
	return known;
}

static char *utc(int64_t t)
{
	char *out = xcalloc(1, 40);
	time_t at = (time_t)t;

	strftime(out, 40, "%Y-%m-%d %H:%M:%S", gmtime(&at));
	return out;
}

static int64_t from_utc(const char *text)
{
	struct tm tm = {0};

	assert_non_null(strptime(text, "%Y-%m-%d %H:%M:%S", &tm));
	return (int64_t)timegm(&tm);
}

static void test_moments(void **state)
{
	static const struct {
		const char *zone, *now, *text, *moment; /* both in UTC */
	} cases[] = {
	    /* Berlin: 29 March 2026, 02:00 becomes 03:00; 25 October, 03:00 becomes 02:00. */
	    {"Europe/Berlin", "2026-03-29 12:00:00", "13:30", "2026-03-29 11:30:00"},
	    {"Europe/Berlin", "2026-03-29 12:00:00", "01:30", "2026-03-29 00:30:00"},
	    {"Europe/Berlin", "2026-03-29 12:00:00", "02:30", "2026-03-29 01:30:00"},
	    {"Europe/Berlin", "2026-03-29 12:00:00", "today", "2026-03-28 23:00:00"},
	    {"Europe/Berlin", "2026-03-29 12:00:00", "yesterday", "2026-03-27 23:00:00"},
	    {"Europe/Berlin", "2026-03-30 12:00:00", "yesterday", "2026-03-28 23:00:00"},
	    {"Europe/Berlin", "2026-10-25 12:00:00", "13:30", "2026-10-25 12:30:00"},
	    {"Europe/Berlin", "2026-10-25 12:00:00", "02:30", "2026-10-25 00:30:00"},
	    {"Europe/Berlin", "2026-10-25 12:00:00", "03:30", "2026-10-25 02:30:00"},
	    {"Europe/Berlin", "2026-10-25 12:00:00", "today", "2026-10-24 22:00:00"},
	    {"Europe/Berlin", "2026-10-26 12:00:00", "yesterday", "2026-10-24 22:00:00"},
	    {"Europe/Berlin", "2026-11-30 12:00:00", "2026-03-29T13:30", "2026-03-29 11:30:00"},
	    {"Europe/Berlin", "2026-11-30 12:00:00", "2026-03-29 02:30:10", "2026-03-29 01:30:10"},
	    {"Europe/Berlin", "2026-11-30 12:00:00", "2026-10-25T02:30", "2026-10-25 00:30:00"},
	    {"Europe/Berlin", "2026-11-30 12:00:00", "2026-10-25", "2026-10-24 22:00:00"},
	    {"Europe/Berlin", "2026-03-29 12:00:00", "1d", "2026-03-28 12:00:00"},
	    /* New York: 8 March, 1 November. */
	    {"America/New_York", "2026-03-08 20:00:00", "13:30", "2026-03-08 17:30:00"},
	    {"America/New_York", "2026-11-01 20:00:00", "13:30", "2026-11-01 18:30:00"},
	    {"America/New_York", "2026-11-01 20:00:00", "01:30", "2026-11-01 05:30:00"},
	    /* Beirut has no midnight on 29 March; half an hour on Lord Howe. */
	    {"Asia/Beirut", "2026-03-29 12:00:00", "today", "2026-03-28 22:00:00"},
	    {"Asia/Beirut", "2026-03-29 12:00:00", "13:30", "2026-03-29 10:30:00"},
	    {"Australia/Lord_Howe", "2026-04-05 03:00:00", "13:30", "2026-04-05 03:00:00"},
	    {"Europe/Moscow", "2026-03-29 12:00:00", "13:30", "2026-03-29 10:30:00"},
	};

	(void)state;
	for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
		int64_t out = 0;
		if (!in_zone(cases[i].zone))
			continue;
		if (!when_parse(cases[i].text, from_utc(cases[i].now), &out))
			fail_msg("%s is not understood", cases[i].text);
		char *got = utc(out);
		if (strcmp(got, cases[i].moment) != 0)
			fail_msg("%s in %s is %s, not %s", cases[i].text, cases[i].zone, got, cases[i].moment);
		free(got);
	}
}

static void test_days(void **state)
{
	static const struct {
		const char *zone, *day;
		int hours;
	} cases[] = {{"Europe/Berlin", "2026-03-29", 23},    {"Europe/Berlin", "2026-10-25", 25},
	             {"Europe/Berlin", "2026-10-26", 24},    {"America/New_York", "2026-03-08", 23},
	             {"America/New_York", "2026-11-01", 25}, {"Asia/Beirut", "2026-03-29", 23},
	             {"Europe/Moscow", "2026-03-29", 24}};

	(void)state;
	for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
		int64_t from = 0, to = 0;
		if (!in_zone(cases[i].zone))
			continue;
		assert_true(when_day(cases[i].day, 0, &from, &to));
		if (to - from != cases[i].hours * 3600)
			fail_msg("%s in %s has %lld s", cases[i].day, cases[i].zone, (long long)(to - from));
	}
}

static void test_nonsense(void **state)
{
	static const char *const texts[] = {"2026-02-30", "2026-13-01", "25:00",     "2026-11-24T25:00",
	                                    "soon",       "",           "1900-01-01"};
	int64_t out;

	(void)state;
	for (size_t i = 0; i < sizeof texts / sizeof texts[0]; i++)
		if (when_parse(texts[i], 1000000000, &out))
			fail_msg("\"%s\" is taken for a time", texts[i]);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(test_moments),
	    cmocka_unit_test(test_days),
	    cmocka_unit_test(test_nonsense),
	};

	return cmocka_run_group_tests_name("when", tests, NULL, NULL);
}
