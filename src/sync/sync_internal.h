/* What sync.c (when) and run.c (one sync's life) share. */
#ifndef OFM_SYNC_SYNC_INTERNAL_H
#define OFM_SYNC_SYNC_INTERNAL_H

#include "sync/sync.h"

enum run_kind {
	RUN_FULL,     /* the outqueue and all accounts */
	RUN_ACCOUNTS, /* these, by hand; nothing is sent */
	RUN_OWN,      /* accounts whose own `every` is due; never raises a line */
	RUN_LOWER     /* only `down`, for a line that was up when the program was killed */
};

enum run_state {
	RUN_WAITING,   /* in line */
	RUN_MARKING,   /* its start is being committed */
	RUN_LINE_UP,   /* `up` runs */
	RUN_TALKING,   /* sending and collecting */
	RUN_LINE_DOWN, /* `down` runs */
	RUN_SETTLING   /* what was collected is put into the mailboxes */
};

#define SYNC_LINE_FACT "sync.line_up" /* set while a line that has a `down` may be up */

/* PATIENCE: a run of which nothing has ended for so long is no longer waited for. TALKING_MAX: such runs at once. */
enum {
	SYNC_REASON_MAX = 96,
	SYNC_WAITING_MAX = 64,
	SYNC_TALKING_MAX = 64,
	SYNC_PATIENCE_MS = 5000,
	SYNC_CALLERS_MAX = 100
};

struct run {
	struct run *next;
	struct sync *sync;
	enum run_kind kind;
	enum run_state state;
	char reason[SYNC_REASON_MAX];
	struct strlist accounts; /* RUN_ACCOUNTS, RUN_OWN */
	bool by_hand;            /* collects what an interval or a failed log-in holds back, and sends all not held */
	bool failed;
	int64_t started_at; /* wall seconds */
	unsigned parts;     /* of sending and collecting, under way */
	int64_t heard_ms;   /* mono ms: RUN_TALKING began, or the last end of an account or of sending */
	bool left_behind;   /* longer than SYNC_PATIENCE_MS ago once: what still hangs there delays nothing */
	struct config *config;
	struct sync_watcher *watchers;
	size_t nwatchers;
};

struct sync {
	struct sync_deps deps;
	struct config *config;
	struct loop_timer *timer;
	bool started; /* what the database remembers has been read */
	bool stopping;
	struct run *active;  /* newest first; all may talk at once, but the line is raised and lowered by one */
	struct run *waiting; /* oldest first */
	/* every */
	bool ran;
	int64_t last_end; /* mono ms */
	/* at */
	int64_t at_served; /* wall seconds */
	/* daemon */
	bool wanted;
	char wanted_by[80];
	struct strlist callers; /* all who wrote to the daemon since its last sync began, up to SYNC_CALLERS_MAX */
	int64_t daemon_from;    /* mono ms: not before */
	/* sending outside of syncs */
	int64_t send_at;   /* mono ms; INT64_MAX = nothing new */
	int64_t send_from; /* mono ms: not before */
	int64_t own_from;
	struct loop_timer *stop_timer;
	void (*stopped)(void *arg);
	void *stopped_arg;
};

/* run.c */
struct run *sync_run_new(struct sync *s, enum run_kind kind, const char *reason);
void sync_run_free(struct run **r);
void sync_run_watch(struct run *r, const struct sync_watcher *w);
void sync_run_forget_watcher(struct run *r, const void *arg);
/* Goes through its states; ends in sync_run_ended. The run is one of sync->active. */
void sync_run_start(struct run *r);
/* Tells the watchers. */
void sync_run_finish(struct run *r);

/* sync.c: the run is over (and freed by this). */
void sync_run_ended(struct run *r);
/* The run talks, or something of it has ended (well): the schedule counts from here. */
void sync_run_heard(struct run *r, bool well);

#endif
