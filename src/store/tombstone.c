#include "store/maildir.h"

const char tombstone_schema[] = "CREATE TABLE IF NOT EXISTS tombstone ("
                                " mailbox TEXT NOT NULL, name TEXT NOT NULL,"
                                " PRIMARY KEY (mailbox, name)) WITHOUT ROWID;";

static sqlite3_stmt *bound(struct db_conn *c, const char *sql, const char *mailbox, const char *base, struct err *e)
{
	sqlite3_stmt *st = db_stmt(c, sql, e);

	if (st == NULL)
		return NULL;
	if (sqlite3_bind_text(st, 1, mailbox, -1, SQLITE_STATIC) != SQLITE_OK ||
	    sqlite3_bind_text(st, 2, base, -1, SQLITE_STATIC) != SQLITE_OK) {
		err_set(e, 0, "tombstone: %s", sqlite3_errmsg(db_handle(c)));
		return NULL;
	}
	return st;
}

int tombstone_add(struct db_conn *c, const char *mailbox, const char *base, struct err *e)
{
	static const char sql[] = "INSERT OR IGNORE INTO tombstone (mailbox, name) VALUES (?, ?)";
	sqlite3_stmt *st = bound(c, sql, mailbox, base, e);

	return st == NULL ? -1 : db_step(c, st, e);
}

int tombstone_remove(struct db_conn *c, const char *mailbox, const char *base, struct err *e)
{
	static const char sql[] = "DELETE FROM tombstone WHERE mailbox = ? AND name = ?";
	sqlite3_stmt *st = bound(c, sql, mailbox, base, e);

	return st == NULL ? -1 : db_step(c, st, e);
}

int tombstone_has(struct db_conn *c, const char *mailbox, const char *base, struct err *e)
{
	static const char sql[] = "SELECT 1 FROM tombstone WHERE mailbox = ? AND name = ?";
	sqlite3_stmt *st = bound(c, sql, mailbox, base, e);
	int rc;

	if (st == NULL)
		return -1;
	rc = sqlite3_step(st);
	if (rc != SQLITE_ROW && rc != SQLITE_DONE)
		err_set(e, rc, "tombstone: %s", sqlite3_errmsg(db_handle(c)));
	sqlite3_reset(st);
	return rc == SQLITE_ROW ? 1 : rc == SQLITE_DONE ? 0 : -1;
}

int tombstone_each(struct db_conn *c, const char *mailbox, void (*fn)(void *arg, const char *mailbox, const char *base),
                   void *arg, struct err *e)
{
	static const char one[] = "SELECT mailbox, name FROM tombstone WHERE mailbox = ?";
	static const char all[] = "SELECT mailbox, name FROM tombstone ORDER BY mailbox";
	sqlite3_stmt *st = db_stmt(c, mailbox != NULL ? one : all, e);
	int rc;

	if (st == NULL)
		return -1;
	if (mailbox != NULL && sqlite3_bind_text(st, 1, mailbox, -1, SQLITE_STATIC) != SQLITE_OK)
		return err_set(e, 0, "tombstone: %s", sqlite3_errmsg(db_handle(c)));
	while ((rc = sqlite3_step(st)) == SQLITE_ROW)
		fn(arg, (const char *)sqlite3_column_text(st, 0), (const char *)sqlite3_column_text(st, 1));
	if (rc != SQLITE_DONE)
		err_set(e, rc, "tombstone: %s", sqlite3_errmsg(db_handle(c)));
	sqlite3_reset(st);
	return rc == SQLITE_DONE ? 0 : -1;
}
