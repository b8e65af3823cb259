#include "queue/outqueue.h"

#include "base/clock.h"

const char outqueue_schema[] = "CREATE TABLE IF NOT EXISTS queue (id TEXT PRIMARY KEY, sender TEXT NOT NULL,"
                               " local_sender TEXT NOT NULL, eight_bit INTEGER NOT NULL, size INTEGER NOT NULL,"
                               " queued_at INTEGER NOT NULL, waited INTEGER NOT NULL DEFAULT 0,"
                               " counted_at INTEGER NOT NULL, held INTEGER NOT NULL DEFAULT 0,"
                               " warned INTEGER NOT NULL DEFAULT 0) WITHOUT ROWID;"
                               "CREATE TABLE IF NOT EXISTS recipient (id TEXT NOT NULL, n INTEGER NOT NULL,"
                               " address TEXT NOT NULL, state INTEGER NOT NULL DEFAULT 0,"
                               " attempts INTEGER NOT NULL DEFAULT 0, refusals INTEGER NOT NULL DEFAULT 0,"
                               " next_at INTEGER NOT NULL DEFAULT 0, last_reply TEXT NOT NULL DEFAULT '',"
                               " PRIMARY KEY (id, n)) WITHOUT ROWID;"
                               "CREATE TABLE IF NOT EXISTS held_back (id TEXT NOT NULL, n INTEGER NOT NULL,"
                               " reader TEXT NOT NULL, address TEXT NOT NULL, reply TEXT NOT NULL,"
                               " PRIMARY KEY (id, n)) WITHOUT ROWID;";

static int insert_message(struct db_conn *c, const char *id, const struct outqueue_entry *en, uint64_t size,
                          struct err *e)
{
	sqlite3_stmt *st = db_stmt(c,
	                           "INSERT INTO queue (id, sender, local_sender, eight_bit, size, queued_at,"
	                           " counted_at) VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?6)",
	                           e);

	if (st == NULL)
		return -1;
	sqlite3_bind_text(st, 1, id, -1, SQLITE_STATIC);
	sqlite3_bind_text(st, 2, en->sender, -1, SQLITE_STATIC);
	sqlite3_bind_text(st, 3, en->local_sender, -1, SQLITE_STATIC);
	sqlite3_bind_int(st, 4, (en->eight_bit ? OUTQUEUE_EIGHT_BIT : 0) | (en->smtputf8 ? OUTQUEUE_SMTPUTF8 : 0));
	sqlite3_bind_int64(st, 5, (sqlite3_int64)size);
	sqlite3_bind_int64(st, 6, clock_wall_s());
	return db_step(c, st, e);
}

static int insert_recipient(struct db_conn *c, const char *id, size_t n, const char *address, struct err *e)
{
	sqlite3_stmt *st = db_stmt(c, "INSERT INTO recipient (id, n, address) VALUES (?1, ?2, ?3)", e);

	if (st == NULL)
		return -1;
	sqlite3_bind_text(st, 1, id, -1, SQLITE_STATIC);
	sqlite3_bind_int64(st, 2, (sqlite3_int64)n);
	sqlite3_bind_text(st, 3, address, -1, SQLITE_STATIC);
	return db_step(c, st, e);
}

int outqueue_insert(struct db_conn *c, const char *id, const struct outqueue_entry *en, uint64_t size, struct err *e)
{
	if (insert_message(c, id, en, size, e) != 0)
		return -1;
	for (size_t i = 0; i < en->recipients.n; i++)
		if (insert_recipient(c, id, i, en->recipients.v[i], e) != 0)
			return -1;
	return 0;
}

static int erase_by(struct db_conn *c, const char *sql, const char *id, struct err *e)
{
	sqlite3_stmt *st = db_stmt(c, sql, e);

	if (st == NULL)
		return -1;
	sqlite3_bind_text(st, 1, id, -1, SQLITE_STATIC);
	return db_step(c, st, e);
}

int outqueue_erase(struct db_conn *c, const char *id, struct err *e)
{
	static const char recipients[] = "DELETE FROM recipient WHERE id = ?1";
	static const char message[] = "DELETE FROM queue WHERE id = ?1";

	if (erase_by(c, recipients, id, e) != 0)
		return -1;
	return erase_by(c, message, id, e);
}

int outqueue_pending(struct db_conn *c, const char *id, struct err *e)
{
	sqlite3_stmt *st = db_stmt(c, "SELECT 1 FROM recipient WHERE id = ?1 AND state = 0 LIMIT 1", e);

	if (st == NULL)
		return -1;
	sqlite3_bind_text(st, 1, id, -1, SQLITE_STATIC);
	int rc = sqlite3_step(st);
	sqlite3_reset(st);
	if (rc == SQLITE_ROW)
		return 1;
	return rc == SQLITE_DONE ? 0 : err_set(e, rc, "reading the outqueue: %s", sqlite3_errmsg(db_handle(c)));
}
