/* Delivery against a real folder and database: what was accepted stands in new/, whatever happened in between. */
#include "base/random.h"
#include "delivery_rig.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

/* ---- a flush that fails, and with it the pages of what was written meanwhile ---- */

enum { HELD = 2 };

static struct {
	atomic_bool armed;
	char spool[96];
	int held[HELD]; /* the files of that moment, kept open so that their inodes are not given to others */
	unsigned n;
} failing;

static void hold_spooled(void)
{
	DIR *d = opendir(failing.spool);

	while (failing.n > 0)
		close(failing.held[--failing.n]);
	for (const struct dirent *de; d != NULL && (de = readdir(d)) != NULL;)
		if (de->d_name[0] != '.' && failing.n < HELD)
			failing.held[failing.n++] = openat(dirfd(d), de->d_name, O_RDONLY);
	if (d != NULL)
		closedir(d);
}

/* The device that was asked for last, and whether it was flushed since. */
static struct {
	dev_t dev;
	atomic_bool flushed;
	bool in_time;
} watched;

/* Stands in front of the C library's. */
int syncfs(int fd)
{
	struct stat st;

	if (watched.dev != 0 && fstat(fd, &st) == 0 && st.st_dev == watched.dev)
		atomic_store(&watched.flushed, true);
	if (!atomic_exchange(&failing.armed, false))
		return (int)syscall(SYS_syncfs, fd);
	for (int i = 0; i < 500 && failing.n < HELD; i++) {
		hold_spooled();
		usleep(10000);
	}
	errno = EIO;
	return -1;
}

static ino_t inode_of(struct world *w, const char *user)
{
	char name[256] = "";
	struct stat st;

	assert_int_equal(count(w, user, name), 1);
	char *path = xasprintf("%s/%s/new/%s", w->config.mailboxes, user, name);
	assert_int_equal(stat(path, &st), 0);
	free(path);
	return st.st_ino;
}

static void what_was_written_while_a_flush_failed_is_written_anew(void **state)
{
	struct world *w = *state;
	char name[256];

	snprintf(failing.spool, sizeof failing.spool, "%s/.spool", w->config.mailboxes);
	atomic_store(&failing.armed, true);
	for (int i = 0; i < 2; i++) {
		struct gather *g = gather_new(w->delivery);
		gather_add(g, slice_of("A: b\r\n\r\n"));
		accept_to(w, "Received: y\r\n", g, i == 0 ? "anna" : "boris", NULL);
		gather_free(&g);
	}
	for (int i = 0; i < 500 && count(w, "boris", name) + count(w, "anna", name) < 2; i++) {
		settle(w, "boris");
		usleep(10000);
	}
	assert_false(atomic_load(&failing.armed));
	assert_int_equal(failing.n, HELD);
	for (unsigned i = 0; i < HELD; i++) {
		struct stat old;
		assert_int_equal(fstat(failing.held[i], &old), 0);
		assert_true(old.st_ino != inode_of(w, "anna"));
		assert_true(old.st_ino != inode_of(w, "boris"));
		close(failing.held[i]);
	}
}

static void small_message_to_two_is_one_file(void **state)
{
	struct world *w = *state;
	struct gather *g = gather_new(w->delivery);
	char a[256] = "", b[256] = "";
	size_t n;

	gather_add(g, slice_of("Subject: x\r\n\r\nbo\0dy\r\n"));
	accept_to(w, "Received: y\r\n", g, "anna", "boris");
	gather_free(&g);
	settle(w, "anna");
	assert_int_equal(count(w, "anna", a), 1);
	assert_int_equal(count(w, "boris", b), 1);
	assert_string_equal(a, b);
	char *text = contents(w, "anna", a, &n);
	assert_int_equal(n, strlen("Received: y\r\nSubject: x\r\n\r\nbo"));
	assert_memory_equal(text, "Received: y\r\nSubject: x\r\n\r\nbo", n);
	free(text);
}

/* One message of that text for anna, whose header section is filled up to a size; what stands in the file. */
static char *taken(struct world *w, const char *text, size_t fill, bool normalize)
{
	struct gather *g = gather_new(w->delivery);
	char line[1000], name[256], *path;
	size_t n;

	memset(line, 'x', sizeof line);
	memcpy(line, "X: ", 3);
	memcpy(line + sizeof line - 2, "\r\n", 2);
	for (size_t i = 0; i < fill / sizeof line; i++)
		gather_add(g, slice_make(line, sizeof line));
	gather_add(g, slice_of(text));
	struct acceptance *a = acceptance_new(w->delivery, DB_LANE_SMTP);
	acceptance_hide_blind(
	    a, acceptance_message(a, slice_of(""), g, fill / sizeof line * sizeof line / 2, normalize), UINT64_MAX);
	acceptance_to_mailbox(a, 0, "anna");
	w->waiting++;
	acceptance_commit(&a, on_done, w);
	run(w);
	assert_int_equal(w->result, ACCEPTED);
	gather_free(&g);
	settle(w, "anna");
	assert_int_equal(count(w, "anna", name), 1);
	char *all = contents(w, "anna", name, &n);
	path = xasprintf("%s/anna/new/%s", w->config.mailboxes, name);
	assert_int_equal(unlink(path), 0);
	free(path);
	assert_true(n >= fill / 2);
	memmove(all, all + fill / 2, n - fill / 2);
	all[n - fill / 2] = '\0';
	return all;
}

/* In memory, in a spool file, and where the header section itself is larger than what is kept in memory. */
static void bytes_in_front_of_the_body_are_hidden_at_any_size(void **state)
{
	static const size_t fills[] = {0, 70000, 200000, 5000000};
	static const struct {
		const char *text, *as_it_is, *normalized;
	} rows[] = {
	    {"Bcc: s\r\nA: b\r\n\r\nBcc: c\r\n", "A: b\r\n\r\nBcc: c\r\n", "A: b\r\n\r\nBcc: c\r\n"},
	    {"A: b\nBCC: s\n t\n\nc\r", "A: b\n\nc\r", "A: b\r\n\r\nc\r\n"},
	    {"A: b\rBcc: s\r\n\r\nc\r\r\n", "A: b\rBcc: s\r\n\r\nc\r\r\n", "A: b\r\n\r\nc\r\n\r\n"},
	    {"A: b\r\n\r\nc", "A: b\r\n\r\nc", "A: b\r\n\r\nc"},
	};
	struct world *w = *state;

	for (size_t f = 0; f < sizeof fills / sizeof fills[0]; f++)
		for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
			char *plain = taken(w, rows[i].text, fills[f], false);
			char *lines = taken(w, rows[i].text, fills[f], true);
			assert_string_equal(plain, rows[i].as_it_is);
			assert_string_equal(lines, rows[i].normalized);
			free(plain);
			free(lines);
		}
}

/* What a server says of a size is right, or too little, or far too much. */
static void a_message_arrives_whole_whatever_was_expected(void **state)
{
	static const uint64_t expected[] = {0, 1, 5000, 5001, 16 * 1024, 16 * 1024 + 1, UINT64_MAX};
	static const size_t prefixes[] = {0, 400, 3000};
	struct world *w = *state;
	enum { SIZE = 5000 };
	char body[SIZE], prefix[3001], name[256];
	size_t n;

	memset(body, 'b', SIZE);
	memset(prefix, 'p', sizeof prefix);
	for (size_t i = 0; i < sizeof expected / sizeof expected[0] * 3; i++) {
		struct gather *g = gather_new(w->delivery);
		size_t before = prefixes[i % 3];

		prefix[before] = '\0';
		gather_expect(g, expected[i / 3]);
		for (size_t at = 0; at < SIZE; at += 1000)
			gather_add(g, slice_make(body + at, 1000));
		accept_to(w, prefix, g, "anna", NULL);
		assert_int_equal(gather_size(g), SIZE);
		gather_free(&g);
		prefix[before] = 'p';
		settle(w, "anna");
		assert_int_equal(count(w, "anna", name), 1);
		char *text = contents(w, "anna", name, &n);
		assert_int_equal(n, before + SIZE);
		assert_memory_equal(text, prefix, before);
		assert_memory_equal(text + before, body, SIZE);
		free(text);
		char *path = xasprintf("%s/anna/new/%s", w->config.mailboxes, name);
		assert_int_equal(unlink(path), 0);
		free(path);
	}
}

static void large_message_spills_and_arrives_whole(void **state)
{
	struct world *w = *state;
	struct gather *g = gather_new(w->delivery);
	enum { BIG = 3 * 1024 * 1024 };
	char *body = xmalloc(BIG);
	char name[256];
	size_t n;

	random_bytes(body, BIG);
	gather_add(g, slice_of("A: b\r\n\r\n"));
	for (size_t at = 0; at < BIG; at += 10000)
		gather_add(g, slice_sub(slice_make(body, BIG), at, 10000));
	assert_int_equal(gather_size(g), BIG + 8);
	assert_int_equal(gather_head(g).n, 8);
	accept_to(w, "P: q\r\n", g, "anna", NULL);
	gather_free(&g);
	settle(w, "anna");
	assert_int_equal(count(w, "anna", name), 1);
	char *text = contents(w, "anna", name, &n);
	assert_int_equal(n, BIG + 14);
	assert_memory_equal(text + 14, body, BIG);
	free(text);
	free(body);
}

/* A process of its own accepts mail and dies without any farewell. */
static void crash_after_accepting(struct world *w, int n, bool settled)
{
	int status;
	pid_t pid = fork();

	if (pid == 0) {
		open_world(w);
		for (int i = 0; i < n; i++)
			accept_to(w, "S: 1\r\n\r\nx\r\n", NULL, "anna", "boris");
		if (settled)
			settle(w, "boris");
		_exit(7);
	}
	assert_int_equal(waitpid(pid, &status, 0), pid);
	assert_true(WIFEXITED(status) && WEXITSTATUS(status) == 7);
}

static void a_crash_after_the_commit_loses_and_doubles_nothing(void **state)
{
	struct world *w = *state;
	char name[256];

	for (unsigned round = 1; round <= 6; round++) {
		close_world(w);
		crash_after_accepting(w, 20, round % 2 == 0);
		open_world(w);
		assert_int_equal(count(w, "anna", name), round * 20);
		assert_int_equal(count(w, "boris", name), round * 20);
	}
}

static void the_outqueue_gets_message_and_envelope(void **state)
{
	struct world *w = *state;
	char name[256];

	delivery_on_queued(w->delivery, on_queued, w);
	queue_one(w);
	assert_int_equal(count_queue(w, ".", ".eml", name), 1);
	assert_int_equal(count_queue(w, ".", ".env", name), 1);
}

static void die(void *arg, const char *id)
{
	(void)arg;
	(void)id;
	_exit(7);
}

/* The files are linked, and the row does not say so yet. lose: the names that the power cut takes. */
static void queue_and_crash(struct world *w, const char *lose)
{
	char name[256];
	int status;
	pid_t pid;

	close_world(w);
	if ((pid = fork()) == 0) {
		open_world(w);
		delivery_on_queued(w->delivery, die, w);
		queue_one(w);
		_exit(1);
	}
	assert_int_equal(waitpid(pid, &status, 0), pid);
	assert_true(WIFEXITED(status) && WEXITSTATUS(status) == 7);
	assert_int_equal(rows(w), 1);
	while (lose != NULL && count_queue(w, ".", lose, name) > 0) {
		char *path = xasprintf("%s/%s", w->config.outqueue, name);
		assert_int_equal(unlink(path), 0);
		free(path);
	}
	open_world(w);
}

static void a_crash_between_linking_and_its_mark_queues_once(void **state)
{
	struct world *w = *state;
	char name[256];

	for (unsigned i = 0; i < 2; i++) {
		queue_and_crash(w, i == 0 ? NULL : ".eml");
		assert_int_equal(rows(w), 0);
		assert_int_equal(count_queue(w, ".spool", "", name), 0);
		/* A lost name takes the first round's message along. */
		assert_int_equal(count_queue(w, ".", ".eml", name), 1);
		assert_int_equal(count_queue(w, ".", ".env", name), i + 1);
	}
}

static void deleted_mail_stays_deleted_over_a_crash(void **state)
{
	struct world *w = *state;
	struct strlist names = {NULL, 0};
	char name[256];

	accept_to(w, "S: 1\r\n\r\nx\r\n", NULL, "anna", NULL);
	settle(w, "anna");
	assert_int_equal(count(w, "anna", name), 1);
	strlist_add(&names, name);
	w->waiting++;
	delivery_delete(w->delivery, "anna", &names, on_deleted, w);
	run(w);
	assert_true(w->deleted);
	assert_int_equal(count(w, "anna", name), 0);
	close_world(w);
	open_world(w);
	assert_int_equal(count(w, "anna", name), 0);
	strlist_free(&names);
}

static int refuse(struct db_conn *c, void *arg, struct err *e)
{
	(void)c;
	(void)arg;
	return err_set(e, 0, "refused by the test");
}

static void what_commits_together_fails_together(void **state)
{
	struct world *w = *state;
	struct acceptance *acc = acceptance_new(w->delivery, DB_LANE_SMTP);
	char name[256];

	acceptance_to_mailbox(acc, acceptance_message(acc, slice_of("A: b\r\n\r\n"), NULL, 0, false), "anna");
	acceptance_extra(acc, refuse, NULL, NULL, NULL);
	w->waiting++;
	acceptance_commit(&acc, on_done, w);
	/* In the same batch: not harmed by its neighbour. */
	struct acceptance *good = acceptance_new(w->delivery, DB_LANE_SMTP);
	acceptance_to_mailbox(good, acceptance_message(good, slice_of("A: b\r\n\r\n"), NULL, 0, false), "boris");
	w->waiting++;
	acceptance_commit(&good, on_done, w);
	run(w);
	assert_int_equal(w->refused, 1);
	settle(w, "boris");
	assert_int_equal(count(w, "anna", name), 0);
	assert_int_equal(count(w, "boris", name), 1);
}

/* Two messages, the second committed while the first one's round may be under way. */
static void the_wait_for_all_mailboxes_covers_each(void **state)
{
	struct world *w = *state;
	char name[256];

	accept_to(w, "S: 1\r\n\r\nx\r\n", NULL, "anna", NULL);
	accept_to(w, "S: 2\r\n\r\nx\r\n", NULL, "boris", NULL);
	settle(w, NULL);
	assert_int_equal(count(w, "anna", name), 1);
	assert_int_equal(count(w, "boris", name), 1);
	settle(w, NULL);
}

/* Its name appears with its bytes already flushed. */
static void on_queued_elsewhere(void *arg, const char *id)
{
	watched.in_time = atomic_load(&watched.flushed);
	on_queued(arg, id);
}

static void assert_private(const char *folder, const char *name)
{
	char *path = xasprintf("%s/%s", folder, name);
	struct stat st;

	assert_int_equal(stat(path, &st), 0);
	assert_int_equal(st.st_mode & 0777, 0600);
	free(path);
}

/* Whatever the umask: mail is its reader's alone, in the spool (whose file becomes this one) as in the folders. */
static void files_of_any_size_are_nobody_elses(void **state)
{
	struct world *w = *state;
	struct outqueue_entry en = {.sender = (char *)"a@firm.example", .local_sender = (char *)"anna"};
	mode_t before = umask(0);
	char name[256];

	delivery_on_queued(w->delivery, on_queued, w);
	strlist_add(&en.recipients, "x@far.example");
	for (unsigned n = 1; n <= 2; n++) {
		struct gather *g = gather_new(w->delivery);
		for (unsigned i = 0; i < (n == 1 ? 1 : 20000); i++)
			gather_add(g, slice_of("0123456789\r\n"));
		struct acceptance *acc = acceptance_new(w->delivery, DB_LANE_SMTP);
		acceptance_to_mailbox(acc, acceptance_message(acc, slice_of("A: b\r\n\r\n"), g, 0, false), "anna");
		acceptance_to_mailbox(acc, 0, "boris");
		acceptance_to_outqueue(acc, acceptance_message(acc, slice_of("A: b\r\n\r\n"), g, 0, false), &en);
		w->waiting += 2;
		acceptance_commit(&acc, on_done, w);
		run(w);
		settle(w, NULL);
		gather_free(&g);
		for (int i = 0; i < 2; i++) {
			const char *user = i == 0 ? "anna" : "boris";
			char *folder = xasprintf("%s/%s/new", w->config.mailboxes, user);
			assert_int_equal(count(w, user, name), n);
			assert_private(folder, name);
			free(folder);
		}
		assert_int_equal(count_queue(w, "", ".eml", name), n);
		assert_private(w->config.outqueue, name);
		assert_int_equal(count_queue(w, "", ".env", name), n);
		assert_private(w->config.outqueue, name);
	}
	strlist_free(&en.recipients);
	umask(before);
}

/* The outqueue may be on a disk of its own: its files are flushed there before their names appear. */
static void an_outqueue_on_another_file_system_is_flushed_too(void **state)
{
	struct world *w = *state;
	char folder[] = "/dev/shm/ofm.outqueue.XXXXXX", *before = w->config.outqueue;
	struct stat here, there;

	if (mkdtemp(folder) == NULL)
		skip();
	assert_int_equal(stat(folder, &there), 0);
	assert_int_equal(stat(w->dir, &here), 0);
	if (here.st_dev != there.st_dev) {
		close_world(w);
		w->config.outqueue = folder;
		open_world(w);
		delivery_on_queued(w->delivery, on_queued_elsewhere, w);
		watched.dev = there.st_dev;
		atomic_store(&watched.flushed, false);
		queue_one(w);
		watched.dev = 0;
		assert_true(watched.in_time);
		close_world(w);
		w->config.outqueue = before;
		open_world(w);
	}
	char *rm = xasprintf("rm -rf %s", folder);
	assert_int_equal(system(rm), 0);
	free(rm);
	if (here.st_dev == there.st_dev)
		skip();
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test_setup_teardown(what_was_written_while_a_flush_failed_is_written_anew, setup, teardown),
	    cmocka_unit_test_setup_teardown(small_message_to_two_is_one_file, setup, teardown),
	    cmocka_unit_test_setup_teardown(bytes_in_front_of_the_body_are_hidden_at_any_size, setup, teardown),
	    cmocka_unit_test_setup_teardown(the_wait_for_all_mailboxes_covers_each, setup, teardown),
	    cmocka_unit_test_setup_teardown(a_message_arrives_whole_whatever_was_expected, setup, teardown),
	    cmocka_unit_test_setup_teardown(large_message_spills_and_arrives_whole, setup, teardown),
	    cmocka_unit_test_setup_teardown(a_crash_after_the_commit_loses_and_doubles_nothing, setup, teardown),
	    cmocka_unit_test_setup_teardown(the_outqueue_gets_message_and_envelope, setup, teardown),
	    cmocka_unit_test_setup_teardown(a_crash_between_linking_and_its_mark_queues_once, setup, teardown),
	    cmocka_unit_test_setup_teardown(files_of_any_size_are_nobody_elses, setup, teardown),
	    cmocka_unit_test_setup_teardown(an_outqueue_on_another_file_system_is_flushed_too, setup, teardown),
	    cmocka_unit_test_setup_teardown(deleted_mail_stays_deleted_over_a_crash, setup, teardown),
	    cmocka_unit_test_setup_teardown(what_commits_together_fails_together, setup, teardown),
	};

	return cmocka_run_group_tests_name("delivery", tests, NULL, NULL);
}
