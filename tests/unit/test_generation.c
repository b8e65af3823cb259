/* The count by which an old copy of the database is known: it goes on every hour, and the folder's is never ahead. */
#include "fault_rig.h"

static uint64_t in_folder(struct world *w)
{
	char *path = xasprintf("%s/.ofmsrv-generation", w->config.mailboxes);
	unsigned long long n = 0;
	FILE *f = fopen(path, "r");

	if (f != NULL) {
		if (fscanf(f, "%llu", &n) != 1)
			n = 0; /* what a test put there still stands */
		fclose(f);
	}
	free(path);
	return n;
}

static uint64_t in_database(struct world *w)
{
	char *path = xasprintf("%s/state/ofmsrv.db", w->dir);
	sqlite3_stmt *st;
	sqlite3 *db;

	assert_int_equal(sqlite3_open(path, &db), SQLITE_OK);
	assert_int_equal(sqlite3_prepare_v2(db, "SELECT value FROM fact WHERE key = 'generation'", -1, &st, NULL),
	                 SQLITE_OK);
	uint64_t n = sqlite3_step(st) == SQLITE_ROW ? (uint64_t)sqlite3_column_int64(st, 0) : 0;
	sqlite3_finalize(st);
	sqlite3_close(db);
	free(path);
	return n;
}

static void until_counted(struct world *w, uint64_t database, uint64_t folder)
{
	for (int i = 0; i < 1000 && (in_database(w) != database || in_folder(w) != folder); i++)
		turn(w, 10);
	turn(w, 50);
	assert_int_equal(in_database(w), database);
	assert_int_equal(in_folder(w), folder);
}

static void it_goes_on_every_hour(void **state)
{
	struct world *w = *state;

	ahead += 3000;
	until_counted(w, 0, 0);
	ahead += 700;
	until_counted(w, 1, 1);
	ahead += 3700;
	until_counted(w, 2, 2);
}

/* Where the database cannot count, nothing counts; where the folder cannot, the database alone. */
static void the_folder_is_never_ahead(void **state)
{
	struct world *w = *state;

	assert_int_equal(sql(w, "CREATE TRIGGER no BEFORE INSERT ON fact BEGIN SELECT RAISE(ABORT, 'no'); END"), 0);
	ahead += 3700;
	until_counted(w, 0, 0);
	assert_int_equal(sql(w, "DROP TRIGGER no"), 0);
	fail_at(0, RENAME, EIO, NULL, 0, 1);
	ahead += 3700;
	until_counted(w, 2, 0);
	ahead += 3700;
	until_counted(w, 3, 3);
}

static void a_clean_end_counts(void **state)
{
	struct world *w = *state;

	for (uint64_t n = 1; n <= 2; n++) {
		w->waiting++;
		delivery_stop(w->delivery, 5000, on_stopped, w);
		run(w);
		database_stop(w->db);
		if (n == 2)
			fail_at(0, RENAME, EIO, NULL, 0, 1);
		delivery_retire(w->delivery);
		assert_int_equal(in_database(w), n);
		assert_int_equal(in_folder(w), 1);
		close_parts(w);
		open_world(w);
	}
}

/* No number is none: as when the program ran for the first time. */
static void what_is_no_number_counts_as_none(void **state)
{
	struct world *w = *state;
	char *path = xasprintf("%s/.ofmsrv-generation", w->config.mailboxes);
	FILE *f = fopen(path, "w");

	assert_true(f != NULL && fputs("many\n", f) >= 0 && fclose(f) == 0);
	assert_int_equal(sql(w, "INSERT INTO fact VALUES('generation', 'more')"), 0);
	close_world(w);
	open_world(w);
	ahead += 3700;
	until_counted(w, 1, 1);
	free(path);
}

int main(void)
{
#define T(f) cmocka_unit_test_setup_teardown(f, setup_faults, teardown_faults)
	const struct CMUnitTest tests[] = {
	    T(it_goes_on_every_hour),
	    T(the_folder_is_never_ahead),
	    T(a_clean_end_counts),
	    T(what_is_no_number_counts_as_none),
	};

	return cmocka_run_group_tests_name("generation", tests, NULL, NULL);
}
