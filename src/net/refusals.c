#include "net/refusals.h"

#include <string.h>

bool refusals_note(struct refusals *r, const struct ip_addr *ip, int64_t now_ms, unsigned *before)
{
	/* Addresses that share a slot only cost a line more. */
	struct refusal *s = &r->slots[ip_addr_hash(ip) % REFUSALS_SLOTS];
	bool same = s->logged_ms != 0 && memcmp(&s->ip, ip, sizeof *ip) == 0;

	if (same && now_ms - s->logged_ms < REFUSALS_EVERY_MS) {
		s->since++;
		return false;
	}
	*before = same ? s->since : 0;
	*s = (struct refusal){*ip, now_ms, 0};
	return true;
}
