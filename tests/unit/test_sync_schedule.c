/* The schedule's arithmetic: every, at, what was missed, summer time, clocks that jump. */
#include "sync/schedule.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include <cmocka.h>

/* Rules written out, so that these work where no zone files are installed. */
#define BERLIN "CET-1CEST,M3.5.0,M10.5.0/3"
#define LORD_HOWE "<+1030>-10:30<+11>-11,M10.1.0,M4.1.0"

static void zone(const char *tz)
{
	setenv("TZ", tz, 1);
	tzset();
}

/* "2026-03-29 01:30" as UTC. */
static int64_t utc(const char *text)
{
	struct tm tm = {0};

	assert_non_null(strptime(text, "%Y-%m-%d %H:%M", &tm));
	return timegm(&tm);
}

static void test_every(void **state)
{
	static const struct {
		int64_t every;
		bool ran;
		int64_t last_end, now, next;
	} cases[] = {
	    {0, false, 0, 5000, SCHEDULE_NEVER},
	    {0, true, 1000, 5000, SCHEDULE_NEVER},
	    {900, false, 0, 5000, 5000},        /* the first at start */
	    {900, true, 60000, 61000, 960000},  /* from the end of the last */
	    {900, true, 60000, 990000, 960000}, /* overdue */
	    {1, true, 7, 7, 1007},
	    {INT64_MAX / 2, true, 1, 5, SCHEDULE_NEVER}, /* no overflow */
	};

	(void)state;
	for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++)
		assert_int_equal(schedule_every_next(cases[i].every, cases[i].ran, cases[i].last_end, cases[i].now),
		                 cases[i].next);
}

static void test_at(void **state)
{
	static const struct config_time_of_day at[] = {{9, 0}, {13, 30}};
	static const struct {
		const char *tz, *now, *next, *served, *owed;
	} cases[] = {
	    {"UTC", "2026-11-24 08:59", "2026-11-24 09:00", "2026-11-23 13:30", NULL},
	    {"UTC", "2026-11-24 09:00", "2026-11-24 13:30", "2026-11-23 13:30", "2026-11-24 09:00"},
	    {"UTC", "2026-11-24 09:00", "2026-11-24 13:30", "2026-11-24 09:00", NULL},
	    /* missed two, owed one */
	    {"UTC", "2026-11-24 18:00", "2026-11-25 09:00", "2026-11-23 13:30", "2026-11-24 13:30"},
	    /* down for years: still one */
	    {"UTC", "2026-11-24 18:00", "2026-11-25 09:00", "1970-01-02 00:00", "2026-11-24 13:30"},
	    /* a new year, and a leap day */
	    {"UTC", "2026-12-31 23:59", "2027-01-01 09:00", "2026-12-31 13:30", NULL},
	    {"UTC", "2028-02-28 20:00", "2028-02-29 09:00", "2028-02-28 14:00", NULL},
	    /* local time: Moscow is three hours ahead */
	    {"MSK-3", "2026-11-24 05:59", "2026-11-24 06:00", "2026-11-23 10:30", NULL},
	    {"MSK-3", "2026-11-24 22:30", "2026-11-25 06:00", "2026-11-24 10:30", NULL},
	    {"PST8PDT,M3.2.0,M11.1.0", "2026-11-24 16:59", "2026-11-24 17:00", "2026-11-23 21:30", NULL},
	    /* the clock was set back ten years: not silent for ten years, and no flood */
	    {"UTC", "2016-11-24 08:00", "2016-11-24 09:00", "2026-11-24 09:00", NULL},
	    {"UTC", "2016-11-24 09:00", "2016-11-24 13:30", "2016-11-24 08:00", "2016-11-24 09:00"},
	    /* set forward ten years: one */
	    {"UTC", "2036-11-24 10:00", "2036-11-24 13:30", "2026-11-24 09:00", "2036-11-24 09:00"},
	};

	(void)state;
	for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
		zone(cases[i].tz);
		int64_t now = utc(cases[i].now), owed = cases[i].owed != NULL ? utc(cases[i].owed) : 0;
		assert_int_equal(schedule_at_next(at, 2, now), utc(cases[i].next));
		assert_int_equal(schedule_at_owed(at, 2, utc(cases[i].served), now), owed);
	}
}

static void test_no_at(void **state)
{
	(void)state;
	assert_int_equal(schedule_at_next(NULL, 0, 1000), SCHEDULE_NEVER);
	assert_int_equal(schedule_at_owed(NULL, 0, 0, 1000), 0);
}

/* Every minute of a year, each day's `at` is served exactly once, whatever the clocks do. */
static void count_days(const char *tz, struct config_time_of_day at, const char *from, const char *to, unsigned days)
{
	zone(tz);
	int64_t served = utc(from);
	unsigned runs = 0;

	for (int64_t now = served; now < utc(to); now += 600) {
		int64_t owed = schedule_at_owed(&at, 1, served, now);
		if (owed == 0)
			continue;
		runs++;
		served = owed;
		assert_in_range(now - owed, 0, 600);
		assert_int_equal(schedule_at_owed(&at, 1, served, now), 0);
	}
	assert_int_equal(runs, days);
}

static void test_summer_time(void **state)
{
	(void)state;
	/* 02:30 is skipped on 29 March and shown twice on 25 October. */
	count_days(BERLIN, (struct config_time_of_day){2, 30}, "2026-03-20 12:00", "2026-04-09 12:00", 20);
	count_days(BERLIN, (struct config_time_of_day){2, 30}, "2026-10-15 12:00", "2026-11-04 12:00", 20);
	count_days(BERLIN, (struct config_time_of_day){2, 0}, "2026-03-20 12:00", "2026-04-09 12:00", 20);
	count_days(BERLIN, (struct config_time_of_day){3, 0}, "2026-10-15 12:00", "2026-11-04 12:00", 20);
	/* A half-hour change, southern half of the world. */
	count_days(LORD_HOWE, (struct config_time_of_day){1, 45}, "2026-03-25 12:00", "2026-04-14 12:00", 20);
	count_days(LORD_HOWE, (struct config_time_of_day){2, 15}, "2026-09-25 12:00", "2026-10-15 12:00", 20);
	if (access("/usr/share/zoneinfo/Europe/Moscow", R_OK) != 0)
		return;
	/* Changed for good, without a summer-time flag: Moscow, 26 October 2014. */
	count_days("Europe/Moscow", (struct config_time_of_day){1, 30}, "2014-10-20 12:00", "2014-11-09 12:00", 20);
	/* Changes at midnight. */
	count_days("America/Asuncion", (struct config_time_of_day){0, 0}, "2022-09-25 12:00", "2022-10-15 12:00", 20);
}

static void test_moments(void **state)
{
	(void)state;
	zone(BERLIN);
	int64_t spring = utc("2026-03-29 00:00") / 86400, autumn = utc("2026-10-25 00:00") / 86400;
	assert_int_equal(schedule_moment(spring, 2, 30), utc("2026-03-29 01:30")); /* shown as 03:30 */
	assert_int_equal(schedule_moment(autumn, 2, 30), utc("2026-10-25 00:30")); /* the first of the two */
	assert_int_equal(schedule_moment(autumn, 3, 0), utc("2026-10-25 02:00"));
	assert_int_equal(schedule_moment(-1, 12, 0), utc("1969-12-31 11:00"));
}

/* One report begins where the last one ended. */
static void test_the_day_before(void **state)
{
	const struct config_time_of_day seven = {7, 0}, half_past_two = {2, 30};

	(void)state;
	zone(BERLIN);
	assert_int_equal(schedule_at_before(&seven, utc("2026-03-29 05:00")), utc("2026-03-28 06:00"));
	assert_int_equal(schedule_at_before(&seven, utc("2026-10-25 06:00")), utc("2026-10-24 05:00"));
	assert_int_equal(schedule_at_before(&seven, utc("2026-06-10 05:00")), utc("2026-06-09 05:00"));
	assert_int_equal(schedule_at_before(&half_past_two, utc("2026-03-29 01:30")), utc("2026-03-28 01:30"));
	assert_int_equal(schedule_at_before(&half_past_two, utc("2026-03-30 00:30")), utc("2026-03-29 01:30"));
	assert_int_equal(schedule_at_before(&half_past_two, utc("2026-10-26 01:30")), utc("2026-10-25 00:30"));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(test_every),       cmocka_unit_test(test_at),      cmocka_unit_test(test_no_at),
	    cmocka_unit_test(test_summer_time), cmocka_unit_test(test_moments), cmocka_unit_test(test_the_day_before),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
