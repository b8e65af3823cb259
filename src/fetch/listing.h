/* What a provider's mailbox holds: the replies to UIDL and LIST, joined. Pure. Nothing in them is trusted. */
#ifndef OFM_FETCH_LISTING_H
#define OFM_FETCH_LISTING_H

#include "base/err.h"
#include "base/slice.h"

#include <stdint.h>

enum {
	LISTING_MAX = 250000,   /* messages */
	LISTING_UIDL_MAX = 255, /* RFC 1939 says 70 */
	LISTING_NUMBER_MAX = 100000000
};
#define LISTING_SIZE_MAX ((uint64_t)1 << 40) /* more is no message but a lie */

struct listed {
	uint32_t number;
	uint64_t size;
	char *uidl; /* NULL: the server has no UIDL, or none for this one */
	bool twice; /* another message has the same UIDL */
};

struct listing {
	struct listed *v; /* by number, once listing_finish has run */
	size_t n;
	size_t cap;
	struct listed *uidls; /* numbers and UIDLs as they came */
	size_t nuidls, uidls_cap;
	size_t odd; /* messages in one of the replies alone */
};

/* One line of the reply; an empty one is passed over. -1 with e where it cannot be one. */
int listing_add_size(struct listing *l, struct slice line, struct err *e);
int listing_add_uidl(struct listing *l, struct slice line, struct err *e);
/* Joins, to the messages that LIST names; some may have no UIDL even so. -1 with e for a number listed twice. */
int listing_finish(struct listing *l, bool with_uidl, struct err *e);
void listing_free(struct listing *l);

#endif
