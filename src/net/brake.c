#include "net/brake.h"

#include "base/alloc.h"
#include "base/log.h"
#include "net/refusals.h"

#include <stdlib.h>
#include <string.h>

enum { BUCKETS = 256, DAY_MS = 24 * 3600 * 1000 };

struct known { /* a user who logged in from an address */
	char *name;
	int64_t at;
};

struct suspect {
	struct suspect *next;
	struct ip_addr address;
	unsigned level; /* failures that are not forgotten, at `at` */
	int64_t at, seen;
	int64_t banned_until; /* 0 = never was */
	unsigned bans;
	struct known *known;
	size_t nknown;
};

struct brake {
	struct suspect *buckets[BUCKETS];
	size_t n;
	struct refusals refusals;
};

/* Whoever has an IPv6 address on the Internet has 2^64 of them; on the LAN a prefix is everybody's. */
static struct ip_addr whose(const struct ip_addr *a)
{
	static const unsigned char v4[12] = {[10] = 0xff, [11] = 0xff};
	struct ip_addr all = *a;

	if (memcmp(a->b, v4, sizeof v4) != 0 && ip_addr_is_global(a))
		memset(all.b + 8, 0, 8);
	return all;
}

static struct suspect **place_of(struct brake *b, const struct ip_addr *a)
{
	struct suspect **at = &b->buckets[ip_addr_hash(a) % BUCKETS];

	while (*at != NULL && memcmp(&(*at)->address, a, sizeof *a) != 0)
		at = &(*at)->next;
	return at;
}

static void suspect_remove(struct brake *b, struct suspect **at)
{
	struct suspect *s = *at;

	*at = s->next;
	for (size_t i = 0; i < s->nknown; i++)
		free(s->known[i].name);
	free(s->known);
	free(s);
	b->n--;
}

static void remove_quietest(struct brake *b)
{
	struct suspect **oldest = NULL;

	for (size_t i = 0; i < BUCKETS; i++)
		for (struct suspect **at = &b->buckets[i]; *at != NULL; at = &(*at)->next)
			if (oldest == NULL || (*at)->seen < (*oldest)->seen)
				oldest = at;
	if (oldest != NULL)
		suspect_remove(b, oldest);
}

static struct suspect *suspect_find(struct brake *b, const struct ip_addr *a)
{
	struct ip_addr who = whose(a);

	return *place_of(b, &who);
}

static struct suspect *suspect_get(struct brake *b, const struct ip_addr *a, int64_t now_ms)
{
	struct suspect *s = suspect_find(b, a);

	if (s == NULL) {
		struct ip_addr who = whose(a);
		if (b->n >= BRAKE_ADDRESSES)
			remove_quietest(b);
		struct suspect **at = place_of(b, &who);
		s = *at = xcalloc(1, sizeof *s);
		*s = (struct suspect){.address = who, .at = now_ms};
		b->n++;
	}
	s->seen = now_ms;
	return s;
}

static void let_forget(struct suspect *s, int64_t now_ms)
{
	int64_t forgotten = (now_ms - s->at) / BRAKE_FORGET_MS;

	if (forgotten >= s->level) {
		s->level = 0;
		s->at = now_ms;
	} else {
		s->level -= (unsigned)forgotten;
		s->at += forgotten * BRAKE_FORGET_MS;
	}
}

static struct known *known_find(const struct suspect *s, const char *user)
{
	for (size_t i = 0; i < s->nknown; i++)
		if (strcmp(s->known[i].name, user) == 0)
			return &s->known[i];
	return NULL;
}

static bool is_known(const struct suspect *s, const char *user, int64_t now_ms)
{
	const struct known *k = user != NULL ? known_find(s, user) : NULL;

	return k != NULL && now_ms - k->at < BRAKE_KNOWN_MS;
}

bool brake_admits(struct brake *b, const struct ip_addr *a, const char *user, int64_t now_ms)
{
	const struct suspect *s = suspect_find(b, a);
	char ip[46];
	unsigned before;

	if (s == NULL || now_ms >= s->banned_until || is_known(s, user, now_ms))
		return true;
	if (refusals_note(&b->refusals, a, now_ms, &before)) {
		ip_addr_format(a, ip);
		log_warning("login.refused", kv_s("peer", ip), kv_s("user", user != NULL ? user : ""),
		            kv_i("seconds_left", (s->banned_until - now_ms + 999) / 1000),
		            kv_u("since_last_line", before));
	}
	return false;
}

static void ban(struct suspect *s, const struct ip_addr *a, int64_t now_ms)
{
	int64_t ms = BRAKE_BAN_MS;
	char ip[46];

	if (s->banned_until != 0 && now_ms - s->banned_until > DAY_MS)
		s->bans = 0;
	for (unsigned i = 0; i < s->bans && ms < BRAKE_BAN_MAX_MS; i++)
		ms *= 2;
	if (ms > BRAKE_BAN_MAX_MS)
		ms = BRAKE_BAN_MAX_MS;
	s->bans++;
	s->banned_until = now_ms + ms;
	ip_addr_format(a, ip);
	log_warning("login.banned", kv_s("peer", ip), kv_u("failures", s->level), kv_i("seconds", ms / 1000));
}

/* In steps of a second. */
static int64_t delay_ms(unsigned steps)
{
	return steps < BRAKE_DELAY_MAX_MS / BRAKE_STEP_MS ? (int64_t)steps * BRAKE_STEP_MS : BRAKE_DELAY_MAX_MS;
}

int64_t brake_failed(struct brake *b, const struct ip_addr *a, const char *user, unsigned nth, int64_t now_ms)
{
	struct suspect *s = suspect_get(b, a, now_ms);

	let_forget(s, now_ms);
	if (s->level < BRAKE_LIMIT)
		s->level++;
	if (now_ms < s->banned_until)
		return is_known(s, user, now_ms) ? BRAKE_DELAY_BANNED_MS : BRAKE_DELAY_MAX_MS;
	if (s->level >= BRAKE_LIMIT)
		ban(s, a, now_ms);
	unsigned beyond = s->level > BRAKE_FREE ? s->level - BRAKE_FREE + 1 : 1;
	return delay_ms(nth > beyond ? nth : beyond);
}

void brake_succeeded(struct brake *b, const struct ip_addr *a, const char *user, int64_t now_ms)
{
	struct suspect *s = suspect_get(b, a, now_ms);
	struct known *k = known_find(s, user);

	if (k == NULL && s->nknown < BRAKE_KNOWN) {
		s->known = xreallocarray(s->known, s->nknown + 1, sizeof *s->known);
		k = &s->known[s->nknown++];
		*k = (struct known){xstrdup(user), now_ms};
	} else if (k == NULL) {
		k = &s->known[0];
		for (size_t i = 1; i < s->nknown; i++)
			if (s->known[i].at < k->at)
				k = &s->known[i];
		free(k->name);
		k->name = xstrdup(user);
	}
	k->at = now_ms;
}

struct brake *brake_new(void)
{
	return xcalloc(1, sizeof(struct brake));
}

void brake_free(struct brake **b)
{
	if (*b == NULL)
		return;
	for (size_t i = 0; i < BUCKETS; i++)
		while ((*b)->buckets[i] != NULL)
			suspect_remove(*b, &(*b)->buckets[i]);
	free(*b);
	*b = NULL;
}
