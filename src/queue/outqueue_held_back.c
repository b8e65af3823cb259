/* Recipients whose bounce was held back, because their sender had too many that day. */
#include "queue/outqueue.h"

int outqueue_hold_back(struct db_conn *c, const char *id, size_t n, const char *reader, struct err *e)
{
	sqlite3_stmt *st = db_stmt(c,
	                           "INSERT OR REPLACE INTO held_back (id, n, reader, address, reply)"
	                           " SELECT id, n, ?3, address, last_reply FROM recipient WHERE id = ?1 AND n = ?2",
	                           e);

	if (st == NULL)
		return -1;
	sqlite3_bind_text(st, 1, id, -1, SQLITE_STATIC);
	sqlite3_bind_int64(st, 2, (sqlite3_int64)n);
	sqlite3_bind_text(st, 3, reader, -1, SQLITE_STATIC);
	return db_step(c, st, e);
}

int outqueue_forget_held_back(struct db_conn *c, const char *id, size_t n, struct err *e)
{
	sqlite3_stmt *st = db_stmt(c, "DELETE FROM held_back WHERE id = ?1 AND n = ?2", e);

	if (st == NULL)
		return -1;
	sqlite3_bind_text(st, 1, id, -1, SQLITE_STATIC);
	sqlite3_bind_int64(st, 2, (sqlite3_int64)n);
	return db_step(c, st, e);
}

int outqueue_held_back(struct db_conn *c, size_t most, void (*fn)(void *arg, const struct outqueue_held_back *h),
                       void *arg, struct err *e)
{
	sqlite3_stmt *st = db_stmt(c, "SELECT id, n, reader, address, reply FROM held_back ORDER BY id, n LIMIT ?1", e);
	int rc;

	if (st == NULL)
		return -1;
	sqlite3_bind_int64(st, 1, (sqlite3_int64)most);
	while ((rc = sqlite3_step(st)) == SQLITE_ROW) {
		struct outqueue_held_back h = {.id = (const char *)sqlite3_column_text(st, 0),
		                               .n = (size_t)sqlite3_column_int64(st, 1),
		                               .reader = (const char *)sqlite3_column_text(st, 2),
		                               .address = (const char *)sqlite3_column_text(st, 3),
		                               .reply = (const char *)sqlite3_column_text(st, 4)};
		if (h.id != NULL && h.reader != NULL && h.address != NULL && h.reply != NULL)
			fn(arg, &h);
	}
	sqlite3_reset(st);
	return rc == SQLITE_DONE ? 0 : err_set(e, rc, "reading the outqueue: %s", sqlite3_errmsg(db_handle(c)));
}

int outqueue_keep_held_back(struct db_conn *c, const struct outqueue_held_back *h, struct err *e)
{
	sqlite3_stmt *st = db_stmt(c,
	                           "INSERT OR REPLACE INTO held_back (id, n, reader, address, reply)"
	                           " VALUES (?1, ?2, ?3, ?4, ?5)",
	                           e);

	if (st == NULL)
		return -1;
	sqlite3_bind_text(st, 1, h->id, -1, SQLITE_STATIC);
	sqlite3_bind_int64(st, 2, (sqlite3_int64)h->n);
	sqlite3_bind_text(st, 3, h->reader, -1, SQLITE_STATIC);
	sqlite3_bind_text(st, 4, h->address, -1, SQLITE_STATIC);
	sqlite3_bind_text(st, 5, h->reply, -1, SQLITE_STATIC);
	return db_step(c, st, e);
}
