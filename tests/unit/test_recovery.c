/* Starts after a crash, some of which fail: whatever the rows promise stands in its folder in the end, once. */
#include "base/clock.h"
#include "fault_rig.h"

#include <sys/wait.h>

#define NAME "1700000000.00112233445566778899"

static void insert_row(struct world *w, const char *dests)
{
	char *text = xasprintf("INSERT INTO message(name, size, spilled, dests, bytes)"
	                       " VALUES('" NAME "', 4, 0, '%s', x'610d0a0a')",
	                       dests);

	assert_int_equal(sql(w, text), 0);
	free(text);
}

/* A start that fails: what it says, and whether it is the database's damage. */
static bool failed_start(struct world *w, const char *words)
{
	int status;
	pid_t pid = fork();

	if (pid == 0) {
		struct err e = {0, ""};
		open_parts(w);
		if (delivery_recover(w->delivery, &e) == 0 || strstr(e.text, words) == NULL) {
			fprintf(stderr, "instead of \"%s\": \"%s\"\n", words, e.text);
			_exit(2);
		}
		_exit(database_is_damage(&e) ? 1 : 0);
	}
	assert_int_equal(waitpid(pid, &status, 0), pid);
	assert_true(WIFEXITED(status) && WEXITSTATUS(status) < 2);
	return WEXITSTATUS(status) == 1;
}

/* Whatever stops recovery, the next start places all of it, once. */
static void a_start_that_fails_loses_nothing(void **state)
{
	static const struct {
		enum call call;
		int error, skip;
		const char *words;
	} calls[] = {{SYNCFS, EIO, 0, "recovery: sync"},
	             {SYNCFS, EIO, 1, "recovery: sync"},
	             {SYNCFS, EIO, 2, "recovery: sync"},
	             {UNLINK, EIO, 0, ""}};
	static const char *const triggers[] = {"DELETE ON message", "DELETE ON tombstone"};
	struct world *w = *state;
	char name[256], *text;

	assert_int_equal(give(w, NULL, "carl", NULL), ACCEPTED);
	until_count(w, "carl", 1);
	until_settled(w);
	count(w, "carl", name);
	close_world(w);
	text = xasprintf("INSERT INTO tombstone(mailbox, name) VALUES('carl', '%s')", name);
	assert_int_equal(sql(w, text), 0);
	free(text);
	for (size_t i = 0; i < sizeof calls / sizeof calls[0]; i++) {
		insert_row(w, i % 2 == 0 ? "m anna\nm boris\n" : "m boris\nm anna\n");
		fail_at(0, calls[i].call, calls[i].error, calls[i].call == UNLINK ? name : NULL, calls[i].skip, ALWAYS);
		assert_false(failed_start(w, calls[i].words));
		calm();
		if (calls[i].call == SYNCFS || calls[i].call == UNLINK)
			sql(w, "DELETE FROM message"); /* placed already, or not: the last round tells */
	}
	for (size_t i = 0; i < sizeof triggers / sizeof triggers[0]; i++) {
		insert_row(w, "m anna\nm boris\n");
		text = xasprintf("CREATE TRIGGER no BEFORE %s BEGIN SELECT RAISE(ABORT, 'no'); END", triggers[i]);
		assert_int_equal(sql(w, text), 0);
		free(text);
		failed_start(w, "no");
		assert_int_equal(sql(w, "DROP TRIGGER no"), 0);
	}
	open_world(w);
	until_count(w, "anna", 1);
	until_count(w, "boris", 1);
	until_count(w, "carl", 0);
	until_settled(w);
}

/* What the spool does not take now is written while the program runs; the rest of the mail does not wait for it. */
static void a_start_goes_on_past_a_spool_that_takes_no_file(void **state)
{
	struct world *w = *state;

	close_world(w);
	insert_row(w, "m anna\nm boris\n");
	fail_at(0, CREATE, ENOSPC, NAME, 0, ALWAYS);
	open_world(w);
	assert_int_equal(give(w, NULL, "carl", NULL), ACCEPTED);
	until_count(w, "carl", 1);
	close_world(w);
	assert_int_equal(rows(w), 1);
	open_world(w);
	assert_int_equal(rows(w), 1);
	calm();
	until_count(w, "anna", 1);
	until_count(w, "boris", 1);
	until_settled(w);
}

static void a_damaged_row_is_damage(void **state)
{
	static const char *const damage[] = {"UPDATE message SET size = 5",
	                                     "UPDATE message SET name = hex(zeroblob(60))"};
	struct world *w = *state;

	close_world(w);
	for (size_t i = 0; i < sizeof damage / sizeof damage[0]; i++) {
		insert_row(w, "m anna\n");
		assert_int_equal(sql(w, damage[i]), 0);
		assert_true(failed_start(w, "damaged"));
		assert_int_equal(sql(w, "DELETE FROM message"), 0);
	}
	open_world(w);
}

/* Rows that need nothing any more, or cannot have it, go without a trace. */
static void rows_that_are_done_are_dropped(void **state)
{
	struct world *w = *state;
	char *boot = xasprintf("INSERT INTO linked SELECT id, '%s' FROM message", clock_boot_id());
	const char *const cases[] = {"INSERT INTO tombstone VALUES('anna', '" NAME ",S=4')", boot,
	                             "UPDATE message SET spilled = 1, bytes = NULL", /* its file was removed by hand */
	                             "UPDATE message SET dests = 'q' || char(10)"};
	char name[256];

	for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
		close_world(w);
		insert_row(w, "m anna\n");
		assert_int_equal(sql(w, cases[i]), 0);
		open_world(w);
		assert_int_equal(rows(w), 0);
		assert_int_equal(count(w, "anna", name), 0);
	}
	free(boot);
}

static void an_old_copy_of_the_database_brings_nothing_back(void **state)
{
	struct world *w = *state;
	char *path = xasprintf("%s/.ofmsrv-generation", w->config.mailboxes), name[256];
	char *left = xasprintf("%s/.spool/" NAME, w->config.mailboxes);

	for (int spooled = 0; spooled < 2; spooled++) {
		close_world(w);
		insert_row(w, "m anna\n");
		FILE *f = fopen(path, "w");
		assert_true(f != NULL && fputs("99\n", f) >= 0 && fclose(f) == 0);
		f = spooled ? fopen(left, "w") : NULL;
		assert_true(f == NULL || (fputs("a\r\n\n", f) >= 0 && fclose(f) == 0));
		open_world(w);
		/* Without its spool file it was settled long ago, and perhaps read and deleted. */
		assert_int_equal(count(w, "anna", name), spooled);
		assert_int_equal(rows(w), 0);
		assert_int_equal(entries(w->config.mailboxes, ".spool", true), 0);
	}
	free(path);
	free(left);
}

static void a_start_goes_on_past_a_broken_mailbox(void **state)
{
	struct world *w = *state;
	char name[256];

	close_world(w);
	file_in_place_of(w, "carl");
	insert_row(w, "m carl\nm boris\n");
	char *leftover = xasprintf("%s/.spool/1600000000.ffffffffffffffffffff", w->config.mailboxes);
	assert_int_equal(close(open(leftover, O_WRONLY | O_CREAT, 0600)), 0);
	free(leftover);
	open_world(w);
	assert_int_equal(count(w, "boris", name), 1);
	assert_int_equal(rows(w), 1);
	assert_int_equal(entries(w->config.mailboxes, ".spool", true), 1); /* the wanted one, not the left-over */
	remove_file(w, "carl");
	until_count(w, "carl", 1);
	until_settled(w);
	assert_int_equal(count(w, "boris", name), 1);
}

int main(void)
{
#define T(f) cmocka_unit_test_setup_teardown(f, setup_faults, teardown_faults)
	const struct CMUnitTest tests[] = {
	    T(a_start_that_fails_loses_nothing),
	    T(a_damaged_row_is_damage),
	    T(a_start_goes_on_past_a_spool_that_takes_no_file),
	    T(rows_that_are_done_are_dropped),
	    T(an_old_copy_of_the_database_brings_nothing_back),
	    T(a_start_goes_on_past_a_broken_mailbox),
	};

	return cmocka_run_group_tests_name("recovery", tests, NULL, NULL);
}
