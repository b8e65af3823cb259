/* The writer's promises: one job's refusal harms no other, and a commit whose flush failed does not come back. */
#include "base/alloc.h"
#include "disk/database.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

/* ---- an SQLite file system whose log flushes fail on demand ---- */

static int fail_wal_syncs;  /* so many of the next flushes of the log fail */
static int fail_wal_writes; /* so many of the next writes to the log find no space */

struct wrapped {
	sqlite3_file base;
	bool wal;
	sqlite3_file *real;
};

static sqlite3_file *real_of(sqlite3_file *f)
{
	return ((struct wrapped *)f)->real;
}

static int w_close(sqlite3_file *f)
{
	return real_of(f)->pMethods->xClose(real_of(f));
}
static int w_read(sqlite3_file *f, void *p, int n, sqlite3_int64 at)
{
	return real_of(f)->pMethods->xRead(real_of(f), p, n, at);
}
static int w_write(sqlite3_file *f, const void *p, int n, sqlite3_int64 at)
{
	if (((struct wrapped *)f)->wal && fail_wal_writes > 0 && fail_wal_writes-- > 0)
		return SQLITE_FULL;
	return real_of(f)->pMethods->xWrite(real_of(f), p, n, at);
}
static int w_truncate(sqlite3_file *f, sqlite3_int64 n)
{
	return real_of(f)->pMethods->xTruncate(real_of(f), n);
}
static int w_sync(sqlite3_file *f, int flags)
{
	if (((struct wrapped *)f)->wal && fail_wal_syncs > 0 && fail_wal_syncs-- > 0)
		return SQLITE_IOERR_FSYNC;
	return real_of(f)->pMethods->xSync(real_of(f), flags);
}
static int w_size(sqlite3_file *f, sqlite3_int64 *n)
{
	return real_of(f)->pMethods->xFileSize(real_of(f), n);
}
static int w_lock(sqlite3_file *f, int l)
{
	return real_of(f)->pMethods->xLock(real_of(f), l);
}
static int w_unlock(sqlite3_file *f, int l)
{
	return real_of(f)->pMethods->xUnlock(real_of(f), l);
}
static int w_reserved(sqlite3_file *f, int *out)
{
	return real_of(f)->pMethods->xCheckReservedLock(real_of(f), out);
}
static int w_control(sqlite3_file *f, int op, void *arg)
{
	return real_of(f)->pMethods->xFileControl(real_of(f), op, arg);
}
static int w_sector(sqlite3_file *f)
{
	return real_of(f)->pMethods->xSectorSize(real_of(f));
}
static int w_device(sqlite3_file *f)
{
	return real_of(f)->pMethods->xDeviceCharacteristics(real_of(f));
}
static int w_map(sqlite3_file *f, int page, int size, int extend, void volatile **p)
{
	return real_of(f)->pMethods->xShmMap(real_of(f), page, size, extend, p);
}
static int w_shm_lock(sqlite3_file *f, int at, int n, int flags)
{
	return real_of(f)->pMethods->xShmLock(real_of(f), at, n, flags);
}
static void w_barrier(sqlite3_file *f)
{
	real_of(f)->pMethods->xShmBarrier(real_of(f));
}
static int w_unmap(sqlite3_file *f, int del)
{
	return real_of(f)->pMethods->xShmUnmap(real_of(f), del);
}

static const sqlite3_io_methods methods = {2,          w_close,   w_read,     w_write,   w_truncate, w_sync,   w_size,
                                           w_lock,     w_unlock,  w_reserved, w_control, w_sector,   w_device, w_map,
                                           w_shm_lock, w_barrier, w_unmap,    NULL,      NULL};

static sqlite3_vfs *system_vfs;

static int w_open(sqlite3_vfs *vfs, const char *name, sqlite3_file *f, int flags, int *out)
{
	struct wrapped *w = (struct wrapped *)f;

	(void)vfs;
	w->real = (sqlite3_file *)(w + 1);
	w->wal = (flags & SQLITE_OPEN_WAL) != 0;
	int rc = system_vfs->xOpen(system_vfs, name, w->real, flags, out);
	w->base.pMethods = w->real->pMethods != NULL ? &methods : NULL;
	return rc;
}

static sqlite3_vfs failing_vfs;

static int install_vfs(void **state)
{
	(void)state;
	system_vfs = sqlite3_vfs_find(NULL);
	failing_vfs = *system_vfs;
	failing_vfs.zName = "failing";
	failing_vfs.szOsFile += (int)sizeof(struct wrapped);
	failing_vfs.xOpen = w_open;
	return sqlite3_vfs_register(&failing_vfs, 1);
}

/* ---- the tests ---- */

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

	fail_wal_syncs = fail_wal_writes = 0;
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

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test_setup_teardown(a_refusal_harms_no_other, setup, teardown),
	    cmocka_unit_test_setup_teardown(a_failed_flush_is_taken_back, setup, teardown),
	    cmocka_unit_test_setup_teardown(flushes_that_go_on_failing_promise_nothing, setup, teardown),
	    cmocka_unit_test_setup_teardown(no_space_fails_cleanly, setup, teardown),
	};

	return cmocka_run_group_tests_name("database", tests, install_vfs, NULL);
}
