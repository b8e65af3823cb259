/* The writer's promises: one job's refusal harms no other, and a commit whose flush failed does not come back. */
#include "base/alloc.h"
#include "disk/database.h"
#include "failing_vfs.h"

#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

static const char table[] = "CREATE TABLE IF NOT EXISTS t(v TEXT)";
static const char *const schemas[] = {table, NULL};

struct world {
	char dir[40];
	char *path;
	struct loop *loop;
	struct database *db;
	unsigned waiting;
	enum db_outcome outcome[300];
};

struct job {
	struct world *w;
	unsigned n;
	bool refuse;
};

static int insert(struct db_conn *c, void *arg, struct err *e)
{
	struct job *j = arg;
	sqlite3_stmt *st = db_stmt(c, "INSERT INTO t(v) VALUES(?)", e);

	if (st == NULL || j->refuse)
		return err_set(e, 0, "refused");
	sqlite3_bind_int(st, 1, (int)j->n);
	return db_step(c, st, e);
}

static int take_back(struct db_conn *c, void *arg, struct err *e)
{
	sqlite3_stmt *st = db_stmt(c, "DELETE FROM t WHERE v = ?", e);

	if (st == NULL)
		return -1;
	sqlite3_bind_int(st, 1, (int)((struct job *)arg)->n);
	return db_step(c, st, e);
}

static void on_done(void *arg, enum db_outcome o, const struct err *e)
{
	struct job *j = arg;

	assert_true((o == DB_COMMITTED) == (e == NULL));
	j->w->outcome[j->n] = o;
	j->w->waiting--;
	free(j);
}

static void submit(struct world *w, unsigned n, bool refuse)
{
	struct job *j = xmalloc(sizeof *j);

	*j = (struct job){w, n, refuse};
	struct db_job job = {insert, take_back, on_done, j, n % 20, 100};
	w->waiting++;
	database_submit(w->db, &job);
}

static void run(struct world *w)
{
	while (w->waiting > 0)
		event_base_loop(loop_base(w->loop), EVLOOP_ONCE);
}

static int setup(void **state)
{
	struct world *w = xcalloc(1, sizeof *w);
	struct err e = {0, ""};

	strcpy(w->dir, "/tmp/ofm.database.XXXXXX");
	assert_non_null(mkdtemp(w->dir));
	w->path = xasprintf("%s/t.db", w->dir);
	w->loop = loop_new();
	w->db = database_open(w->path, schemas, &e);
	assert_non_null(w->db);
	database_start(w->db, w->loop);
	*state = w;
	return 0;
}

static int teardown(void **state)
{
	struct world *w = *state;
	char *rm = xasprintf("rm -rf %s", w->dir);

	fail_wal_syncs = fail_wal_writes = fail_locks = slow_syncs_ms = 0;
	database_free(&w->db);
	loop_free(&w->loop);
	assert_int_equal(system(rm), 0);
	free(rm);
	free(w->path);
	free(w);
	return 0;
}

/* What another process would find: how many rows hold n. */
static int rows(struct world *w, unsigned n)
{
	sqlite3 *db;
	sqlite3_stmt *st;

	assert_int_equal(sqlite3_open(w->path, &db), SQLITE_OK);
	assert_int_equal(sqlite3_prepare_v2(db, "SELECT count(*) FROM t WHERE v = ?", -1, &st, NULL), SQLITE_OK);
	sqlite3_bind_int(st, 1, (int)n);
	assert_int_equal(sqlite3_step(st), SQLITE_ROW);
	int count = sqlite3_column_int(st, 0);
	sqlite3_finalize(st);
	sqlite3_close(db);
	return count;
}

static void a_refusal_harms_no_other(void **state)
{
	struct world *w = *state;

	for (unsigned n = 0; n < 300; n++)
		submit(w, n, n % 7 == 3);
	run(w);
	for (unsigned n = 0; n < 300; n++) {
		assert_int_equal(w->outcome[n], n % 7 == 3 ? DB_FAILED : DB_COMMITTED);
		assert_int_equal(rows(w, n), n % 7 == 3 ? 0 : 1);
	}
}

static void a_failed_flush_is_taken_back(void **state)
{
	struct world *w = *state;

	submit(w, 0, false);
	run(w);
	fail_wal_syncs = 1;
	submit(w, 1, false);
	run(w);
	assert_int_equal(w->outcome[1], DB_FAILED);
	assert_int_equal(rows(w, 1), 0);
	submit(w, 2, false);
	run(w);
	assert_int_equal(w->outcome[2], DB_COMMITTED);
	assert_int_equal(rows(w, 0), 1);
	assert_int_equal(rows(w, 2), 1);
}

static void flushes_that_go_on_failing_promise_nothing(void **state)
{
	struct world *w = *state;

	fail_wal_syncs = 1000;
	submit(w, 1, false);
	run(w);
	assert_int_equal(w->outcome[1], DB_UNKNOWN);
	fail_wal_syncs = 0;
	submit(w, 2, false);
	run(w);
	assert_int_equal(w->outcome[2], DB_COMMITTED);
}

static void no_space_fails_cleanly(void **state)
{
	struct world *w = *state;

	fail_wal_writes = 1000;
	submit(w, 1, false);
	run(w);
	assert_int_equal(w->outcome[1], DB_FAILED);
	fail_wal_writes = 0;
	submit(w, 2, false);
	run(w);
	assert_int_equal(w->outcome[2], DB_COMMITTED);
	assert_int_equal(rows(w, 1), 0);
	assert_int_equal(rows(w, 2), 1);
}

static void a_lock_that_is_refused_is_asked_for_again(void **state)
{
	struct world *w = *state;

	submit(w, 0, false);
	run(w);
	fail_locks = 1000;
	submit(w, 1, false);
	run(w);
	assert_int_equal(w->outcome[1], DB_FAILED);
	fail_locks = 0;
	submit(w, 2, false);
	run(w);
	assert_int_equal(w->outcome[2], DB_COMMITTED);
	assert_int_equal(rows(w, 1), 0);
	assert_int_equal(rows(w, 2), 1);
}

static void a_database_that_was_taken_away_takes_nothing(void **state)
{
	struct world *w = *state;
	char *away = xasprintf("%s.away", w->path);

	submit(w, 0, false);
	run(w);
	assert_int_equal(rename(w->path, away), 0);
	submit(w, 1, false);
	run(w);
	assert_int_equal(w->outcome[1], DB_FAILED);
	assert_int_equal(rename(away, w->path), 0);
	submit(w, 2, false);
	run(w);
	assert_int_equal(w->outcome[2], DB_COMMITTED);
	assert_int_equal(rows(w, 1), 0);
	assert_int_equal(rows(w, 2), 1);
	free(away);
}

/* Nobody waits for it, and it may be found applied. */
static void a_job_may_be_left_to_itself(void **state)
{
	struct world *w = *state;
	struct job alone = {w, 1, false};

	for (int failing = 0; failing < 2; failing++) {
		fail_wal_syncs = failing;
		database_submit(w->db, &(struct db_job){insert, NULL, NULL, &alone, 3, 100});
		submit(w, 2, false); /* behind it or with it */
		run(w);
		fail_wal_syncs = 0;
		submit(w, 3, false);
		run(w);
		assert_int_equal(w->outcome[3], DB_COMMITTED);
	}
	assert_true(rows(w, 1) >= 1);
}

/* ---- whose turn it is ---- */

enum { JOBS_MAX = 250 };

struct order {
	unsigned lanes[JOBS_MAX], n;
};

struct lane_job {
	struct order *order;
	unsigned lane;
};

static int nothing(struct db_conn *c, void *arg, struct err *e)
{
	(void)c;
	(void)arg;
	(void)e;
	return 0;
}

static void on_turn(void *arg, enum db_outcome o, const struct err *e)
{
	struct lane_job *j = arg;

	assert_int_equal(o, DB_COMMITTED);
	assert_null(e);
	j->order->lanes[j->order->n++] = j->lane;
	free(j);
}

/* Into a database that does not run yet. */
static void line_up(struct database *db, struct order *order, unsigned lane, unsigned n)
{
	for (unsigned i = 0; i < n; i++) {
		struct lane_job *j = xmalloc(sizeof *j);
		*j = (struct lane_job){order, lane};
		database_submit(db, &(struct db_job){nothing, NULL, on_turn, j, lane, 100});
	}
}

/* Of the accounts, and of a mail program's lane: n jobs each. */
static struct order order_of(struct world *w, unsigned accounts, unsigned each, unsigned lane, unsigned n)
{
	struct err e = {0, ""};
	struct order order = {{0}, 0};
	struct database *db = database_open(w->path, schemas, &e);

	assert_non_null(db);
	for (unsigned i = 0; i < accounts; i++)
		line_up(db, &order, DB_LANE_ACCOUNT + i, each);
	line_up(db, &order, lane, n);
	database_start(db, w->loop);
	while (order.n < accounts * each + n)
		event_base_loop(loop_base(w->loop), EVLOOP_ONCE);
	database_free(&db);
	return order;
}

static void who_sits_at_a_mail_program_comes_first(void **state)
{
	static const unsigned lanes[] = {DB_LANE_SMTP, DB_LANE_POP3};
	struct world *w = *state;

	for (size_t l = 0; l < 2; l++) {
		struct order order = order_of(w, 100, 2, lanes[l], 3);
		for (unsigned i = 0; i < 3; i++)
			assert_int_equal(order.lanes[i], lanes[l]);
	}
}

/* Half of a batch is left for the others, however many submit. */
static void accounts_have_their_turn_all_the_same(void **state)
{
	struct order order = order_of(*state, 50, 1, DB_LANE_SMTP, 200);
	unsigned accounts = 0;

	for (unsigned i = 0; i < 200; i++)
		accounts += order.lanes[i] >= DB_LANE_ACCOUNT;
	assert_int_equal(accounts, 50);
}

/* ---- reading ---- */

static int count_rows(struct db_conn *c, void *arg, struct err *e)
{
	(void)arg;
	return db_number(c, "SELECT count(*) FROM t", e) == 1 ? 0 : err_set(e, 0, "not one row");
}

static void on_read(void *arg, int rc, const struct err *e)
{
	struct job *j = arg;

	assert_true((rc == 0) == (e == NULL));
	j->refuse = rc != 0;
	j->w->waiting--;
}

static bool reads(struct world *w)
{
	struct job j = {w, 0, false};

	w->waiting++;
	database_read(w->db, count_rows, on_read, &j);
	run(w);
	return !j.refuse;
}

static void a_reader_starts_afresh_after_a_failure(void **state)
{
	struct world *w = *state;
	char *away = xasprintf("%s.away", w->path);

	assert_false(reads(w));
	submit(w, 0, false);
	run(w);
	assert_int_equal(rename(w->path, away), 0);
	assert_false(reads(w));
	assert_int_equal(rename(away, w->path), 0);
	assert_true(reads(w));
	submit(w, 0, false);
	run(w);
	assert_false(reads(w));
	free(away);
}

/* ---- the log ---- */

static int insert_megabytes(struct db_conn *c, void *arg, struct err *e)
{
	sqlite3_stmt *st = db_stmt(c, "INSERT INTO t(v) VALUES(zeroblob(? * 1000000))", e);

	if (st == NULL)
		return -1;
	sqlite3_bind_int(st, 1, (int)((struct job *)arg)->n);
	return db_step(c, st, e);
}

static off_t size_of(const char *path)
{
	struct stat st;

	assert_int_equal(stat(path, &st), 0);
	return st.st_size;
}

static void grows_by(struct world *w, unsigned megabytes)
{
	struct job *j = xmalloc(sizeof *j);

	*j = (struct job){w, megabytes, false};
	w->waiting++;
	database_submit(w->db, &(struct db_job){insert_megabytes, NULL, on_done, j, 1, 100});
	run(w);
	assert_int_equal(w->outcome[megabytes], DB_COMMITTED);
}

static void await_size(struct world *w, off_t want)
{
	for (int i = 0; i < 1000 && size_of(w->path) < want; i++)
		usleep(10000);
	assert_true(size_of(w->path) >= want);
}

/* While the program runs, and beside the writer unless the log has grown very long. */
static void the_log_moves_into_the_database(void **state)
{
	struct world *w = *state;

	grows_by(w, 20);
	await_size(w, 20000000);
	grows_by(w, 40);
	await_size(w, 60000000);
}

/* What is committed while the second connection is about to end its work is not left to a next commit. */
static void the_log_moves_though_it_is_being_moved(void **state)
{
	struct world *w = *state;

	slow_syncs_ms = 1000;
	grows_by(w, 20);
	await_size(w, 20000000); /* written, and being flushed */
	grows_by(w, 40);
	slow_syncs_ms = 0;
	await_size(w, 60000000);
}

/* ---- opening ---- */

static void close_database(struct world *w)
{
	database_free(&w->db);
	loop_drain(w->loop);
}

static void open_again(struct world *w)
{
	struct err e = {0, ""};

	w->db = database_open(w->path, schemas, &e);
	assert_non_null(w->db);
	database_start(w->db, w->loop);
}

static void overwrite(const char *path, off_t at, size_t n)
{
	int fd = open(path, O_WRONLY);
	char *bytes = xmalloc(n);

	memset(bytes, 0xee, n);
	assert_int_equal(pwrite(fd, bytes, n, at), n);
	close(fd);
	free(bytes);
}

/* Damage is found at the start, wherever it is; the file is set aside, and life goes on without it. */
static void damage_is_found_at_the_start(void **state)
{
	static const struct {
		off_t at;
		size_t n;
	} damage[] = {{0, 100}, {4096, 4096}};
	struct world *w = *state;
	char *aside = xasprintf("%s.damaged", w->path);

	for (size_t i = 0; i < sizeof damage / sizeof damage[0]; i++) {
		struct err e = {0, ""};
		for (unsigned n = 0; n < 200; n++)
			submit(w, n, false);
		run(w);
		close_database(w);
		overwrite(w->path, damage[i].at, damage[i].n);
		assert_null(database_open(w->path, schemas, &e));
		assert_true(database_is_damage(&e));
		off_t size = size_of(w->path);
		assert_int_equal(database_set_aside(w->path, aside, &e), 0);
		assert_int_equal(size_of(aside), size);
		assert_int_equal(access(w->path, F_OK), -1);
		open_again(w);
		assert_int_equal(rows(w, 1), 0);
	}
	free(aside);
}

static void what_is_no_damage_is_left_alone(void **state)
{
	static const char *const wrong[] = {table, "CREATE TABLE IF NOT EXISTS", NULL};
	struct world *w = *state;
	struct err e = {0, ""};

	assert_null(database_open(w->dir, schemas, &e)); /* a folder */
	assert_false(database_is_damage(&e));
	close_database(w);
	assert_null(database_open(w->path, wrong, &e));
	assert_false(database_is_damage(&e));
	char *folder = xasprintf("%s/folder", w->dir);
	assert_int_equal(mkdir(folder, 0700), 0);
	assert_int_equal(database_set_aside(w->path, folder, &e), -1);
	free(folder);
	open_again(w);
	submit(w, 1, false);
	run(w);
	assert_int_equal(rows(w, 1), 1);
}

int main(void)
{
#define T(f) cmocka_unit_test_setup_teardown(f, setup, teardown)
	const struct CMUnitTest tests[] = {
	    T(a_refusal_harms_no_other),
	    T(a_failed_flush_is_taken_back),
	    T(flushes_that_go_on_failing_promise_nothing),
	    T(no_space_fails_cleanly),
	    T(a_lock_that_is_refused_is_asked_for_again),
	    T(a_database_that_was_taken_away_takes_nothing),
	    T(a_job_may_be_left_to_itself),
	    T(who_sits_at_a_mail_program_comes_first),
	    T(accounts_have_their_turn_all_the_same),
	    T(a_reader_starts_afresh_after_a_failure),
	    T(the_log_moves_into_the_database),
	    T(the_log_moves_though_it_is_being_moved),
	    T(damage_is_found_at_the_start),
	    T(what_is_no_damage_is_left_alone),
	};

	return cmocka_run_group_tests_name("database", tests, install_vfs, NULL);
}
