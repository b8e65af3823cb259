/* Collecting: all accounts, in parallel and apart. Loop thread. */
#ifndef OFM_FETCH_FETCHER_H
#define OFM_FETCH_FETCHER_H

#include "config/config.h"
#include "net/runner.h"
#include "route/delivery.h"
#include "store/learnt.h"

struct fetcher;

struct fetcher_deps { /* all borrowed */
	struct loop *loop;
	struct delivery *delivery;
	struct database *database;
	struct workers *workers;
	struct runner *runner; /* password_command */
	struct learnt *learnt; /* of the providers' servers */
};

struct fetcher *fetcher_new(const struct fetcher_deps *deps);
/* From now on this configuration; running collections of accounts that changed or went end at their next message. */
void fetcher_configure(struct fetcher *f, const struct config *c);

struct fetch_progress { /* told as it changes */
	const char *account;
	const char *state;    /* "connecting", "listing", "collecting", "deleting", "done", "failed", "later", "held" */
	uint64_t done, total; /* messages of this session */
	uint64_t bytes;
	const char *error; /* "" where there is none */
};

/* Collects these accounts (labels), or all enabled ones that are due where NULL; by_hand ignores intervals, and of
 * named accounts the wait after [AUTH] (never LOGIN-DELAY). At most [sync] parallel at once, those that hang not
 * counted. Runs may overlap: an account that is busy already is none of a scheduled run's business; by hand its end is
 * awaited, and where it had listed before and goes well, it is collected once more. done(failed accounts) exactly once,
 * never from inside this call. progress may be NULL. */
void fetcher_run(struct fetcher *f, const struct strlist *accounts, bool by_hand,
                 void (*progress)(void *arg, const struct fetch_progress *p), void (*done)(void *arg, unsigned failed),
                 void *arg);
/* When the next account with an `every` of its own is due (mono ms), INT64_MAX where none has one. */
int64_t fetcher_next_due(const struct fetcher *f);

struct fetcher_account_status {
	const char *label;
	bool enabled, held, running;
	int64_t last_at;        /* wall seconds of the last end, 0 = never */
	int64_t next_at;        /* wall seconds, 0 = with the next sync */
	const char *last_error; /* "" = the last one went well */
	uint64_t collected;     /* messages since start */
	const char *state;
	uint64_t done, total;
	size_t nlearnt; /* about its server, and remembered */
	struct {
		const char *name;
		int64_t value;
	} learnt[LEARNT_KINDS];
};
void fetcher_status(const struct fetcher *f, void (*fn)(void *arg, const struct fetcher_account_status *s), void *arg);
/* Ends a hold. known: what the server lists is already known; else all of it is new. done(error or NULL). */
void fetcher_resume(struct fetcher *f, const char *account, bool known, void (*done)(void *arg, const char *error),
                    void *arg);
/* Ends running sessions at their next safe point, at most ms later. */
void fetcher_stop(struct fetcher *f, int64_t ms, void (*done)(void *arg), void *arg);
void fetcher_free(struct fetcher **f);

#endif
