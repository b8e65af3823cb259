#include "journal/store.h"

#include "base/alloc.h"
#include "base/buf.h"
#include "base/clock.h"
#include "base/log.h"
#include "base/random.h"
#include "disk/conn.h"
#include "mail/header.h"

#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

enum {
	PAGE = 4096,
	PAGES_MAX = JOURNAL_BYTES / PAGE,
	PAGES_FULL = PAGES_MAX - PAGES_MAX / 16, /* pages in use from which the oldest go */
	PRUNE_EVERY = 1000,                      /* notes between two looks at the size */
	LIST_MAX = 4 * 1024 * 1024,
	SUBJECT_MAX = 400,
	REOPEN_MS = 10000,
	SALVAGE_MS = 5000, /* notes wait meanwhile */
	DAY_MS = 24 * 3600 * 1000
};

struct place { /* which file a name stands for */
	dev_t dev;
	ino_t ino; /* 0: none */
};

struct store {
	char *path;
	struct db_conn *conn;
	struct place file, wal; /* those that conn has open */
	sqlite3_int64 size;     /* of the file; it never shrinks by itself */
	void (*on_aside)(void *arg, const char *aside, const char *why);
	void *on_aside_arg;
	char *aside;       /* put aside, and not looked through yet; NULL = none */
	bool failing;      /* said already */
	int64_t next_open; /* mono ms */
	unsigned since_prune;
	bool aged;       /* this life has looked at the age */
	int64_t aged_at; /* mono ms */
};

/* message: one row each. queued: which outqueue messages one caused. event: what became of those. */
static const char schema[] =
    "CREATE TABLE IF NOT EXISTS message("
    "n INTEGER PRIMARY KEY AUTOINCREMENT, at INTEGER NOT NULL, kind INTEGER NOT NULL, id TEXT, sender TEXT, user TEXT, "
    "peer TEXT, account TEXT, uidl TEXT, sorted TEXT, subject TEXT, message_id TEXT, reply TEXT, "
    "recipients TEXT, boxes TEXT, copies TEXT, size INTEGER NOT NULL);"
    "CREATE INDEX IF NOT EXISTS message_at ON message(at);"
    "CREATE TABLE IF NOT EXISTS queued(id TEXT PRIMARY KEY, n INTEGER NOT NULL, recipients TEXT) WITHOUT ROWID;"
    "CREATE INDEX IF NOT EXISTS queued_n ON queued(n);"
    "CREATE TABLE IF NOT EXISTS event("
    "n INTEGER PRIMARY KEY AUTOINCREMENT, at INTEGER NOT NULL, kind INTEGER NOT NULL, id TEXT NOT NULL, "
    "recipient TEXT, relay TEXT, reply TEXT, size INTEGER NOT NULL);"
    "CREATE INDEX IF NOT EXISTS event_at ON event(at);"
    "CREATE INDEX IF NOT EXISTS event_id ON event(id);";

struct store *store_new(const char *path)
{
	struct store *s = xcalloc(1, sizeof *s);

	s->path = xstrdup(path);
	return s;
}

void store_free(struct store **sp)
{
	struct store *s = *sp;

	if (s == NULL)
		return;
	conn_close(&s->conn);
	free(s->aside);
	free(s->path);
	free(s);
	*sp = NULL;
}

/* ---- opening ---- */

static int set_up(struct db_conn *c, struct err *e)
{
	char *limit = xasprintf("PRAGMA max_page_count=%d", PAGES_MAX);
	/* The journal may lose its last moments, not its past. A small cache: what became of the file is soon seen. */
	int rc = db_exec(c, "PRAGMA synchronous=NORMAL; PRAGMA wal_autocheckpoint=500; PRAGMA cache_size=50", e);

	if (rc == 0)
		rc = db_exec(c, limit, e);
	if (rc == 0)
		rc = db_exec(c, schema, e);
	free(limit);
	return rc;
}

static int open_once(struct store *s, struct err *e)
{
	s->conn = conn_open(s->path, false, e);
	if (s->conn != NULL && set_up(s->conn, e) == 0)
		return 0;
	conn_close(&s->conn);
	return -1;
}

/* ---- is it still the file? ---- */

static struct place place_of(const char *path, const char *suffix)
{
	char *name = xasprintf("%s%s", path, suffix);
	struct stat st;
	struct place p = {0, 0};

	if (lstat(name, &st) == 0 && S_ISREG(st.st_mode))
		p = (struct place){st.st_dev, st.st_ino};
	free(name);
	return p;
}

static bool same_place(struct place a, struct place b)
{
	return a.dev == b.dev && a.ino == b.ino;
}

/* Whether both names still stand for what is open: what is written into a removed file is lost with the next start. The
 * log is made with the first commit. */
static bool still_there(struct store *s)
{
	struct place wal = place_of(s->path, "-wal");

	if (s->wal.ino == 0)
		s->wal = wal;
	return same_place(s->file, place_of(s->path, "")) && same_place(s->wal, wal);
}

/* Whether it still begins as a database does, and is no shorter than before: what SQLite keeps in memory would hide
 * that until the next start. By SQLite's own descriptor, since closing another one would give up its locks. */
static bool looks_whole(struct store *s)
{
	static const char magic[16] = "SQLite format 3";
	sqlite3_file *f = NULL;
	sqlite3_int64 size = 0;
	char head[sizeof magic];

	if (sqlite3_file_control(db_handle(s->conn), "main", SQLITE_FCNTL_FILE_POINTER, &f) != SQLITE_OK || f == NULL ||
	    f->pMethods == NULL || f->pMethods->xFileSize(f, &size) != SQLITE_OK)
		return true; /* the next statement says what is wrong */
	if (size < s->size)
		return false;
	s->size = size;
	return size < (sqlite3_int64)sizeof head || f->pMethods->xRead(f, head, sizeof head, 0) != SQLITE_OK ||
	       memcmp(head, magic, sizeof magic) == 0;
}

static bool is_no_file(const char *path)
{
	struct stat st;

	return lstat(path, &st) == 0 && !S_ISREG(st.st_mode);
}

/* ---- putting aside ---- */

static void tell(struct store *s, const char *aside, const char *why)
{
	log_error("journal.damaged", kv_s("why", why), kv_s("moved_to", aside), kv_s("effect", "a new one is begun"));
	if (s->on_aside != NULL)
		s->on_aside(s->on_aside_arg, aside, why);
}

static int put_aside(struct store *s, const char *why, struct err *e)
{
	char name[RANDOM_NAME_MAX];

	random_name(name);
	char *aside = xasprintf("%s.damaged-%s", s->path, name);
	int rc = database_set_aside(s->path, aside, e);
	if (rc == 0) {
		tell(s, access(aside, F_OK) == 0 ? aside : "", why);
		free(s->aside);
		s->aside = aside;
		s->size = 0;
	} else {
		free(aside);
	}
	return rc;
}

/* Damage that no statement of ours would meet for a while. */
static int check(struct db_conn *c, struct err *e)
{
	sqlite3_stmt *st = db_stmt(c, "PRAGMA quick_check(1)", e);
	int rc = 0;

	if (st == NULL)
		return -1;
	int step = sqlite3_step(st);
	const char *says = step == SQLITE_ROW ? (const char *)sqlite3_column_text(st, 0) : NULL;
	if (step != SQLITE_ROW)
		rc = conn_error(c, "the journal", e);
	else if (says == NULL || strcmp(says, "ok") != 0)
		rc = err_set(e, SQLITE_CORRUPT, "the journal is damaged: %.200s", says != NULL ? says : "");
	sqlite3_reset(st);
	return rc;
}

static int open_checked(struct store *s, struct err *e)
{
	if (open_once(s, e) != 0)
		return -1;
	if (check(s->conn, e) != 0) {
		conn_close(&s->conn);
		return -1;
	}
	s->file = place_of(s->path, "");
	s->wal = place_of(s->path, "-wal");
	return 0;
}

/* ---- what can still be read ---- */

/* The newest rows first, up to the first one that cannot be read. */
static size_t take_rows(struct db_conn *from, struct db_conn *to, const char *select, const char *insert, int64_t until)
{
	struct err e;
	sqlite3_stmt *in = db_stmt(from, select, &e), *out = db_stmt(to, insert, &e);
	size_t n = 0;

	if (in == NULL || out == NULL)
		return 0;
	for (; clock_mono_ms() < until && sqlite3_step(in) == SQLITE_ROW; n++) {
		for (int i = 0; i < sqlite3_bind_parameter_count(out); i++)
			sqlite3_bind_value(out, i + 1, sqlite3_column_value(in, i));
		if (db_step(to, out, &e) != 0)
			break;
	}
	sqlite3_reset(in);
	return n;
}

/* Takes over what can be read of the file that was put aside. */
static void salvage(struct store *s)
{
	static const char *const tables[][2] = {
	    {"SELECT * FROM message ORDER BY n DESC",
	     "INSERT OR IGNORE INTO message VALUES(?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)"},
	    {"SELECT * FROM queued ORDER BY id DESC", "INSERT OR IGNORE INTO queued VALUES(?, ?, ?)"},
	    {"SELECT * FROM event ORDER BY n DESC", "INSERT OR IGNORE INTO event VALUES(?, ?, ?, ?, ?, ?, ?, ?)"}};
	struct err e;
	struct db_conn *old = access(s->aside, F_OK) == 0 ? conn_open(s->aside, true, &e) : NULL;
	int64_t until = clock_mono_ms() + SALVAGE_MS;
	size_t n = 0;

	if (old != NULL && db_exec(s->conn, "BEGIN", &e) == 0) {
		for (size_t i = 0; i < 3; i++)
			n += take_rows(old, s->conn, tables[i][0], tables[i][1], until);
		if (db_exec(s->conn, "COMMIT", &e) != 0)
			db_exec(s->conn, "ROLLBACK", NULL);
		else
			log_info("journal.salvaged", kv_u("rows", n));
	}
	conn_close(&old);
	free(s->aside);
	s->aside = NULL;
}

static int open_or_begin(struct store *s, struct err *e)
{
	if (is_no_file(s->path))
		err_set(e, SQLITE_NOTADB, "%s is no file", s->path);
	else if (open_checked(s, e) == 0)
		return 0;
	if (!database_is_damage(e))
		return -1;
	const char *why = is_no_file(s->path) ? "it is no file" : sqlite3_errstr(e->code & 0xff);
	return put_aside(s, why, e) == 0 && open_checked(s, e) == 0 ? 0 : -1;
}

/* A removed or replaced file is let go of. What took its place is opened, or put aside where it is none of ours.
 * Closing saves what a removed log held. */
static void let_go_of_a_lost_one(struct store *s)
{
	struct err e;

	if (s->conn == NULL)
		return;
	bool there = still_there(s);
	if (there && looks_whole(s))
		return;
	struct place now = place_of(s->path, "");
	conn_close(&s->conn);
	s->next_open = 0;
	s->size = 0;
	if (there)
		put_aside(s, "it was overwritten while the program ran", &e);
	else if (same_place(s->file, now))
		log_warning("journal.log_removed", kv_s("effect", "it is opened anew"));
	else if (now.ino != 0)
		tell(s, "", "it was replaced while the program ran");
	else if (!is_no_file(s->path))
		tell(s, "", "it was removed while the program ran");
}

struct db_conn *store_conn(struct store *s, struct err *e)
{
	let_go_of_a_lost_one(s);
	if (s->conn != NULL)
		return s->conn;
	if (clock_mono_ms() < s->next_open) {
		err_set(e, 0, "the journal cannot be opened; the log says why");
		return NULL;
	}
	if (open_or_begin(s, e) == 0) {
		if (s->aside != NULL)
			salvage(s);
		return s->conn;
	}
	s->next_open = clock_mono_ms() + REOPEN_MS;
	return NULL;
}

void store_failed(struct store *s, struct err *e)
{
	struct err why = *e, failure;

	/* Whatever it is (damage, a full disk, an emptied file), opening it anew is the way to find out. */
	conn_close(&s->conn);
	if (!database_is_damage(&why))
		return;
	if (put_aside(s, sqlite3_errstr(why.code & 0xff), &failure) == 0)
		err_set(e, why.code, "%.200s; the damaged file was put aside, and a new journal is begun", why.text);
	s->next_open = 0;
}

void store_on_aside(struct store *s, void (*fn)(void *arg, const char *aside, const char *why), void *arg)
{
	s->on_aside = fn;
	s->on_aside_arg = arg;
}

bool store_failing(const struct store *s)
{
	return s->failing;
}

/* ---- writing ---- */

static void bind_text(sqlite3_stmt *st, int i, const char *s)
{
	if (s != NULL && s[0] != '\0')
		sqlite3_bind_text(st, i, s, -1, SQLITE_TRANSIENT);
}

static void bind_decoded(sqlite3_stmt *st, int i, const struct journal_note *m, enum journal_text which)
{
	const char *raw = m->text[which], *charset = m->text[JOURNAL_CHARSET];
	struct buf b;

	if (raw == NULL || raw[0] == '\0')
		return;
	buf_init(&b, SUBJECT_MAX);
	header_decode_as(&b, slice_of(raw), slice_of(charset != NULL ? charset : ""));
	bind_text(st, i, buf_str(&b));
	buf_free(&b);
}

/* One a line; what does not fit is counted in a last line. */
static void bind_list(sqlite3_stmt *st, int i, const struct strlist *l)
{
	struct buf b;
	size_t k = 0;

	if (l->n == 0)
		return;
	buf_init(&b, LIST_MAX);
	while (k < l->n && b.n + strlen(l->v[k]) + 32 < LIST_MAX)
		buf_printf(&b, "%s%s", k > 0 ? "\n" : "", l->v[k]), k++;
	if (k < l->n)
		buf_printf(&b, "\n+%zu", l->n - k);
	bind_text(st, i, buf_str(&b));
	buf_free(&b);
}

static int write_queued(struct db_conn *c, const char *queued, sqlite3_int64 n, struct err *e)
{
	sqlite3_stmt *st = db_stmt(c, "INSERT OR REPLACE INTO queued(id, n, recipients) VALUES(?, ?, ?)", e);
	char *text = xstrdup(queued), *addresses = strchr(text, '\n');

	if (addresses != NULL)
		*addresses++ = '\0';
	if (st != NULL) {
		bind_text(st, 1, text);
		sqlite3_bind_int64(st, 2, n);
		bind_text(st, 3, addresses);
	}
	int rc = st != NULL ? db_step(c, st, e) : -1;
	free(text);
	return rc;
}

static int write_message(struct db_conn *c, const struct journal_note *m, struct err *e)
{
	static const enum journal_text plain[] = {JOURNAL_ID,      JOURNAL_SENDER, JOURNAL_USER,  JOURNAL_PEER,
	                                          JOURNAL_ACCOUNT, JOURNAL_UIDL,   JOURNAL_SORTED};
	sqlite3_stmt *st =
	    db_stmt(c,
	            "INSERT INTO message(at, kind, id, sender, user, peer, account, uidl, sorted, subject, "
	            "message_id, reply, recipients, boxes, copies, size) "
	            "VALUES(?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
	            e);

	if (st == NULL)
		return -1;
	sqlite3_bind_int64(st, 1, m->at_ms);
	sqlite3_bind_int(st, 2, (int)m->kind);
	for (int i = 0; i < 7; i++)
		if (m->kind == JOURNAL_COLLECTED && plain[i] == JOURNAL_SENDER)
			bind_decoded(st, 3 + i, m, plain[i]);
		else
			bind_text(st, 3 + i, m->text[plain[i]]);
	bind_decoded(st, 10, m, JOURNAL_SUBJECT);
	bind_decoded(st, 11, m, JOURNAL_MESSAGE_ID);
	bind_text(st, 12, m->text[JOURNAL_REPLY]);
	bind_list(st, 13, &m->recipients);
	bind_list(st, 14, &m->boxes);
	bind_list(st, 15, &m->copies);
	sqlite3_bind_int64(st, 16, (sqlite3_int64)m->size);
	if (db_step(c, st, e) != 0)
		return -1;
	sqlite3_int64 n = sqlite3_last_insert_rowid(db_handle(c));
	for (size_t i = 0; i < m->queued.n; i++)
		if (write_queued(c, m->queued.v[i], n, e) != 0)
			return -1;
	return 0;
}

static int write_event(struct db_conn *c, const struct journal_note *m, struct err *e)
{
	sqlite3_stmt *st =
	    db_stmt(c, "INSERT INTO event(at, kind, id, recipient, relay, reply, size) VALUES(?, ?, ?, ?, ?, ?, ?)", e);

	if (st == NULL)
		return -1;
	sqlite3_bind_int64(st, 1, m->at_ms);
	sqlite3_bind_int(st, 2, (int)m->kind);
	sqlite3_bind_text(st, 3, m->text[JOURNAL_ID] != NULL ? m->text[JOURNAL_ID] : "", -1, SQLITE_TRANSIENT);
	bind_text(st, 4, m->recipients.n > 0 ? m->recipients.v[0] : NULL);
	bind_text(st, 5, m->text[JOURNAL_PEER]);
	bind_text(st, 6, m->text[JOURNAL_REPLY]);
	sqlite3_bind_int64(st, 7, (sqlite3_int64)m->size);
	return db_step(c, st, e);
}

static int write_all(struct db_conn *c, const struct journal_note *notes, struct err *e)
{
	if (db_exec(c, "BEGIN", e) != 0)
		return -1;
	for (const struct journal_note *m = notes; m != NULL; m = m->next)
		if ((m->kind < JOURNAL_SENT ? write_message(c, m, e) : write_event(c, m, e)) != 0)
			goto failed;
	if (db_exec(c, "COMMIT", e) == 0)
		return 0;
failed:
	db_exec(c, "ROLLBACK", NULL);
	return -1;
}

/* ---- pruning ---- */

static int64_t pages_in_use(struct db_conn *c, struct err *e)
{
	return db_number(c, "PRAGMA page_count", e) - db_number(c, "PRAGMA freelist_count", e);
}

/* A twentieth of all, the oldest, as far as it was noted before `limit` (wall ms). */
static int drop_oldest(struct db_conn *c, int64_t limit, struct err *e)
{
	static const char *const deletes[] = {
	    "DELETE FROM message WHERE n <= (SELECT min(n) + (max(n) - min(n)) / 20 FROM message) AND at < ?",
	    "DELETE FROM event WHERE n <= (SELECT min(n) + (max(n) - min(n)) / 20 FROM event) AND at < ?",
	    "DELETE FROM queued WHERE n < (SELECT ifnull(min(n), 0) FROM message) AND ? > 0"};

	if (db_exec(c, "BEGIN", e) != 0)
		return -1;
	for (size_t i = 0; i < 3; i++) {
		sqlite3_stmt *st = db_stmt(c, deletes[i], e);
		if (st != NULL)
			sqlite3_bind_int64(st, 1, limit);
		if (st == NULL || db_step(c, st, e) != 0) {
			db_exec(c, "ROLLBACK", NULL);
			return -1;
		}
	}
	return db_exec(c, "COMMIT", e);
}

/* By age no more than a twentieth goes a day: a clock that is wrong for an hour must not empty the journal. */
static void prune(struct store *s, struct err *e)
{
	int64_t now = clock_mono_ms();

	for (int i = 0; i < 20 && pages_in_use(s->conn, e) > PAGES_FULL; i++)
		if (drop_oldest(s->conn, INT64_MAX, e) != 0)
			break;
	if (s->aged && now - s->aged_at < DAY_MS)
		return;
	s->aged = true;
	s->aged_at = now;
	drop_oldest(s->conn, clock_wall_ms() - (int64_t)JOURNAL_DAYS * DAY_MS, e);
}

static size_t length(const struct journal_note *n)
{
	size_t k = 0;

	for (; n != NULL; n = n->next)
		k++;
	return k;
}

static size_t failed(struct store *s, const struct journal_note *notes, const struct err *e)
{
	if (!s->failing)
		log_error("journal.failed", kv_s("error", e->text), kv_s("effect", "mail goes on; this is said once"));
	s->failing = true;
	return length(notes);
}

static int write_once(struct store *s, const struct journal_note *notes, struct err *e)
{
	if (store_conn(s, e) == NULL)
		return -1;
	int rc = write_all(s->conn, notes, e);
	if (rc != 0 && (e->code & 0xff) == SQLITE_FULL && drop_oldest(s->conn, INT64_MAX, e) == 0)
		rc = write_all(s->conn, notes, e);
	if (rc != 0)
		store_failed(s, e);
	return rc;
}

size_t store_write(struct store *s, const struct journal_note *notes)
{
	struct err e = {0, ""};

	/* Once more into the file that was opened or begun anew. */
	if (write_once(s, notes, &e) != 0 && write_once(s, notes, &e) != 0)
		return failed(s, notes, &e);
	if (s->failing)
		log_info("journal.works");
	s->failing = false;
	s->since_prune += (unsigned)length(notes);
	if (!s->aged || s->since_prune >= PRUNE_EVERY) {
		s->since_prune = 0;
		prune(s, &e);
	}
	return 0;
}
