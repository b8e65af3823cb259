#include "journal/query.h"

#include "base/alloc.h"
#include "disk/conn.h"
#include "journal/match.h"

#include <stdlib.h>
#include <string.h>

#define COLUMNS                                                                                                        \
	"n, at, kind, size, id, sender, user, peer, account, uidl, sorted, subject, message_id, reply, recipients, "   \
	"boxes, copies"

/* A statement's last step: its end, or an error that must not be taken for it. */
static int rows_end(struct db_conn *c, sqlite3_stmt *st, int rc, struct err *e)
{
	int result = rc == SQLITE_DONE || rc == SQLITE_ROW ? 0 : conn_error(c, "the journal", e);

	sqlite3_reset(st);
	sqlite3_clear_bindings(st);
	return result;
}

static const char *text_at(sqlite3_stmt *st, int i)
{
	const char *s = (const char *)sqlite3_column_text(st, i);

	return s != NULL ? s : "";
}

static void split(struct strlist *to, const char *lines)
{
	struct slice rest = slice_of(lines);

	while (rest.n > 0) {
		size_t n = slice_find(rest, '\n');
		strlist_add_slice(to, slice_sub(rest, 0, n));
		rest = slice_sub(rest, n + 1, rest.n);
	}
}

/* ---- what became of outqueue messages ---- */

static void add_recipient(struct journal_outgoing *o, const char *address)
{
	o->v = xreallocarray(o->v, o->n + 1, sizeof *o->v);
	o->v[o->n++] = (struct journal_recipient){.address = xstrdup(address), .state = JOURNAL_ACCEPTED};
}

static void replace(char **to, const char *s)
{
	if (s[0] == '\0')
		return;
	free(*to);
	*to = xstrdup(s);
}

static void take_event(struct journal_outgoing *o, sqlite3_stmt *st, size_t *next)
{
	enum journal_kind kind = (enum journal_kind)sqlite3_column_int(st, 1);
	const char *address = text_at(st, 2);

	if (kind == JOURNAL_HELD || kind == JOURNAL_RELEASED) {
		o->held = kind == JOURNAL_HELD;
		return;
	}
	/* Events mostly come in the order of the recipients, of whom there may be thousands. */
	for (size_t k = 0; k < o->n; k++) {
		struct journal_recipient *r = &o->v[(*next + k) % o->n];
		if (strcmp(r->address, address) != 0)
			continue;
		r->state = kind;
		r->at_ms = sqlite3_column_int64(st, 0);
		r->tries += kind == JOURNAL_SENT || kind == JOURNAL_DEFERRED || kind == JOURNAL_BOUNCED;
		replace(&r->relay, text_at(st, 3));
		replace(&r->reply, text_at(st, 4));
		*next = (*next + k + 1) % o->n;
		return;
	}
}

static int take_events(struct db_conn *c, struct journal_outgoing *o, struct err *e)
{
	sqlite3_stmt *st = db_stmt(c, "SELECT at, kind, recipient, relay, reply FROM event WHERE id = ? ORDER BY n", e);
	size_t next = 0;
	int rc;

	if (st == NULL)
		return -1;
	sqlite3_bind_text(st, 1, o->id, -1, SQLITE_STATIC);
	while ((rc = sqlite3_step(st)) == SQLITE_ROW)
		take_event(o, st, &next);
	return rows_end(c, st, rc, e);
}

static int take_outgoing(struct db_conn *c, struct journal_fate *f, struct err *e)
{
	sqlite3_stmt *st = db_stmt(c, "SELECT id, recipients FROM queued WHERE n = ? ORDER BY id", e);
	int rc;

	if (st == NULL)
		return -1;
	sqlite3_bind_int64(st, 1, f->number);
	while ((rc = sqlite3_step(st)) == SQLITE_ROW) {
		struct strlist addresses = {NULL, 0};
		f->outgoing = xreallocarray(f->outgoing, f->noutgoing + 1, sizeof *f->outgoing);
		struct journal_outgoing *o = &f->outgoing[f->noutgoing++];
		*o = (struct journal_outgoing){.id = xstrdup(text_at(st, 0))};
		split(&addresses, text_at(st, 1));
		for (size_t i = 0; i < addresses.n; i++)
			add_recipient(o, addresses.v[i]);
		strlist_free(&addresses);
	}
	if (rows_end(c, st, rc, e) != 0)
		return -1;
	for (size_t i = 0; i < f->noutgoing; i++)
		if (take_events(c, &f->outgoing[i], e) != 0)
			return -1;
	return 0;
}

static void outgoing_free(struct journal_outgoing *o)
{
	for (size_t i = 0; i < o->n; i++) {
		free(o->v[i].address);
		free(o->v[i].relay);
		free(o->v[i].reply);
	}
	free(o->v);
	free(o->id);
}

/* ---- one message ---- */

/* Texts are the statement's, until its next step. */
static void take_row(struct journal_fate *f, sqlite3_stmt *st)
{
	const char **texts[] = {&f->id,   &f->sender, &f->user,    &f->peer,       &f->account,
	                        &f->uidl, &f->sorted, &f->subject, &f->message_id, &f->reply};

	*f = (struct journal_fate){.number = sqlite3_column_int64(st, 0),
	                           .at_ms = sqlite3_column_int64(st, 1),
	                           .kind = (enum journal_kind)sqlite3_column_int(st, 2),
	                           .size = (uint64_t)sqlite3_column_int64(st, 3)};
	for (int i = 0; i < 10; i++)
		*texts[i] = text_at(st, 4 + i);
	split(&f->recipients, text_at(st, 14));
	split(&f->boxes, text_at(st, 15));
	split(&f->copies, text_at(st, 16));
}

static void fate_free(struct journal_fate *f)
{
	strlist_free(&f->recipients);
	strlist_free(&f->boxes);
	strlist_free(&f->copies);
	for (size_t i = 0; i < f->noutgoing; i++)
		outgoing_free(&f->outgoing[i]);
	free(f->outgoing);
}

const char *journal_fate_state(const struct journal_fate *f)
{
	static const enum journal_kind worst_first[] = {JOURNAL_BOUNCED, JOURNAL_DEFERRED, JOURNAL_ACCEPTED,
	                                                JOURNAL_DROPPED, JOURNAL_SENT};
	bool seen[JOURNAL_KINDS] = {false}, held = false;

	if (f->kind == JOURNAL_REFUSED)
		return "refused";
	for (size_t i = 0; i < f->noutgoing; i++)
		for (size_t k = 0; k < f->outgoing[i].n; k++) {
			enum journal_kind state = f->outgoing[i].v[k].state;
			seen[state] = true;
			held =
			    held || (f->outgoing[i].held && (state == JOURNAL_ACCEPTED || state == JOURNAL_DEFERRED));
		}
	if (held && !seen[JOURNAL_BOUNCED])
		return "held";
	for (size_t i = 0; i < sizeof worst_first / sizeof worst_first[0]; i++)
		if (seen[worst_first[i]])
			return worst_first[i] == JOURNAL_ACCEPTED ? "waiting" : journal_kind_name(worst_first[i]);
	return "delivered";
}

/* ---- pages ---- */

/* The messages behind q->after that the question is about, the first JOURNAL_SCAN of them. */
static sqlite3_stmt *history(struct db_conn *c, const struct journal_query *q, struct err *e)
{
	sqlite3_stmt *st =
	    q->since_ms <= 0 ? db_stmt(c, "SELECT " COLUMNS " FROM message WHERE n > ?1 ORDER BY n", e)
	                     : db_stmt(c,
	                               "SELECT " COLUMNS " FROM message WHERE n > ?1 AND (at >= ?2 OR n IN "
	                               "(SELECT q.n FROM event AS v JOIN queued AS q ON q.id = v.id WHERE v.at >= ?2)) "
	                               "ORDER BY n",
	                               e);

	if (st == NULL)
		return NULL;
	sqlite3_bind_int64(st, 1, q->after);
	if (q->since_ms > 0)
		sqlite3_bind_int64(st, 2, q->since_ms);
	return st;
}

static sqlite3_stmt *news(struct db_conn *c, const struct journal_query *q, const struct journal_page *to,
                          struct err *e)
{
	sqlite3_stmt *st = db_stmt(c,
	                           "SELECT " COLUMNS " FROM message WHERE (n > ?1 AND n <= ?2) OR n IN "
	                           "(SELECT q.n FROM event AS v JOIN queued AS q ON q.id = v.id "
	                           "WHERE v.n > ?3 AND v.n <= ?4) ORDER BY n",
	                           e);

	if (st == NULL)
		return NULL;
	sqlite3_bind_int64(st, 1, q->after);
	sqlite3_bind_int64(st, 2, to->after);
	sqlite3_bind_int64(st, 3, q->event);
	sqlite3_bind_int64(st, 4, to->event);
	return st;
}

/* Walks the statement's rows; false where the page is full before its end. */
static int walk(struct db_conn *c, sqlite3_stmt *st, const struct journal_query *q, struct match *m,
                bool (*each)(void *arg, const struct journal_fate *f), void *arg, int64_t *last, bool *full,
                struct err *e)
{
	size_t matched = 0, seen = 0;
	int rc = 0, step = SQLITE_DONE;

	*full = false;
	while (rc == 0 && (step = sqlite3_step(st)) == SQLITE_ROW) {
		struct journal_fate f;
		take_row(&f, st);
		rc = take_outgoing(c, &f, e);
		bool enough = false;
		if (rc == 0 && match_fate(m, q, &f)) {
			enough = !each(arg, &f);
			matched++;
		}
		*last = f.number;
		fate_free(&f);
		if (!q->follow && (enough || matched == JOURNAL_PAGE || ++seen == JOURNAL_SCAN)) {
			*full = true;
			break;
		}
	}
	if (rc != 0) { /* what went wrong stands in e */
		sqlite3_reset(st);
		return rc;
	}
	return rows_end(c, st, step, e);
}

/* The one number that such a text (a literal) returns. */
static int number(struct db_conn *c, const char *sql, int64_t *out, struct err *e)
{
	sqlite3_stmt *st = db_stmt(c, sql, e);
	int rc;

	if (st == NULL)
		return -1;
	rc = sqlite3_step(st);
	*out = rc == SQLITE_ROW ? sqlite3_column_int64(st, 0) : 0;
	return rows_end(c, st, rc, e);
}

static int64_t capped(int64_t from, int64_t to)
{
	return to - from > JOURNAL_PAGE ? from + JOURNAL_PAGE : to < from ? from : to;
}

static int follow(struct db_conn *c, const struct journal_query *q, struct match *m,
                  bool (*each)(void *arg, const struct journal_fate *f), void *arg, struct journal_page *out,
                  struct err *e)
{
	int64_t messages, events = out->event, last;
	bool full;

	if (number(c, "SELECT ifnull(max(n), 0) FROM message", &messages, e) != 0)
		return -1;
	out->after = capped(q->after, messages);
	out->event = capped(q->event, events);
	out->more = out->after < messages || out->event < events;
	sqlite3_stmt *st = news(c, q, out, e);
	return st != NULL ? walk(c, st, q, m, each, arg, &last, &full, e) : -1;
}

int journal_query(struct db_conn *c, const struct journal_query *q,
                  bool (*each)(void *arg, const struct journal_fate *f), void *arg, struct journal_page *out,
                  struct err *e)
{
	int rc = -1;

	*out = (struct journal_page){.after = q->after};
	if (number(c, "SELECT ifnull(max(n), 0) FROM event", &out->event, e) != 0)
		return -1;
	struct match *m = match_new(q);
	if (q->follow) {
		rc = follow(c, q, m, each, arg, out, e);
	} else {
		sqlite3_stmt *st = history(c, q, e);
		if (st != NULL)
			rc = walk(c, st, q, m, each, arg, &out->after, &out->more, e);
	}
	match_free(&m);
	return rc;
}

int journal_queued_by(struct db_conn *c, const char *id, struct strlist *out, struct err *e)
{
	sqlite3_stmt *st =
	    db_stmt(c, "SELECT q.id FROM message AS m JOIN queued AS q ON q.n = m.n WHERE m.id = ? ORDER BY q.id", e);
	int rc;

	if (st == NULL)
		return -1;
	sqlite3_bind_text(st, 1, id, -1, SQLITE_STATIC);
	while ((rc = sqlite3_step(st)) == SQLITE_ROW)
		strlist_add(out, text_at(st, 0));
	return rows_end(c, st, rc, e);
}
