/* The outqueue: what waits for the relay. outqueue/ID.eml is the message as it will be sent, ID.env its sender and
 * recipients; state is in the tables queue and recipient. This room stores and schedules; send/ sends.
 *
 * Life of a message: its rows commit with its acceptance (files may not stand yet); each recipient goes from waiting to
 * one of the final states; when all are final, the files are unlinked, and only after that has been flushed do
 * the rows go. So files without rows mean that the database was lost, never that a message is done.
 *
 * All functions run on whatever thread holds the connection; those that write run inside a transaction. */
#ifndef OFM_QUEUE_OUTQUEUE_H
#define OFM_QUEUE_OUTQUEUE_H

#include "base/err.h"
#include "base/slice.h"
#include "base/strlist.h"
#include "disk/database.h"

#include <stdint.h>

extern const char outqueue_schema[];

enum { OUTQUEUE_EIGHT_BIT = 1, OUTQUEUE_SMTPUTF8 = 2 }; /* bits of the column eight_bit */

struct outqueue_entry {            /* a message on its way into the queue; part of an acceptance */
	char *sender;              /* envelope sender as it leaves; "" = null sender */
	struct strlist recipients; /* as they leave */
	char *local_sender;        /* who gets bounces and warnings: a user's name, "" = nobody but postmaster */
	bool eight_bit;            /* body has bytes >= 0x80: BODY=8BITMIME where the relay offers it */
	bool smtputf8;             /* its client said SMTPUTF8: passed on where the relay offers it */
};

/* Inserts rows for a new message, not yet placed. Inside a transaction. */
int outqueue_insert(struct db_conn *c, const char *id, const struct outqueue_entry *en, uint64_t size, struct err *e);
/* Undoes outqueue_insert; also the end of a message whose files are gone for good. */
int outqueue_erase(struct db_conn *c, const char *id, struct err *e);
/* Whether recovery has to see that the files stand: 1 = at least one recipient still waits, 0 = none or unknown id,
 * -1 with e. */
int outqueue_pending(struct db_conn *c, const char *id, struct err *e);

/* ID.env: one `key: value` a line, for people and for rebuilding a lost database. The caller frees. */
char *outqueue_env_format(const struct outqueue_entry *en);
/* Reads it back; false where it is none. Frees nothing of *en's former content; free with outqueue_entry_free. */
bool outqueue_env_parse(struct slice text, struct outqueue_entry *en);
void outqueue_entry_free(struct outqueue_entry *en);

/* ---- what send/ reads and writes ---- */

enum outqueue_state { OUTQUEUE_WAITING, OUTQUEUE_DELIVERED, OUTQUEUE_BOUNCED, OUTQUEUE_DROPPED };

struct outqueue_recipient {
	char *address;
	enum outqueue_state state;
	unsigned attempts; /* tries of any outcome */
	unsigned refusals; /* tries that this recipient (or message) itself was refused: what the back-off grows by */
	int64_t next_at;   /* wall seconds, 0 = at once */
	char *last_reply;  /* as the relay sent it, bounded; "" = none */
};

struct outqueue_message {
	char *id;
	struct outqueue_entry entry; /* without recipients */
	uint64_t size;
	int64_t queued_at;  /* wall seconds, for people */
	int64_t waited;     /* seconds in the queue as the monotonic clock counted them up to … */
	int64_t counted_at; /* … this wall second */
	bool held, warned;
	struct outqueue_recipient *recipients;
	size_t nrecipients;
};

void outqueue_message_free(struct outqueue_message **m);
/* Hands every message (id NULL) or the one of that id to fn, which owns it. 0, or -1 with e. */
int outqueue_load(struct db_conn *c, const char *id, void (*fn)(void *arg, struct outqueue_message *m), void *arg,
                  struct err *e);
/* Writes state, attempts, refusals, next_at and last_reply of recipient `n` (its index). */
int outqueue_set_recipient(struct db_conn *c, const char *id, size_t n, const struct outqueue_recipient *r,
                           struct err *e);
int outqueue_set_age(struct db_conn *c, const char *id, int64_t waited, int64_t counted_at, bool warned, struct err *e);
int outqueue_set_held(struct db_conn *c, const char *id, bool held, struct err *e);
/* What the database says of recipient `n`, and whether its sender was warned; WAITING and false where there is no such
 * row. */
int outqueue_state_of(struct db_conn *c, const char *id, size_t n, enum outqueue_state *state, struct err *e);
int outqueue_is_warned(struct db_conn *c, const char *id, bool *warned, struct err *e);
/* Every message that is there. */
int outqueue_hold_all(struct db_conn *c, struct err *e);

/* ---- bounces that were held back, until postmaster has a list of them ---- */

/* Notes recipient `n` (its address and last reply as they stand now), whose bounce `reader` does not get. */
int outqueue_hold_back(struct db_conn *c, const char *id, size_t n, const char *reader, struct err *e);
int outqueue_forget_held_back(struct db_conn *c, const char *id, size_t n, struct err *e);
struct outqueue_held_back { /* strings borrowed during the call */
	const char *id, *reader, *address, *reply;
	size_t n;
};
/* The first `most` of them. 0, or -1 with e. */
int outqueue_held_back(struct db_conn *c, size_t most, void (*fn)(void *arg, const struct outqueue_held_back *h),
                       void *arg, struct err *e);
/* Puts one back that outqueue_forget_held_back took. */
int outqueue_keep_held_back(struct db_conn *c, const struct outqueue_held_back *h, struct err *e);

#endif
