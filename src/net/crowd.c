#include "net/crowd.h"

#include "base/alloc.h"

#include <stdlib.h>
#include <string.h>

enum { BUCKETS = 256, SHARE_MIN = 10 };

struct member {
	struct member *next;
	struct ip_addr address;
	unsigned count; /* never 0: who holds nothing is not in here */
};

struct crowd {
	struct member *buckets[BUCKETS];
};

static bool is_ourselves(const struct ip_addr *a)
{
	static const struct ip_addr v4 = {{[10] = 0xff, 0xff, 127, 0, 0, 1}}, v6 = {{[15] = 1}};

	return memcmp(a, &v4, sizeof v4) == 0 || memcmp(a, &v6, sizeof v6) == 0;
}

unsigned crowd_count(const struct crowd *c, const struct ip_addr *a)
{
	for (const struct member *m = c->buckets[ip_addr_hash(a) % BUCKETS]; m != NULL; m = m->next)
		if (memcmp(&m->address, a, sizeof *a) == 0)
			return m->count;
	return 0;
}

bool crowd_has_room(const struct crowd *c, const struct ip_addr *a, unsigned max)
{
	unsigned share = max / 2 > SHARE_MIN ? max / 2 : SHARE_MIN;

	return crowd_count(c, a) < share || is_ourselves(a);
}

void crowd_enter(struct crowd *c, const struct ip_addr *a)
{
	struct member **first = &c->buckets[ip_addr_hash(a) % BUCKETS];
	struct member *m = *first;

	while (m != NULL && memcmp(&m->address, a, sizeof *a) != 0)
		m = m->next;
	if (m == NULL) {
		m = xcalloc(1, sizeof *m);
		*m = (struct member){.next = *first, .address = *a};
		*first = m;
	}
	m->count++;
}

void crowd_leave(struct crowd *c, const struct ip_addr *a)
{
	struct member **at = &c->buckets[ip_addr_hash(a) % BUCKETS];

	while (*at != NULL && memcmp(&(*at)->address, a, sizeof *a) != 0)
		at = &(*at)->next;
	struct member *m = *at;
	if (m == NULL || --m->count > 0)
		return;
	*at = m->next;
	free(m);
}

struct crowd *crowd_new(void)
{
	return xcalloc(1, sizeof(struct crowd));
}

void crowd_free(struct crowd **c)
{
	if (*c == NULL)
		return;
	for (size_t i = 0; i < BUCKETS; i++) {
		for (struct member *m = (*c)->buckets[i], *next; m != NULL; m = next) {
			next = m->next;
			free(m);
		}
	}
	free(*c);
	*c = NULL;
}
