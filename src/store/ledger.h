/* The UIDL ledger: what was collected of which provider's mailbox. Records belong to host and user.
 *
 * A record is open from the commit that stored the message until a confirmed QUIT deleted it upstream (it is then
 * closed) or the listing no longer shows it. Functions run on whatever thread holds the connection. */
#ifndef OFM_STORE_LEDGER_H
#define OFM_STORE_LEDGER_H

#include "base/err.h"
#include "base/slice.h"
#include "disk/database.h"

#include <stdint.h>

extern const char ledger_schema[];

struct ledger_key { /* whose mailbox; case of the host does not matter */
	const char *host, *user;
};

struct ledger_record {
	char *uidl;               /* or "top:" and a digest, for a server without UIDL */
	uint64_t size;            /* as LIST said */
	unsigned char digest[32]; /* SHA-256 of the header section; all zero = not known */
	int64_t stored_at;        /* wall seconds */
	bool closed;              /* deletion confirmed by QUIT */
	bool skipped;             /* never taken (first = new, too large); never deleted */
	unsigned missed;          /* complete listings without it, in a row */
};

struct ledger_records {
	struct ledger_record *v; /* sorted by uidl (bytewise) */
	size_t n, cap;
};

/* All records of one mailbox. The caller frees. */
int ledger_load(struct db_conn *c, const struct ledger_key *key, struct ledger_records *out, struct err *e);

/* A year's closed records need not be read to collect today's mail: these append a part to *out (at first {0}; freed by
 * the caller on failure too), and ledger_sort puts it in order. No record may be added twice. */
enum { LEDGER_PAGE = 2000 };
enum { LEDGER_AGED_S = 30 * 24 * 3600 }; /* what is no longer listed may be forgotten after so long */
int ledger_add_open(struct db_conn *c, const struct ledger_key *key, struct ledger_records *out, struct err *e);
/* The closed ones stored before a time (wall seconds), among the LEDGER_PAGE records behind *from; moves *from, in the
 * end back to "". */
int ledger_add_aged(struct db_conn *c, const struct ledger_key *key, int64_t before, char **from,
                    struct ledger_records *out, struct err *e);
/* The closed one of this UIDL, where there is one; sets *twins where records "UIDL#…" are there. */
int ledger_add_closed(struct db_conn *c, const struct ledger_key *key, const char *uidl, struct ledger_records *out,
                      bool *twins, struct err *e);
/* The closed ones of these sizes (sorted, at least one), but for those in `known`. Reads over all of the mailbox. */
int ledger_add_closed_sized(struct db_conn *c, const struct ledger_key *key, const uint64_t *sizes, size_t n,
                            const struct ledger_records *known, struct ledger_records *out, struct err *e);
void ledger_sort(struct ledger_records *r);
int ledger_any(struct db_conn *c, const struct ledger_key *key, bool *any, struct err *e);
void ledger_records_free(struct ledger_records *r);
const struct ledger_record *ledger_find(const struct ledger_records *r, struct slice uidl);
/* Inserts or replaces. Inside a transaction (a db_job's apply, or an acceptance's extra). */
int ledger_put(struct db_conn *c, const struct ledger_key *key, const struct ledger_record *rec, struct err *e);
int ledger_remove(struct db_conn *c, const struct ledger_key *key, const char *uidl, struct err *e);

/* Small facts that must survive: "told once" flags, holds, the wish for a sync. Table fact(key, value). */
extern const char fact_schema[];
int fact_set(struct db_conn *c, const char *key, const char *value, struct err *e); /* value NULL removes */
/* The caller frees *value; NULL where there is none. */
int fact_get(struct db_conn *c, const char *key, char **value, struct err *e);

#endif
