/* Folders that do not belong together stop the start; a lost state folder does not. */
#include "disk/file.h"
#include "store/installation.h"

#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

struct world {
	char dir[48];
	int m, q, s;
};

static int folder(const char *dir, const char *name)
{
	char path[128];

	snprintf(path, sizeof path, "%s/%s", dir, name);
	assert_int_equal(mkdir(path, 0700), 0);
	return open(path, O_RDONLY | O_DIRECTORY);
}

static int setup(void **state)
{
	static struct world w;

	strcpy(w.dir, "/tmp/ofm.installation.XXXXXX");
	assert_non_null(mkdtemp(w.dir));
	w.m = folder(w.dir, "m");
	w.q = folder(w.dir, "q");
	w.s = folder(w.dir, "s");
	*state = &w;
	return 0;
}

static int teardown(void **state)
{
	struct world *w = *state;
	char rm[80];

	close(w->m);
	close(w->q);
	close(w->s);
	snprintf(rm, sizeof rm, "rm -r %s", w->dir);
	return system(rm);
}

static enum installation check(struct world *w)
{
	enum installation what;
	struct err e = {0, ""};

	if (installation_check(w->m, w->q, w->s, &what, &e) != 0)
		fail_msg("%s", e.text);
	return what;
}

static void refused(struct world *w, const char *words)
{
	enum installation what;
	struct err e = {0, ""};

	assert_int_equal(installation_check(w->m, w->q, w->s, &what, &e), -1);
	if (strstr(e.text, words) == NULL)
		fail_msg("%s", e.text);
}

static void first_start_then_known(void **state)
{
	assert_int_equal(check(*state), INSTALLATION_NEW);
	assert_int_equal(check(*state), INSTALLATION_KNOWN);
}

static void an_unmounted_folder_stops_the_start(void **state)
{
	struct world *w = *state;

	check(w);
	assert_int_equal(unlinkat(w->m, ".ofmsrv-id", 0), 0);
	refused(w, "[server] mailboxes");
	refused(w, "mounted");
	/* The advice: a new folder on purpose. */
	assert_int_equal(unlinkat(w->s, "ofmsrv.id", 0), 0);
	assert_int_equal(check(w), INSTALLATION_STATE_LOST);
	assert_int_equal(check(w), INSTALLATION_KNOWN);
	assert_int_equal(unlinkat(w->q, ".ofmsrv-id", 0), 0);
	refused(w, "[server] outqueue");
}

static void another_installations_folder_stops_the_start(void **state)
{
	struct world *w = *state;
	struct err e;

	check(w);
	assert_int_equal(file_write_durable(w->q, ".ofmsrv-id", slice_of("0123456789abcdef0123456789abcdef\n"), &e), 0);
	refused(w, "differs");
	assert_int_equal(unlinkat(w->s, "ofmsrv.id", 0), 0);
	refused(w, "[server] outqueue: it belongs to another installation than mailboxes");
}

static void damage_is_no_absence(void **state)
{
	struct world *w = *state;
	struct err e;

	check(w);
	assert_int_equal(file_write_durable(w->s, "ofmsrv.id", slice_of("0123\n"), &e), 0);
	refused(w, "damaged");
}

static void a_folder_in_the_ids_place_is_damage(void **state)
{
	struct world *w = *state;

	assert_int_equal(mkdirat(w->q, ".ofmsrv-id", 0700), 0);
	refused(w, ".ofmsrv-id");
}

/* Removed below our hands: none of the three can take its id, whichever it is, and nothing is taken for known. */
static void folders_that_take_no_id_stop_the_start(void **state)
{
	static const char *const names[] = {"m", "q", "s"};
	char path[80], moved[80];

	for (size_t i = 0; i < sizeof names / sizeof names[0]; i++) {
		struct world *w = *state;
		int *fds[] = {&w->m, &w->q, &w->s};
		snprintf(path, sizeof path, "%s/%s", w->dir, names[i]);
		snprintf(moved, sizeof moved, "%s/%s.kept", w->dir, names[i]);
		int kept = *fds[i];
		assert_int_equal(rename(path, moved), 0);
		*fds[i] = folder(w->dir, names[i]);
		assert_int_equal(rmdir(path), 0);
		refused(w, "ofmsrv");
		close(*fds[i]);
		*fds[i] = kept;
		assert_int_equal(rename(moved, path), 0);
	}
	/* Two have theirs from those tries; the state's comes last, and completes them. */
	assert_int_equal(check(*state), INSTALLATION_STATE_LOST);
	assert_int_equal(check(*state), INSTALLATION_KNOWN);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test_setup_teardown(first_start_then_known, setup, teardown),
	    cmocka_unit_test_setup_teardown(an_unmounted_folder_stops_the_start, setup, teardown),
	    cmocka_unit_test_setup_teardown(another_installations_folder_stops_the_start, setup, teardown),
	    cmocka_unit_test_setup_teardown(damage_is_no_absence, setup, teardown),
	    cmocka_unit_test_setup_teardown(a_folder_in_the_ids_place_is_damage, setup, teardown),
	    cmocka_unit_test_setup_teardown(folders_that_take_no_id_stop_the_start, setup, teardown),
	};

	return cmocka_run_group_tests_name("installation", tests, NULL, NULL);
}
