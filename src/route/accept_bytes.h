/* Inside route/: one message of an acceptance, and how its bytes come about. */
#ifndef OFM_ROUTE_ACCEPT_BYTES_H
#define OFM_ROUTE_ACCEPT_BYTES_H

#include "base/strset.h"
#include "route/delivery_internal.h"

struct accept_message {
	struct buf prefix;
	struct gather *source;
	uint64_t skip;
	uint64_t blind;
	bool normalize;
	bool failed;
	bool copy;
	struct strlist users;
	struct strset seen;
	struct outqueue_entry *entry; /* NULL for mailboxes */
	struct pending *pending;      /* made at commit */
};

/* About how many bytes it will have; never fewer than half. */
uint64_t accept_rough_size(const struct accept_message *m);
/* Whether the database carries its bytes; else they go to a spool file. */
bool accept_fits_memory(const struct accept_message *m);
/* Makes the bytes of m->pending. alone: it is the acceptance's only message, so the source's bytes may be taken. */
void accept_build(struct accept_message *m, bool alone);
/* Any thread. Large messages are not carried by the database: their file is durable, name included, before the commit.
 * 0, or the errno of what failed. */
int accept_build_spool(struct delivery *d, struct accept_message *m);

#endif
