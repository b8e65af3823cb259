/* Inside route/: the states by which a message becomes safe, and who moves it on.
 *
 *   gathered   in a gather, nowhere else; a crash forgets it, and its sender was told nothing
 *   committed  a row in table message (with the bytes, or with a durable .spool file): accepted
 *   written    .spool/NAME holds the bytes too, not flushed
 *   linked     synced and linked into every new/ (or the outqueue); the row says in which boot
 *   settled    the links are synced: the row goes, then the .spool file
 *
 * gather.c gathers, acceptance.c commits, placing.c writes, settler.c settles, recovery.c does it all after a crash.
 * All state here belongs to the loop's thread, but for what a round (struct round) was handed. */
#ifndef OFM_ROUTE_DELIVERY_INTERNAL_H
#define OFM_ROUTE_DELIVERY_INTERNAL_H

#include "base/random.h"
#include "route/delivery.h"

#include <sys/queue.h>

enum {
	UNPLACED_MAX = 64 * 1024 * 1024, /* bytes in memory that no file holds yet */
	UNPLACED_ONE = 48 * 1024 * 1024, /* of one road's: so the other always finds room */
	ROUND_MS = 100,                  /* between the starts of two rounds under load */
	TOGETHER_MS = 25,                /* what is being written meanwhile may come with a round that is due */
	WRITE_AT_ONCE = 64,              /* messages a worker writes in one task */
	WRITE_COLLECTED = 16,            /* of these, collected ones at least */
	GATHERED_MAX = 1024 * 1024,      /* bytes that may wait for the next round to be written */
	DROP_AT_ONCE = 200,              /* rows a settling commit drops */
	WRITE_RETRY_MS = 1000,
	PLACE_RETRY_FIRST_MS = 1000, /* doubling */
	PLACE_RETRY_MAX_MS = 60 * 1000,
	UNLINK_RETRY_MS = 5000,
	TROUBLE_MS = 10 * 60 * 1000 /* a mailbox that stays in trouble is told of so often */
};

struct pending;
struct deletion;

/* Somebody waits for what he submits, and for what the program writes itself; nobody for one more of a hundred thousand
 * collected messages. */
enum road { ROAD_AWAITED, ROAD_COLLECTED, ROADS };

struct waiter { /* delivery_settled */
	TAILQ_ENTRY(waiter) link;
	uint64_t seq;
	void (*done)(void *arg);
	void *arg;
};
TAILQ_HEAD(waiter_list, waiter);

/* One user's mailbox as delivery sees it. */
struct box {
	LIST_ENTRY(box) link;
	char *user;
	TAILQ_HEAD(, dest) unlinked; /* in order of commit */
	struct waiter_list waiters;
	int new_fd;     /* new/ during a round; belongs to the round's worker */
	int open_error; /* errno why it cannot be opened in this round; belongs to the worker too */
	int trouble;    /* errno that was told last; 0 = none */
	int64_t told_at;
};

struct dest {
	TAILQ_ENTRY(dest) in_box;
	struct box *box;
	struct pending *message;
	bool linked;
	bool failed; /* the last try to place it failed: tried again later, nobody waits for it */
	int error;   /* its errno */
};

/* A committed message on its way into its folders. */
struct pending {
	TAILQ_ENTRY(pending) link;
	uint64_t seq;
	char name[RANDOM_NAME_MAX];
	uint64_t size;
	enum road road;
	enum road line; /* where it stands in to_write; ROADS = nowhere */
	int64_t row;    /* set by the writer's thread */
	char *bytes;    /* owned; NULL once a file holds them */
	bool spilled;
	int write_error;              /* errno of the last try; 0 = written */
	bool stale;                   /* its file's pages may be lost: the bytes come from the database again */
	bool marked;                  /* the row says that all is linked */
	bool moved;                   /* its name in the spool has become that in the mailbox */
	int64_t retry_at, retry_wait; /* ms; of destinations that failed */
	char *env;                    /* outqueue: the text of ID.env; NULL for mailboxes */
	bool queue_linked;
	bool queue_told;
	bool stuck_told; /* the sender knows that its files cannot be put into the outqueue for now */
	int queue_error; /* errno of the last try to link them */
	size_t ndests;
	struct dest *dests;
	size_t links; /* counted in unlinked_count */
};
TAILQ_HEAD(pending_list, pending);

struct tomb { /* a deletion whose file is unlinked, and not yet synced */
	TAILQ_ENTRY(tomb) link;
	char *mailbox, *name;
};
TAILQ_HEAD(tomb_list, tomb);

#define BOX_BUCKETS 256

struct delivery {
	struct loop *loop;
	struct workers *workers;
	struct database *db;
	struct maildir *maildir;
	struct journal *journal; /* may be NULL */
	int spool_fd, outqueue_fd, outqueue_spool_fd, state_fd;
	int sync_fds[4]; /* one a file system, opened at start and kept */
	size_t nsync_fds;
	uint64_t unplaced_bytes[ROADS];
	size_t unplaced_count;
	uint64_t spared_bytes; /* let go since the heap was last given back */
	struct loop_timer *spare_timer;
	size_t queueing;       /* accepted outgoing messages that do not stand in outqueue/ yet */
	size_t unlinked_count; /* names that placed messages still need: on tmpfs each costs an inode */
	bool ballast;          /* state/ballast stands */
	int64_t ample_until;   /* monotonic ms: there was much more room than needed */
	size_t accepting;      /* acceptances between commit and done; deletions, tries to unlink them again too */
	uint64_t seq;
	LIST_HEAD(, box) boxes[BOX_BUCKETS];
	struct pending_list to_write[ROADS], written, linked;
	unsigned writing;   /* write tasks under way */
	bool deferred;      /* what is to be written waits for the next round */
	int64_t written_at; /* when `written` ceased to be empty, monotonic ms */
	struct tomb_list tombs;
	TAILQ_HEAD(, acceptance) waiting[ROADS]; /* for memory */
	/* settler */
	bool round_running;
	struct pending_list retry;        /* destinations that failed */
	int64_t retry_at;                 /* of the first of them */
	TAILQ_HEAD(, deletion) undeleted; /* answered, but the disk refused */
	struct loop_timer *unlink_timer;
	struct waiter_list waiters; /* for every mailbox */
	size_t reports;             /* to postmaster, on their way into the database */
	size_t nwaiters;            /* these, and those of the boxes */
	int64_t last_round;
	int sync_error;     /* of the last round; 0 = it went well */
	int write_error;    /* of the last write */
	bool settle_failed; /* the last round's commit */
	unsigned syncs_failed;
	struct loop_timer *round_timer;
	/* health.c */
	int64_t trouble_since, told_at; /* 0 = all is well; never */
	char *trouble_text;
	bool refuses; /* no message was accepted since */
	void (*well_again)(void *arg, int64_t since, const char *trouble);
	void *well_again_arg;
	/* generation.c */
	uint64_t generation;
	struct loop_timer *generation_timer;
	/* outside view */
	void (*queued)(void *arg, const char *id);
	void *queued_arg;
	void (*stuck)(void *arg, const char *id);
	void *stuck_arg;
	int queue_trouble; /* as a box's */
	int64_t queue_told_at;
	void (*trouble)(void *arg, const char *user, int error);
	void *trouble_arg;
	struct loop_timer *stop_timer;
	int64_t stop_until;
	void (*stopped)(void *arg);
	void *stopped_arg;
};

/* As delivery_has_room, for so many new inodes and names. */
bool delivery_fits(struct delivery *d, uint64_t bytes, uint64_t inodes);
/* Of both roads. */
uint64_t delivery_unplaced(const struct delivery *d);
struct box *box_get(struct delivery *d, const char *user);
void box_wake(struct delivery *d, struct box *b);
/* Those who wait for every mailbox. */
void delivery_wake(struct delivery *d);

/* Opens path's folder for messages on their way, made where it is missing, and its name durable (spool.c). Returns its
 * descriptor, or -1 with e. */
int spool_open(const char *path, struct err *e);

/* Files (placing.c); any thread. All 0 or -1 with errno. */
int placing_write(int dirfd, const char *name, const void *bytes, size_t n, bool durable);
size_t placing_links(const struct pending *p);                       /* how many names it needs outside the spool */
int placing_file_name(const struct pending *p, char out[static 80]); /* NAME,S=SIZE */
int placing_link(struct delivery *d, struct pending *p, struct dest *de);
int placing_link_queue(struct delivery *d, struct pending *p);
int placing_spool(struct delivery *d, struct pending *p); /* writes the spool file(s) from memory */
void placing_unspool(struct delivery *d, const struct pending *p);
int placing_sync(struct delivery *d);
void placing_close_boxes(struct pending *p); /* p's alone: the loop adds others meanwhile */

/* Takes a committed message over. */
void placing_start(struct delivery *d, struct pending *p);
/* Puts a message that has to be written, anew too, at the end of its line. */
void placing_line_up(struct delivery *d, struct pending *p);
bool placing_has_line(const struct delivery *d);
/* Somebody waits for what this mailbox lacks: it is written as his own mail is. */
void placing_hasten(struct delivery *d, const struct box *b);
/* Writes what waits for it, and tries again what could not be written. */
void placing_retry(struct delivery *d);
void pending_free(struct pending **p);
/* Starts a round at once, or when ROUND_MS have passed since the last one began. */
void settler_kick(struct delivery *d, bool now);
/* Nobody waits for this message any more: it cannot be placed for now. */
void settler_stop_waiting(struct delivery *d, struct pending *p);
/* The flush that would have made its file durable failed: it will be written anew. */
void settler_distrust(struct delivery *d, struct pending *p);
/* Brings a stale message's bytes back, and then lets it be written. */
void settler_reload(struct delivery *d, struct pending *p);
void settler_init(struct delivery *d);
/* Puts one whose destinations failed among those that are tried again, later each time. */
void settler_retry_later(struct delivery *d, struct pending *p);
int settler_drop_row(struct db_conn *c, int64_t row, struct err *e);
/* Some destinations are linked and synced, others have failed: only those stay in the row. */
int settler_narrow_row(struct db_conn *c, const struct pending *p, struct err *e);
void settler_forget_tombs(struct tomb_list *list);
/* health.c: mail is not accepted; accepted mail cannot be placed; a message was accepted; something works again. */
void health_refuses(struct delivery *d, const char *what, const char *why);
void health_stalls(struct delivery *d, const char *what, const char *why);
void health_accepts(struct delivery *d);
void health_look(struct delivery *d);

/* So many bytes of a message are free again (spare.c). */
void spare_placed(struct delivery *d, uint64_t bytes);
/* Whether the database is a copy from an earlier time than the folders (generation.c). Before database_start. */
int generation_is_old(struct delivery *d, bool *old, struct err *e);
/* Counts on. Only while no thread of the database runs. */
int generation_next(struct delivery *d, struct err *e);
void generation_start(struct delivery *d);
void deletion_init(struct delivery *d);
void deletion_end(struct delivery *d);
/* The disk is full: gives deletions and settling the ballast's space. */
void delivery_drop_ballast(struct delivery *d);
/* Runs acceptances that waited for memory. */
void acceptance_resume(struct delivery *d);

#endif
