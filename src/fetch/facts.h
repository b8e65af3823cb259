/* What the database knows of one provider's mailbox: the ledger's records, and the small facts beside them. */
#ifndef OFM_FETCH_FACTS_H
#define OFM_FETCH_FACTS_H

#include "config/config.h"
#include "fetch/gone.h"
#include "fetch/hard.h"
#include "fetch/listing.h"
#include "store/ledger.h"

enum fact_name {
	FACT_VISITED, /* the first collection has been */
	FACT_HOLD,    /* held: postmaster was told, and must decide */
	FACT_RESUME,  /* how a hold ends: "known" or "all" */
	FACT_TOLD,    /* postmaster was told that it fails */
	FACT_HARD,    /* messages that are not handed out: hard.h */
	FACT_COPIES,  /* what was known came under new names, and was stored a second time */
	FACT_GONE     /* what was deleted last: gone.h */
};

struct facts {
	char *host, *user;             /* the mailbox's key; host in lower case */
	struct ledger_records records; /* the open ones; after facts_match also the closed ones that a listing needs */
	bool any;                      /* there are records, be they read or not */
	char *from;                    /* where the next look for aged records begins */
	bool visited, hold, told, copied;
	char *resume; /* NULL: as usual */
	struct hard_list hard;
	struct gone gone;
	bool returned, many_returned; /* by facts_match: deleted ones may be listed again; a good part of them */
};

/* Copies the key; nothing is read yet. */
void facts_init(struct facts *f, const struct config_account *a);
/* On a thread with a connection: reads what has to be known before a listing: the open records, a page of aged ones. */
int facts_load(struct db_conn *c, struct facts *f, struct err *e);
/* Whether facts_match has to read something for this listing, a finished one. */
bool facts_lack(const struct facts *f, const struct listing *l);
/* On a thread with a connection: adds the closed records that may belong to what is listed; all, where messages are not
 * named by their UIDLs alone, or deleted ones may be listed again. */
int facts_match(struct db_conn *c, struct facts *f, const struct listing *l, bool has_uidl, struct err *e);
struct ledger_key facts_key(const struct facts *f);
/* The name under which such a fact stands; the caller frees. */
char *facts_name(const struct facts *f, enum fact_name n);
/* Inside a transaction; NULL removes. */
int facts_set(struct db_conn *c, const struct facts *f, enum fact_name n, const char *value, struct err *e);
void facts_free(struct facts *f);

#endif
