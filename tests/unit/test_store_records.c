/* Ledger, facts and tombstones in a real database: what was put is what comes back, and a database that refuses is an
 * error, never "there is none". */
#include "base/alloc.h"
#include "disk/conn.h"
#include "store/ledger.h"
#include "store/maildir.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

static const struct ledger_key box = {"POP.Provider.Test", "info"};

struct world {
	char dir[48];
	struct db_conn *c;
};

static int setup(void **state)
{
	static struct world w;
	char path[80];
	struct err e = {0, ""};

	strcpy(w.dir, "/tmp/ofm.records.XXXXXX");
	assert_non_null(mkdtemp(w.dir));
	snprintf(path, sizeof path, "%s/db", w.dir);
	w.c = conn_open(path, false, &e);
	if (w.c == NULL || db_exec(w.c, ledger_schema, &e) != 0 || db_exec(w.c, fact_schema, &e) != 0 ||
	    db_exec(w.c, tombstone_schema, &e) != 0)
		fail_msg("%s", e.text);
	*state = &w;
	return 0;
}

static int teardown(void **state)
{
	struct world *w = *state;
	char rm[80];

	conn_close(&w->c);
	snprintf(rm, sizeof rm, "rm -r %s", w->dir);
	return system(rm);
}

static void put(struct db_conn *c, const struct ledger_key *key, const char *uidl, struct ledger_record rec)
{
	struct err e = {0, ""};

	rec.uidl = xstrdup(uidl);
	if (ledger_put(c, key, &rec, &e) != 0)
		fail_msg("%s", e.text);
	free(rec.uidl);
}

static void the_ledger_gives_back_what_was_put(void **state)
{
	struct db_conn *c = ((struct world *)*state)->c;
	const struct ledger_key other = {"pop.provider.test", "sales"}, lower = {"pop.provider.test", "info"};
	struct ledger_records r;
	struct err e = {0, ""};

	put(c, &box, "b", (struct ledger_record){.size = 5, .digest = {1, 2}, .stored_at = 77, .missed = 3});
	put(c, &box, "a", (struct ledger_record){.size = 1ULL << 40, .closed = true});
	put(c, &box, "b\xff", (struct ledger_record){.skipped = true});
	put(c, &other, "z", (struct ledger_record){.size = 9});
	put(c, &lower, "b", (struct ledger_record){.size = 6, .digest = {1, 2}, .stored_at = 77, .missed = 3});
	assert_int_equal(ledger_load(c, &box, &r, &e), 0);
	assert_int_equal(r.n, 3);
	assert_string_equal(r.v[0].uidl, "a");
	const struct ledger_record *b = ledger_find(&r, slice_of("b"));
	assert_non_null(b);
	assert_int_equal(b->size, 6); /* the host's case makes no other mailbox, and the later record counts */
	assert_int_equal(b->digest[1], 2);
	assert_int_equal(b->stored_at, 77);
	assert_int_equal(b->missed, 3);
	assert_false(b->closed || b->skipped);
	assert_true(ledger_find(&r, slice_of("a"))->closed);
	assert_int_equal(ledger_find(&r, slice_of("a"))->size, 1ULL << 40);
	assert_true(ledger_find(&r, slice_of("b\xff"))->skipped);
	ledger_records_free(&r);
	assert_int_equal(ledger_remove(c, &lower, "b", &e), 0);
	assert_int_equal(ledger_load(c, &box, &r, &e), 0);
	assert_int_equal(r.n, 2);
	assert_null(ledger_find(&r, slice_of("b")));
	ledger_records_free(&r);
}

static void any_record_is_found_among_many(void **state)
{
	static const char *const absent[] = {"", "u", "u00", "u0000", "u199x", "v", "\xff"};
	struct db_conn *c = ((struct world *)*state)->c;
	struct ledger_records r;
	struct err e;
	char uidl[16];

	for (int i = 0; i < 200; i++) {
		snprintf(uidl, sizeof uidl, "u%03d", i);
		put(c, &box, uidl, (struct ledger_record){.size = (uint64_t)i});
	}
	assert_int_equal(ledger_load(c, &box, &r, &e), 0);
	assert_int_equal(r.n, 200);
	for (int i = 0; i < 200; i++) {
		snprintf(uidl, sizeof uidl, "u%03d", i);
		assert_int_equal(ledger_find(&r, slice_of(uidl))->size, i);
	}
	for (size_t i = 0; i < sizeof absent / sizeof absent[0]; i++)
		assert_null(ledger_find(&r, slice_of(absent[i])));
	ledger_records_free(&r);
}

static void check_uidls(const struct ledger_records *r, const char *want)
{
	char all[200] = "";

	for (size_t i = 0; i < r->n; i++)
		snprintf(all + strlen(all), sizeof all - strlen(all), "%s ", r->v[i].uidl);
	assert_string_equal(all, want);
}

static void parts_of_the_ledger_are_read_alone(void **state)
{
	static const struct {
		const char *uidl, *found;
		bool twins;
	} rows[] = {{"c1", "c1 ", false}, {"o1", "", false},  {"none", "", false}, {"c", "", false},
	            {"t", "", true},      {"c1x", "", false}, {"t#", "", false},   {"", "", false}};
	struct db_conn *c = ((struct world *)*state)->c;
	const struct ledger_key other = {"pop.provider.test", "sales"};
	struct ledger_records r = {0};
	struct err e;
	bool any;

	assert_int_equal(ledger_any(c, &box, &any, &e), 0);
	assert_false(any);
	put(c, &box, "o2", (struct ledger_record){.stored_at = 5});
	put(c, &box, "c1", (struct ledger_record){.closed = true, .stored_at = 50});
	put(c, &box, "o1", (struct ledger_record){.skipped = true, .stored_at = 50});
	put(c, &box, "t#1234", (struct ledger_record){.closed = true, .stored_at = 5});
	put(c, &other, "x", (struct ledger_record){0});
	assert_int_equal(ledger_any(c, &box, &any, &e), 0);
	assert_true(any);
	assert_int_equal(ledger_add_open(c, &box, &r, &e), 0);
	check_uidls(&r, "o1 o2 ");
	for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
		struct ledger_records found = {0};
		bool twins = false;

		assert_int_equal(ledger_add_closed(c, &box, rows[i].uidl, &found, &twins, &e), 0);
		check_uidls(&found, rows[i].found);
		assert_int_equal(twins, rows[i].twins);
		ledger_records_free(&found);
	}
	bool twins = false;
	assert_int_equal(ledger_add_closed(c, &box, "c1", &r, &twins, &e), 0);
	ledger_sort(&r);
	check_uidls(&r, "c1 o1 o2 ");
	ledger_records_free(&r);
}

/* The look for aged records walks through all, a page at a time, and then begins again. */
static void aged_records_come_page_by_page(void **state)
{
	struct db_conn *c = ((struct world *)*state)->c;
	struct ledger_records r = {0};
	char *from = strdup(""), uidl[16];
	size_t pages = 0;
	struct err e;

	assert_int_equal(db_exec(c, "BEGIN", &e), 0);
	for (int i = 0; i < 2 * LEDGER_PAGE + 10; i++) {
		snprintf(uidl, sizeof uidl, "u%05d", i);
		put(c, &box, uidl, (struct ledger_record){.closed = i % 2 == 0, .stored_at = i % 4});
	}
	assert_int_equal(db_exec(c, "COMMIT", &e), 0);
	do {
		size_t before = r.n;

		assert_int_equal(ledger_add_aged(c, &box, 2, &from, &r, &e), 0);
		assert_true(r.n - before <= LEDGER_PAGE / 4);
		pages++;
	} while (from[0] != '\0' && pages < 10);
	assert_int_equal(pages, 3);
	assert_int_equal(r.n, (2 * LEDGER_PAGE + 10) / 4 + 1); /* closed, and stored at 0: every fourth */
	for (size_t i = 1; i < r.n; i++)
		assert_true(strcmp(r.v[i - 1].uidl, r.v[i].uidl) < 0);
	ledger_records_free(&r);
	free(from);
}

/* Written by somebody else's hand: NULL-free columns of the wrong kind are read as an unknown digest. */
static void a_digest_of_another_length_is_unknown(void **state)
{
	static const unsigned char unknown[32];
	struct db_conn *c = ((struct world *)*state)->c;
	struct ledger_records r;
	struct err e;

	assert_int_equal(
	    db_exec(c,
	            "INSERT INTO ledger VALUES('pop.provider.test', 'info', 'short', 1, x'0102', 0, 0, 0, 0);"
	            "INSERT INTO ledger VALUES('pop.provider.test', 'info', 'none', 1, x'', 0, 0, 0, 0)",
	            &e),
	    0);
	assert_int_equal(ledger_load(c, &box, &r, &e), 0);
	assert_int_equal(r.n, 2);
	for (size_t i = 0; i < r.n; i++)
		assert_memory_equal(r.v[i].digest, unknown, sizeof unknown);
	ledger_records_free(&r);
}

static void facts(void **state)
{
	struct db_conn *c = ((struct world *)*state)->c;
	struct err e;
	char *value;

	assert_int_equal(fact_get(c, "told", &value, &e), 0);
	assert_null(value);
	assert_int_equal(fact_set(c, "told", "once", &e), 0);
	assert_int_equal(fact_set(c, "told", "twice", &e), 0);
	assert_int_equal(fact_get(c, "told", &value, &e), 0);
	assert_string_equal(value, "twice");
	free(value);
	assert_int_equal(fact_set(c, "told", NULL, &e), 0);
	assert_int_equal(fact_set(c, "told", NULL, &e), 0);
	assert_int_equal(fact_get(c, "told", &value, &e), 0);
	assert_null(value);
}

static void note(void *arg, const char *mailbox, const char *base)
{
	char *text = arg;
	size_t n = strlen(text);

	snprintf(text + n, 200 - n, "%s/%s ", mailbox, base);
}

static void tombstones(void **state)
{
	struct db_conn *c = ((struct world *)*state)->c;
	char all[200] = "", one[200] = "", none[200] = "";
	struct err e;

	assert_int_equal(tombstone_add(c, "boris", "2", &e), 0);
	assert_int_equal(tombstone_add(c, "anna", "1", &e), 0);
	assert_int_equal(tombstone_add(c, "anna", "2", &e), 0);
	assert_int_equal(tombstone_add(c, "anna", "2", &e), 0);
	assert_int_equal(tombstone_has(c, "anna", "2", &e), 1);
	assert_int_equal(tombstone_has(c, "boris", "1", &e), 0);
	assert_int_equal(tombstone_each(c, NULL, note, all, &e), 0);
	assert_string_equal(all, "anna/1 anna/2 boris/2 ");
	assert_int_equal(tombstone_remove(c, "anna", "1", &e), 0);
	assert_int_equal(tombstone_remove(c, "anna", "1", &e), 0);
	assert_int_equal(tombstone_each(c, "anna", note, one, &e), 0);
	assert_string_equal(one, "anna/2 ");
	assert_int_equal(tombstone_each(c, "carl", note, none, &e), 0);
	assert_string_equal(none, "");
}

/* Each call, against a database that refuses: all must say so. */
static void all_fail(struct db_conn *c, bool reads, bool writes)
{
	struct ledger_record rec = {.uidl = "new"};
	struct ledger_records r;
	char *value = (char *)1, *from = strdup(""), seen[200] = "";
	bool twins;
	struct err e;

#define FAILS(call)                                                                                                    \
	do {                                                                                                           \
		e = (struct err){0, ""};                                                                               \
		assert_int_equal(call, -1);                                                                            \
		assert_true(e.text[0] != '\0' && e.code != 0);                                                         \
	} while (0)
	if (reads) {
		FAILS(ledger_load(c, &box, &r, &e));
		assert_true(r.v == NULL && r.n == 0);
		FAILS(ledger_any(c, &box, &twins, &e));
		FAILS(ledger_add_open(c, &box, &r, &e));
		FAILS(ledger_add_aged(c, &box, 1, &from, &r, &e));
		FAILS(ledger_add_closed(c, &box, "kept", &r, &twins, &e));
		ledger_records_free(&r);
		FAILS(fact_get(c, "kept", &value, &e));
		assert_null(value);
		FAILS(tombstone_has(c, "anna", "kept", &e));
		FAILS(tombstone_each(c, "anna", note, seen, &e));
		FAILS(tombstone_each(c, NULL, note, seen, &e));
	}
	if (writes) {
		FAILS(ledger_put(c, &box, &rec, &e));
		FAILS(ledger_remove(c, &box, "kept", &e));
		FAILS(fact_set(c, "kept", "other", &e));
		FAILS(fact_set(c, "kept", NULL, &e));
		FAILS(tombstone_add(c, "anna", "new", &e));
		FAILS(tombstone_remove(c, "anna", "kept", &e));
	}
#undef FAILS
	free(from);
}

static int interrupt(void *arg)
{
	(void)arg;
	return 1;
}

static void fill(struct db_conn *c)
{
	struct err e;

	put(c, &box, "kept", (struct ledger_record){.size = 4});
	assert_int_equal(fact_set(c, "kept", "this", &e), 0);
	assert_int_equal(tombstone_add(c, "anna", "kept", &e), 0);
}

static void all_stands(struct db_conn *c)
{
	struct ledger_records r;
	struct err e;
	char *value;

	assert_int_equal(ledger_load(c, &box, &r, &e), 0);
	assert_int_equal(r.n, 1);
	assert_string_equal(r.v[0].uidl, "kept");
	ledger_records_free(&r);
	assert_int_equal(fact_get(c, "kept", &value, &e), 0);
	assert_string_equal(value, "this");
	free(value);
	assert_int_equal(tombstone_has(c, "anna", "kept", &e), 1);
}

static void a_database_that_breaks_off_is_an_error(void **state)
{
	struct db_conn *c = ((struct world *)*state)->c;

	fill(c);
	sqlite3_progress_handler(db_handle(c), 1, interrupt, NULL);
	all_fail(c, true, true);
	sqlite3_progress_handler(db_handle(c), 0, NULL, NULL);
	all_stands(c);
}

static void a_database_that_takes_nothing_keeps_what_it_has(void **state)
{
	struct db_conn *c = ((struct world *)*state)->c;
	struct err e;

	fill(c);
	assert_int_equal(db_exec(c, "PRAGMA query_only=ON", &e), 0);
	all_fail(c, false, true);
	all_stands(c);
}

static void missing_tables_are_an_error(void **state)
{
	struct db_conn *c = ((struct world *)*state)->c;
	struct err e;

	assert_int_equal(db_exec(c, "DROP TABLE ledger; DROP TABLE fact; DROP TABLE tombstone", &e), 0);
	all_fail(c, true, true);
}

int main(void)
{
#define T(f) cmocka_unit_test_setup_teardown(f, setup, teardown)
	const struct CMUnitTest tests[] = {
	    T(the_ledger_gives_back_what_was_put),
	    T(any_record_is_found_among_many),
	    T(parts_of_the_ledger_are_read_alone),
	    T(aged_records_come_page_by_page),
	    T(a_digest_of_another_length_is_unknown),
	    T(facts),
	    T(tombstones),
	    T(a_database_that_breaks_off_is_an_error),
	    T(a_database_that_takes_nothing_keeps_what_it_has),
	    T(missing_tables_are_an_error),
	};

	return cmocka_run_group_tests_name("store records", tests, NULL, NULL);
}
