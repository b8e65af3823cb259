/* Accepting where memory, database or folders fail: nobody is promised what may not exist. */
#include "failing_vfs.h"
#include "fault_rig.h"

static int setup_vfs(void **state)
{
	fail_wal_syncs = fail_wal_writes = fail_locks = 0;
	return setup_faults(state);
}

static int teardown_vfs(void **state)
{
	fail_wal_syncs = fail_wal_writes = fail_locks = 0;
	return teardown_faults(state);
}

static int set_fact(struct db_conn *c, void *arg, struct err *e)
{
	return fact_set(c, "with-it", arg, e);
}

static bool undo_refuses;

static int unset_fact(struct db_conn *c, void *arg, struct err *e)
{
	(void)arg;
	return undo_refuses ? err_set(e, 0, "refused") : fact_set(c, "with-it", NULL, e);
}

/* To a mailbox and to the outqueue, with a fact. */
static enum acceptance_result give_all(struct world *w)
{
	struct outqueue_entry en = {.sender = (char *)"a@firm.example", .local_sender = (char *)"anna"};
	struct acceptance *a = acceptance_new(w->delivery, DB_LANE_SMTP);
	struct slice bytes = slice_of("A: b\r\n\r\nc\r\n");

	strlist_add(&en.recipients, "x@far.example");
	acceptance_to_mailbox(a, acceptance_message(a, bytes, NULL, 0, false), "anna");
	acceptance_to_outqueue(a, acceptance_message(a, bytes, NULL, 0, false), &en);
	acceptance_extra(a, set_fact, unset_fact, (void *)"yes", NULL);
	w->waiting++;
	acceptance_commit(&a, on_done, w);
	run(w);
	strlist_free(&en.recipients);
	return w->result;
}

static int count_of(struct world *w, const char *table)
{
	char *path = xasprintf("%s/state/ofmsrv.db", w->dir), *text = xasprintf("SELECT count(*) FROM %s", table);
	sqlite3_stmt *st;
	sqlite3 *db;

	assert_int_equal(sqlite3_open(path, &db), SQLITE_OK);
	assert_int_equal(sqlite3_prepare_v2(db, text, -1, &st, NULL), SQLITE_OK);
	assert_int_equal(sqlite3_step(st), SQLITE_ROW);
	int n = sqlite3_column_int(st, 0);
	sqlite3_finalize(st);
	sqlite3_close(db);
	free(path);
	free(text);
	return n;
}

static void nothing_is_left(struct world *w)
{
	static const char *const tables[] = {"message", "queue", "recipient", "fact"};
	char name[256];

	for (size_t i = 0; i < sizeof tables / sizeof tables[0]; i++)
		assert_int_equal(count_of(w, tables[i]), 0);
	assert_int_equal(count(w, "anna", name), 0);
	assert_int_equal(count_queue(w, ".", "", name), 0);
}

/* The log could not be flushed once, and what stood in it is taken back. */
static void a_commit_that_fails_is_taken_back(void **state)
{
	struct world *w = *state;

	fail_wal_syncs = 1;
	assert_int_equal(give_all(w), ACCEPT_NO_SPACE);
	nothing_is_left(w);
	close_world(w);
	open_world(w);
	nothing_is_left(w);
	assert_int_equal(give_all(w), ACCEPTED);
	until_count(w, "anna", 1);
	assert_int_equal(count_of(w, "fact"), 1);
}

/* Then nobody knows, and nothing is promised in either direction. */
static void what_cannot_be_taken_back_is_unknown(void **state)
{
	struct world *w = *state;

	for (int refuses = 0; refuses < 2; refuses++) {
		undo_refuses = refuses;
		fail_wal_syncs = refuses ? 1 : 1000;
		assert_int_equal(give_all(w), ACCEPT_UNKNOWN);
		fail_wal_syncs = 0;
		undo_refuses = false;
	}
	/* Whatever of it exists is delivered by the next start, each once; and the program goes on. */
	int there = count_of(w, "message");
	close_world(w);
	open_world(w);
	char name[256];
	assert_int_equal(count(w, "anna", name) + count_queue(w, ".", ".eml", name), there);
	assert_int_equal(give_all(w), ACCEPTED);
}

static void a_large_message_whose_commit_is_unknown_keeps_its_file(void **state)
{
	struct world *w = *state;
	struct gather *g = gather_new(w->delivery);
	char *body = xcalloc(1, 200000);

	gather_add(g, slice_make(body, 200000));
	fail_wal_syncs = 1000;
	assert_int_equal(give(w, g, "anna", NULL), ACCEPT_UNKNOWN);
	assert_int_equal(entries(w->config.mailboxes, ".spool", true), 1);
	fail_wal_syncs = 0;
	/* Where it was not in the log after all, the file belongs to nobody. */
	unsigned there = rows(w);
	close_world(w);
	open_world(w);
	char name[256];
	assert_int_equal(count(w, "anna", name), there);
	assert_int_equal(entries(w->config.mailboxes, ".spool", true), 0);
	gather_free(&g);
	free(body);
}

/* Another program changed the tables: refused, not crashed, and well again when they are. */
static void a_table_that_is_not_ours_is_refused(void **state)
{
	static const struct {
		const char *change, *back;
	} table[] = {
	    {"ALTER TABLE message RENAME dests TO other", "ALTER TABLE message RENAME other TO dests"},
	    {"ALTER TABLE queue RENAME sender TO other", "ALTER TABLE queue RENAME other TO sender"},
	    {"ALTER TABLE recipient RENAME address TO other", "ALTER TABLE recipient RENAME other TO address"},
	};
	struct world *w = *state;

	for (size_t i = 0; i < sizeof table / sizeof table[0]; i++) {
		assert_int_equal(sql(w, table[i].change), 0);
		assert_int_equal(give_all(w), ACCEPT_NO_SPACE);
		assert_int_equal(sql(w, table[i].back), 0);
	}
	nothing_is_left(w);
	assert_int_equal(give_all(w), ACCEPTED);
}

/* ---- memory ---- */

struct answer {
	struct world *w;
	int result; /* -1: not yet */
};

static void on_answer(void *arg, enum acceptance_result r)
{
	struct answer *a = arg;

	a->result = (int)r;
	a->w->waiting--;
}

/* Mail that no file takes stays in memory; what comes then waits, in its order. */
static void who_comes_while_memory_is_full_waits(void **state)
{
	enum { LARGE = 120000, MANY = 600, LATE = 3 };
	struct world *w = *state;
	struct answer late[LATE];
	char *bytes = xmalloc(LARGE), name[256];

	memset(bytes, 'x', LARGE);
	fail_at(0, CREATE, EIO, "1", 0, ALWAYS);
	struct acceptance *a = acceptance_new(w->delivery, DB_LANE_SMTP);
	for (int i = 0; i < MANY; i++)
		acceptance_to_mailbox(a, acceptance_message(a, slice_make(bytes, LARGE), NULL, 0, false), "anna");
	w->waiting++;
	acceptance_commit(&a, on_done, w);
	run(w);
	assert_int_equal(w->result, ACCEPTED);
	for (int i = 0; i < LATE; i++) {
		late[i] = (struct answer){w, -1};
		a = acceptance_new(w->delivery, DB_LANE_SMTP);
		acceptance_to_mailbox(a, acceptance_message(a, slice_of("A: b\r\n\r\n"), NULL, 0, false), "boris");
		acceptance_commit(&a, on_answer, &late[i]);
	}
	turn(w, 100);
	for (int i = 0; i < LATE; i++)
		assert_int_equal(late[i].result, -1);
	calm();
	w->waiting += LATE;
	run(w);
	for (int i = 0; i < LATE; i++)
		assert_int_equal(late[i].result, ACCEPTED);
	until_count(w, "boris", LATE);
	assert_int_equal(count(w, "anna", name), MANY);
	free(bytes);
}

enum { BIG = 120000 };

/* So many messages, as one acceptance. */
static void give_many(struct world *w, unsigned lane, int n, size_t size, const char *user, struct answer *answer)
{
	struct acceptance *a = acceptance_new(w->delivery, lane);
	char *bytes = xmalloc(size);

	memset(bytes, 'x', size);
	for (int i = 0; i < n; i++)
		acceptance_to_mailbox(a, acceptance_message(a, slice_make(bytes, size), NULL, 0, false), user);
	*answer = (struct answer){w, -1};
	w->waiting++;
	acceptance_commit(&a, on_answer, answer);
	free(bytes);
}

/* Most of the memory is taken by one road, which waits with more; who comes on the other has his answer at once. */
static void leaves_room_for(struct world *w, unsigned lane, unsigned other)
{
	struct answer most, more, late;
	char name[256];

	fail_at(0, CREATE, EIO, "1", 0, ALWAYS);
	give_many(w, lane, 420, BIG, "anna", &most);
	run(w);
	assert_int_equal(most.result, ACCEPTED);
	give_many(w, lane, 150, BIG, "anna", &more);
	give_many(w, other, 1, 10, "boris", &late);
	w->waiting--; /* more's answer is not awaited */
	run(w);
	assert_int_equal(late.result, ACCEPTED);
	assert_int_equal(more.result, -1);
	calm();
	w->waiting++;
	run(w);
	assert_int_equal(more.result, ACCEPTED);
	until_count(w, "boris", 1);
	until_count(w, "anna", 570);
	assert_int_equal(count(w, "boris", name), 1);
}

static void a_submission_passes_collected_mail_that_waits(void **state)
{
	leaves_room_for(*state, DB_LANE_ACCOUNT, DB_LANE_SMTP);
}

static void collecting_goes_on_while_submissions_wait(void **state)
{
	leaves_room_for(*state, DB_LANE_SMTP, DB_LANE_ACCOUNT);
}

/* The disk takes 128 files more: the submitted one is among them, and collected ones too. */
static void what_was_submitted_is_written_before_what_was_collected(void **state)
{
	struct world *w = *state;
	struct answer many, one;
	char name[256];

	fail_at(0, CREATE, EIO, "1", 0, ALWAYS);
	give_many(w, DB_LANE_ACCOUNT, 600, 10, "boris", &many);
	run(w);
	give_many(w, DB_LANE_SMTP, 1, 10, "anna", &one);
	run(w);
	fail_at(0, CREATE, EIO, "1", 128, ALWAYS);
	until_count(w, "anna", 1);
	assert_true(count(w, "boris", name) < 600);
	calm();
	until_count(w, "boris", 600);
}

static void on_both(void *arg, enum acceptance_result r)
{
	struct answer *a = arg;

	a->result = (int)r;
	delivery_settled(a->w->delivery, "anna", on_settled, a->w);
}

/* So is what somebody waits for who logs in, whatever stands in line before it. */
static void a_log_in_hastens_what_its_mailbox_lacks(void **state)
{
	struct world *w = *state;
	struct acceptance *a = acceptance_new(w->delivery, DB_LANE_ACCOUNT);
	struct slice bytes = slice_of("A: b\r\n\r\n");
	struct answer all = {w, -1};
	char name[256];

	for (int i = 0; i < 600; i++)
		acceptance_to_mailbox(a, acceptance_message(a, bytes, NULL, 0, false), "boris");
	acceptance_to_mailbox(a, acceptance_message(a, bytes, NULL, 0, false), "anna");
	fail_at(0, CREATE, EIO, "1", 128, ALWAYS);
	w->waiting++;
	acceptance_commit(&a, on_both, &all);
	run(w);
	assert_int_equal(all.result, ACCEPTED);
	assert_int_equal(count(w, "anna", name), 1);
	calm();
	until_count(w, "boris", 600);
}

/* ---- beginning ---- */

static void without_its_folders_it_does_not_begin(void **state)
{
	struct world *w = *state;
	struct config bad = w->config;
	char *nowhere = xasprintf("%s/nowhere", w->dir), *spool = xasprintf("%s/nowhere/.spool", w->dir);
	char **const paths[] = {&bad.mailboxes, &bad.outqueue, &bad.state};
	struct err e = {0, ""};

	for (int made = 0; made < 2; made++) {
		for (size_t i = 0; i < 3; i++) {
			char *good = *paths[i];
			*paths[i] = nowhere;
			/* A folder that is there will do for state/; the others need room for a spool in it. */
			struct delivery *d = delivery_new(w->loop, w->workers, w->db, w->maildir, &bad, &e);
			assert_int_equal(d != NULL, made == 1 && i == 2);
			if (d == NULL)
				assert_non_null(strstr(e.text, nowhere));
			delivery_free(&d);
			*paths[i] = good;
		}
		if (made == 0) {
			assert_int_equal(mkdir(nowhere, 0700), 0);
			int fd = open(spool, O_WRONLY | O_CREAT, 0600);
			assert_true(fd >= 0);
			close(fd);
		}
	}
	assert_int_equal(unlink(spool), 0);
	bad.mailboxes = nowhere;
	fail_at(0, FSYNC, EIO, NULL, 0, 1);
	assert_null(delivery_new(w->loop, w->workers, w->db, w->maildir, &bad, &e));
	assert_int_equal(e.code, EIO);
	free(nowhere);
	free(spool);
}

int main(void)
{
#define T(f) cmocka_unit_test_setup_teardown(f, setup_vfs, teardown_vfs)
	const struct CMUnitTest tests[] = {
	    T(a_commit_that_fails_is_taken_back),
	    T(what_cannot_be_taken_back_is_unknown),
	    T(a_large_message_whose_commit_is_unknown_keeps_its_file),
	    T(a_table_that_is_not_ours_is_refused),
	    T(who_comes_while_memory_is_full_waits),
	    T(a_submission_passes_collected_mail_that_waits),
	    T(collecting_goes_on_while_submissions_wait),
	    T(what_was_submitted_is_written_before_what_was_collected),
	    T(a_log_in_hastens_what_its_mailbox_lacks),
	    T(without_its_folders_it_does_not_begin),
	};

	return cmocka_run_group_tests_name("acceptance", tests, install_vfs, NULL);
}
