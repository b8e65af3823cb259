/* The part of the outqueue that send/ works with: reading messages back, and each recipient's state. */
#include "base/alloc.h"
#include "queue/outqueue.h"

#include <stdlib.h>
#include <string.h>

void outqueue_message_free(struct outqueue_message **m)
{
	if (*m == NULL)
		return;
	for (size_t i = 0; i < (*m)->nrecipients; i++) {
		free((*m)->recipients[i].address);
		free((*m)->recipients[i].last_reply);
	}
	free((*m)->recipients);
	outqueue_entry_free(&(*m)->entry);
	free((*m)->id);
	free(*m);
	*m = NULL;
}

static char *text_column(sqlite3_stmt *st, int n)
{
	const char *s = (const char *)sqlite3_column_text(st, n);

	return xstrdup(s != NULL ? s : "");
}

static struct outqueue_message *read_message(sqlite3_stmt *st)
{
	struct outqueue_message *m = xcalloc(1, sizeof *m);

	m->id = text_column(st, 0);
	m->entry.sender = text_column(st, 1);
	m->entry.local_sender = text_column(st, 2);
	m->entry.eight_bit = (sqlite3_column_int(st, 3) & OUTQUEUE_EIGHT_BIT) != 0;
	m->entry.smtputf8 = (sqlite3_column_int(st, 3) & OUTQUEUE_SMTPUTF8) != 0;
	m->size = (uint64_t)sqlite3_column_int64(st, 4);
	m->queued_at = sqlite3_column_int64(st, 5);
	m->waited = sqlite3_column_int64(st, 6);
	m->counted_at = sqlite3_column_int64(st, 7);
	m->held = sqlite3_column_int(st, 8) != 0;
	m->warned = sqlite3_column_int(st, 9) != 0;
	return m;
}

static void read_recipient(sqlite3_stmt *st, struct outqueue_recipient *r)
{
	int state = sqlite3_column_int(st, 1);

	*r = (struct outqueue_recipient){
	    .address = text_column(st, 0),
	    .state =
	        state >= OUTQUEUE_WAITING && state <= OUTQUEUE_DROPPED ? (enum outqueue_state)state : OUTQUEUE_WAITING,
	    .attempts = (unsigned)sqlite3_column_int(st, 2),
	    .refusals = (unsigned)sqlite3_column_int(st, 3),
	    .next_at = sqlite3_column_int64(st, 4),
	    .last_reply = text_column(st, 5),
	};
}

static int read_recipients(struct db_conn *c, struct outqueue_message *m, struct err *e)
{
	sqlite3_stmt *st = db_stmt(c,
	                           "SELECT address, state, attempts, refusals, next_at, last_reply FROM recipient"
	                           " WHERE id = ?1 ORDER BY n",
	                           e);
	size_t room = 0;
	int rc;

	if (st == NULL)
		return -1;
	sqlite3_bind_text(st, 1, m->id, -1, SQLITE_STATIC);
	while ((rc = sqlite3_step(st)) == SQLITE_ROW) {
		if (m->nrecipients == room) {
			room = room != 0 ? room * 2 : 1;
			m->recipients = xreallocarray(m->recipients, room, sizeof *m->recipients);
		}
		read_recipient(st, &m->recipients[m->nrecipients++]);
	}
	sqlite3_reset(st);
	return rc == SQLITE_DONE ? 0 : err_set(e, rc, "reading the outqueue: %s", sqlite3_errmsg(db_handle(c)));
}

#define MESSAGE_COLUMNS                                                                                                \
	"SELECT id, sender, local_sender, eight_bit, size, queued_at, waited, counted_at, held, warned FROM queue"

int outqueue_load(struct db_conn *c, const char *id, void (*fn)(void *arg, struct outqueue_message *m), void *arg,
                  struct err *e)
{
	static const char all[] = MESSAGE_COLUMNS " ORDER BY queued_at, id", one[] = MESSAGE_COLUMNS " WHERE id = ?1";
	sqlite3_stmt *st = db_stmt(c, id != NULL ? one : all, e);
	int rc;

	if (st == NULL)
		return -1;
	if (id != NULL)
		sqlite3_bind_text(st, 1, id, -1, SQLITE_STATIC);
	while ((rc = sqlite3_step(st)) == SQLITE_ROW) {
		struct outqueue_message *m = read_message(st);
		if (read_recipients(c, m, e) != 0) {
			outqueue_message_free(&m);
			sqlite3_reset(st);
			return -1;
		}
		fn(arg, m);
	}
	sqlite3_reset(st);
	return rc == SQLITE_DONE ? 0 : err_set(e, rc, "reading the outqueue: %s", sqlite3_errmsg(db_handle(c)));
}

int outqueue_set_recipient(struct db_conn *c, const char *id, size_t n, const struct outqueue_recipient *r,
                           struct err *e)
{
	sqlite3_stmt *st = db_stmt(c,
	                           "UPDATE recipient SET state = ?3, attempts = ?4, refusals = ?5, next_at = ?6,"
	                           " last_reply = ?7 WHERE id = ?1 AND n = ?2",
	                           e);

	if (st == NULL)
		return -1;
	sqlite3_bind_text(st, 1, id, -1, SQLITE_STATIC);
	sqlite3_bind_int64(st, 2, (sqlite3_int64)n);
	sqlite3_bind_int(st, 3, (int)r->state);
	sqlite3_bind_int64(st, 4, r->attempts);
	sqlite3_bind_int64(st, 5, r->refusals);
	sqlite3_bind_int64(st, 6, r->next_at);
	sqlite3_bind_text(st, 7, r->last_reply, -1, SQLITE_STATIC);
	return db_step(c, st, e);
}

int outqueue_set_age(struct db_conn *c, const char *id, int64_t waited, int64_t counted_at, bool warned, struct err *e)
{
	sqlite3_stmt *st = db_stmt(c, "UPDATE queue SET waited = ?2, counted_at = ?3, warned = ?4 WHERE id = ?1", e);

	if (st == NULL)
		return -1;
	sqlite3_bind_text(st, 1, id, -1, SQLITE_STATIC);
	sqlite3_bind_int64(st, 2, waited);
	sqlite3_bind_int64(st, 3, counted_at);
	sqlite3_bind_int(st, 4, warned);
	return db_step(c, st, e);
}

int outqueue_set_held(struct db_conn *c, const char *id, bool held, struct err *e)
{
	sqlite3_stmt *st = db_stmt(c, "UPDATE queue SET held = ?2 WHERE id = ?1", e);

	if (st == NULL)
		return -1;
	sqlite3_bind_text(st, 1, id, -1, SQLITE_STATIC);
	sqlite3_bind_int(st, 2, held);
	return db_step(c, st, e);
}

static int one_number(struct db_conn *c, sqlite3_stmt *st, int *value, struct err *e)
{
	int rc = sqlite3_step(st);

	if (rc == SQLITE_ROW)
		*value = sqlite3_column_int(st, 0);
	sqlite3_reset(st);
	if (rc != SQLITE_ROW && rc != SQLITE_DONE)
		return err_set(e, rc, "reading the outqueue: %s", sqlite3_errmsg(db_handle(c)));
	return 0;
}

int outqueue_state_of(struct db_conn *c, const char *id, size_t n, enum outqueue_state *state, struct err *e)
{
	sqlite3_stmt *st = db_stmt(c, "SELECT state FROM recipient WHERE id = ?1 AND n = ?2", e);
	int value = OUTQUEUE_WAITING;

	if (st == NULL)
		return -1;
	sqlite3_bind_text(st, 1, id, -1, SQLITE_STATIC);
	sqlite3_bind_int64(st, 2, (sqlite3_int64)n);
	int rc = one_number(c, st, &value, e);
	*state = (enum outqueue_state)value;
	return rc;
}

int outqueue_is_warned(struct db_conn *c, const char *id, bool *warned, struct err *e)
{
	sqlite3_stmt *st = db_stmt(c, "SELECT warned FROM queue WHERE id = ?1", e);
	int value = 0;

	if (st == NULL)
		return -1;
	sqlite3_bind_text(st, 1, id, -1, SQLITE_STATIC);
	int rc = one_number(c, st, &value, e);
	*warned = value != 0;
	return rc;
}

int outqueue_hold_all(struct db_conn *c, struct err *e)
{
	return db_exec(c, "UPDATE queue SET held = 1", e);
}
