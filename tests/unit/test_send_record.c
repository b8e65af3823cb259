/* A commit of recipients' states is a snapshot: what it ends stands in its report, and its end acts on nobody else. */
#include "base/clock.h"
#include "delivery_rig.h"
#include "send/dsn.h"
#include "send/sender_internal.h"

struct bed {
	struct world *w;
	struct database *db; /* of its own, that no thread has */
	struct db_conn *c;
	struct sender s;
	struct message m;
	struct outqueue_message *read;
};

enum { MOST = 1200 };

static void take(void *arg, struct outqueue_message *q)
{
	*(struct outqueue_message **)arg = q;
}

static void load(struct bed *b, struct outqueue_message **q)
{
	struct err e;

	outqueue_message_free(q);
	assert_int_equal(outqueue_load(b->c, "id", take, q, &e), 0);
	assert_non_null(*q);
}

static int set_up(void **state)
{
	static const char *const own[] = {outqueue_schema, NULL};
	struct outqueue_entry en = {.sender = xstrdup("anna@firm.example"), .local_sender = xstrdup("anna")};
	struct bed *b = xcalloc(1, sizeof *b);
	struct err e;

	setup((void **)&b->w);
	char *path = xasprintf("%s/state/other.db", b->w->dir);
	b->db = database_open(path, own, &e);
	assert_non_null(b->db);
	b->c = database_conn(b->db);
	for (size_t i = 0; i < MOST; i++)
		strlist_add(&en.recipients, "x@far.example");
	assert_int_equal(db_exec(b->c, "BEGIN", &e), 0);
	assert_int_equal(outqueue_insert(b->c, "id", &en, 1, &e), 0);
	assert_int_equal(db_exec(b->c, "COMMIT", &e), 0);
	b->s.d.delivery = b->w->delivery;
	b->m = (struct message){.s = &b->s, .state = MESSAGE_CLOSING, .counted_ms = clock_mono_ms()};
	load(b, &b->m.q);
	b->m.t = xcalloc(MOST, sizeof *b->m.t);
	free(path);
	outqueue_entry_free(&en);
	*state = b;
	return 0;
}

static int tear_down(void **state)
{
	struct bed *b = *state;

	outqueue_message_free(&b->m.q);
	outqueue_message_free(&b->read);
	free(b->m.t);
	database_free(&b->db);
	teardown((void **)&b->w);
	free(b);
	return 0;
}

/* In a transaction that commits. */
static int commit(struct bed *b, int (*fn)(struct db_conn *c, void *arg, struct err *e), struct record *rec)
{
	struct err e = {0, ""};

	assert_int_equal(db_exec(b->c, "BEGIN", &e), 0);
	int rc = fn(b->c, rec, &e);
	assert_int_equal(db_exec(b->c, rc == 0 ? "COMMIT" : "ROLLBACK", &e), 0);
	return rc;
}

static enum outqueue_state stored(struct bed *b, size_t i)
{
	load(b, &b->read);
	return b->read->recipients[i].state;
}

static void deliver(struct bed *b, size_t i)
{
	b->m.q->recipients[i].state = OUTQUEUE_DELIVERED;
	b->m.t[i].dirty = true;
}

static void what_is_refused_is_not_bounced_by_a_commit_without_its_bounce(void **state)
{
	struct bed *b = *state;

	deliver(b, 0);
	b->m.t[1].failed = true;
	struct record *rec = record_new(&b->m, false);
	assert_int_equal(commit(b, record_apply, rec), 0);
	record_done(&b->m, rec);
	record_free(rec);
	assert_int_equal(stored(b, 0), OUTQUEUE_DELIVERED);
	assert_int_equal(stored(b, 1), OUTQUEUE_WAITING);
	assert_true(b->m.t[1].failed && record_tells(&b->m) && !record_is_due(&b->m));
}

static void the_end_of_a_commit_acts_on_what_it_committed(void **state)
{
	struct bed *b = *state;

	b->m.t[0].failed = true;
	struct record *rec = record_new(&b->m, true);
	assert_int_equal(commit(b, record_apply, rec), 0);
	b->m.t[1].failed = true; /* meanwhile */
	deliver(b, 2);
	b->m.q->held = b->m.dirty = true;
	record_done(&b->m, rec);
	record_free(rec);
	assert_int_equal(b->m.q->recipients[0].state, OUTQUEUE_BOUNCED);
	assert_int_equal(b->m.q->recipients[1].state, OUTQUEUE_WAITING);
	assert_true(!b->m.t[0].failed && b->m.t[1].failed && b->m.t[2].dirty);
	assert_true(record_tells(&b->m) && record_is_due(&b->m));
	assert_int_equal(stored(b, 0), OUTQUEUE_BOUNCED);
	assert_int_equal(stored(b, 1), OUTQUEUE_WAITING);
	assert_false(b->read->held);
}

static void undoing_takes_back_what_the_report_said_and_nothing_else(void **state)
{
	struct bed *b = *state;

	deliver(b, 0);
	b->m.t[1].failed = true;
	struct record *rec = record_new(&b->m, true);
	record_hold_back(rec, "anna");
	assert_int_equal(commit(b, record_apply, rec), 0);
	assert_int_equal(stored(b, 1), OUTQUEUE_BOUNCED);
	assert_int_equal(commit(b, record_undo, rec), 0);
	record_free(rec);
	assert_int_equal(stored(b, 0), OUTQUEUE_DELIVERED);
	assert_int_equal(stored(b, 1), OUTQUEUE_WAITING);
	struct err e;
	assert_int_equal(db_number(b->c, "SELECT count(*) FROM held_back", &e), 0);

	b->m.t[1].failed = b->m.t[1].reporting = false;
	b->m.t[2].deferred = b->m.warning = true;
	rec = record_new(&b->m, true);
	assert_int_equal(commit(b, record_apply, rec), 0);
	load(b, &b->read);
	assert_true(b->read->warned);
	assert_int_equal(commit(b, record_undo, rec), 0);
	load(b, &b->read);
	assert_false(b->read->warned);
	record_free(rec);
}

/* A commit whose end was unknown came back with the database: the sender has the bounce already. */
static void nobody_is_told_twice(void **state)
{
	struct bed *b = *state;

	b->m.t[0].failed = true;
	struct record *rec = record_new(&b->m, true);
	assert_int_equal(commit(b, record_apply, rec), 0);
	assert_false(record_told(rec));
	record_free(rec); /* and nobody knows that it is committed */
	b->m.t[0].reporting = false;
	rec = record_new(&b->m, true);
	assert_int_equal(commit(b, record_apply, rec), -1);
	assert_true(record_told(rec));
	record_free(rec);

	b->m.t[0].failed = false;
	b->m.t[1].deferred = b->m.warning = true;
	rec = record_new(&b->m, true);
	assert_int_equal(commit(b, record_apply, rec), 0);
	record_free(rec);
	rec = record_new(&b->m, true);
	assert_int_equal(commit(b, record_apply, rec), -1);
	assert_true(record_told(rec));
	record_free(rec);
}

static void more_than_a_report_lists_are_left_to_the_next(void **state)
{
	struct bed *b = *state;
	size_t waiting = 0;

	for (size_t i = 0; i < MOST; i++)
		b->m.t[i].failed = true;
	for (int round = 0; round < 2; round++) {
		struct record *rec = record_new(&b->m, true);
		size_t reporting = 0;
		for (size_t i = 0; i < MOST; i++)
			reporting += b->m.t[i].reporting;
		assert_int_equal(reporting, round == 0 ? DSN_RECIPIENTS_MAX : MOST - DSN_RECIPIENTS_MAX);
		assert_int_equal(commit(b, record_apply, rec), 0);
		record_done(&b->m, rec);
		record_free(rec);
	}
	assert_false(record_tells(&b->m));
	load(b, &b->read);
	for (size_t i = 0; i < MOST; i++)
		waiting += b->read->recipients[i].state != OUTQUEUE_BOUNCED;
	assert_int_equal(waiting, 0);
}

#define T(f) cmocka_unit_test_setup_teardown(f, set_up, tear_down)

int main(void)
{
	const struct CMUnitTest tests[] = {
	    T(what_is_refused_is_not_bounced_by_a_commit_without_its_bounce),
	    T(the_end_of_a_commit_acts_on_what_it_committed),
	    T(undoing_takes_back_what_the_report_said_and_nothing_else),
	    T(nobody_is_told_twice),
	    T(more_than_a_report_lists_are_left_to_the_next),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
