/* What the halves of the fetcher share: the accounts, and what is told about them. */
#ifndef OFM_FETCH_FETCHER_INTERNAL_H
#define OFM_FETCH_FETCHER_INTERNAL_H

#include "fetch/session.h"

struct account { /* one [account …], across reloads */
	struct fetcher *fetcher;
	const struct config_account *config; /* in the snapshot in force; NULL: no longer there */
	char *label, *host, *user;
	unsigned lane;
	struct session *session;
	bool listed; /* in the configuration that is being taken over */
	bool wanted; /* waits for its turn in this run */
	unsigned rounds;
	/* what is known of the server */
	struct strlist avoid;
	uint64_t complete_upto; /* listings of so many messages were found to be complete */
	int64_t not_before;     /* mono ms: LOGIN-DELAY */
	int64_t stopped_until;  /* mono ms: the log-in was refused */
	int64_t due;            /* mono ms: `every` */
	unsigned failures;      /* in a row */
	unsigned unsure;        /* refused log-ins without a reason, in a row */
	bool told, told_known, held;
	/* for status */
	int64_t last_at;
	char *last_error;
	uint64_t collected, done, total;
	const char *state;
};

struct fetcher {
	struct fetcher_deps deps;
	struct fetch_rules *rules; /* NULL before the first configuration */
	struct account **v;
	size_t n;
	unsigned running;
	/* the run under way */
	bool run_on;
	unsigned failed;
	void (*progress)(void *arg, const struct fetch_progress *p);
	void (*run_done)(void *arg, unsigned failed);
	void *run_arg;
	/* stopping */
	bool stopping;
	struct loop_timer *stop_timer;
	void (*stop_done)(void *arg);
	void *stop_arg;
};

void account_free(struct account **a);
void account_progress(struct account *a, const char *state, uint64_t bytes, const char *error);
/* A session has ended: notes what follows for the next, and tells postmaster what he must know. */
void account_learn(struct account *a, const struct session_result *r);
/* Whether the same sync should look again at once. */
bool account_again(const struct account *a, const struct session_result *r);
/* mono ms before which this account is left alone. */
int64_t account_wait(const struct account *a, bool by_hand);

/* Room-internal: the run. */
void fetcher_advance(struct fetcher *f);

#endif
