#include "disk/conn.h"

#include "base/alloc.h"
#include "disk/log_vfs.h"

#include <stdlib.h>

enum { STATEMENTS_MAX = 256, BUSY_MS = 10000 };

struct cached {
	const char *sql;
	sqlite3_stmt *st;
};

struct db_conn {
	sqlite3 *db;
	int wal_pages;
	size_t n;
	struct cached cache[STATEMENTS_MAX]; /* open addressing by the text's address */
};

static int on_wal(void *arg, sqlite3 *db, const char *name, int pages)
{
	struct db_conn *c = arg;

	(void)db;
	(void)name;
	c->wal_pages = pages;
	return SQLITE_OK;
}

int conn_error(struct db_conn *c, const char *what, struct err *e)
{
	return err_set(e, sqlite3_extended_errcode(c->db), "database: %s: %s", what, sqlite3_errmsg(c->db));
}

static const char settings[] = "PRAGMA journal_mode=WAL;"
                               "PRAGMA synchronous=FULL;"
                               /* Debian's build overwrites deleted rows by default: a third of the speed. */
                               "PRAGMA secure_delete=OFF;"
                               "PRAGMA wal_autocheckpoint=0;"
                               "PRAGMA temp_store=MEMORY;"
                               "PRAGMA foreign_keys=OFF;";

struct db_conn *conn_open(const char *path, bool read_only, struct err *e)
{
	struct db_conn *c = xcalloc(1, sizeof *c);
	int flags = (read_only ? SQLITE_OPEN_READONLY : SQLITE_OPEN_READWRITE | SQLITE_OPEN_CREATE) |
	            SQLITE_OPEN_NOMUTEX | SQLITE_OPEN_NOFOLLOW;

	if (sqlite3_open_v2(path, &c->db, flags, read_only ? NULL : log_vfs_name()) != SQLITE_OK) {
		if (c->db != NULL)
			conn_error(c, path, e);
		else
			err_set(e, SQLITE_NOMEM, "database: %s: out of memory", path);
		conn_close(&c);
		return NULL;
	}
	sqlite3_extended_result_codes(c->db, 1);
	sqlite3_busy_timeout(c->db, BUSY_MS);
	if (!read_only) {
		sqlite3_wal_hook(c->db, on_wal, c);
		if (db_exec(c, settings, e) != 0) {
			conn_close(&c);
			return NULL;
		}
		/* The pragma sets a hook of its own; ours has to be the last. */
		sqlite3_wal_hook(c->db, on_wal, c);
	}
	return c;
}

void conn_close(struct db_conn **cp)
{
	struct db_conn *c = *cp;

	if (c == NULL)
		return;
	*cp = NULL;
	for (size_t i = 0; i < STATEMENTS_MAX; i++)
		sqlite3_finalize(c->cache[i].st);
	sqlite3_close_v2(c->db);
	free(c);
}

int conn_wal_pages(const struct db_conn *c)
{
	return c->wal_pages;
}

sqlite3_stmt *db_stmt(struct db_conn *c, const char *sql, struct err *e)
{
	size_t at = (size_t)((uintptr_t)sql / 8 % STATEMENTS_MAX);

	while (c->cache[at].sql != NULL && c->cache[at].sql != sql)
		at = (at + 1) % STATEMENTS_MAX;
	struct cached *slot = &c->cache[at];
	if (slot->sql == sql) {
		sqlite3_reset(slot->st);
		sqlite3_clear_bindings(slot->st);
		return slot->st;
	}
	if (c->n + 1 >= STATEMENTS_MAX)
		abort(); /* texts are literals: a program with so many is a mistake */
	sqlite3_stmt *st = NULL;
	if (sqlite3_prepare_v3(c->db, sql, -1, SQLITE_PREPARE_PERSISTENT, &st, NULL) != SQLITE_OK) {
		conn_error(c, sql, e);
		return NULL;
	}
	*slot = (struct cached){sql, st};
	c->n++;
	return st;
}

int db_step(struct db_conn *c, sqlite3_stmt *st, struct err *e)
{
	int rc = sqlite3_step(st);
	int result = rc == SQLITE_DONE || rc == SQLITE_ROW ? 0 : conn_error(c, sqlite3_sql(st), e);

	sqlite3_reset(st);
	return result;
}

int db_exec(struct db_conn *c, const char *sql, struct err *e)
{
	if (sqlite3_exec(c->db, sql, NULL, NULL, NULL) == SQLITE_OK)
		return 0;
	return conn_error(c, sql, e);
}

int64_t db_number(struct db_conn *c, const char *sql, struct err *e)
{
	sqlite3_stmt *st = db_stmt(c, sql, e);

	if (st == NULL)
		return 0;
	int64_t n = sqlite3_step(st) == SQLITE_ROW ? sqlite3_column_int64(st, 0) : 0;
	sqlite3_reset(st);
	return n;
}

sqlite3 *db_handle(struct db_conn *c)
{
	return c->db;
}
