#include "send/pace.h"

enum {
	MINUTE_US = 60 * 1000 * 1000,
	SLACK_US = 20 * 1000,       /* what a late timer may be made up for */
	MEASURE_MIN_MS = 1000,      /* relays count by the second at the shortest */
	FORGET_IDLE_MS = 10 * 1000, /* a pace is measured within one burst */
	RISE_AFTER = 20,            /* taken in a row; then 5 % faster */
	FREE_US = 2000              /* faster than that is no limit */
};

static int64_t interval_of(int64_t a_minute)
{
	if (a_minute <= 0)
		return 0;
	return a_minute < MINUTE_US ? MINUTE_US / a_minute : 1;
}

void pace_set(struct pace *p, int64_t configured, int64_t found)
{
	p->configured_us = interval_of(configured);
	p->found_us = interval_of(found);
}

static int64_t interval(const struct pace *p)
{
	return p->configured_us > p->found_us ? p->configured_us : p->found_us;
}

int64_t pace_wait_ms(const struct pace *p, int64_t now)
{
	int64_t left_us = p->next_us - now * 1000;

	if (left_us > 0)
		return (left_us + 999) / 1000;
	return 0;
}

unsigned pace_begin(struct pace *p, int64_t now)
{
	int64_t now_us = now * 1000, every = interval(p);

	if (!p->paused && (p->taken == 0 || now_us - p->next_us > FORGET_IDLE_MS * INT64_C(1000))) {
		p->taken = 0;
		p->since_ms = now;
	}
	if (p->paused) {
		p->trying = true;
		p->next_us = now_us + PACE_PROBE_MS * INT64_C(1000);
		return p->turn;
	}
	if (p->next_us < now_us - SLACK_US)
		p->next_us = now_us - SLACK_US;
	p->next_us += every;
	if (every == 0)
		p->next_us = now_us;
	return p->turn;
}

/* A little slower than what the relay took since it last refused, and than it was asked to. */
static void find(struct pace *p)
{
	int64_t found = p->measured_ms * 1000 / p->measured;

	if (found < p->former_us)
		found = p->former_us;
	found += found / 10;
	p->found_us = found < MINUTE_US ? found : MINUTE_US;
}

bool pace_taken(struct pace *p, unsigned turn, int64_t now)
{
	if (turn != p->turn) {
		/* It began before the relay refused, and belongs to what was measured then. */
		if (!p->paused || turn + 1 != p->turn)
			return false;
		p->measured++;
		find(p);
		return true;
	}
	p->taken++;
	if (p->paused) {
		p->paused = p->trying = false;
		p->pause_ms = 0;
		p->next_us = now * 1000 + interval(p);
	}
	if (p->found_us == 0 || ++p->streak < RISE_AFTER)
		return false;
	p->streak = 0;
	p->found_us -= p->found_us / 20;
	if (p->found_us < FREE_US)
		p->found_us = 0;
	return true;
}

void pace_unknown(struct pace *p, unsigned turn)
{
	if (!p->trying || turn != p->turn)
		return;
	p->trying = false;
	p->next_us = 0;
}

/* What the relay took since it last refused. */
static void measure(struct pace *p, int64_t now)
{
	int64_t ms = now - p->since_ms;

	p->measured_ms = ms > MEASURE_MIN_MS ? ms : MEASURE_MIN_MS;
	p->measured = (int64_t)p->taken;
	p->former_us = p->found_us;
	if (p->measured > 0)
		find(p);
	else if (p->found_us == 0)
		p->found_us = PACE_PAUSE_MS * INT64_C(1000);
}

bool pace_refused(struct pace *p, unsigned turn, int64_t now)
{
	if (turn != p->turn)
		return false;
	p->turn++;
	if (p->taken > 0 || p->pause_ms == 0) {
		measure(p, now);
		p->pause_ms = PACE_PAUSE_MS;
	} else {
		p->pause_ms *= 2;
	}
	if (p->taken > 0)
		p->since_ms = now;
	p->taken = 0;
	p->streak = 0;
	p->paused = true;
	p->trying = false;
	p->next_us = (now + p->pause_ms) * 1000;
	return true;
}

void pace_hurry(struct pace *p, int64_t now)
{
	int64_t soon = (now + PACE_PAUSE_MS) * 1000;

	if (p->paused && !p->trying && p->next_us > soon)
		p->next_us = soon;
}

bool pace_exhausted(struct pace *p)
{
	if (p->pause_ms <= PACE_PAUSE_MAX_MS)
		return false;
	p->pause_ms = 0;
	p->next_us = 0;
	return true;
}

int64_t pace_found(const struct pace *p)
{
	return p->found_us > 0 ? (MINUTE_US + p->found_us - 1) / p->found_us : 0;
}
