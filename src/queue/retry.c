#include "queue/retry.h"

int64_t retry_delay(int64_t first, unsigned failures)
{
	int64_t d = first > 0 ? first : 1;

	/* A first delay that is longer than the cap was asked for: it stays. */
	if (d >= RETRY_MAX_DELAY)
		return d;
	for (unsigned i = 1; i < failures && d < RETRY_MAX_DELAY; i++)
		d *= 2;
	return d < RETRY_MAX_DELAY ? d : RETRY_MAX_DELAY;
}

/* Clocks may hold anything: no difference may overflow. */
static int64_t span(int64_t from, int64_t to)
{
	if (to <= from)
		return 0;
	return from < 0 && to > INT64_MAX + from ? INT64_MAX : to - from;
}

int64_t retry_left(int64_t next_at, int64_t now, int64_t first, unsigned failures)
{
	int64_t left = span(now, next_at), most = retry_delay(first, failures);

	return left < most ? left : most;
}

int64_t retry_age_after(int64_t waited, int64_t counted_at, int64_t now)
{
	int64_t gap = span(counted_at, now);

	if (gap > RETRY_DOWNTIME_MAX)
		gap = RETRY_DOWNTIME_MAX;
	if (waited < 0)
		waited = 0;
	return waited > INT64_MAX - gap ? INT64_MAX : waited + gap;
}

bool retry_expired(int64_t waited, int64_t max_age)
{
	return waited >= max_age;
}

bool retry_warns(int64_t waited, bool warned)
{
	return !warned && waited >= RETRY_WARN_AGE;
}
