#include "pop3/locks.h"

#include "base/alloc.h"
#include "base/clock.h"

#include <stdlib.h>
#include <string.h>

enum { BUCKETS = 256 };

struct pop3_locks {
	struct loop_timer *tick;
	unsigned waiting;
	struct pop3_claim *buckets[BUCKETS]; /* oldest first, holders and those who wait */
};

static void on_tick(void *arg);

struct pop3_locks *pop3_locks_new(struct loop *l)
{
	struct pop3_locks *locks = xcalloc(1, sizeof *locks);

	locks->tick = loop_timer_new(l, on_tick, locks);
	return locks;
}

void pop3_locks_free(struct pop3_locks **l)
{
	if (*l == NULL)
		return;
	loop_timer_free(&(*l)->tick);
	free(*l);
	*l = NULL;
}

static size_t bucket_of(const char *user)
{
	return slice_hash(slice_of(user)) % BUCKETS;
}

static struct pop3_claim *first_of(const struct pop3_locks *l, const char *user, bool holding)
{
	struct pop3_claim *c = l->buckets[bucket_of(user)];

	while (c != NULL && (c->holding != holding || strcmp(c->user, user) != 0))
		c = c->next;
	return c;
}

bool pop3_locks_held(const struct pop3_locks *l, const char *user)
{
	return first_of(l, user, true) != NULL;
}

static void hold(struct pop3_claim *c)
{
	c->holding = true;
	c->granted(c->arg, true);
}

void pop3_locks_acquire(struct pop3_locks *l, struct pop3_claim *c)
{
	struct pop3_claim **at = &l->buckets[bucket_of(c->user)];
	bool taken = pop3_locks_held(l, c->user);

	while (*at != NULL)
		at = &(*at)->next;
	*at = c;
	c->next = NULL;
	c->since = clock_mono_ms();
	c->holding = false;
	c->listed = true;
	if (!taken) {
		hold(c);
		return;
	}
	l->waiting++;
	on_tick(l);
}

/* Takes it out of its bucket; whether it was there. */
static bool unlist(struct pop3_locks *l, struct pop3_claim *c)
{
	struct pop3_claim **at;

	if (!c->listed)
		return false;
	at = &l->buckets[bucket_of(c->user)];
	while (*at != c)
		at = &(*at)->next;
	*at = c->next;
	c->listed = false;
	if (!c->holding)
		l->waiting--;
	return true;
}

void pop3_locks_release(struct pop3_locks *l, struct pop3_claim *c)
{
	const char *user = c->user;
	bool held = c->holding;
	struct pop3_claim *next;

	if (!unlist(l, c))
		return;
	c->holding = false;
	next = held ? first_of(l, user, false) : NULL;
	if (next != NULL) {
		l->waiting--;
		hold(next);
	}
}

static bool same_peer(const struct pop3_claim *a, const struct pop3_claim *b)
{
	return memcmp(&a->peer, &b->peer, sizeof a->peer) == 0;
}

/* One that waits: its time is up, or the holder has fallen silent. Whether anything changed. */
static bool look_at(struct pop3_locks *l, struct pop3_claim *c, int64_t now)
{
	struct pop3_claim *holder = first_of(l, c->user, true);

	if (holder != NULL && same_peer(holder, c) && holder->silent(holder->arg) >= POP3_LOCK_SILENT_MS) {
		holder->evict(holder->arg);
		return true;
	}
	if (now - c->since < POP3_LOCK_WAIT_MS)
		return false;
	unlist(l, c);
	c->granted(c->arg, false);
	return true;
}

static void look_at_bucket(struct pop3_locks *l, size_t i, int64_t now)
{
	struct pop3_claim *c = l->buckets[i];

	while (c != NULL)
		/* Lists change under our feet: from the start, but each change ends one claim. */
		c = !c->holding && look_at(l, c, now) ? l->buckets[i] : c->next;
}

static void on_tick(void *arg)
{
	struct pop3_locks *l = arg;
	int64_t now = clock_mono_ms();

	for (size_t i = 0; i < BUCKETS && l->waiting > 0; i++)
		look_at_bucket(l, i, now);
	if (l->waiting > 0)
		loop_timer_set(l->tick, POP3_LOCK_TICK_MS);
}
