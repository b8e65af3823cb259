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
                             " PRIMARY KEY(host, user, uidl)) WITHOUT ROWID;"
                             /* Few records are open among a year's closed ones. */
                             "CREATE INDEX IF NOT EXISTS ledger_open ON ledger(host, user, uidl) WHERE closed = 0;";

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

static void append(struct ledger_records *out, const struct ledger_record *rec)
{
	if (out->n == out->cap) {
		out->cap = out->cap != 0 ? out->cap * 2 : 64;
		out->v = xreallocarray(out->v, out->cap, sizeof *out->v);
	}
	out->v[out->n++] = *rec;
}

static int end(struct db_conn *c, sqlite3_stmt *st, const struct ledger_key *key, int rc, struct err *e)
{
	sqlite3_reset(st);
	sqlite3_clear_bindings(st);
	if (rc == SQLITE_DONE || rc == SQLITE_ROW)
		return 0;
	return err_set(e, rc, "cannot read the ledger of %s at %s: %s", key->user, key->host,
	               sqlite3_errmsg(db_handle(c)));
}

/* Appends the rows of a bound statement. */
static int append_rows(struct db_conn *c, sqlite3_stmt *st, const struct ledger_key *key, struct ledger_records *out,
                       struct err *e)
{
	int rc;

	while ((rc = sqlite3_step(st)) == SQLITE_ROW) {
		struct ledger_record rec;

		read_row(st, &rec);
		append(out, &rec);
	}
	return end(c, st, key, rc, e);
}

static int by_uidl(const void *a, const void *b)
{
	const struct ledger_record *x = a, *y = b;

	return strcmp(x->uidl, y->uidl);
}

void ledger_sort(struct ledger_records *r)
{
	if (r->n > 1)
		qsort(r->v, r->n, sizeof *r->v, by_uidl);
}

#define COLUMNS "SELECT uidl, size, digest, stored_at, closed, skipped, missed FROM "

int ledger_load(struct db_conn *c, const struct ledger_key *key, struct ledger_records *out, struct err *e)
{
	/* BINARY collation compares bytes: the order that ledger_find relies on. */
	sqlite3_stmt *st = db_stmt(c, COLUMNS "ledger WHERE host = ?1 AND user = ?2 ORDER BY uidl", e);

	*out = (struct ledger_records){0};
	if (st == NULL)
		return -1;
	bind_key(st, key);
	int rc = append_rows(c, st, key, out, e);
	if (rc != 0)
		ledger_records_free(out);
	return rc;
}

int ledger_add_open(struct db_conn *c, const struct ledger_key *key, struct ledger_records *out, struct err *e)
{
	sqlite3_stmt *st = db_stmt(
	    c, COLUMNS "ledger INDEXED BY ledger_open WHERE host = ?1 AND user = ?2 AND closed = 0 ORDER BY uidl", e);

	if (st == NULL)
		return -1;
	bind_key(st, key);
	return append_rows(c, st, key, out, e);
}

int ledger_add_aged(struct db_conn *c, const struct ledger_key *key, int64_t before, char **from,
                    struct ledger_records *out, struct err *e)
{
	sqlite3_stmt *page = db_stmt(c,
	                             COLUMNS "(SELECT * FROM ledger WHERE host = ?1 AND user = ?2 AND uidl > ?3"
	                                     " ORDER BY uidl LIMIT ?4) WHERE closed <> 0 AND stored_at < ?5",
	                             e);
	sqlite3_stmt *last = db_stmt(c,
	                             "SELECT uidl FROM ledger WHERE host = ?1 AND user = ?2 AND uidl > ?3"
	                             " ORDER BY uidl LIMIT 1 OFFSET ?4",
	                             e);

	if (page == NULL || last == NULL)
		return -1;
	bind_key(page, key);
	bind_text(page, 3, *from);
	sqlite3_bind_int(page, 4, LEDGER_PAGE);
	sqlite3_bind_int64(page, 5, before);
	if (append_rows(c, page, key, out, e) != 0)
		return -1;
	bind_key(last, key);
	bind_text(last, 3, *from);
	sqlite3_bind_int(last, 4, LEDGER_PAGE - 1);
	int rc = sqlite3_step(last);
	free(*from);
	*from = xstrdup(rc == SQLITE_ROW ? (const char *)sqlite3_column_text(last, 0) : "");
	return end(c, last, key, rc, e);
}

int ledger_add_closed(struct db_conn *c, const struct ledger_key *key, const char *uidl, struct ledger_records *out,
                      bool *twins, struct err *e)
{
	sqlite3_stmt *st = db_stmt(c, COLUMNS "ledger WHERE host = ?1 AND user = ?2 AND uidl = ?3 AND closed <> 0", e);
	sqlite3_stmt *near = db_stmt(c,
	                             "SELECT 1 FROM ledger WHERE host = ?1 AND user = ?2"
	                             " AND uidl >= ?3 || '#' AND uidl < ?3 || '$' LIMIT 1",
	                             e);

	if (st == NULL || near == NULL)
		return -1;
	bind_key(st, key);
	bind_text(st, 3, uidl);
	if (append_rows(c, st, key, out, e) != 0)
		return -1;
	bind_key(near, key);
	bind_text(near, 3, uidl);
	int rc = sqlite3_step(near);
	*twins = *twins || rc == SQLITE_ROW;
	return end(c, near, key, rc, e);
}

static int by_number(const void *a, const void *b)
{
	const uint64_t *x = a, *y = b;

	return *x < *y ? -1 : *x > *y;
}

int ledger_add_closed_sized(struct db_conn *c, const struct ledger_key *key, const uint64_t *sizes, size_t n,
                            const struct ledger_records *known, struct ledger_records *out, struct err *e)
{
	sqlite3_stmt *st = db_stmt(c,
	                           COLUMNS "ledger WHERE host = ?1 AND user = ?2 AND closed <> 0"
	                                   " AND size BETWEEN ?3 AND ?4",
	                           e);
	int rc;

	if (st == NULL)
		return -1;
	bind_key(st, key);
	sqlite3_bind_int64(st, 3, (int64_t)sizes[0]);
	sqlite3_bind_int64(st, 4, (int64_t)sizes[n - 1]);
	while ((rc = sqlite3_step(st)) == SQLITE_ROW) {
		uint64_t size = (uint64_t)sqlite3_column_int64(st, 1);
		struct ledger_record rec;

		if (bsearch(&size, sizes, n, sizeof *sizes, by_number) == NULL)
			continue;
		read_row(st, &rec);
		if (ledger_find(known, slice_of(rec.uidl)) == NULL)
			append(out, &rec);
		else
			free(rec.uidl);
	}
	return end(c, st, key, rc, e);
}

int ledger_any(struct db_conn *c, const struct ledger_key *key, bool *any, struct err *e)
{
	sqlite3_stmt *st = db_stmt(c, "SELECT 1 FROM ledger WHERE host = ?1 AND user = ?2 LIMIT 1", e);

	if (st == NULL)
		return -1;
	bind_key(st, key);
	int rc = sqlite3_step(st);
	*any = rc == SQLITE_ROW;
	return end(c, st, key, rc, e);
}

void ledger_records_free(struct ledger_records *r)
{
	for (size_t i = 0; i < r->n; i++)
		free(r->v[i].uidl);
	free(r->v);
	*r = (struct ledger_records){0};
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
