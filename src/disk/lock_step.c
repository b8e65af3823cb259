#include "disk/lock_step.h"

/* Somebody who was asleep needs longer to come than somebody who is awake: so the first try is worth it up to here. */
enum { SOON_US = 2 * LOCK_STEP_US };

void lock_step_init(struct lock_step *s, long processors)
{
	*s = (struct lock_step){.never = processors < 2, .gap_us = INT64_MAX};
}

static bool tries(const struct lock_step *s)
{
	return !s->never && s->lone && s->skips == 0 && s->gap_us <= SOON_US;
}

void lock_step_answered(struct lock_step *s, int64_t now_us, unsigned submissions)
{
	s->answered_us = now_us;
	s->lone = submissions == 1;
	s->skips -= s->skips > 0;
}

void lock_step_came(struct lock_step *s, int64_t now_us)
{
	int64_t gap = now_us - s->answered_us;

	if (tries(s))
		s->vain = gap > LOCK_STEP_US ? s->vain + 1 : 0;
	if (s->vain == LOCK_STEP_VAIN) {
		s->vain = 0;
		s->skips = LOCK_STEP_SKIPS;
	}
	s->gap_us = gap;
}

bool lock_step_waits(const struct lock_step *s, int64_t now_us)
{
	return tries(s) && now_us - s->answered_us < LOCK_STEP_US;
}
