/* The log in few writes: what another connection sees, what a failed write leaves, and what a transaction that does not
 * fit into memory does. */
#include "base/alloc.h"
#include "disk/conn.h"
#include "failing_vfs.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

struct world {
	char dir[40];
	char *path;
	struct db_conn *c;
};

static void run(struct world *w, const char *sql)
{
	struct err e = {0, ""};

	if (db_exec(w->c, sql, &e) != 0)
		fail_msg("%s", e.text);
}

static int setup(void **state)
{
	struct world *w = xcalloc(1, sizeof *w);
	struct err e = {0, ""};

	strcpy(w->dir, "/tmp/ofm.log_vfs.XXXXXX");
	assert_non_null(mkdtemp(w->dir));
	w->path = xasprintf("%s/t.db", w->dir);
	w->c = conn_open(w->path, false, &e);
	assert_non_null(w->c);
	run(w, "CREATE TABLE t(v)");
	*state = w;
	return 0;
}

static int teardown(void **state)
{
	struct world *w = *state;
	char *rm = xasprintf("rm -rf %s", w->dir);

	fail_wal_writes = wal_room = 0;
	conn_close(&w->c);
	assert_int_equal(system(rm), 0);
	free(rm);
	free(w->path);
	free(w);
	return 0;
}

/* As another process would: by the system's own file system, with all that stands in the log. */
static int64_t elsewhere(struct world *w, const char *sql)
{
	sqlite3 *db;
	sqlite3_stmt *st;

	assert_int_equal(sqlite3_open_v2(w->path, &db, SQLITE_OPEN_READONLY, system_vfs->zName), SQLITE_OK);
	assert_int_equal(sqlite3_prepare_v2(db, sql, -1, &st, NULL), SQLITE_OK);
	assert_int_equal(sqlite3_step(st), SQLITE_ROW);
	int64_t n = sqlite3_column_int64(st, 0);
	sqlite3_finalize(st);
	sqlite3_close(db);
	return n;
}

static int64_t rows(struct world *w)
{
	assert_int_equal(elsewhere(w, "SELECT integrity_check = 'ok' FROM pragma_integrity_check"), 1);
	return elsewhere(w, "SELECT count(*) FROM t");
}

static void a_commit_is_one_write(void **state)
{
	struct world *w = *state;

	wal_writes = 0;
	run(w, "INSERT INTO t VALUES(randomblob(90000))");
	assert_int_equal(wal_writes, 1);
	run(w, "BEGIN; INSERT INTO t VALUES(1); INSERT INTO t VALUES(2); COMMIT");
	assert_int_equal(wal_writes, 2);
	assert_int_equal(rows(w), 3);
}

/* One that is not flushed at once, too. */
static void a_commit_is_seen_by_others(void **state)
{
	struct world *w = *state;

	run(w, "PRAGMA synchronous=NORMAL");
	for (int n = 1; n < 50; n++) {
		run(w, "INSERT INTO t VALUES(randomblob(5000))");
		assert_int_equal(rows(w), n);
	}
	run(w, "PRAGMA wal_checkpoint(TRUNCATE)");
	run(w, "INSERT INTO t VALUES(randomblob(5000))");
	assert_int_equal(rows(w), 50);
}

static void what_does_not_fit_into_memory_goes_on_before(void **state)
{
	struct world *w = *state;
	static const char many[] = "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 1000) "
	                           "INSERT INTO t SELECT randomblob(3000) FROM n";

	run(w, "CREATE INDEX i ON t(v)"); /* its pages are read and written again within the transaction */
	run(w, "PRAGMA cache_size=20");
	for (int times = 1; times < 4; times++) {
		run(w, "BEGIN");
		run(w, many);
		run(w, "ROLLBACK");
		run(w, "BEGIN");
		run(w, many);
		run(w, "UPDATE t SET v = randomblob(2000)");
		run(w, "COMMIT");
		assert_int_equal(rows(w), 1000 * times);
	}
}

static void a_write_that_fails_commits_nothing(void **state)
{
	struct world *w = *state;
	struct err e = {0, ""};

	run(w, "INSERT INTO t VALUES(1)");
	fail_wal_writes = 1;
	assert_int_equal(db_exec(w->c, "INSERT INTO t VALUES(randomblob(50000))", &e), -1);
	assert_int_equal(e.code & 0xff, SQLITE_FULL);
	assert_int_equal(rows(w), 1);
	run(w, "INSERT INTO t VALUES(2)");
	assert_int_equal(rows(w), 2);
}

static int64_t log_length(const struct world *w)
{
	char *log = xasprintf("%s-wal", w->path);
	struct stat st;
	int64_t n = stat(log, &st) == 0 ? st.st_size : -1;

	free(log);
	return n;
}

/* So that a flush seldom has to write how long the file has become. */
static void the_log_grows_by_much_at_a_time(void **state)
{
	struct world *w = *state;
	int64_t n = log_length(w);

	assert_true(n >= 1024 * 1024);
	for (int i = 0; i < 50; i++)
		run(w, "INSERT INTO t VALUES(randomblob(5000))");
	assert_int_equal(log_length(w), n);
	run(w, "INSERT INTO t VALUES(randomblob(1000000))");
	assert_true(log_length(w) >= n + 1024 * 1024);
	run(w, "PRAGMA wal_checkpoint(TRUNCATE)");
	assert_int_equal(log_length(w), 0);
	run(w, "INSERT INTO t VALUES(1)");
	assert_true(log_length(w) >= 1024 * 1024 && log_length(w) < n + 1024 * 1024);
	assert_int_equal(rows(w), 52);
}

/* A crash leaves database and log as they are; whoever opens them then reads what was committed, and what is added
 * comes behind it. */
static void what_lies_behind_the_log_is_no_part_of_it(void **state)
{
	struct world *w = *state, after = {.c = NULL};
	struct err e = {0, ""};

	for (int i = 1; i <= 20; i++) {
		run(w, "INSERT INTO t VALUES(randomblob(5000))");
		char *copy = xasprintf("cd %s && cp t.db crashed.db && cp t.db-wal crashed.db-wal", w->dir);
		assert_int_equal(system(copy), 0);
		free(copy);
		after.path = xasprintf("%s/crashed.db", w->dir);
		after.c = conn_open(after.path, false, &e);
		assert_non_null(after.c);
		assert_int_equal(db_number(after.c, "SELECT count(*) FROM t", &e), i);
		run(&after, "INSERT INTO t VALUES(2)");
		assert_int_equal(rows(&after), i + 1);
		conn_close(&after.c);
		free(after.path);
	}
}

static void a_log_that_cannot_grow_ahead_takes_what_fits(void **state)
{
	struct world *w = *state;
	struct err e = {0, ""};
	int fit = 0;

	run(w, "PRAGMA wal_checkpoint(TRUNCATE)");
	for (wal_room = 300 * 1000; db_exec(w->c, "INSERT INTO t VALUES(randomblob(5000))", &e) == 0; fit++)
		assert_true(fit < 300);
	assert_int_equal(e.code & 0xff, SQLITE_FULL);
	assert_true(fit > 15 && log_length(w) <= wal_room);
	assert_int_equal(rows(w), fit);
	wal_room = 0;
	run(w, "INSERT INTO t VALUES(1)");
	assert_int_equal(rows(w), fit + 1);
}

/* Wherever the write fails in a transaction of many: nothing of it counts, and the next one is whole. */
static void a_long_transaction_fails_as_a_whole(void **state)
{
	struct world *w = *state;
	struct err e = {0, ""};

	run(w, "CREATE INDEX i ON t(v)");
	run(w, "PRAGMA cache_size=20");
	for (int at = 0; at < 40; at++) {
		int rc = db_exec(w->c, "BEGIN", &e);
		for (int i = 0; rc == 0 && i < 200; i++) {
			fail_wal_writes = i == 5 * at ? 1 : fail_wal_writes;
			rc = db_exec(w->c, "INSERT INTO t VALUES(randomblob(3000))", &e);
		}
		rc = rc == 0 ? db_exec(w->c, "COMMIT", &e) : rc;
		assert_int_equal(rc, -1);
		assert_int_equal(fail_wal_writes, 0);
		if (sqlite3_get_autocommit(db_handle(w->c)) == 0)
			run(w, "ROLLBACK");
		assert_int_equal(rows(w), at);
		run(w, "INSERT INTO t VALUES(randomblob(3000))");
		assert_int_equal(rows(w), at + 1);
	}
}

/* Where the log finds no space, SQLite may undo one statement alone and let the rest be committed: not when frames of
 * that rest are what was lost. */
static void what_is_lost_is_not_committed_around(void **state)
{
	struct world *w = *state;
	struct err e = {0, ""};

	run(w, "CREATE TABLE u(v)");
	run(w, "INSERT INTO u VALUES(1), (2), (3)");
	run(w, "PRAGMA cache_size=10");
	for (int at = 0; at < 60; at++) {
		run(w, "BEGIN");
		for (int i = 0; i < at; i++)
			run(w, "INSERT INTO t VALUES(randomblob(3000))");
		fail_wal_writes = 1;
		/* It reads what stands in the log already. */
		db_exec(w->c, "INSERT INTO u SELECT length(v) + 1 / (v IS NOT NULL) FROM t", &e);
		fail_wal_writes = 0;
		if (db_exec(w->c, "COMMIT", &e) != 0 && sqlite3_get_autocommit(db_handle(w->c)) == 0)
			run(w, "ROLLBACK");
		rows(w); /* whole, however many there are */
		run(w, "DELETE FROM t");
		run(w, "DELETE FROM u WHERE v > 3");
	}
}

int main(void)
{
#define T(f) cmocka_unit_test_setup_teardown(f, setup, teardown)
	const struct CMUnitTest tests[] = {
	    T(a_commit_is_one_write),
	    T(a_commit_is_seen_by_others),
	    T(what_does_not_fit_into_memory_goes_on_before),
	    T(a_write_that_fails_commits_nothing),
	    T(a_long_transaction_fails_as_a_whole),
	    T(what_is_lost_is_not_committed_around),
	    T(the_log_grows_by_much_at_a_time),
	    T(what_lies_behind_the_log_is_no_part_of_it),
	    T(a_log_that_cannot_grow_ahead_takes_what_fits),
	};

	return cmocka_run_group_tests_name("log_vfs", tests, install_vfs, NULL);
}
