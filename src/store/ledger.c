#include "store/ledger.h"

#include "base/alloc.h"

#include <stdlib.h>
#include <string.h>

const char ledger_schema[] = "CREATE TABLE IF NOT EXISTS ledger("
                             " host TEXT NOT NULL," /* lower case */
                             " user TEXT NOT NULL,"
                             " uidl TEXT NOT NULL,"
                             " size INTEGER NOT NULL,"
                             " digest BLOB NOT NULL,"
                             " stored_at INTEGER NOT NULL,"
                             " closed INTEGER NOT NULL,"
                             " skipped INTEGER NOT NULL,"
                             " missed INTEGER NOT NULL,"
                             " PRIMARY KEY(host, user, uidl)) WITHOUT ROWID;";

static void bind_text(sqlite3_stmt *st, int at, const char *s)
{
	sqlite3_bind_text(st, at, s, -1, SQLITE_TRANSIENT);
}

static void bind_key(sqlite3_stmt *st, const struct ledger_key *key)
{
	char *host = xstrdup(key->host);

	ascii_lower_in_place(host);
	sqlite3_bind_text(st, 1, host, -1, free);
	bind_text(st, 2, key->user);
}

static void read_row(sqlite3_stmt *st, struct ledger_record *rec)
{
	const unsigned char *uidl = sqlite3_column_text(st, 0);
	const void *digest = sqlite3_column_blob(st, 2);

	*rec = (struct ledger_record){
	    .uidl = xstrdup(uidl != NULL ? (const char *)uidl : ""),
	    .size = (uint64_t)sqlite3_column_int64(st, 1),
	    .stored_at = sqlite3_column_int64(st, 3),
	    .closed = sqlite3_column_int(st, 4) != 0,
	    .skipped = sqlite3_column_int(st, 5) != 0,
	    .missed = (unsigned)sqlite3_column_int(st, 6),
	};
	if (digest != NULL && sqlite3_column_bytes(st, 2) == (int)sizeof rec->digest)
		memcpy(rec->digest, digest, sizeof rec->digest);
}

static void append(struct ledger_records *out, size_t *cap, const struct ledger_record *rec)
{
	if (out->n == *cap) {
		*cap = *cap != 0 ? *cap * 2 : 64;
		out->v = xreallocarray(out->v, *cap, sizeof *out->v);
	}
	out->v[out->n++] = *rec;
}

int ledger_load(struct db_conn *c, const struct ledger_key *key, struct ledger_records *out, struct err *e)
{
	/* BINARY collation compares bytes: the order that ledger_find relies on. */
	sqlite3_stmt *st = db_stmt(c,
	                           "SELECT uidl, size, digest, stored_at, closed, skipped, missed FROM ledger"
	                           " WHERE host = ?1 AND user = ?2 ORDER BY uidl",
	                           e);
	size_t cap = 0;
	int rc;

	*out = (struct ledger_records){NULL, 0};
	if (st == NULL)
		return -1;
	bind_key(st, key);
	while ((rc = sqlite3_step(st)) == SQLITE_ROW) {
		struct ledger_record rec;

		read_row(st, &rec);
		append(out, &cap, &rec);
	}
	sqlite3_reset(st);
	sqlite3_clear_bindings(st);
	if (rc == SQLITE_DONE)
		return 0;
	ledger_records_free(out);
	return err_set(e, rc, "cannot read the ledger of %s at %s: %s", key->user, key->host,
	               sqlite3_errmsg(db_handle(c)));
}

void ledger_records_free(struct ledger_records *r)
{
	for (size_t i = 0; i < r->n; i++)
		free(r->v[i].uidl);
	free(r->v);
	*r = (struct ledger_records){NULL, 0};
}

static int compare(struct slice a, const char *b)
{
	size_t bn = strlen(b);
	size_t n = a.n < bn ? a.n : bn;
	int c = n > 0 ? memcmp(a.p, b, n) : 0;

	if (c != 0 || a.n == bn)
		return c;
	return a.n < bn ? -1 : 1;
}

const struct ledger_record *ledger_find(const struct ledger_records *r, struct slice uidl)
{
	size_t low = 0, high = r->n;

	while (low < high) {
		size_t mid = low + (high - low) / 2;
		int c = compare(uidl, r->v[mid].uidl);

		if (c == 0)
			return &r->v[mid];
		if (c < 0)
			high = mid;
		else
			low = mid + 1;
	}
	return NULL;
}

int ledger_put(struct db_conn *c, const struct ledger_key *key, const struct ledger_record *rec, struct err *e)
{
	sqlite3_stmt *st = db_stmt(c,
	                           "INSERT OR REPLACE INTO ledger"
	                           "(host, user, uidl, size, digest, stored_at, closed, skipped, missed)"
	                           " VALUES(?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9)",
	                           e);

	if (st == NULL)
		return -1;
	bind_key(st, key);
	bind_text(st, 3, rec->uidl);
	sqlite3_bind_int64(st, 4, (int64_t)rec->size);
	sqlite3_bind_blob(st, 5, rec->digest, (int)sizeof rec->digest, SQLITE_TRANSIENT);
	sqlite3_bind_int64(st, 6, rec->stored_at);
	sqlite3_bind_int(st, 7, rec->closed);
	sqlite3_bind_int(st, 8, rec->skipped);
	sqlite3_bind_int64(st, 9, rec->missed);
	return db_step(c, st, e);
}

int ledger_remove(struct db_conn *c, const struct ledger_key *key, const char *uidl, struct err *e)
{
	sqlite3_stmt *st = db_stmt(c, "DELETE FROM ledger WHERE host = ?1 AND user = ?2 AND uidl = ?3", e);

	if (st == NULL)
		return -1;
	bind_key(st, key);
	bind_text(st, 3, uidl);
	return db_step(c, st, e);
}
