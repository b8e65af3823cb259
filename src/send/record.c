/* Recipients' states on their way into the database. A record is a snapshot: it says which recipients change to which
 * state in this commit, and the end of the commit acts on these alone. What happens meanwhile belongs to the next. */
#include "base/alloc.h"
#include "base/log.h"
#include "send/dsn.h"
#include "send/sender_internal.h"

#include <stdlib.h>

struct row {
	size_t n;
	struct outqueue_recipient r; /* without the address */
	bool ends;                   /* becomes BOUNCED by this commit, which has the bounce too */
};

struct record {
	struct message *m;
	char *id, *held_back; /* whose bounces are held back: these rows are kept for postmaster's list; NULL */
	struct row *rows;
	size_t nrows, nends;
	int64_t waited, counted_at;
	bool warns; /* by this commit */
	bool was_warned, held;
	bool told; /* found by the commit: an earlier one, thought lost, had told the sender already */
};

bool record_is_due(const struct message *m)
{
	for (size_t i = 0; i < m->q->nrecipients; i++)
		if (m->t[i].dirty)
			return true;
	return m->dirty;
}

bool record_tells(const struct message *m)
{
	for (size_t i = 0; i < m->q->nrecipients; i++)
		if (m->t[i].failed || (m->warning && m->t[i].deferred))
			return true;
	return false;
}

static void add_row(struct record *rec, size_t i, bool ends)
{
	struct message *m = rec->m;
	struct row *row = &rec->rows[rec->nrows++];

	*row = (struct row){.n = i, .r = m->q->recipients[i], .ends = ends};
	row->r.address = NULL;
	row->r.last_reply = xstrdup(row->r.last_reply);
	if (ends) {
		row->r.state = OUTQUEUE_BOUNCED;
		m->t[i].reporting = true;
		rec->nends++;
	}
	m->t[i].dirty = false;
}

struct record *record_new(struct message *m, bool tells)
{
	struct record *rec = xcalloc(1, sizeof *rec);

	message_age(m);
	rec->m = m;
	rec->id = xstrdup(m->q->id);
	rec->rows = xcalloc(m->q->nrecipients + 1, sizeof *rec->rows);
	rec->waited = m->q->waited;
	rec->counted_at = m->q->counted_at;
	rec->was_warned = m->q->warned;
	rec->held = m->q->held;
	m->dirty = false;
	for (size_t i = 0; i < m->q->nrecipients; i++) {
		/* The others stand in the next report. */
		bool ends = tells && m->t[i].failed && rec->nends < DSN_RECIPIENTS_MAX;
		if (ends || m->t[i].dirty)
			add_row(rec, i, ends);
	}
	rec->warns = tells && rec->nends == 0 && m->warning;
	return rec;
}

void record_hold_back(struct record *rec, const char *reader)
{
	rec->held_back = xstrdup(reader);
}

void record_free(void *record)
{
	struct record *rec = record;

	for (size_t i = 0; i < rec->nrows; i++)
		free(rec->rows[i].r.last_reply);
	free(rec->rows);
	free(rec->held_back);
	free(rec->id);
	free(rec);
}

/* A commit whose end was unknown may have come back with the database: then its bounce is there, and a second must not
 * be. */
static int check_told(struct db_conn *c, struct record *rec, struct err *e)
{
	enum outqueue_state state = OUTQUEUE_WAITING;
	bool warned = false;

	rec->told = false;
	for (size_t i = 0; i < rec->nrows; i++) {
		if (!rec->rows[i].ends)
			continue;
		if (outqueue_state_of(c, rec->id, rec->rows[i].n, &state, e) != 0)
			return -1;
		if (state == OUTQUEUE_BOUNCED)
			rec->told = true;
	}
	if (rec->warns && outqueue_is_warned(c, rec->id, &warned, e) != 0)
		return -1;
	rec->told = rec->told || warned;
	return rec->told ? err_set(e, 0, "the sender was told already") : 0;
}

int record_apply(struct db_conn *c, void *record, struct err *e)
{
	struct record *rec = record;

	if (check_told(c, rec, e) != 0 ||
	    outqueue_set_age(c, rec->id, rec->waited, rec->counted_at, rec->was_warned || rec->warns, e) != 0 ||
	    outqueue_set_held(c, rec->id, rec->held, e) != 0)
		return -1;
	for (size_t i = 0; i < rec->nrows; i++) {
		const struct row *row = &rec->rows[i];
		if (outqueue_set_recipient(c, rec->id, row->n, &row->r, e) != 0)
			return -1;
		if (row->ends && rec->held_back != NULL &&
		    outqueue_hold_back(c, rec->id, row->n, rec->held_back, e) != 0)
			return -1;
	}
	return 0;
}

/* Only what the sender was told has to be undone: the report is undone with it. What was delivered stays so. */
int record_undo(struct db_conn *c, void *record, struct err *e)
{
	struct record *rec = record;

	for (size_t i = 0; i < rec->nrows; i++) {
		struct outqueue_recipient r = rec->rows[i].r;
		if (!rec->rows[i].ends)
			continue;
		r.state = OUTQUEUE_WAITING;
		if (outqueue_set_recipient(c, rec->id, rec->rows[i].n, &r, e) != 0 ||
		    outqueue_forget_held_back(c, rec->id, rec->rows[i].n, e) != 0)
			return -1;
	}
	return outqueue_set_age(c, rec->id, rec->waited, rec->counted_at, rec->was_warned, e);
}

bool record_told(const struct record *rec)
{
	return rec->told;
}

void record_done(struct message *m, const struct record *rec)
{
	for (size_t i = 0; i < rec->nrows; i++) {
		size_t n = rec->rows[i].n;
		struct target *t = &m->t[n];
		if (!rec->rows[i].ends)
			continue;
		m->q->recipients[n].state = OUTQUEUE_BOUNCED;
		t->failed = t->expired = t->reporting = t->drop = false;
		record_note(m, JOURNAL_BOUNCED, n);
	}
	if (rec->warns) {
		m->q->warned = true;
		m->warning = false;
	}
}

void record_failed(struct message *m, const struct record *rec)
{
	for (size_t i = 0; i < rec->nrows; i++) {
		struct target *t = &m->t[rec->rows[i].n];
		t->dirty = t->dirty || !rec->rows[i].ends;
		t->reporting = false;
		if (rec->rows[i].ends && t->drop)
			attempt_drop(m, rec->rows[i].n);
	}
	m->dirty = true;
	m->mend = true;
	sender_mend_later(m->s);
}

static void committed(void *arg, enum db_outcome outcome, const struct err *e)
{
	struct record *rec = arg;
	struct message *m = rec->m;
	struct sender *s = m->s;

	m->committing = false;
	if (outcome == DB_COMMITTED || rec->told) {
		record_done(m, rec);
		attempt_committed(m);
	} else {
		log_error("send.record", kv_s("id", m->q->id), kv_s("error", e != NULL ? e->text : ""));
		record_failed(m, rec);
	}
	record_free(rec);
	sender_check_stopped(s);
}

void record_submit(struct record *rec)
{
	struct message *m = rec->m;
	struct db_job job = {.apply = record_apply,
	                     .undo = record_undo,
	                     .done = committed,
	                     .arg = rec,
	                     .lane = DB_LANE_SEND,
	                     .bytes = 200 + rec->nrows * 300};

	m->committing = true;
	database_submit(m->s->d.database, &job);
}

void record_commit(struct message *m)
{
	record_submit(record_new(m, false));
}

void record_note(const struct message *m, enum journal_kind kind, size_t i)
{
	const struct outqueue_recipient *r = &m->q->recipients[i];

	journal_event(delivery_journal(m->s->d.delivery), kind, m->q->id, m->q->size, r->address, m->relay,
	              r->last_reply);
}

static void mend(void *arg)
{
	struct sender *s = arg;
	struct message *m, *next;

	s->mending = false;
	for (m = TAILQ_FIRST(&s->messages); m != NULL; m = next) {
		next = TAILQ_NEXT(m, all);
		if (!m->mend)
			continue;
		m->mend = false;
		attempt_settle(m);
	}
	grave_work(s);
}

void sender_mend_later(struct sender *s)
{
	if (s->mending)
		return;
	s->mending = true;
	if (s->mend_timer == NULL)
		s->mend_timer = loop_timer_new(s->d.loop, mend, s);
	loop_timer_set(s->mend_timer, SENDER_MEND_MS);
}
