/* Recipients' states on their way into the database: a snapshot, so that the loop may go on meanwhile. */
#include "base/alloc.h"
#include "base/log.h"
#include "send/sender_internal.h"

#include <stdlib.h>

struct row {
	size_t n;
	struct outqueue_recipient r; /* without the address */
};

struct record {
	struct message *m;
	char *id;
	struct row *rows;
	size_t nrows;
	int64_t waited, counted_at;
	bool warned, held;
};

struct record *record_new(struct message *m)
{
	struct record *rec = xcalloc(1, sizeof *rec);

	message_age(m);
	rec->m = m;
	rec->id = xstrdup(m->q->id);
	rec->rows = xcalloc(m->q->nrecipients + 1, sizeof *rec->rows);
	rec->waited = m->q->waited;
	rec->counted_at = m->q->counted_at;
	rec->warned = m->q->warned || m->warning;
	rec->held = m->q->held;
	m->dirty = false;
	for (size_t i = 0; i < m->q->nrecipients; i++) {
		if (!m->t[i].dirty && !m->t[i].failed)
			continue;
		struct row *row = &rec->rows[rec->nrows++];
		*row = (struct row){.n = i, .r = m->q->recipients[i]};
		row->r.address = NULL;
		row->r.last_reply = xstrdup(row->r.last_reply);
		if (m->t[i].failed)
			row->r.state = OUTQUEUE_BOUNCED;
		m->t[i].dirty = false;
	}
	return rec;
}

void record_free(void *record)
{
	struct record *rec = record;

	for (size_t i = 0; i < rec->nrows; i++)
		free(rec->rows[i].r.last_reply);
	free(rec->rows);
	free(rec->id);
	free(rec);
}

int record_apply(struct db_conn *c, void *record, struct err *e)
{
	struct record *rec = record;

	if (outqueue_set_age(c, rec->id, rec->waited, rec->counted_at, rec->warned, e) != 0 ||
	    outqueue_set_held(c, rec->id, rec->held, e) != 0)
		return -1;
	for (size_t i = 0; i < rec->nrows; i++)
		if (outqueue_set_recipient(c, rec->id, rec->rows[i].n, &rec->rows[i].r, e) != 0)
			return -1;
	return 0;
}

/* Only bounces have to be undone: their message is undone with them. What was delivered stays so. */
int record_undo(struct db_conn *c, void *record, struct err *e)
{
	struct record *rec = record;

	for (size_t i = 0; i < rec->nrows; i++) {
		struct outqueue_recipient r = rec->rows[i].r;
		if (r.state != OUTQUEUE_BOUNCED)
			continue;
		r.state = OUTQUEUE_WAITING;
		if (outqueue_set_recipient(c, rec->id, rec->rows[i].n, &r, e) != 0)
			return -1;
	}
	return outqueue_set_age(c, rec->id, rec->waited, rec->counted_at, false, e);
}

void record_failed(struct message *m, const struct record *rec)
{
	for (size_t i = 0; i < rec->nrows; i++)
		m->t[rec->rows[i].n].dirty = true;
	m->dirty = true;
	m->mend = true;
	sender_mend_later(m->s);
}

static void committed(void *arg, enum db_outcome outcome, const struct err *e)
{
	struct record *rec = arg;
	struct message *m = rec->m;

	m->committing = false;
	if (outcome == DB_COMMITTED) {
		record_free(rec);
		attempt_over(m);
		return;
	}
	log_error("send.record", kv_s("id", m->q->id), kv_s("error", e != NULL ? e->text : ""));
	record_failed(m, rec);
	record_free(rec);
	sender_check_stopped(m->s);
}

void record_commit(struct message *m)
{
	if (m->committing) {
		m->again = true;
		return;
	}
	struct record *rec = record_new(m);
	struct db_job job = {.apply = record_apply,
	                     .done = committed,
	                     .arg = rec,
	                     .lane = DB_LANE_SEND,
	                     .bytes = 200 + rec->nrows * 300};

	m->committing = true;
	m->again = false;
	m->mend = false;
	database_submit(m->s->d.database, &job);
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
		if (m->mend)
			attempt_go_on(m);
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
