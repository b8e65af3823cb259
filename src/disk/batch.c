/* How a batch ends:
 *
 *   all applied, COMMIT succeeded        every job DB_COMMITTED
 *   a job's apply refused                the batch is rolled back and done again job by job; that job DB_FAILED
 *   COMMIT failed for want of space      nothing of it is in the log: again, job by job
 *   COMMIT failed otherwise              unknown: the log's pages may be in the cache though not on the disk, and
 *                                        may come back. Reopen, move the log into the database (which flushes what
 *                                        the failed flush did not), remove what the jobs wrote by its names in a
 *                                        commit that succeeds: DB_FAILED. Where even that fails: DB_UNKNOWN. */
#include "disk/batch.h"

#include "base/alloc.h"
#include "base/log.h"
#include "disk/conn.h"

static void settle(struct db_node *n, enum db_outcome outcome, const struct err *e)
{
	n->outcome = outcome;
	if (outcome != DB_COMMITTED && e != NULL && n->e == NULL) {
		n->e = xmalloc(sizeof *n->e);
		*n->e = *e;
	}
}

static void settle_all(struct db_node *batch, enum db_outcome outcome, const struct err *e)
{
	for (struct db_node *n = batch; n != NULL; n = n->next)
		settle(n, outcome, e);
}

/* A clean connection without a transaction, or NULL. */
static bool reopen(struct db_conn **c, const char *path, struct err *e)
{
	conn_close(c);
	*c = conn_open(path, false, e);
	return *c != NULL;
}

static void roll_back(struct db_conn **c, const char *path)
{
	struct err e;

	if (sqlite3_get_autocommit(db_handle(*c)) == 0 && db_exec(*c, "ROLLBACK", &e) != 0)
		reopen(c, path, &e);
}

/* As db_exec, of a literal that is compiled once. */
static int run(struct db_conn *c, const char *sql, struct err *e)
{
	sqlite3_stmt *st = db_stmt(c, sql, e);

	return st == NULL ? -1 : db_step(c, st, e);
}

enum commit_result { COMMIT_DONE, COMMIT_REFUSED, COMMIT_NO_SPACE, COMMIT_UNSURE };

static enum commit_result commit(struct db_conn *c, struct err *e)
{
	if (run(c, "COMMIT", e) == 0)
		return COMMIT_DONE;
	return (e->code & 0xff) == SQLITE_FULL ? COMMIT_NO_SPACE : COMMIT_UNSURE;
}

/* A file that was deleted or replaced under us takes commits that no restart will find. */
static int still_there(struct db_conn *c, const char *path, struct err *e)
{
	int moved = 0;

	if (sqlite3_file_control(db_handle(c), "main", SQLITE_FCNTL_HAS_MOVED, &moved) != SQLITE_OK || !moved)
		return 0;
	return err_set(e, SQLITE_READONLY_DBMOVED,
	               "%s was deleted or replaced while the program runs: put it back, or restart the program", path);
}

/* Applies jobs from n on: all, or the first alone. */
static enum commit_result try_jobs(struct db_conn **c, const char *path, struct db_node *n, bool all, struct err *e)
{
	enum commit_result r = COMMIT_REFUSED;

	if (*c == NULL && !reopen(c, path, e))
		return COMMIT_REFUSED;
	if (still_there(*c, path, e) != 0)
		return COMMIT_REFUSED;
	if (run(*c, "BEGIN IMMEDIATE", e) != 0) {
		reopen(c, path, &(struct err){0, ""});
		return COMMIT_REFUSED;
	}
	for (; n != NULL; n = all ? n->next : NULL)
		if (n->job.apply(*c, n->job.arg, e) != 0)
			goto out;
	r = commit(*c, e);
out:
	if (r == COMMIT_REFUSED || r == COMMIT_NO_SPACE)
		roll_back(c, path);
	return r;
}

static int undo_all(struct db_conn *c, struct db_node *n, bool all, struct err *e)
{
	if (sqlite3_wal_checkpoint_v2(db_handle(c), NULL, SQLITE_CHECKPOINT_TRUNCATE, NULL, NULL) != SQLITE_OK)
		return conn_error(c, "checkpoint", e);
	if (db_exec(c, "BEGIN IMMEDIATE", e) != 0)
		return -1;
	for (; n != NULL; n = all ? n->next : NULL)
		if (n->job.undo != NULL && n->job.undo(c, n->job.arg, e) != 0)
			return -1;
	return db_exec(c, "COMMIT", e);
}

/* After a commit that failed in a way that may come back. */
static void heal(struct db_conn **c, const char *path, struct db_node *n, bool all, const struct err *why)
{
	struct err e = {0, ""};
	enum db_outcome outcome = DB_UNKNOWN;

	log_error("database.commit", kv_s("error", why->text));
	if (reopen(c, path, &e) && undo_all(*c, n, all, &e) == 0)
		outcome = DB_FAILED;
	else {
		log_error("database.heal", kv_s("error", e.text));
		conn_close(c);
	}
	if (all)
		settle_all(n, outcome, why);
	else
		settle(n, outcome, why);
}

static void run_one(struct db_conn **c, const char *path, struct db_node *n)
{
	struct err e = {0, ""};
	enum commit_result r = try_jobs(c, path, n, false, &e);

	if (r == COMMIT_UNSURE)
		heal(c, path, n, false, &e);
	else
		settle(n, r == COMMIT_DONE ? DB_COMMITTED : DB_FAILED, &e);
}

void batch_run(struct db_conn **c, const char *path, struct db_node *batch)
{
	struct err e = {0, ""};

	switch (try_jobs(c, path, batch, true, &e)) {
	case COMMIT_DONE:
		settle_all(batch, DB_COMMITTED, NULL);
		break;
	case COMMIT_UNSURE:
		heal(c, path, batch, true, &e);
		break;
	case COMMIT_REFUSED:
	case COMMIT_NO_SPACE:
		log_debug("database.retry", kv_s("error", e.text));
		for (struct db_node *n = batch; n != NULL; n = n->next)
			run_one(c, path, n);
		break;
	}
}
