#include "smtp/refusals.h"

#include <string.h>

/* FNV-1a; addresses that share a slot only cost a line more. */
static size_t slot_of(const struct ip_addr *ip)
{
	uint32_t h = 2166136261U;

	for (size_t i = 0; i < sizeof ip->b; i++)
		h = (h ^ ip->b[i]) * 16777619U;
	return (h ^ h >> 16) % REFUSALS_SLOTS;
}

bool smtp_refusals_note(struct smtp_refusals *r, const struct ip_addr *ip, int64_t now_ms, unsigned *before)
{
	struct refusal *s = &r->slots[slot_of(ip)];
	bool same = s->logged_ms != 0 && memcmp(&s->ip, ip, sizeof *ip) == 0;

	if (same && now_ms - s->logged_ms < REFUSALS_EVERY_MS) {
		s->since++;
		return false;
	}
	*before = same ? s->since : 0;
	*s = (struct refusal){*ip, now_ms, 0};
	return true;
}
