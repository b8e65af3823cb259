/* What the halves of the fetcher share: the accounts, and what is told about them. */
#ifndef OFM_FETCH_FETCHER_INTERNAL_H
#define OFM_FETCH_FETCHER_INTERNAL_H

#include "fetch/session.h"

struct fetch_run { /* one call of fetcher_run; several may be under way */
	struct fetch_run *next;
	bool by_hand;
	unsigned failed;
	size_t awaited; /* accounts whose end it awaits */
	void (*progress)(void *arg, const struct fetch_progress *p);
	void (*done)(void *arg, unsigned failed);
	void *arg;
};

struct awaiting {
	struct fetch_run *run;
	bool next; /* the session under way listed before the run began: the one after it is meant */
};

struct account { /* one [account …], across reloads: either idle, or waiting for a place, or busy */
	struct fetcher *fetcher;
	const struct config_account *config; /* in the snapshot in force; NULL: no longer there */
	char *label, *host, *user;
	char *server; /* "host:port": what is learnt about it is good for all of its accounts */
	unsigned lane;
	uint64_t turn;               /* waits for a place, the lowest first; 0 = it does not */
	struct session *session;     /* NULL: not busy */
	char *busy_host, *busy_user; /* whose mailbox the session is in: a reload may have changed the section since */
	bool placed;                 /* the session counts among the parallel ones */
	int64_t again_ms;            /* since when a second look waits; 0 = none does */
	int64_t looked_ms;           /* when the session began, or was last looked at for a stall */
	uint64_t heard;              /* by the session, then */
	int64_t hold_ms;             /* mono: waits in line until then at least */
	struct awaiting *awaiting;
	size_t nawaiting;
	bool listed;                /* in the configuration that is being taken over */
	unsigned rounds;            /* sessions of this collection so far */
	int64_t began_ms;           /* mono */
	struct strlist tried;       /* messages that broke one of them */
	char *broke;                /* how the first that broke ended; NULL: none did */
	unsigned breaks, fruitless; /* how many broke; in a row, without having brought anything */
	bool went_well;             /* the last session, whatever those before it did */
	bool delays;                /* the server wants time between log-ins */
	bool refused_again;         /* the last of them was a second one, and was not let in */
	/* of the session under way or the last one (servers.c) */
	unsigned company; /* sessions at the same server when it began */
	bool probing;     /* it is one more than the server is known to allow */
	bool accompanied; /* others were under way there with it */
	bool let_in;      /* the server accepted its log-in */
	unsigned crowded; /* times in a row that the server had too many of ours */
	bool trial;       /* it goes without pipelining, to see whether that was what failed */
	bool patient;     /* replies take long there: silence is no sign of broken pipelining */
	/* what is known of the server */
	struct strlist avoid;
	struct session_sizes sizes;    /* whether its listing tells the messages' sizes */
	bool titling;                  /* asking a large message's header broke a session: not again */
	struct outside_memory *memory; /* lasts for one collection: its second look is greeted as an acquaintance */
	char *aged_from;               /* where the look for aged records goes on; NULL: at the beginning */
	uint64_t complete_upto;        /* listings of so many messages were found to be complete */
	uint64_t listed_before;        /* in the session before this one of the same round */
	int64_t not_before;            /* mono ms: LOGIN-DELAY */
	int64_t stopped_until;         /* mono ms: the log-in was refused */
	int64_t due;                   /* mono ms: `every` */
	unsigned failures;             /* in a row */
	unsigned unsure;               /* refused log-ins without a reason, in a row */
	unsigned put_off;              /* log-ins that were put off, in a row */
	bool told, told_known, held;
	/* for status */
	int64_t last_at;
	char *last_error;
	uint64_t collected, done, total;
	const char *state;
};

struct fetcher {
	struct fetcher_deps deps;
	struct clock_watch clock;
	struct fetch_rules *rules; /* NULL before the first configuration */
	struct account **v;
	size_t n;
	unsigned running;       /* sessions */
	unsigned placed;        /* of these, the ones that count */
	uint64_t turns;         /* given so far */
	struct fetch_run *runs; /* under way, oldest first */
	struct server *servers; /* servers.c's */
	size_t nservers;
	struct loop_timer *look_timer; /* for stalls, and for second looks that wait */
	bool look_timed;
	/* stopping */
	bool stopping;
	struct loop_timer *stop_timer;
	void (*stop_done)(void *arg);
	void *stop_arg;
};

void account_free(struct account **a);
void account_progress(struct account *a, const char *state, uint64_t bytes, const char *error);
/* What a session's end means for the collection that it belongs to; text is r's, or static. */
struct session_result account_judge(struct account *a, const struct session_result *r);
/* A session has ended: notes what follows for the next, and tells postmaster what he must know. */
void account_learn(struct account *a, const struct session_result *r);
/* Whether another session may follow in the same sync, should there be something left to do. */
bool account_may_follow(const struct account *a);
/* A collection begins. */
void account_begin(struct account *a);
/* Whether the same sync should look again at once. */
bool account_again(const struct account *a, const struct session_result *r);
/* mono ms before which this account is left alone. */
int64_t account_wait(const struct account *a, bool by_hand);

/* ---- run.c: who is collected when, and who awaits it ---- */

/* Starts what may start; ends the runs that await nothing any more. */
void fetcher_advance(struct fetcher *f);
/* The account's awaiting runs hear no more of it. */
void fetcher_settle(struct account *a);
/* Tells one run, where it wants to know. */
void fetcher_tell(const struct fetch_run *r, const struct account *a, const char *state, uint64_t bytes,
                  const char *error);
void fetcher_runs_free(struct fetcher *f);

/* ---- servers.c ---- */

void servers_name(struct account *a, const struct config_account *c);
void servers_free(struct fetcher *f);
/* Forgets what was learnt about the account's server. */
void servers_forget(const struct account *a);
/* Whether the next session has to do without pipelining. */
bool servers_lock_step(const struct account *a);
/* A session has ended. Whether the next is to begin at once, without pipelining. */
bool servers_try_lock_step(struct account *a, const struct session_result *r);
/* A session begins; the server has let it in. */
void servers_begin(struct account *a);
void servers_entered(struct account *a);
/* Whether the server allows no more sessions at once than are under way there. */
bool servers_full(const struct account *a);
/* A session has ended. Whether it failed only since others are under way there: then it goes back into the line. */
bool servers_crowded(struct account *a, const struct session_result *r);

/* ---- fetcher.c ---- */

struct account *fetcher_find(const struct fetcher *f, const char *label);
/* Forgets accounts that went, once they are idle. */
void fetcher_drop_gone(struct fetcher *f);
/* Tells fetcher_stop's caller, once no session is left. */
void fetcher_check_stopped(struct fetcher *f);

#endif
