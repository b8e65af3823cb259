/* Delivery while the disk and the database refuse: what was promised holds. Nothing is half in new/, nothing twice,
 * nothing lost, and no one has to restart anything. */
#include "fault_rig.h"

/* What failed is tried again after a second at least: that time passes. */
static void until_tried_again(struct world *w)
{
	turn(w, 100);
	ahead += 2;
}

/* ---- placing ---- */

static void where_links_are_refused_it_is_copied(void **state)
{
	static const int errors[] = {EXDEV, EPERM, EMLINK};
	struct world *w = *state;

	for (unsigned i = 0; i < 3; i++) {
		char a[256];
		size_t n;
		fail_at(0, LINK, errors[i], NULL, 0, ALWAYS);
		assert_int_equal(give(w, NULL, "anna", "boris"), ACCEPTED);
		until_count(w, "anna", 1);
		until_count(w, "boris", 1);
		until_settled(w);
		calm();
		count(w, "anna", a);
		char *path = xasprintf("%s/anna/new/%s", w->config.mailboxes, a);
		struct stat st;
		assert_int_equal(stat(path, &st), 0);
		assert_int_equal(st.st_nlink, 1);
		char *text = contents(w, "boris", a, &n);
		assert_int_equal(n, 8);
		assert_memory_equal(text, "S: 1\r\n\r\n", 8);
		free(text);
		assert_int_equal(unlink(path), 0);
		free(path);
		path = xasprintf("%s/boris/new/%s", w->config.mailboxes, a);
		assert_int_equal(unlink(path), 0);
		free(path);
	}
	assert_int_equal(heard.told, 0);
}

/* Each step of a copy fails once: until it is tried again nothing of it shows, and then it stands there once. */
static void a_copy_that_breaks_off_leaves_nothing(void **state)
{
	static const struct {
		enum call call;
		int error, skip;
	} steps[] = {{CREATE, ENOSPC, 0}, {FSYNC, EIO, 0}, {RENAME, EIO, 0}, {FSYNC, EIO, 1}};
	struct world *w = *state;

	for (unsigned i = 0; i < sizeof steps / sizeof steps[0]; i++) {
		heard.told = 0;
		fail_at(0, LINK, EXDEV, NULL, 0, ALWAYS);
		fail_at(1, steps[i].call, steps[i].error, steps[i].call == FSYNC ? NULL : ".t.", steps[i].skip, ALWAYS);
		assert_int_equal(give(w, NULL, "anna", NULL), ACCEPTED);
		until_told(w, steps[i].error);
		assert_string_equal(heard.user, "anna");
		assert_int_equal(entries(w->config.mailboxes, "anna/new", true), i);
		assert_int_equal(rows(w), 1);
		fail_at(1, NONE, 0, NULL, 0, 0);
		until_tried_again(w);
		until_told(w, 0);
		assert_int_equal(entries(w->config.mailboxes, "anna/new", true), i + 1);
		until_settled(w);
		calm();
	}
}

static void a_name_that_is_taken_is_never_taken_for_ours(void **state)
{
	struct world *w = *state;
	char name[256];

	fail_at(0, TAKEN, 0, NULL, 0, 1);
	assert_int_equal(give(w, NULL, "anna", NULL), ACCEPTED);
	until_count(w, "anna", 2);
	until_settled(w);
	unsigned ours = 0, theirs = 0;
	char *path = xasprintf("%s/anna/new", w->config.mailboxes);
	DIR *d = opendir(path);
	for (const struct dirent *de; (de = readdir(d)) != NULL;) {
		size_t n;
		if (de->d_name[0] == '.')
			continue;
		snprintf(name, sizeof name, "%s", de->d_name);
		char *text = contents(w, "anna", name, &n);
		ours += n == 8 && memcmp(text, "S: 1\r\n\r\n", 8) == 0;
		theirs += n == 6 && memcmp(text, "theirs", 6) == 0;
		free(text);
	}
	closedir(d);
	free(path);
	assert_int_equal(ours, 1);
	assert_int_equal(theirs, 1);
}

static void one_mailbox_in_trouble_holds_up_no_other(void **state)
{
	struct world *w = *state;
	char name[256];

	fail_at(0, LINK, ENOSPC, NULL, 0, 1);
	assert_int_equal(give(w, NULL, "anna", "boris"), ACCEPTED);
	until_told(w, ENOSPC);
	assert_string_equal(heard.user, "anna");
	assert_int_equal(count(w, "boris", name), 1);
	until_tried_again(w);
	until_told(w, 0);
	assert_int_equal(count(w, "anna", name), 1);
	until_settled(w);
	assert_int_equal(count(w, "boris", name), 1);
}

static void a_file_in_a_mailboxs_place_is_waited_out(void **state)
{
	struct world *w = *state;
	char name[256];

	file_in_place_of(w, "carl");
	assert_int_equal(give(w, NULL, "carl", "boris"), ACCEPTED);
	until_told(w, ENOTDIR);
	assert_int_equal(count(w, "boris", name), 1);
	remove_file(w, "carl");
	until_tried_again(w);
	until_count(w, "carl", 1);
	until_settled(w);
	assert_int_equal(count(w, "boris", name), 1);
}

static void what_cannot_be_written_is_written_later(void **state)
{
	struct world *w = *state;

	fail_at(0, CREATE, ENOSPC, "1", 0, ALWAYS);
	assert_int_equal(give(w, NULL, "anna", NULL), ACCEPTED);
	turn(w, 50);
	char name[256];
	assert_int_equal(count(w, "anna", name), 0);
	calm();
	until_tried_again(w);
	until_count(w, "anna", 1);
	fail_at(0, WRITE, EIO, NULL, 0, 1);
	struct gather *g = gather_new(w->delivery);
	char body[1000];
	memset(body, 'x', sizeof body);
	gather_add(g, slice_make(body, sizeof body));
	assert_int_equal(give(w, g, "anna", NULL), ACCEPTED);
	gather_free(&g);
	until_count(w, "anna", 2);
	until_settled(w);
	until_well(w); /* the second time is within the hour */
	assert_non_null(strstr(heard.was, "writing mail"));
}

static void a_round_that_cannot_commit_is_repeated(void **state)
{
	struct world *w = *state;

	assert_int_equal(sql(w, "CREATE TRIGGER no BEFORE INSERT ON linked BEGIN SELECT RAISE(ABORT, 'no'); END"), 0);
	assert_int_equal(give(w, NULL, "anna", NULL), ACCEPTED);
	until_count(w, "anna", 1);
	turn(w, 300);
	assert_int_equal(rows(w), 1);
	assert_int_equal(sql(w, "DROP TRIGGER no"), 0);
	until_settled(w);
	until_count(w, "anna", 1);
	until_well(w);
	assert_int_equal(strncmp(heard.was, "database: INSERT", 16), 0);
}

static void outgoing_mail_is_queued_when_it_can_be(void **state)
{
	struct world *w = *state;
	char name[256];

	delivery_on_queued(w->delivery, on_queued, w);
	fail_at(0, LINK, ENOSPC, NULL, 1, 1); /* the envelope stands, the message does not */
	queue_one(w);
	calm();
	assert_int_equal(count_queue(w, ".", ".eml", name), 1);
	assert_int_equal(count_queue(w, ".", ".env", name), 1);
	assert_false(delivery_is_queueing(w->delivery));
}

/* ---- accepting ---- */

static void a_spill_that_fails_is_no_message(void **state)
{
	static const struct {
		enum call call;
		size_t before, after, piece;
	} table[] = {{CREATE, 0, 100000, 100000},
	             {WRITE, 0, 100000, 1000},
	             {WRITE, 70000, 70000, 70000},
	             {WRITE, 70000, 100000, 1000},
	             {WRITE, 70000, 1000, 1000} /* seen when it is read back */};
	struct world *w = *state;
	char *zeros = xcalloc(1, 100000), name[256];

	for (size_t i = 0; i < sizeof table / sizeof table[0]; i++) {
		struct gather *g = gather_new(w->delivery);
		if (table[i].before > 0)
			gather_add(g, slice_make(zeros, table[i].before));
		fail_at(0, table[i].call, ENOSPC, NULL, 0, 1);
		for (size_t at = 0; at < table[i].after; at += table[i].piece)
			gather_add(g, slice_make(zeros, table[i].piece));
		assert_int_equal(gather_size(g), table[i].before + table[i].after);
		assert_int_equal(give(w, g, "anna", NULL), ACCEPT_NO_SPACE);
		assert_true(gather_failed(g));
		calm();
		gather_free(&g);
	}
	free(zeros);
	assert_int_equal(rows(w), 0);
	assert_int_equal(count(w, "anna", name), 0);
	assert_int_equal(entries(w->config.mailboxes, ".spool", true), 0);
}

static struct gather *large(struct world *w)
{
	struct gather *g = gather_new(w->delivery);
	char *body = xmalloc(200000);

	memset(body, 'x', 200000);
	gather_add(g, slice_make(body, 200000));
	free(body);
	return g;
}

static void a_large_message_is_flushed_before_it_is_promised(void **state)
{
	struct world *w = *state;
	struct gather *g = large(w);
	char name[256];
	size_t n;

	for (int skip = 0; skip < 2; skip++) { /* the file; its folder */
		fail_at(0, FSYNC, EIO, NULL, skip, 1);
		assert_int_equal(give(w, g, "anna", NULL), ACCEPT_DISK_ERROR);
		fail_at(0, FSYNC, ENOSPC, NULL, skip, 1);
		assert_int_equal(give(w, g, "anna", NULL), ACCEPT_NO_SPACE);
		assert_int_equal(entries(w->config.mailboxes, ".spool", true), 0);
	}
	fail_at(0, CREATE, EACCES, NULL, 0, 1);
	assert_int_equal(give(w, g, "anna", NULL), ACCEPT_DISK_ERROR);
	assert_int_equal(rows(w), 0);
	fail_at(0, CREATE, EEXIST, NULL, 0, 1); /* another name is drawn */
	assert_int_equal(give(w, g, "anna", NULL), ACCEPTED);
	gather_free(&g);
	until_count(w, "anna", 1);
	count(w, "anna", name);
	free(contents(w, "anna", name, &n));
	assert_int_equal(n, 200008);
	until_settled(w);
}

static void a_large_message_that_is_not_committed_leaves_no_file(void **state)
{
	struct world *w = *state;
	struct gather *g = large(w);

	assert_int_equal(sql(w, "CREATE TRIGGER no BEFORE INSERT ON message BEGIN SELECT RAISE(ABORT, 'no'); END"), 0);
	assert_int_equal(give(w, g, "anna", "boris"), ACCEPT_NO_SPACE);
	gather_free(&g);
	assert_int_equal(entries(w->config.mailboxes, ".spool", true), 0);
	assert_int_equal(sql(w, "DROP TRIGGER no"), 0);
	assert_int_equal(give(w, NULL, "anna", NULL), ACCEPTED);
	assert_int_equal(heard.well, 1);
}

static void without_room_nothing_is_promised(void **state)
{
	static const struct {
		const char *why;
		int error;
		struct statvfs disk;
	} table[] = {{"read-only", 0, {.f_bsize = 1, .f_flag = ST_RDONLY, .f_bavail = 1 << 30, .f_frsize = 4096}},
	             {"inodes", 0, {.f_bsize = 1, .f_files = 9, .f_favail = 3, .f_bavail = 1 << 30, .f_frsize = 4096}},
	             {"full", 0, {.f_bsize = 1, .f_bavail = 10, .f_frsize = 4096}},
	             {"Input/output", EIO, {.f_bsize = 1}}};
	struct world *w = *state;
	char name[256];

	assert_true(delivery_has_room(w->delivery, 1000));
	assert_false(delivery_has_room(w->delivery, INT64_MAX)); /* no trouble of ours */
	for (size_t i = 0; i < sizeof table / sizeof table[0]; i++) {
		turn(w, 100);
		disk = table[i].disk;
		if (table[i].error != 0)
			fail_at(0, STATVFS, table[i].error, NULL, 0, ALWAYS);
		assert_int_equal(give(w, NULL, "anna", NULL), ACCEPT_NO_SPACE);
		assert_false(delivery_has_room(w->delivery, 1000));
		calm();
		/* A small disk with enough for this one. */
		disk = (struct statvfs){.f_bsize = 1, .f_bavail = 100000, .f_frsize = 4096};
		assert_int_equal(give(w, NULL, "anna", NULL), ACCEPTED);
		assert_int_equal(heard.well, 1); /* once an hour */
		if (i == 0)
			assert_non_null(strstr(heard.was, table[i].why));
	}
	until_count(w, "anna", 4);
	assert_int_equal(count(w, "boris", name), 0);
}

static void without_ballast_nothing_is_promised(void **state)
{
	struct world *w = *state;

	fail_at(0, CREATE, ENOSPC, "ballast", 0, 1);
	assert_int_equal(give(w, NULL, "anna", NULL), ACCEPT_NO_SPACE);
	assert_int_equal(give(w, NULL, "anna", NULL), ACCEPTED);
	until_count(w, "anna", 1);
}

/* ---- deleting ---- */

static void delete (struct world *w, const char *user)
{
	struct strlist names = {NULL, 0};
	char name[256];

	assert_int_equal(count(w, user, name), 1);
	strlist_add(&names, name);
	w->waiting++;
	delivery_delete(w->delivery, user, &names, on_deleted, w);
	run(w);
	strlist_free(&names);
}

static void a_deletion_that_is_not_committed_deletes_nothing(void **state)
{
	struct world *w = *state;

	assert_int_equal(give(w, NULL, "anna", NULL), ACCEPTED);
	until_count(w, "anna", 1);
	until_settled(w);
	assert_int_equal(sql(w, "CREATE TRIGGER no BEFORE INSERT ON tombstone BEGIN SELECT RAISE(ABORT, 'no'); END"),
	                 0);
	delete (w, "anna");
	assert_false(w->deleted);
	until_count(w, "anna", 1);
	assert_int_equal(sql(w, "DROP TRIGGER no"), 0);
	delete (w, "anna");
	assert_true(w->deleted);
	until_count(w, "anna", 0);
}

/* A message of anna's is deleted, and the disk gives it up no more. */
static void delete_in_vain(struct world *w)
{
	struct maildir_list l;

	assert_int_equal(give(w, NULL, "anna", NULL), ACCEPTED);
	until_count(w, "anna", 1);
	until_settled(w);
	fail_at(0, UNLINK, EIO, NULL, 0, ALWAYS);
	delete (w, "anna");
	assert_true(w->deleted); /* committed: it is not shown any more */
	assert_int_equal(maildir_scan(w->maildir, "anna", &l, NULL), 0);
	assert_int_equal(l.n, 0);
	maildir_list_free(&l);
}

static void a_deletion_that_the_disk_refuses_comes_true(void **state)
{
	struct world *w = *state;
	char name[256];

	delete_in_vain(w);
	assert_int_equal(count(w, "anna", name), 1);
	ahead += 6; /* tried once in vain */
	turn(w, 100);
	assert_int_equal(count(w, "anna", name), 1);
	calm();
	ahead += 6;
	until_count(w, "anna", 0);
}

/* +OK came, and not one file is unlinked yet: in this life nobody sees the message, and the next start ends it. */
static void what_was_promised_is_deleted_by_the_next_start(void **state)
{
	struct world *w = *state;
	char name[256];

	delete_in_vain(w);
	close_world(w);
	calm();
	assert_int_equal(count(w, "anna", name), 1);
	open_world(w);
	assert_int_equal(count(w, "anna", name), 0);
}

int main(void)
{
#define T(f) cmocka_unit_test_setup_teardown(f, setup_faults, teardown_faults)
	const struct CMUnitTest tests[] = {
	    T(where_links_are_refused_it_is_copied),
	    T(a_copy_that_breaks_off_leaves_nothing),
	    T(a_name_that_is_taken_is_never_taken_for_ours),
	    T(one_mailbox_in_trouble_holds_up_no_other),
	    T(a_file_in_a_mailboxs_place_is_waited_out),
	    T(what_cannot_be_written_is_written_later),
	    T(a_round_that_cannot_commit_is_repeated),
	    T(outgoing_mail_is_queued_when_it_can_be),
	    T(a_spill_that_fails_is_no_message),
	    T(a_large_message_is_flushed_before_it_is_promised),
	    T(a_large_message_that_is_not_committed_leaves_no_file),
	    T(without_room_nothing_is_promised),
	    T(without_ballast_nothing_is_promised),
	    T(a_deletion_that_is_not_committed_deletes_nothing),
	    T(a_deletion_that_the_disk_refuses_comes_true),
	    T(what_was_promised_is_deleted_by_the_next_start),
	};

	return cmocka_run_group_tests_name("delivery under faults", tests, NULL, NULL);
}
