/* Who was refused lately, so that one address fills one log line a minute. Pure, bounded. */
#ifndef OFM_NET_REFUSALS_H
#define OFM_NET_REFUSALS_H

#include "net/ip_filter.h"

enum { REFUSALS_SLOTS = 512, REFUSALS_EVERY_MS = 60000 };

struct refusals {
	struct refusal {
		struct ip_addr ip;
		int64_t logged_ms; /* mono; 0 = never */
		unsigned since;    /* refused since that line */
	} slots[REFUSALS_SLOTS];
};

/* Counts one refusal; true where it is to be logged, with *before = those that were not since the last line. */
bool refusals_note(struct refusals *r, const struct ip_addr *ip, int64_t now_ms, unsigned *before);

#endif
