/* Names of messages with a clock that stands still: two threads of one process never draw the same. */
#include "base/alloc.h"
#include "base/random.h"

#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include <cmocka.h>

enum { EACH = 1000 * 1000, THREADS = 2 };

/* In front of libc's: every clock is stopped. */
int clock_gettime(clockid_t id, struct timespec *ts)
{
	(void)id;
	*ts = (struct timespec){1800000000, 123456789};
	return 0;
}

static void *draw(void *arg)
{
	char(*names)[RANDOM_NAME_MAX] = arg;

	for (size_t i = 0; i < EACH; i++)
		random_name(names[i]);
	return NULL;
}

static int compare(const void *a, const void *b)
{
	return strcmp(a, b);
}

static void two_threads_and_a_frozen_clock_never_collide(void **state)
{
	char(*names)[RANDOM_NAME_MAX] = xcalloc(EACH * THREADS, RANDOM_NAME_MAX);
	pthread_t threads[THREADS];

	(void)state;
	for (size_t i = 0; i < THREADS; i++)
		assert_int_equal(pthread_create(&threads[i], NULL, draw, names + i * EACH), 0);
	for (size_t i = 0; i < THREADS; i++)
		assert_int_equal(pthread_join(threads[i], NULL), 0);
	qsort(names, EACH * THREADS, RANDOM_NAME_MAX, compare);
	/* The clock did stand still, for the first as for the last. */
	assert_memory_equal(names[0], names[EACH * THREADS - 1], strlen("1800000000.") + 5);
	for (size_t i = 1; i < EACH * THREADS; i++)
		if (strcmp(names[i - 1], names[i]) == 0)
			fail_msg("drawn twice: %s", names[i]);
	free(names);
}

int main(void)
{
	const struct CMUnitTest tests[] = {cmocka_unit_test(two_threads_and_a_frozen_clock_never_collide)};

	return cmocka_run_group_tests_name("names", tests, NULL, NULL);
}
