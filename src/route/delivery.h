/* Where mail becomes safe: gather, commit, answer. Both inbound roads and all mail of our own end here; a commit's
 * completion is the only licence to say 250 to an SMTP client or DELE to a POP3 server.
 *
 * Loop thread only, but for what is said otherwise. */
#ifndef OFM_ROUTE_DELIVERY_H
#define OFM_ROUTE_DELIVERY_H

#include "base/buf.h"
#include "config/config.h"
#include "disk/database.h"
#include "disk/workers.h"
#include "journal/journal.h"
#include "queue/outqueue.h"
#include "store/maildir.h"

struct delivery;

/* ---- 1. gather: the raw bytes of one message as they come ---- */

struct gather;
enum { GATHER_MEMORY = 64 * 1024, GATHER_HEADER_MAX = 4 * 1024 * 1024 };

struct gather *gather_new(struct delivery *d);
/* Appends; past 64 KiB bytes go to a spill file. After a failure (no space) further bytes are dropped and
 * gather_failed is true, so that a protocol can read to the end and then say 452. */
void gather_add(struct gather *g, struct slice bytes);
/* About so many will come, says who sends them: room for them, and for a prefix, at once. */
void gather_expect(struct gather *g, uint64_t bytes);
bool gather_failed(const struct gather *g);
/* Its errno; 0 where it has not failed. */
int gather_error(const struct gather *g);
uint64_t gather_size(const struct gather *g);
/* The first bytes: always the whole header section up to 4 MiB, even of a spilled message. */
struct slice gather_head(const struct gather *g);
bool gather_eight_bit(const struct gather *g); /* any byte >= 0x80 */
void gather_free(struct gather **g);

/* ---- 2. commit: one acceptance is all that one message causes ---- */

struct acceptance;

/* lane: DB_LANE_*; an account's is DB_LANE_ACCOUNT + its index. */
struct acceptance *acceptance_new(struct delivery *d, unsigned lane);
void acceptance_free(struct acceptance **a); /* of one that was not committed */
/* A message of bytes prefix + source[skip..]. prefix is copied; source may be NULL (then prefix is the message) and
 * is otherwise shared: the gather stays the caller's and must live until done, its bytes may be gone from
 * acceptance_commit on. normalize: bare CR and bare LF in
 * the source part become CRLF (what goes outside). Returns its index for the two calls below. Every message must get at
 * least one destination. */
size_t acceptance_message(struct acceptance *a, struct slice prefix, struct gather *source, uint64_t skip,
                          bool normalize);
/* Destinations: a mailbox (each user once a message; the daemon never), or the outqueue (copied; its id becomes the
 * message's name). */
void acceptance_to_mailbox(struct acceptance *a, size_t message, const char *user);
void acceptance_to_outqueue(struct acceptance *a, size_t message, const struct outqueue_entry *en);
/* Bcc and Resent-Bcc are left out of the source part, which begins with a line of the header section and goes to the
 * empty line, but no further than so many bytes of the source. 0, as at first: nothing is left out. */
void acceptance_hide_blind(struct acceptance *a, size_t message, uint64_t most);
/* This message's mailboxes get it as a copy for the boss: for the journal. */
void acceptance_is_copy(struct acceptance *a, size_t message);
/* Takes what the journal is to know of it, to which the commit adds where everything went. Mail of our own, without a
 * source, needs no such note. */
void acceptance_note(struct acceptance *a, struct journal_note **n);
struct delivery *acceptance_delivery(const struct acceptance *a);
/* Anything else that has to commit with it (ledger rows, recipient states, facts): called in order inside the
 * transaction, maybe more than once. undo as in db_job, may be NULL. free(arg) by free_arg when all is over. */
void acceptance_extra(struct acceptance *a, int (*apply)(struct db_conn *, void *, struct err *),
                      int (*undo)(struct db_conn *, void *, struct err *), void *arg, void (*free_arg)(void *));

enum acceptance_result {
	ACCEPTED,          /* durable: say 250 / DELE */
	ACCEPT_NO_SPACE,   /* nothing of it exists: 452 4.3.1 */
	ACCEPT_DISK_ERROR, /* the disk failed, and nothing of it exists: 451 4.3.0 */
	ACCEPT_UNKNOWN     /* may exist: close without a reply */
};

/* Takes the acceptance. done exactly once, from the loop (never from inside this call). May wait for memory,
 * an account's behind those of its kind alone. */
void acceptance_commit(struct acceptance **a, void (*done)(void *arg, enum acceptance_result r), void *arg);

/* ---- the rest of the program's view ---- */

/* Calls done when every message committed before now for this user stands in new/ (a POP3 log-in waits for it); user
 * NULL: for every user, with the reports that are being written. What the disk refuses is not waited for. */
void delivery_settled(struct delivery *d, const char *user, void (*done)(void *arg), void *arg);
/* A report to postmaster is on its way into the database; it has come to its end. */
void delivery_report_begins(struct delivery *d);
void delivery_report_ends(struct delivery *d);
/* Told for each outqueue message when its files stand in outqueue/. */
void delivery_on_queued(struct delivery *d, void (*fn)(void *arg, const char *id), void *arg);
/* Whether one that was accepted before does not stand there yet. Makes haste with it. */
bool delivery_is_queueing(struct delivery *d);
/* Told once for each whose files cannot be put there for now: it is in the queue's rows and waits. */
void delivery_on_stuck(struct delivery *d, void (*fn)(void *arg, const char *id), void *arg);
/* Those that recovery could not put there. Before the loop runs. */
void delivery_each_stuck(const struct delivery *d, void (*fn)(void *arg, const char *id), void *arg);
/* Told when mail cannot be put into a mailbox, or into the outqueue (user NULL): errno, at once and then every ten
 * minutes, however many messages wait (they are tried again, at last every minute); and 0 when it can again. For a
 * report to postmaster. */
void delivery_on_trouble(struct delivery *d, void (*fn)(void *arg, const char *user, int error), void *arg);
/* All that is in such trouble at this moment. */
void delivery_each_trouble(const struct delivery *d, void (*fn)(void *arg, const char *user, int error), void *arg);
/* Told when mail is accepted again after the disk or the database refused it: wall seconds since when, and what it was.
 * Once an hour at most. */
void delivery_on_well_again(struct delivery *d, void (*fn)(void *arg, int64_t since, const char *trouble), void *arg);
/* QUIT: commits tombstones for these base names, then done(ok): from then on scans do not show them. A few are unlinked
 * before that, many behind it. Names are copied. */
void delivery_delete(struct delivery *d, const char *user, const struct strlist *names,
                     void (*done)(void *arg, bool ok), void *arg);
/* What keeps mail from being accepted or stored now; NULL where nothing does. Borrowed until the loop's next turn. */
const char *delivery_trouble(const struct delivery *d);
struct database *delivery_database(const struct delivery *d);
/* Borrowed; NULL, as at first: nothing is noted. */
void delivery_set_journal(struct delivery *d, struct journal *j);
struct journal *delivery_journal(const struct delivery *d);
/* Asks before bytes are read: whether the disk has room at all (free bytes and inodes for all that is accepted and not
 * yet placed, and the ballast). */
bool delivery_has_room(struct delivery *d, uint64_t bytes);

struct delivery *delivery_new(struct loop *l, struct workers *w, struct database *db, struct maildir *m,
                              const struct config *c, struct err *e);
/* Recovery, before anything listens and before database_start: blocks. */
int delivery_recover(struct delivery *d, struct err *e);
void delivery_start(struct delivery *d);
/* Waits until nothing is under way (bounded by ms), then done. */
void delivery_stop(struct delivery *d, int64_t ms, void (*done)(void *arg), void *arg);
/* After database_stop, at a clean end: a copy that was made while the program ran is older from here on. */
void delivery_retire(struct delivery *d);
void delivery_free(struct delivery **d);

extern const char delivery_schema[];

#endif
