#include "base/alloc.h"
#include "store/ledger.h"

const char fact_schema[] = "CREATE TABLE IF NOT EXISTS fact(key TEXT PRIMARY KEY, value TEXT NOT NULL) WITHOUT ROWID;";

static int fact_remove(struct db_conn *c, const char *key, struct err *e)
{
	sqlite3_stmt *st = db_stmt(c, "DELETE FROM fact WHERE key = ?1", e);

	if (st == NULL)
		return -1;
	sqlite3_bind_text(st, 1, key, -1, SQLITE_TRANSIENT);
	return db_step(c, st, e);
}

int fact_set(struct db_conn *c, const char *key, const char *value, struct err *e)
{
	if (value == NULL)
		return fact_remove(c, key, e);
	sqlite3_stmt *st = db_stmt(c, "INSERT OR REPLACE INTO fact(key, value) VALUES(?1, ?2)", e);
	if (st == NULL)
		return -1;
	sqlite3_bind_text(st, 1, key, -1, SQLITE_TRANSIENT);
	sqlite3_bind_text(st, 2, value, -1, SQLITE_TRANSIENT);
	return db_step(c, st, e);
}

int fact_get(struct db_conn *c, const char *key, char **value, struct err *e)
{
	sqlite3_stmt *st = db_stmt(c, "SELECT value FROM fact WHERE key = ?1", e);

	*value = NULL;
	if (st == NULL)
		return -1;
	sqlite3_bind_text(st, 1, key, -1, SQLITE_TRANSIENT);
	int rc = sqlite3_step(st);
	if (rc == SQLITE_ROW)
		*value = xstrdup((const char *)sqlite3_column_text(st, 0));
	sqlite3_reset(st);
	sqlite3_clear_bindings(st);
	if (rc == SQLITE_ROW || rc == SQLITE_DONE)
		return 0;
	return err_set(e, rc, "cannot read the fact \"%s\": %s", key, sqlite3_errmsg(db_handle(c)));
}
