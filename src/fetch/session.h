/* One session with one account: connect, list, fetch, delete, QUIT. Loop thread. It ends by itself, once nothing of it
 * is under way any more. */
#ifndef OFM_FETCH_SESSION_H
#define OFM_FETCH_SESSION_H

#include "base/clock.h"
#include "fetch/fetcher.h"
#include "sort/sorter.h"

struct session;
struct outside_memory;

struct fetch_rules { /* a configuration with its sorter; shared by counting */
	struct config *config;
	struct sorter *sorter;
	struct sorter_scratch *scratch;
	struct sorting *heavy; /* messages that are sorted beside the loop: the first of them now */
	unsigned refs;
};

struct fetch_rules *fetch_rules_new(const struct config *c);
struct fetch_rules *fetch_rules_ref(struct fetch_rules *r);
void fetch_rules_unref(struct fetch_rules **r);

enum session_outcome {
	SESSION_WELL,
	SESSION_LATER,  /* busy, cut off, no room: the next try may go better by itself */
	SESSION_WRONG,  /* the log-in was refused for good */
	SESSION_UNSURE, /* the log-in was refused without a reason */
	SESSION_FAILED, /* somebody has to look */
	SESSION_HELD,   /* somebody has to decide */
	SESSION_STOPPED /* by us */
};

/* The provider may have turned us away for the connections that we have there already. */
enum session_crowd {
	CROWD_NONE,
	CROWD_IN_USE, /* the mailbox is in use: perhaps by one of ours */
	CROWD_CLOSED, /* closed or refused before the log-in, without a reason */
	CROWD_SAID    /* in so many words */
};

struct session_result {
	enum session_outcome outcome;
	const char *text; /* "" or what went wrong */
	uint64_t listed;  /* messages in the listing */
	uint64_t stored, deleted, bytes;
	uint64_t copies;        /* of the stored: most likely known before, under another name */
	bool entered;           /* the server let us in */
	bool broke;             /* by a message that is not handed out */
	bool expected;          /* and that had done so before */
	bool more;              /* another session in this sync has something to do */
	int64_t login_delay;    /* seconds that the server wants between log-ins */
	bool told;              /* postmaster was told of a failure earlier, and not yet of its end */
	bool login_refused;     /* the server's words at the log-in are what went wrong */
	bool no_password;       /* there was nothing to log in with: nobody was asked */
	bool blames_pipelining; /* replies were missing or out of place after commands that travelled together */
	bool slow;              /* some reply took as long as would have been blamed on pipelining */
	enum session_crowd crowd;
};

/* How long the server may say nothing where a reply to pipelined commands is due, before pipelining is blamed. */
enum { SESSION_BLAME_MS = 10000 };

/* What was seen of a server's sizes where messages came shorter than listed. */
struct session_sizes {
	bool cuts;      /* some second answer was longer: the sizes tell the truth */
	unsigned equal; /* second answers that were as short as the first */
};

struct session_setup { /* all borrowed; account belongs to rules->config */
	const struct fetcher_deps *deps;
	struct fetch_rules *rules;
	const struct config_account *account;
	unsigned lane;
	bool lock_step; /* one command at a time, whatever the server offers */
	bool patient;   /* silence is the server's habit, not a sign of broken pipelining */
	struct clock_watch *clock;
	struct strlist *avoid; /* ledger keys of messages that broke a session; may grow; outlives the session */
	struct strlist
	    *tried;      /* names of messages that broke a session of this collection; may grow; outlives the session */
	bool may_follow; /* another session of this collection may follow */
	struct session_sizes *sizes; /* may change; outlives the session */
	bool *titling;               /* a large message's header was asked for and never came; outlives the session */
	char **aged_from;            /* where the look for aged records goes on; NULL at first; outlives the session */
	struct outside_memory *memory; /* of the looks at this mailbox before, under these settings; NULL = none */
	void (*entered)(void *arg);    /* the server has let it in */
	void (*progress)(void *arg, const char *state, uint64_t done, uint64_t total, uint64_t bytes);
	void (*done)(void *arg, const struct session_result *r); /* exactly once, from the loop; then it is gone */
	void *arg;
};

struct session *session_start(const struct session_setup *setup);
/* Whether it may have asked for the listing: what arrives there from now on may escape it. */
bool session_has_listed(const struct session *s);
/* Whether the server has let it in. */
bool session_is_in(const struct session *s);
uint64_t session_heard(const struct session *s); /* bytes received so far */
/* Ends at the next safe point: what is under way is taken, what was stored is deleted, QUIT. */
void session_stop(struct session *s);
/* Cuts the connection; done follows when commits under way have ended. */
void session_abort(struct session *s);

#endif
