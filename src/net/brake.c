#include "net/brake.h"

#include "base/alloc.h"
#include "base/log.h"
#include "net/refusals.h"

#include <stdlib.h>
#include <string.h>

enum { BUCKETS = 256, DAY_MS = 24 * 3600 * 1000 };

/* Failures and what came of them. */
struct meter {
	unsigned level; /* failures that are not forgotten, at `at` */
	int64_t at;
	int64_t banned_until; /* 0 = never was */
	unsigned bans;
};

struct person { /* a name that was used from an address */
	char name[BRAKE_NAME_MAX + 1];
	int64_t seen, known_at; /* known_at: logged in well; 0 = never */
	struct meter meter;
};

struct suspect {
	struct suspect *next;
	struct ip_addr address;
	int64_t seen;
	struct meter meter;
	struct person *persons;
	size_t npersons;
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
	free(s->persons);
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
		*s = (struct suspect){.address = who};
		b->n++;
	}
	s->seen = now_ms;
	return s;
}

static struct person *person_find(const struct suspect *s, const char *user)
{
	for (size_t i = 0; i < s->npersons; i++)
		if (strncmp(s->persons[i].name, user, BRAKE_NAME_MAX) == 0)
			return &s->persons[i];
	return NULL;
}

/* Who gives way to another name: whoever never logged in, and of those the quietest. */
static struct person *person_least(struct suspect *s)
{
	struct person *least = &s->persons[0];

	for (size_t i = 1; i < s->npersons; i++) {
		struct person *p = &s->persons[i];
		if (p->known_at != least->known_at ? p->known_at < least->known_at : p->seen < least->seen)
			least = p;
	}
	return least;
}

static struct person *person_get(struct suspect *s, const char *user, int64_t now_ms)
{
	struct person *p = person_find(s, user);

	if (p == NULL && s->npersons < BRAKE_NAMES) {
		s->persons = xreallocarray(s->persons, s->npersons + 1, sizeof *s->persons);
		p = &s->persons[s->npersons++];
		*p = (struct person){.name = ""};
	} else if (p == NULL) {
		p = person_least(s);
		*p = (struct person){.name = ""};
	}
	if (p->name[0] == '\0')
		strncpy(p->name, user, BRAKE_NAME_MAX);
	p->seen = now_ms;
	return p;
}

static bool is_known(const struct person *p, int64_t now_ms)
{
	return p != NULL && p->known_at != 0 && now_ms - p->known_at < BRAKE_KNOWN_MS;
}

/* When the ban ends that is in force for this name; 0 = none is. */
static int64_t banned_until(const struct suspect *s, const struct person *p, int64_t now_ms)
{
	int64_t until = s->meter.banned_until;

	if (p != NULL && p->meter.banned_until > until)
		until = p->meter.banned_until;
	return now_ms < until ? until : 0;
}

bool brake_admits(struct brake *b, const struct ip_addr *a, const char *user, int64_t now_ms)
{
	const struct suspect *s = suspect_find(b, a);
	const struct person *p = s != NULL ? person_find(s, user) : NULL;
	char ip[46];
	unsigned before;

	if (s == NULL || banned_until(s, p, now_ms) == 0 || is_known(p, now_ms))
		return true;
	if (refusals_note(&b->refusals, a, now_ms, &before)) {
		ip_addr_format(a, ip);
		log_warning("login.refused", kv_s("peer", ip), kv_s("user", user),
		            kv_i("seconds_left", (banned_until(s, p, now_ms) - now_ms + 999) / 1000),
		            kv_u("since_last_line", before));
	}
	return false;
}

static void meter_forget(struct meter *m, int64_t now_ms)
{
	int64_t forgotten = (now_ms - m->at) / BRAKE_FORGET_MS;

	if (forgotten >= m->level) {
		m->level = 0;
		m->at = now_ms;
	} else {
		m->level -= (unsigned)forgotten;
		m->at += forgotten * BRAKE_FORGET_MS;
	}
}

/* One failure more. Where it begins a ban: how long that lasts; else 0. */
static int64_t meter_count(struct meter *m, unsigned limit, int64_t now_ms)
{
	int64_t ms = BRAKE_BAN_MS;

	meter_forget(m, now_ms);
	if (m->level < limit)
		m->level++;
	if (m->level < limit || now_ms < m->banned_until)
		return 0;
	if (m->banned_until != 0 && now_ms - m->banned_until > DAY_MS)
		m->bans = 0;
	for (unsigned i = 0; i < m->bans && ms < BRAKE_BAN_MAX_MS; i++)
		ms *= 2;
	if (ms > BRAKE_BAN_MAX_MS)
		ms = BRAKE_BAN_MAX_MS;
	m->bans++;
	m->banned_until = now_ms + ms;
	return ms;
}

static void tell(const struct ip_addr *a, const char *user, unsigned failures, int64_t ms)
{
	char ip[46];

	if (ms == 0)
		return;
	ip_addr_format(a, ip);
	log_warning("login.banned", kv_s("peer", ip), kv_s("user", user), kv_u("failures", failures),
	            kv_i("seconds", ms / 1000));
}

/* In steps of a second. */
static int64_t delay_ms(unsigned steps)
{
	return steps < BRAKE_DELAY_MAX_MS / BRAKE_STEP_MS ? (int64_t)steps * BRAKE_STEP_MS : BRAKE_DELAY_MAX_MS;
}

int64_t brake_failed(struct brake *b, const struct ip_addr *a, const char *user, unsigned nth, int64_t now_ms)
{
	struct suspect *s = suspect_get(b, a, now_ms);
	struct person *p = person_get(s, user, now_ms);
	bool banned = banned_until(s, p, now_ms) != 0;

	tell(a, user, BRAKE_LIMIT_NAME, meter_count(&p->meter, BRAKE_LIMIT_NAME, now_ms));
	tell(a, "", BRAKE_LIMIT, meter_count(&s->meter, BRAKE_LIMIT, now_ms));
	if (banned && is_known(p, now_ms))
		return BRAKE_DELAY_BANNED_MS;
	unsigned beyond = s->meter.level > BRAKE_FREE ? s->meter.level - BRAKE_FREE + 1 : 1;
	return delay_ms(nth > beyond ? nth : beyond);
}

void brake_succeeded(struct brake *b, const struct ip_addr *a, const char *user, int64_t now_ms)
{
	struct person *p = person_get(suspect_get(b, a, now_ms), user, now_ms);

	p->known_at = now_ms;
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
