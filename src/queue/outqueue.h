/* The outqueue: what waits for the relay. outqueue/ID.eml is the message as it will be sent, ID.env its sender and
 * recipients; state is in the tables queue and recipient. This room stores and schedules; send/ sends. */
#ifndef OFM_QUEUE_OUTQUEUE_H
#define OFM_QUEUE_OUTQUEUE_H

#include "base/err.h"
#include "base/strlist.h"
#include "disk/database.h"

#include <stdint.h>

extern const char outqueue_schema[];

struct outqueue_entry {            /* a message on its way into the queue; part of an acceptance */
	char *sender;              /* envelope sender as it leaves; "" = null sender */
	struct strlist recipients; /* as they leave */
	char *local_sender;        /* who gets bounces and warnings: a user's name, "" = nobody but postmaster */
	bool eight_bit;            /* body has bytes >= 0x80: BODY=8BITMIME where the relay offers it */
};

/* Inserts rows for a new message, not yet placed. Inside a transaction. */
int outqueue_insert(struct db_conn *c, const char *id, const struct outqueue_entry *en, uint64_t size, struct err *e);
/* Undoes outqueue_insert. */
int outqueue_erase(struct db_conn *c, const char *id, struct err *e);
/* Renders ID.env; the caller frees. */
char *outqueue_env_format(const struct outqueue_entry *en);

#endif
