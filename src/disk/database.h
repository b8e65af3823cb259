/* state/ofmsrv.db: the commit log, ledger and outqueue state in one SQLite file, written by one thread.
 *
 * Jobs that arrive while a commit is under way share the next one (at most 200 jobs or 1 MiB, round-robin over
 * lanes, after those of mail programs, which have up to half of it), so load makes batches and idleness makes none:
 * there is no timer. Behind a commit for one client the writer may stay awake for the next job, a fraction of a
 * millisecond at most (disk/lock_step.h). */
#ifndef OFM_DISK_DATABASE_H
#define OFM_DISK_DATABASE_H

#include "base/err.h"
#include "net/loop.h"

#include <sqlite3.h>
#include <stdbool.h>
#include <stddef.h>

struct database;
struct db_conn; /* a connection with its cached statements; belongs to the thread that was handed it */

enum db_outcome {
	DB_COMMITTED,
	DB_FAILED,  /* not in the database, and will not come back: apply said so, or there is no space */
	DB_UNKNOWN, /* the commit failed in a way that a restart might undo: make no promise in either direction */
};

struct db_job {
	/* On the writer's thread inside the batch's transaction, under a savepoint of its own; it may be called again
	 * when a batch is retried job by job. Non-zero undoes this job alone (DB_FAILED). */
	int (*apply)(struct db_conn *c, void *arg, struct err *e);
	/* Removes what apply wrote, found by its names, should a failed commit have come back. NULL where the job is
	 * harmless to find applied (idempotent marks). */
	int (*undo)(struct db_conn *c, void *arg, struct err *e);
	/* On the loop's thread, exactly once; may be NULL. e says why where the outcome is not DB_COMMITTED. */
	void (*done)(void *arg, enum db_outcome outcome, const struct err *e);
	void *arg;
	unsigned lane; /* jobs of one lane keep their order; lanes take turns, behind SMTP's and POP3's */
	size_t bytes;  /* what it adds to the log, roughly */
};

enum {
	DB_LANE_SYSTEM = 0,
	DB_LANE_SMTP = 1,
	DB_LANE_SEND = 2,
	DB_LANE_SETTLE = 3,
	DB_LANE_POP3 = 4,
	DB_LANE_ACCOUNT = 16
};

/* Opens or creates PATH and brings its schema up to date: `schemas` is a NULL-terminated list of SQL texts (CREATE
 * TABLE IF NOT EXISTS …), one per room that has tables. Takes no thread yet. */
struct database *database_open(const char *path, const char *const *schemas, struct err *e);
/* Whether database_open failed because the file is damaged (or none of ours), not for want of space or rights. */
bool database_is_damage(const struct err *e);
/* Moves a database that is not open, with its log, to the path `aside`, for somebody to look at. */
int database_set_aside(const char *path, const char *aside, struct err *e);
/* Before database_start and after database_stop: the connection itself, for recovery. */
struct db_conn *database_conn(struct database *d);
void database_start(struct database *d, struct loop *l);
/* Any thread. The job is copied. */
void database_submit(struct database *d, const struct db_job *job);
/* Reading without waiting for the writer: fn on a thread of its own with a read-only connection, then done on the
 * loop's thread. Sees every commit whose `done` has run. Any thread. */
void database_read(struct database *d, int (*fn)(struct db_conn *c, void *arg, struct err *e),
                   void (*done)(void *arg, int rc, const struct err *e), void *arg);
/* Finishes what is queued, joins, posts the last dones. */
void database_stop(struct database *d);
void database_free(struct database **d);

/* A prepared statement, reset and cleared of bindings, cached under the text's address (pass literals). NULL with e
 * set. Reset it (sqlite3_reset) when done; never finalize it. */
sqlite3_stmt *db_stmt(struct db_conn *c, const char *sql, struct err *e);
/* Steps a statement that returns no rows, and resets it. 0, or -1 with e. */
int db_step(struct db_conn *c, sqlite3_stmt *st, struct err *e);
int db_exec(struct db_conn *c, const char *sql, struct err *e);
/* The one number of the one row that such a text (a literal) returns; 0 where there is none, or with e set. */
int64_t db_number(struct db_conn *c, const char *sql, struct err *e);
sqlite3 *db_handle(struct db_conn *c);

#endif
