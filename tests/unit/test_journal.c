/* The journal: notes become rows and answers; it stays within its size; nothing that happens to its file is anybody
 * else's trouble. */
#include "base/alloc.h"
#include "base/clock.h"
#include "journal/journal.h"
#include "journal/query.h"
#include "journal/store.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

static char dir[64], path[96];

static int setup(void **state)
{
	(void)state;
	snprintf(dir, sizeof dir, "/tmp/ofm.journal.XXXXXX");
	assert_non_null(mkdtemp(dir));
	snprintf(path, sizeof path, "%s/journal.db", dir);
	return 0;
}

static int teardown(void **state)
{
	char *command = xasprintf("rm -rf %s", dir);

	(void)state;
	assert_int_equal(system(command), 0);
	free(command);
	return 0;
}

static struct journal_note *accepted(const char *id, const char *from, const char *to, const char *subject)
{
	struct journal_note *n = journal_note_new(JOURNAL_ACCEPTED);

	journal_note_set(n, JOURNAL_ID, id);
	journal_note_set(n, JOURNAL_SENDER, from);
	journal_note_set(n, JOURNAL_SUBJECT, subject);
	journal_note_set(n, JOURNAL_MESSAGE_ID, "<one@client>");
	strlist_add(&n->recipients, to);
	n->size = 100;
	return n;
}

static void event(struct journal_note **list, enum journal_kind kind, const char *queue_id, const char *to,
                  const char *reply)
{
	struct journal_note *n = journal_note_new(kind);

	journal_note_set(n, JOURNAL_ID, queue_id);
	journal_note_set(n, JOURNAL_REPLY, reply);
	strlist_add(&n->recipients, to);
	n->next = *list;
	*list = n;
}

static void write_one(struct store *s, struct journal_note *n)
{
	assert_int_equal(store_write(s, n), 0);
	while (n != NULL) {
		struct journal_note *next = n->next;
		journal_note_free(&n);
		n = next;
	}
}

struct seen {
	size_t n;
	char ids[64][40];
	char state[64][20];
};

static bool see(void *arg, const struct journal_fate *f)
{
	struct seen *s = arg;

	snprintf(s->ids[s->n % 64], 40, "%s", f->id);
	snprintf(s->state[s->n % 64], 20, "%s", journal_fate_state(f));
	s->n++;
	return true;
}

static struct seen ask(struct store *s, struct journal_query q, struct journal_page *page)
{
	struct seen seen = {0};
	struct journal_page p;
	struct err e = {0, ""};
	struct db_conn *c = store_conn(s, &e);

	assert_non_null(c);
	if (journal_query(c, &q, see, &seen, page != NULL ? page : &p, &e) != 0)
		fail_msg("%s", e.text);
	return seen;
}

static bool see_subject(void *arg, const struct journal_fate *f)
{
	snprintf(arg, 40, "%s", f->subject);
	return true;
}

/* Raw text is read as what the message says it is. */
static void test_charset_of_the_message(void **state)
{
	struct store *s = store_new(path);
	struct journal_note *n = accepted("a", "anna@firm.example", "x@far.example",
	                                  "Gr\xfc\xdf"
	                                  "e");
	struct journal_query q = {.user = NULL};
	struct journal_page p;
	char subject[40] = "";
	struct err e = {0, ""};

	(void)state;
	journal_note_set(n, JOURNAL_CHARSET, "iso-8859-1");
	write_one(s, n);
	assert_int_equal(journal_query(store_conn(s, &e), &q, see_subject, subject, &p, &e), 0);
	assert_string_equal(subject, "Gr\xc3\xbc\xc3\x9f"
	                             "e");
	store_free(&s);
}

static void test_queries(void **state)
{
	struct store *s = store_new(path);
	struct journal_note *n;
	const struct {
		struct journal_query q;
		const char *ids; /* found, in order */
	} cases[] = {
	    {{0}, "a b c "},
	    {{.from = "ANNA@"}, "a c "},
	    {{.to = "far.example"}, "c "},
	    {{.to = "boris"}, "a b "},
	    {{.user = "boris"}, "a "},
	    {{.user = "bori"}, ""},
	    {{.subject = "счёт"}, "b "},
	    {{.id = "b"}, "b "},
	    {{.id = "Q1"}, "c "},
	    {{.id = "one@client"}, "a b c "},
	    {{.id = "one"}, ""},
	    {{.after = 2}, "c "},
	    {{.since_ms = INT64_MAX / 2}, ""},
	};

	(void)state;
	n = accepted("a", "anna@office.lan", "boris@office.lan", "plain");
	strlist_add(&n->boxes, "boris");
	write_one(s, n);
	write_one(s, accepted("b", "", "boris", "=?utf-8?B?0KHQp9CB0KIgMTc=?="));
	n = accepted("c", "anna@office.lan", "x@far.example", "");
	strlist_add(&n->queued, "Q1\nx@far.example\ny@far.example");
	write_one(s, n);
	for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
		struct seen found = ask(s, cases[i].q, NULL);
		char got[200] = "";
		for (size_t k = 0; k < found.n; k++)
			snprintf(got + strlen(got), sizeof got - strlen(got), "%s ", found.ids[k]);
		if (strcmp(got, cases[i].ids) != 0)
			fail_msg("case %zu: %s instead of %s", i, got, cases[i].ids);
	}
	store_free(&s);
}

static void test_fate(void **state)
{
	struct store *s = store_new(path);
	struct journal_note *n = accepted("m", "anna@office.lan", "x@far", "s"), *events;
	const struct {
		enum journal_kind kind;
		const char *to, *state;
	} steps[] = {
	    {JOURNAL_DEFERRED, "x@far", "deferred"}, {JOURNAL_HELD, "", "held"},
	    {JOURNAL_RELEASED, "", "deferred"},      {JOURNAL_SENT, "x@far", "waiting"},
	    {JOURNAL_BOUNCED, "y@far", "bounced"},   {JOURNAL_SENT, "y@far", "sent"},
	};

	(void)state;
	strlist_add(&n->queued, "Q1\nx@far\ny@far");
	write_one(s, n);
	assert_string_equal(ask(s, (struct journal_query){0}, NULL).state[0], "waiting");
	for (size_t i = 0; i < sizeof steps / sizeof steps[0]; i++) {
		events = NULL;
		event(&events, steps[i].kind, "Q1", steps[i].to, "250 ok");
		write_one(s, events);
		assert_string_equal(ask(s, (struct journal_query){0}, NULL).state[0], steps[i].state);
	}
	store_free(&s);
}

/* Every message and every change is told once, in bounded steps. */
static void test_follow(void **state)
{
	struct store *s = store_new(path);
	struct journal_query q = {.follow = true};
	struct journal_page page = {.more = true};
	struct journal_note *list = NULL;
	size_t told = 0, steps = 0;

	(void)state;
	for (int i = 0; i < 2 * JOURNAL_PAGE + 10; i++) {
		struct journal_note *n = accepted("x", "a", "b", "c");
		n->next = list;
		list = n;
	}
	strlist_add(&list->queued, "Q1\nx@far");
	write_one(s, list);
	while (page.more) {
		struct seen found = ask(s, q, &page);
		assert_true(found.n <= JOURNAL_PAGE);
		told += found.n;
		steps++;
		q.after = page.after;
		q.event = page.event;
	}
	assert_int_equal(told, 2 * JOURNAL_PAGE + 10);
	assert_int_equal(steps, 3);
	assert_int_equal(ask(s, q, &page).n, 0);
	list = NULL;
	event(&list, JOURNAL_SENT, "Q1", "x@far", "250");
	write_one(s, list);
	assert_int_equal(ask(s, q, &page).n, 1);
	store_free(&s);
}

static int64_t file_size(const char *name)
{
	struct stat st;

	return stat(name, &st) == 0 ? st.st_size : 0;
}

static void test_size_is_bounded(void **state)
{
	struct store *s = store_new(path);
	char *wal = xasprintf("%s-wal", path), id[20];
	char *fill = xcalloc(1, 1900);

	(void)state;
	memset(fill, 'x', 1899);
	for (int batch = 0; batch < 40; batch++) {
		struct journal_note *list = NULL;
		for (int i = 0; i < 1000; i++) {
			snprintf(id, sizeof id, "%d", batch * 1000 + i);
			struct journal_note *n = accepted(id, "anna@office.lan", "x@far.example", "s");
			journal_note_set(n, JOURNAL_REPLY, fill);
			n->next = list;
			list = n;
		}
		write_one(s, list);
	}
	assert_true(file_size(path) <= JOURNAL_BYTES);
	assert_true(file_size(path) > JOURNAL_BYTES / 2);
	assert_true(file_size(wal) < 16 * 1024 * 1024);
	struct journal_query q = {.id = "0"};
	struct journal_page page = {.more = true};
	size_t oldest = 0, newest = 0;
	while (page.more) {
		oldest += ask(s, q, &page).n;
		q.after = page.after;
	}
	q = (struct journal_query){.id = "39999"};
	for (page.more = true; page.more; q.after = page.after)
		newest += ask(s, q, &page).n;
	assert_int_equal(oldest, 0);
	assert_int_equal(newest, 1);
	free(fill);
	free(wal);
	store_free(&s);
}

/* Even where all of it is too old, the start drops no more than a twentieth. */
static void test_age_has_a_brake(void **state)
{
	struct store *s = store_new(path);
	struct journal_note *list = NULL;

	(void)state;
	for (int i = 0; i < 80; i++) {
		struct journal_note *n = accepted("old", "a", "b", "c");
		n->at_ms -= (int64_t)(JOURNAL_DAYS + 1) * 86400000;
		n->next = list;
		list = n;
	}
	write_one(s, list);
	size_t left = ask(s, (struct journal_query){0}, NULL).n;
	assert_true(left >= 76 && left < 80);
	write_one(s, accepted("new", "a", "b", "c"));
	assert_int_equal(ask(s, (struct journal_query){0}, NULL).n, left + 1);
	store_free(&s);
}

static void test_damaged_file_is_put_aside(void **state)
{
	FILE *f = fopen(path, "w");
	struct store *s = store_new(path);

	(void)state;
	for (int i = 0; i < 5000; i++)
		fputs("no database ", f);
	fclose(f);
	write_one(s, accepted("a", "a", "b", "c"));
	assert_int_equal(ask(s, (struct journal_query){0}, NULL).n, 1);
	store_free(&s);
}

struct asides {
	unsigned n;
	char last[200];
};

static void on_aside(void *arg, const char *aside, const char *why)
{
	struct asides *a = arg;

	a->n++;
	snprintf(a->last, sizeof a->last, "%s", aside);
	assert_true(why[0] != '\0');
}

/* $F: the file. */
static void shell(const char *command)
{
	assert_int_equal(setenv("F", path, 1), 0);
	assert_int_equal(system(command), 0);
}

/* In every way and at any time: what comes behind the damage is written into a file that a restart finds. */
static void test_damage_while_running(void **state)
{
	static const struct {
		const char *how;
		bool told; /* at once */
	} cases[] = {
	    {"dd if=/dev/urandom of=$F bs=4096 count=100 conv=notrunc status=none", true},
	    {"dd if=/dev/zero of=$F bs=4096 seek=1 count=2 conv=notrunc status=none", false},
	    {"truncate -s 4096 $F", true},
	    {"truncate -s 0 $F", true},
	    {"rm $F", true},
	    {"rm $F $F-wal $F-shm", true},
	    {"rm $F-wal", false},
	    {"rm -f $F* && mkdir $F", true},
	    {"rm $F && ln -s /etc/passwd $F", true},
	    {"cp $F $F.copy && mv $F.copy $F", true},
	    {"rm $F && head -c 100000 /dev/urandom > $F", true},
	};

	(void)state;
	for (int restart = 0; restart < 2; restart++)
		for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
			struct store *s = store_new(path);
			struct asides asides = {0};
			store_on_aside(s, on_aside, &asides);
			for (int k = 0; k < 600; k++)
				write_one(s, accepted("before", "anna@office.lan", "b", "a subject of some length"));
			if (restart == 1) {
				store_free(&s);
				shell("touch $F-wal $F-shm");
			}
			shell(cases[i].how);
			if (restart == 1) {
				s = store_new(path);
				store_on_aside(s, on_aside, &asides);
			}
			write_one(s, accepted("after", "a", "b", "c"));
			if (restart == 0 && asides.n == 0 && cases[i].told)
				fail_msg("nobody was told of: %s", cases[i].how);
			store_free(&s);
			s = store_new(path);
			struct seen seen = ask(s, (struct journal_query){.id = "after"}, NULL);
			if (seen.n != 1)
				fail_msg("%zu entries behind: %s", seen.n, cases[i].how);
			store_free(&s);
			shell("rm -rf $F*");
		}
}

/* A question that meets damage is not answered with what could be read before it. */
static void test_question_that_meets_damage(void **state)
{
	struct store *s = store_new(path);
	struct journal_page page;
	struct seen seen = {0};
	struct err e = {0, ""};
	int rc = 0;

	(void)state;
	for (int k = 0; k < 3000; k++)
		write_one(s, accepted("x", "anna@office.lan", "b", "a subject of some length"));
	store_free(&s);
	s = store_new(path);
	assert_non_null(store_conn(s, &e));
	shell("dd if=/dev/urandom of=$F bs=4096 seek=20 count=400 conv=notrunc status=none");
	for (struct journal_query q = {0}; rc == 0; q.after = page.after) {
		rc = journal_query(store_conn(s, &e), &q, see, &seen, &page, &e);
		if (rc == 0 && !page.more)
			break;
	}
	assert_int_equal(rc, -1);
	store_failed(s, &e);
	assert_non_null(strstr(e.text, "put aside"));
	/* The newest, up to the damage. */
	size_t left = ask(s, (struct journal_query){0}, NULL).n;
	assert_true(left < 3000);
	store_free(&s);
}

static void test_unwritable_file_loses_notes_alone(void **state)
{
	struct store *s = store_new(path);
	struct journal_note *n = accepted("a", "a", "b", "c");

	(void)state;
	assert_int_equal(rmdir(dir), 0); /* no such folder */
	assert_int_equal(store_write(s, n), 1);
	assert_int_equal(store_write(s, n), 1);
	journal_note_free(&n);
	store_free(&s);
}

/* ---- the thread ---- */

struct asking {
	struct loop *loop;
	int64_t rows;
};

static int count_rows(struct db_conn *c, void *arg, struct err *e)
{
	struct asking *a = arg;
	sqlite3_stmt *st = db_stmt(c, "SELECT count(*) FROM message", e);

	if (st == NULL || sqlite3_step(st) != SQLITE_ROW)
		return -1;
	a->rows = sqlite3_column_int64(st, 0);
	sqlite3_reset(st);
	return 0;
}

static void on_answer(void *arg, int rc, const struct err *e)
{
	struct asking *a = arg;

	if (rc != 0)
		fail_msg("%s", e->text);
	loop_stop(a->loop);
}

static void test_whoever_asks_sees_what_was_noted(void **state)
{
	struct loop *l = loop_new();
	struct journal *j = journal_new(l, path);
	struct asking a = {.loop = l};
	unsigned rates[JOURNAL_RATE_MINUTES];

	(void)state;
	for (int i = 0; i < 5; i++) {
		struct journal_note *n = accepted("a", "a", "b", "c");
		journal_add(j, &n);
		assert_null(n);
	}
	for (int i = 0; i < 1000; i++) {
		struct journal_note *n = journal_note_new(JOURNAL_REFUSED);
		journal_add(j, &n);
	}
	journal_ask(j, count_rows, on_answer, &a);
	loop_run(l);
	/* All are counted, and a flood of refusals is not written. A minute may end in between. */
	assert_int_equal(journal_totals(j)->of[JOURNAL_REFUSED].n, 1000);
	assert_true(a.rows >= 5 + 300 && a.rows <= 5 + 600);
	assert_int_equal(journal_totals(j)->of[JOURNAL_ACCEPTED].bytes, 500);
	journal_rates(j, JOURNAL_ACCEPTED, rates);
	assert_int_equal(rates[JOURNAL_RATE_MINUTES - 1] + rates[JOURNAL_RATE_MINUTES - 2], 5);
	journal_free(&j);
	loop_drain(l);
	loop_free(&l);
}

static void test_end_writes_what_was_noted(void **state)
{
	struct loop *l = loop_new();
	struct journal *j = journal_new(l, path);
	struct journal_note *n = accepted("last", "a", "b", "c");
	struct store *s = store_new(path);

	(void)state;
	journal_add(j, &n);
	journal_free(&j);
	assert_int_equal(ask(s, (struct journal_query){.id = "last"}, NULL).n, 1);
	store_free(&s);
	loop_free(&l);
}

static void test_without_a_journal(void **state)
{
	struct journal_note *n = accepted("a", "a", "b", "c");

	(void)state;
	journal_add(NULL, &n);
	assert_null(n);
	journal_event(NULL, JOURNAL_SENT, "q", 1, "a", "r", "250");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test_setup_teardown(test_charset_of_the_message, setup, teardown),
	    cmocka_unit_test_setup_teardown(test_queries, setup, teardown),
	    cmocka_unit_test_setup_teardown(test_fate, setup, teardown),
	    cmocka_unit_test_setup_teardown(test_follow, setup, teardown),
	    cmocka_unit_test_setup_teardown(test_size_is_bounded, setup, teardown),
	    cmocka_unit_test_setup_teardown(test_age_has_a_brake, setup, teardown),
	    cmocka_unit_test_setup_teardown(test_damaged_file_is_put_aside, setup, teardown),
	    cmocka_unit_test_setup_teardown(test_damage_while_running, setup, teardown),
	    cmocka_unit_test_setup_teardown(test_question_that_meets_damage, setup, teardown),
	    cmocka_unit_test_setup_teardown(test_unwritable_file_loses_notes_alone, setup, teardown),
	    cmocka_unit_test_setup_teardown(test_whoever_asks_sees_what_was_noted, setup, teardown),
	    cmocka_unit_test_setup_teardown(test_end_writes_what_was_noted, setup, teardown),
	    cmocka_unit_test_setup_teardown(test_without_a_journal, setup, teardown),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
