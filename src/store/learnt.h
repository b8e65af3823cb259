/* What was learnt about outside servers and is worth remembering over restarts: a property of a server that it does not
 * announce. An entry is good for a week from when it was last seen; then the server is tried anew. Loop's thread, but
 * for learnt_load. */
#ifndef OFM_STORE_LEARNT_H
#define OFM_STORE_LEARNT_H

#include "disk/database.h"

#include <stdint.h>

enum learnt_what {
	LEARNT_NO_PIPELINING,  /* 1: what it offers as PIPELINING loses replies or breaks off */
	LEARNT_NO_CHUNKING,    /* 1: BDAT fails though EHLO offers it */
	LEARNT_CONNECTIONS,    /* how many it allows at once */
	LEARNT_NO_SECOND_LOOK, /* 1: a second log-in shortly after the first is refused */
	LEARNT_RATE,           /* messages a minute that it takes */
	LEARNT_MESSAGES,       /* messages that it takes in one connection */
	LEARNT_RECIPIENTS,     /* recipients that it takes in one transaction */
	LEARNT_KINDS
};

enum { LEARNT_TTL_S = 7 * 24 * 3600 };

struct learnt;

extern const char learnt_schema[];

/* Before the loop runs. kind: whose servers these are, "pop3" or "smtp". NULL with e set where the database refuses. */
struct learnt *learnt_load(struct db_conn *c, const char *kind, struct err *e);
void learnt_free(struct learnt **l);
/* server: "host:port", in any case. 0: nothing is known, or it is older than a week. */
int64_t learnt_get(const struct learnt *l, const char *server, enum learnt_what what);
/* Known at once, in the database soon after: a crash in between costs a lesson, no mail. value 0 forgets. Setting what
 * is known already writes at most once a day. */
void learnt_set(struct learnt *l, struct database *db, const char *server, enum learnt_what what, int64_t value);
/* Forgets all of a server's: its section was changed. */
void learnt_forget(struct learnt *l, struct database *db, const char *server);
/* Calls fn for each thing known of a server, in the order of the enum; name: "no_pipelining", "connections", … */
void learnt_each(const struct learnt *l, const char *server, void (*fn)(void *arg, const char *name, int64_t value),
                 void *arg);
const char *learnt_name(enum learnt_what what);

#endif
