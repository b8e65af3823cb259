#include "store/learnt.h"

#include "base/alloc.h"
#include "base/clock.h"
#include "base/slice.h"
#include "base/text.h"
#include "disk/conn.h"

#include <stdlib.h>
#include <string.h>

enum { REFRESH_S = 24 * 3600, SERVERS_MOST = 4096 };

struct known {
	char *server; /* lower case */
	int64_t value[LEARNT_KINDS], at[LEARNT_KINDS];
};

struct learnt {
	char *kind;
	struct known *v; /* as many as there are sections: some hundred at most */
	size_t n;
};

struct writing { /* on its way into the database */
	char *kind, *server;
	const char *what; /* NULL: all of the server's */
	int64_t value, at;
};

const char learnt_schema[] = "CREATE TABLE IF NOT EXISTS learnt("
                             " kind TEXT NOT NULL,"
                             " server TEXT NOT NULL," /* host:port, lower case */
                             " what TEXT NOT NULL,"
                             " value INTEGER NOT NULL,"
                             " at INTEGER NOT NULL," /* wall seconds */
                             " PRIMARY KEY(kind, server, what)) WITHOUT ROWID;";

static const char *const names[LEARNT_KINDS] = {
    [LEARNT_NO_PIPELINING] = "no_pipelining",
    [LEARNT_NO_CHUNKING] = "no_chunking",
    [LEARNT_CONNECTIONS] = "connections",
    [LEARNT_NO_SECOND_LOOK] = "no_second_look",
    [LEARNT_RATE] = "rate",
    [LEARNT_MESSAGES] = "messages_per_connection",
    [LEARNT_RECIPIENTS] = "recipients_at_once",
};

const char *learnt_name(enum learnt_what what)
{
	return names[what];
}

static char *lowered(const char *server)
{
	char *s = xstrdup(server);

	ascii_lower_in_place(s);
	return s;
}

static struct known *known_find(const struct learnt *l, const char *server)
{
	char *s = lowered(server);
	struct known *found = NULL;

	for (size_t i = 0; i < l->n && found == NULL; i++)
		if (strcmp(l->v[i].server, s) == 0)
			found = &l->v[i];
	free(s);
	return found;
}

static struct known *known_add(struct learnt *l, const char *server)
{
	struct known *k = known_find(l, server);

	if (k != NULL || l->n == SERVERS_MOST)
		return k;
	l->v = xreallocarray(l->v, l->n + 1, sizeof *l->v);
	k = &l->v[l->n++];
	*k = (struct known){.server = lowered(server)};
	return k;
}

/* A clock that was set back must not keep an entry for ever. */
static bool is_current(const struct known *k, enum learnt_what what)
{
	int64_t age = clock_wall_s() - k->at[what];

	return k->value[what] != 0 && age < LEARNT_TTL_S && age > -LEARNT_TTL_S;
}

static void take_row(struct learnt *l, sqlite3_stmt *st)
{
	const char *server = (const char *)sqlite3_column_text(st, 0), *what = (const char *)sqlite3_column_text(st, 1);

	for (int w = 0; w < LEARNT_KINDS && server != NULL && what != NULL; w++) {
		if (strcmp(names[w], what) != 0)
			continue;
		struct known *k = known_add(l, server);
		if (k != NULL) {
			k->value[w] = sqlite3_column_int64(st, 2);
			k->at[w] = sqlite3_column_int64(st, 3);
		}
	}
}

struct learnt *learnt_load(struct db_conn *c, const char *kind, struct err *e)
{
	sqlite3_stmt *st = db_stmt(c, "SELECT server, what, value, at FROM learnt WHERE kind = ?1", e);

	if (st == NULL)
		return NULL;
	struct learnt *l = xcalloc(1, sizeof *l);
	l->kind = xstrdup(kind);
	sqlite3_bind_text(st, 1, kind, -1, SQLITE_TRANSIENT);
	int rc;
	while ((rc = sqlite3_step(st)) == SQLITE_ROW)
		take_row(l, st);
	sqlite3_reset(st);
	if (rc != SQLITE_DONE) {
		err_set(e, rc, "cannot read what was learnt about servers: %s", sqlite3_errmsg(db_handle(c)));
		learnt_free(&l);
	}
	return l;
}

void learnt_free(struct learnt **lp)
{
	struct learnt *l = *lp;

	*lp = NULL;
	if (l == NULL)
		return;
	for (size_t i = 0; i < l->n; i++)
		free(l->v[i].server);
	free(l->v);
	free(l->kind);
	free(l);
}

int64_t learnt_get(const struct learnt *l, const char *server, enum learnt_what what)
{
	const struct known *k = known_find(l, server);

	return k != NULL && is_current(k, what) ? k->value[what] : 0;
}

/* ---- writing ---- */

static int writing_apply(struct db_conn *c, void *arg, struct err *e)
{
	const struct writing *w = arg;
	sqlite3_stmt *st =
	    w->value != 0
	        ? db_stmt(c, "INSERT OR REPLACE INTO learnt(kind, server, what, value, at) VALUES(?1, ?2, ?3, ?4, ?5)",
	                  e)
	        : db_stmt(c, "DELETE FROM learnt WHERE kind = ?1 AND server = ?2 AND (?3 IS NULL OR what = ?3)", e);

	if (st == NULL)
		return -1;
	sqlite3_bind_text(st, 1, w->kind, -1, SQLITE_TRANSIENT);
	sqlite3_bind_text(st, 2, w->server, -1, SQLITE_TRANSIENT);
	sqlite3_bind_text(st, 3, w->what, -1, SQLITE_TRANSIENT);
	if (w->value != 0) {
		sqlite3_bind_int64(st, 4, w->value);
		sqlite3_bind_int64(st, 5, w->at);
	}
	return db_step(c, st, e);
}

static void writing_done(void *arg, enum db_outcome outcome, const struct err *e)
{
	struct writing *w = arg;

	(void)outcome;
	(void)e;
	free(w->kind);
	free(w->server);
	free(w);
}

static void write_down(const struct learnt *l, struct database *db, const struct known *k, const char *what,
                       int64_t value, int64_t at)
{
	struct writing *w = xcalloc(1, sizeof *w);

	*w = (struct writing){xstrdup(l->kind), xstrdup(k->server), what, value, at};
	struct db_job job = {writing_apply, NULL, writing_done, w, DB_LANE_SYSTEM, 128};
	database_submit(db, &job);
}

void learnt_set(struct learnt *l, struct database *db, const char *server, enum learnt_what what, int64_t value)
{
	int64_t now = clock_wall_s();
	struct known *k = value != 0 ? known_add(l, server) : known_find(l, server);

	if (k == NULL || (value == 0 && k->value[what] == 0) ||
	    (k->value[what] == value && is_current(k, what) && now - k->at[what] < REFRESH_S))
		return;
	k->value[what] = value;
	k->at[what] = now;
	write_down(l, db, k, names[what], value, now);
}

void learnt_forget(struct learnt *l, struct database *db, const char *server)
{
	struct known *k = known_find(l, server);

	if (k == NULL)
		return;
	memset(k->value, 0, sizeof k->value);
	write_down(l, db, k, NULL, 0, 0);
}

void learnt_each(const struct learnt *l, const char *server, void (*fn)(void *arg, const char *name, int64_t value),
                 void *arg)
{
	const struct known *k = known_find(l, server);

	for (int w = 0; w < LEARNT_KINDS && k != NULL; w++)
		if (is_current(k, (enum learnt_what)w))
			fn(arg, names[w], k->value[w]);
}
