/* What the folders alone can tell when the database was lost, damaged, or restored from an old copy. */
#ifndef OFM_ROUTE_REBUILD_H
#define OFM_ROUTE_REBUILD_H

#include "config/config.h"
#include "route/delivery.h"

struct rebuilt {
	bool database_lost; /* or older than the folders */
	size_t queued;      /* outqueue messages that had no row: they are held now */
	size_t unreadable;  /* of those, without a readable .env: left alone */
	size_t known;       /* collected messages found in the mailboxes: not collected again */
};

/* At every start, after delivery_recover and before database_start: gives outqueue files without rows held rows, and
 * where the database is lost (or older than the folders: each start counts a generation in both) fills the UIDL ledger
 * from our Received lines. Blocks. 0, or -1 with e. */
int delivery_rebuild(struct delivery *d, const struct config *c, bool database_lost, struct rebuilt *out,
                     struct err *e);

#endif
