/* Names of messages, under a frozen clock: same process id, two threads, a million names each, no collision. */
#include "base/random.h"

#include "base/alloc.h"

#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include <cmocka.h>

enum { NAMES = 1000000 };

/* What the library calls is this one: the clock stands still. */
static time_t now = 1000000000;

int clock_gettime(clockid_t id, struct timespec *ts)
{
	(void)id;
	*ts = (struct timespec){.tv_sec = now, .tv_nsec = 123456789};
	return 0;
}

struct maker {
	pthread_t thread;
	char (*names)[RANDOM_NAME_MAX];
};

static void *make(void *arg)
{
	struct maker *m = arg;

	for (size_t i = 0; i < NAMES; i++)
		random_name(m->names[i]);
	return NULL;
}

static int compare(const void *a, const void *b)
{
	return strcmp(a, b);
}

static void frozen_clock_names(void **state)
{
	char(*all)[RANDOM_NAME_MAX] = xreallocarray(NULL, 2 * NAMES, sizeof *all);
	struct maker m[2] = {{.names = all}, {.names = all + NAMES}};

	(void)state;
	for (size_t i = 0; i < 2; i++)
		assert_int_equal(pthread_create(&m[i].thread, NULL, make, &m[i]), 0);
	for (size_t i = 0; i < 2; i++)
		pthread_join(m[i].thread, NULL);
	qsort(all, 2 * NAMES, sizeof *all, compare);
	for (size_t i = 1; i < 2 * NAMES; i++)
		assert_string_not_equal(all[i - 1], all[i]);
	assert_int_equal(strncmp(all[0], "1000000000.", 11), 0); /* the clock did stand still */
	assert_int_equal(strncmp(all[2 * NAMES - 1], "1000000000.", 11), 0);
	free(all);
}

/* 1970, today and in ten years: SECONDS, a dot and 20 hex digits, whatever the clock says. */
static void names_at_any_time(void **state)
{
	static const time_t times[] = {0, 1, 99, 1700000000, 1795505729, 2147483648, 4294967296, 99999999999};
	char name[RANDOM_NAME_MAX];

	(void)state;
	for (size_t i = 0; i < sizeof times / sizeof times[0]; i++) {
		now = times[i];
		random_name(name);
		char *end;
		assert_int_equal(strtoll(name, &end, 10), times[i]);
		assert_int_equal(*end, '.');
		assert_int_equal(strspn(end + 1, "0123456789abcdef"), 20);
		assert_int_equal(strlen(end), 21);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {cmocka_unit_test(frozen_clock_names), cmocka_unit_test(names_at_any_time)};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
