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

struct session_result {
	enum session_outcome outcome;
	const char *text; /* "" or what went wrong */
	uint64_t listed;  /* messages in the listing */
	uint64_t stored, deleted, bytes;
	uint64_t copies;     /* of the stored: most likely known before, under another name */
	bool entered;        /* the server let us in */
	int64_t login_delay; /* seconds that the server wants between log-ins */
	bool told;           /* postmaster was told of a failure earlier, and not yet of its end */
};

struct session_limits { /* milliseconds */
	int64_t connect, login, silence, drip;
};
extern const struct session_limits session_default_limits;

struct session_setup { /* all borrowed; account belongs to rules->config */
	const struct fetcher_deps *deps;
	const struct session_limits *limits;
	struct fetch_rules *rules;
	const struct config_account *account;
	unsigned lane;
	struct clock_watch *clock;
	struct strlist *avoid; /* ledger keys of messages that broke a session; may grow; outlives the session */
	bool *titling;         /* a large message's header was asked for and never came; outlives the session */
	char **aged_from;      /* where the look for aged records goes on; NULL at first; outlives the session */
	struct outside_memory *memory; /* of the looks at this mailbox before, under these settings; NULL = none */
	void (*progress)(void *arg, const char *state, uint64_t done, uint64_t total, uint64_t bytes);
	void (*done)(void *arg, const struct session_result *r); /* exactly once, from the loop; then it is gone */
	void *arg;
};

struct session *session_start(const struct session_setup *setup);
/* Whether it may have asked for the listing: what arrives there from now on may escape it. */
bool session_has_listed(const struct session *s);
uint64_t session_heard(const struct session *s); /* bytes received so far */
/* Ends at the next safe point: what is under way is taken, what was stored is deleted, QUIT. */
void session_stop(struct session *s);
/* Cuts the connection; done follows when commits under way have ended. */
void session_abort(struct session *s);

#endif
