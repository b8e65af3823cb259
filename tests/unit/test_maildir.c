#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "base/alloc.h"
#include "store/maildir.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#define OURS "1700000000.00112233445566778899,S="

struct box {
	char root[64];
	struct maildir *m;
};

static int setup(void **state)
{
	struct box *b = xcalloc(1, sizeof *b);

	snprintf(b->root, sizeof b->root, "/tmp/ofm.pop3.XXXXXX");
	assert_non_null(mkdtemp(b->root));
	b->m = maildir_open(b->root, NULL);
	assert_non_null(b->m);
	assert_int_equal(maildir_create(b->m, "anna", NULL), 0);
	*state = b;
	return 0;
}

static int teardown(void **state)
{
	struct box *b = *state;
	char cmd[128];

	snprintf(cmd, sizeof cmd, "rm -rf '%s'", b->root);
	assert_int_equal(system(cmd), 0);
	maildir_free(&b->m);
	free(b);
	return 0;
}

static char *path_of(struct box *b, const char *rest)
{
	static char path[512];

	snprintf(path, sizeof path, "%s/%s", b->root, rest);
	return path;
}

static void put(struct box *b, const char *rest, const char *text)
{
	FILE *f = fopen(path_of(b, rest), "w");

	assert_non_null(f);
	fputs(text, f);
	assert_int_equal(fclose(f), 0);
}

static void test_create(void **state)
{
	struct box *b = *state;
	struct stat st;
	struct err e;

	assert_int_equal(maildir_create(b->m, "anna", &e), 0);
	assert_int_equal(stat(path_of(b, "anna/cur"), &st), 0);
	assert_int_equal(st.st_mode & 0777, 0700);
	assert_int_equal(maildir_create(b->m, "../anna", &e), -1);
	assert_int_equal(maildir_create(b->m, "", &e), -1);
	assert_int_equal(symlink("anna", path_of(b, "trap")), 0);
	assert_int_equal(maildir_create(b->m, "trap", &e), -1);
	assert_int_equal(maildir_open_dir(b->m, "trap", "new", &e), -1);
	assert_int_equal(mkdir(path_of(b, "half"), 0700), 0);
	assert_int_equal(symlink("../anna/new", path_of(b, "half/new")), 0);
	assert_int_equal(maildir_create(b->m, "half", &e), -1);
	assert_int_equal(maildir_open_dir(b->m, "half", "new", &e), -1);
}

static void test_scan_sizes(void **state)
{
	static const struct {
		const char *text;
		uint64_t size;
	} foreign[] = {{"", 0},     {"a", 3},      {"a\n", 3},      {"a\r\n", 3},      {"a\r", 3},
	               {"\n\n", 4}, {"a\rb\n", 5}, {"\r\n\r\n", 4}, {"\na\r\n\nb", 10}};
	struct box *b = *state;
	struct maildir_list l;

	for (size_t i = 0; i < sizeof foreign / sizeof *foreign; i++) {
		put(b, "anna/new/123.x", foreign[i].text);
		assert_int_equal(maildir_scan(b->m, "anna", &l, NULL), 0);
		assert_int_equal(l.n, 1);
		assert_int_equal(l.v[0].size, foreign[i].size);
		assert_false(l.v[0].ours);
		maildir_list_free(&l);
	}
	put(b, "anna/new/9.M1.host,S=6,W=8", "a\nb\nc\n");
	put(b, "anna/new/1.M1.host,S=5,W=8", "a\nb\nc\n"); /* S is wrong: counted */
	assert_int_equal(maildir_scan(b->m, "anna", &l, NULL), 0);
	assert_int_equal(l.v[0].size, 9);
	assert_int_equal(l.v[1].size, 8);
	maildir_list_free(&l);
}

static void test_scan_order_and_kinds(void **state)
{
	struct box *b = *state;
	struct maildir_list l;

	put(b, "anna/new/1800000000.00112233445566778899,S=7", "");
	put(b, "anna/cur/" OURS "5:2,S", "12345");
	put(b, "anna/new/1600000000.P1.host", "x\r\n");
	put(b, "anna/new/.hidden", "x");
	put(b, "anna/tmp/1500000000.P1.host", "x");
	assert_int_equal(mkdir(path_of(b, "anna/cur/1500000000.dir"), 0700), 0);
	assert_int_equal(symlink("/etc/passwd", path_of(b, "anna/cur/1500000000.link")), 0);
	assert_int_equal(mkfifo(path_of(b, "anna/cur/1500000000.fifo"), 0600), 0);
	assert_int_equal(maildir_scan(b->m, "anna", &l, NULL), 0);
	assert_int_equal(l.n, 3);
	assert_string_equal(l.v[0].name, "1600000000.P1.host");
	assert_string_equal(l.v[1].name, OURS "5:2,S");
	assert_true(l.v[1].in_cur && l.v[1].ours);
	assert_int_equal(l.v[1].arrived, 1700000000);
	assert_int_equal(l.v[2].size, 7);
	assert_int_equal(l.total, 3 + 5 + 7);
	maildir_list_free(&l);
}

static void test_same_base_once(void **state)
{
	struct box *b = *state;
	struct maildir_list l;

	put(b, "anna/new/" OURS "5", "12345");
	put(b, "anna/cur/" OURS "5:2,S", "12345");
	assert_int_equal(maildir_scan(b->m, "anna", &l, NULL), 0);
	assert_int_equal(l.n, 1);
	assert_true(l.v[0].in_cur);
	maildir_list_free(&l);
	assert_int_equal(maildir_unlink(b->m, "anna", OURS "5", NULL), 0);
	assert_int_equal(maildir_unlink(b->m, "anna", OURS "5", NULL), 0);
}

static void test_uidl(void **state)
{
	char u[MAILDIR_UIDL_MAX + 1], again[MAILDIR_UIDL_MAX + 1], longer[200];

	(void)state;
	maildir_uidl(OURS "5:2,S", u);
	assert_string_equal(u, "1700000000.00112233445566778899");
	maildir_uidl("1.M1P1.host,S=5,W=6:2,", u);
	assert_string_equal(u, "1.M1P1.host");
	memset(longer, 'x', sizeof longer);
	memcpy(longer + 120, ":2,S", 5);
	maildir_uidl(longer, u);
	assert_int_equal(strlen(u), 40);
	longer[123] = '\0';
	maildir_uidl(longer, again);
	assert_string_equal(u, again);
	maildir_uidl("with space", u);
	assert_int_equal(strlen(u), 40);
	maildir_uidl(",S=4", u);
	assert_int_equal(strlen(u), 40);
}

static void test_twins(void **state)
{
	struct box *b = *state;
	struct maildir_list l;
	char u[3][MAILDIR_UIDL_MAX + 1];

	put(b, "anna/new/1700000000.00112233445566778899,S=2", "x\n");
	put(b, "anna/new/1700000000.00112233445566778899", "x\n");
	put(b, "anna/new/1700000000.00112233445566778899,X=9", "x\n");
	assert_int_equal(maildir_scan(b->m, "anna", &l, NULL), 0);
	assert_int_equal(l.n, 3);
	for (size_t i = 0; i < 3; i++) {
		maildir_entry_uidl(&l.v[i], u[i]);
		assert_int_equal(strlen(u[i]), l.v[i].ours ? 31 : 40);
		for (size_t j = 0; j < i; j++)
			assert_string_not_equal(u[i], u[j]);
	}
	maildir_list_free(&l);
}

static bool has_openat2(void)
{
	return syscall(SYS_openat2, -1, "", NULL, 0) < 0 && errno != ENOSYS;
}

static void test_open_follows_renames(void **state)
{
	struct box *b = *state;
	struct maildir_list l;
	struct err e;
	uint64_t size = 0;
	int fd;
	char from[512];

	put(b, "anna/new/" OURS "5", "12345");
	assert_int_equal(maildir_scan(b->m, "anna", &l, NULL), 0);
	fd = maildir_open_message_cached(b->m, "anna", &l.v[0], &size);
	assert_true((fd >= 0) == has_openat2());
	assert_true(fd < 0 || size == 5);
	if (fd >= 0)
		close(fd);
	snprintf(from, sizeof from, "%s", path_of(b, "anna/new/" OURS "5"));
	assert_int_equal(rename(from, path_of(b, "anna/cur/" OURS "5:2,DFRS")), 0);
	assert_int_equal(maildir_open_message_cached(b->m, "anna", &l.v[0], &size), -1);
	fd = maildir_open_message(b->m, "anna", &l.v[0], &e);
	assert_true(fd >= 0);
	close(fd);
	assert_int_equal(maildir_has(b->m, "anna", OURS "5", &e), 1);
	assert_int_equal(maildir_unlink(b->m, "anna", OURS "5", &e), 0);
	assert_int_equal(maildir_has(b->m, "anna", OURS "5", &e), 0);
	assert_int_equal(maildir_open_message(b->m, "anna", &l.v[0], &e), -1);
	assert_int_equal(e.code, ENOENT);
	/* What took its place is no message. */
	assert_int_equal(symlink("/etc/passwd", path_of(b, "anna/new/" OURS "5")), 0);
	assert_int_equal(maildir_open_message(b->m, "anna", &l.v[0], &e), -1);
	maildir_list_free(&l);
}

static void test_unlink_list(void **state)
{
	struct box *b = *state;
	struct strlist names = {NULL, 0};
	struct maildir_list l;
	char name[128], at[256];

	for (int i = 0; i < 300; i++) {
		snprintf(name, sizeof name, "17%08d.00112233445566778899,S=1", i);
		snprintf(at, sizeof at, "anna/%s/%s%s", i % 2 ? "new" : "cur", name, i % 2 ? "" : ":2,FT");
		put(b, at, "x");
		if (i % 3 != 0)
			strlist_add(&names, name);
	}
	strlist_add(&names, "never.there");
	strlist_add(&names, "../../etc/passwd");
	assert_int_equal(maildir_unlink_list(b->m, "anna", &names, NULL), 0);
	assert_int_equal(maildir_scan(b->m, "anna", &l, NULL), 0);
	assert_int_equal(l.n, 100);
	maildir_list_free(&l);
	strlist_free(&names);
}

/* A deletion that was promised stays one, though the disk refuses it for now. */
static void test_refused_unlink_hides(void **state)
{
	struct box *b = *state;
	struct strlist names = {NULL, 0};
	struct maildir_hidden *h;
	struct maildir_list l;
	char cmd[600];

	put(b, "anna/cur/" OURS "5:2,S", "12345");
	put(b, "anna/cur/" OURS "6:2,S", "123456");
	snprintf(cmd, sizeof cmd, "chattr +i '%s' 2>/dev/null", path_of(b, "anna/cur"));
	if (system(cmd) != 0)
		skip(); /* not root, or a file system without that flag */
	strlist_add(&names, OURS "5");
	h = maildir_hide(b->m, "anna", &names);
	assert_int_equal(maildir_unlink_list(b->m, "anna", &names, NULL), -1);
	assert_int_equal(maildir_scan(b->m, "anna", &l, NULL), 0);
	assert_int_equal(l.n, 1);
	assert_int_equal(l.v[0].size, 6);
	maildir_list_free(&l);
	snprintf(cmd, sizeof cmd, "chattr -i '%s'", path_of(b, "anna/cur"));
	assert_int_equal(system(cmd), 0);
	assert_int_equal(maildir_unlink_list(b->m, "anna", &names, NULL), 0);
	maildir_show(b->m, &h);
	assert_null(h);
	assert_int_equal(maildir_scan(b->m, "anna", &l, NULL), 0);
	assert_int_equal(l.n, 1);
	maildir_list_free(&l);
	assert_int_equal(maildir_has(b->m, "anna", OURS "5", NULL), 0);
	strlist_free(&names);
}

/* Several deletions of one mailbox, one of another: each hides its own, as long as it lasts. */
static void test_hidden_until_shown(void **state)
{
	struct box *b = *state;
	struct strlist first = {NULL, 0}, second = {NULL, 0};
	struct maildir_hidden *h[3], *none = NULL;
	static const size_t shown[] = {0, 1, 1, 2}; /* as one after another ends */
	struct maildir_list l;

	put(b, "anna/new/" OURS "5", "12345");
	put(b, "anna/cur/" OURS "6:2,S", "123456");
	strlist_add(&first, OURS "5");
	strlist_add(&second, OURS "6");
	h[0] = maildir_hide(b->m, "anna", &first);
	h[1] = maildir_hide(b->m, "boris", &second);
	h[2] = maildir_hide(b->m, "anna", &second);
	for (size_t i = 0; i < 4; i++) {
		assert_int_equal(maildir_scan(b->m, "anna", &l, NULL), 0);
		assert_int_equal(l.n, shown[i]);
		maildir_list_free(&l);
		maildir_show(b->m, i < 3 ? &h[i] : &none);
	}
	strlist_free(&first);
	strlist_free(&second);
}

static void test_what_is_no_mailbox(void **state)
{
	static const char *const names[] = {"", ".", "..", "../anna", "a/b", ".spool"};
	struct box *b = *state;
	char longest[400];
	struct err e;

	for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
		assert_int_equal(maildir_open_dir(b->m, names[i], "new", &e), -1);
		assert_int_equal(maildir_open_dir(b->m, "anna", names[i], &e), -1);
		assert_int_equal(maildir_create(b->m, names[i], &e), -1);
		assert_int_equal(maildir_has(b->m, names[i], "x", &e), -1);
	}
	memset(longest, 'x', sizeof longest - 1);
	longest[sizeof longest - 1] = '\0';
	assert_int_equal(maildir_open_dir(b->m, longest, "new", &e), -1);
	assert_int_equal(e.code, EINVAL);
	longest[300] = '\0';
	assert_int_equal(maildir_open_dir(b->m, longest, "new", &e), -1);
	assert_int_equal(e.code, ENAMETOOLONG);
	assert_int_equal(maildir_has(b->m, "anna", longest, &e), 0);
	put(b, "file", "x");
	assert_int_equal(maildir_create(b->m, "file", &e), -1);
	assert_true(maildir_is_broken(e.code));
	assert_false(maildir_is_broken(ENOSPC));
	assert_int_equal(maildir_flush(b->m, &e), 0);
	assert_int_equal(maildir_flush(b->m, &e), 0);
}

/* Whatever stands where a message stood: only a regular file is one, and a FIFO blocks nobody. */
static void test_other_kinds_are_no_messages(void **state)
{
	struct maildir_entry en = {.name = OURS "5"}, away = {.name = "../x"}, dot = {.name = ".x", .in_cur = true};
	struct box *b = *state;
	struct err e;
	uint64_t size;

	assert_int_equal(mkfifo(path_of(b, "anna/new/" OURS "5"), 0600), 0);
	assert_int_equal(maildir_open_message(b->m, "anna", &en, &e), -1);
	assert_int_equal(e.code, ENOENT);
	assert_int_equal(maildir_open_message_cached(b->m, "anna", &en, &size), -1);
	assert_int_equal(maildir_has(b->m, "anna", OURS "5", &e), 0);
	assert_int_equal(unlink(path_of(b, "anna/new/" OURS "5")), 0);
	assert_int_equal(mkdir(path_of(b, "anna/new/" OURS "5"), 0700), 0);
	assert_int_equal(maildir_open_message(b->m, "anna", &en, &e), -1);
	assert_int_equal(maildir_has(b->m, "anna", OURS "5", &e), 0);
	assert_int_equal(maildir_open_message(b->m, "anna", &away, &e), -1);
	assert_int_equal(e.code, ENOENT);
	assert_int_equal(maildir_open_message_cached(b->m, "anna", &dot, &size), -1);
}

/* A mailbox that loses a folder: an error, never "no messages" or "all deleted". */
static void test_a_folder_is_gone(void **state)
{
	struct maildir_entry en = {.name = OURS "5"};
	struct strlist names = {NULL, 0}, none = {NULL, 0};
	struct box *b = *state;
	struct maildir_hidden *h;
	struct maildir_list l;
	struct err e;

	strlist_add(&names, OURS "5");
	assert_int_equal(rmdir(path_of(b, "anna/cur")), 0);
	assert_int_equal(maildir_scan(b->m, "anna", &l, &e), -1);
	assert_int_equal(maildir_has(b->m, "anna", OURS "5", &e), -1);
	assert_int_equal(maildir_open_message(b->m, "anna", &en, &e), -1);
	assert_int_equal(maildir_unlink(b->m, "anna", OURS "5", &e), -1);
	assert_int_equal(maildir_unlink_list(b->m, "anna", &names, &e), -1);
	assert_int_equal(rmdir(path_of(b, "anna/new")), 0);
	assert_int_equal(maildir_unlink_list(b->m, "anna", &names, &e), -1);
	assert_int_equal(maildir_unlink_list(b->m, "anna", &none, &e), 0);
	/* Promised while it was away: it does not show when the folder is back with the message. */
	h = maildir_hide(b->m, "anna", &names);
	assert_int_equal(maildir_unlink_list(b->m, "anna", &names, &e), -1);
	assert_int_equal(maildir_create(b->m, "anna", &e), 0);
	put(b, "anna/cur/" OURS "5:2,RS", "12345");
	put(b, "anna/new/" OURS "3", "123");
	assert_int_equal(maildir_scan(b->m, "anna", &l, &e), 0);
	assert_int_equal(l.n, 1);
	assert_int_equal(l.total, 3);
	maildir_list_free(&l);
	assert_int_equal(maildir_unlink_list(b->m, "anna", &names, &e), 0);
	maildir_show(b->m, &h);
	assert_int_equal(maildir_has(b->m, "anna", OURS "5", &e), 0);
	strlist_free(&names);
}

/* Names that only look like ours, or like Dovecot's, are counted, not believed. */
static void test_names_that_nearly_fit(void **state)
{
	static const char *const names[] = {"1700000000.0011223344556677889,S=5",
	                                    "1700000000.001122334455667788990,S=5",
	                                    "1700000000.0011223344556677889G,S=5",
	                                    "1700000000000.00112233445566778899,S=5",
	                                    "1700000000-00112233445566778899,S=5",
	                                    "1700000000.00112233445566778899,T=5",
	                                    "1700000000.00112233445566778899,S=5x",
	                                    "1700000000.00112233445566778899,S=",
	                                    "1700000000.M1.host,S=5",
	                                    "1700000000.M1.host,W=5",
	                                    "1700000000.M1.host,S=3,W=x",
	                                    "1700000000.M1.host,S=x,W=5",
	                                    "no.number"};
	struct box *b = *state;
	struct maildir_list l;
	char at[128];

	for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
		snprintf(at, sizeof at, "anna/new/%s", names[i]);
		put(b, at, "a\nb");
		assert_int_equal(maildir_scan(b->m, "anna", &l, NULL), 0);
		assert_int_equal(l.n, 1);
		if (l.v[0].ours || l.v[0].size != 6)
			fail_msg("%s: %llu octets", names[i], (unsigned long long)l.v[0].size);
		maildir_list_free(&l);
		assert_int_equal(unlink(path_of(b, at)), 0);
	}
}

static void test_errors(void **state)
{
	struct box *b = *state;
	struct maildir_list l;
	struct err e;

	assert_null(maildir_open("/nonexistent/x", &e));
	assert_int_equal(maildir_scan(b->m, "nobody", &l, &e), -1);
	assert_int_equal(maildir_has(b->m, "nobody", "x", &e), -1);
	assert_int_equal(maildir_has(b->m, "anna", "x", &e), 0);
}

/* From here on as on a kernel before 5.6, or under a container's filter that does not know the call. */
static void without_openat2(void)
{
	struct sock_filter f[] = {BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, nr)),
	                          BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, SYS_openat2, 0, 1),
	                          BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ERRNO | ENOSYS),
	                          BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW)};
	struct sock_fprog p = {sizeof f / sizeof *f, f};

	assert_int_equal(prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0), 0);
	assert_int_equal(prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &p), 0);
	assert_false(has_openat2());
}

static void test_stale_files(void **state)
{
	enum { NOW = 1000000000, HOUR = 3600 };
	static const struct {
		const char *name;
		int mtime, atime; /* seconds before NOW */
		bool stays;
	} files[] = {{"anna/tmp/old", 37 * HOUR, 37 * HOUR, false}, {"anna/tmp/young", 35 * HOUR, 35 * HOUR, true},
	             {"anna/tmp/read", 37 * HOUR, HOUR, true},      {"anna/tmp/ahead", -HOUR, -HOUR, true},
	             {"anna/new/old", 37 * HOUR, 37 * HOUR, true},  {"anna/cur/old", 37 * HOUR, 37 * HOUR, true}};
	struct box *b = *state;

	for (size_t i = 0; i < sizeof files / sizeof *files; i++) {
		const struct timespec times[] = {{NOW - files[i].atime, 0}, {NOW - files[i].mtime, 0}};
		int fd = open(path_of(b, files[i].name), O_CREAT | O_WRONLY, 0600);
		assert_true(fd >= 0);
		assert_int_equal(futimens(fd, times), 0);
		close(fd);
	}
	assert_int_equal(symlink("../new/old", path_of(b, "anna/tmp/link")), 0);
	maildir_sweep_tmp(b->m, "anna", NOW);
	maildir_sweep_tmp(b->m, "nobody", NOW);
	for (size_t i = 0; i < sizeof files / sizeof *files; i++)
		assert_int_equal(access(path_of(b, files[i].name), F_OK) == 0, files[i].stays);
	assert_int_equal(faccessat(AT_FDCWD, path_of(b, "anna/tmp/link"), F_OK, AT_SYMLINK_NOFOLLOW), 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test_setup_teardown(test_create, setup, teardown),
	    cmocka_unit_test_setup_teardown(test_scan_sizes, setup, teardown),
	    cmocka_unit_test_setup_teardown(test_scan_order_and_kinds, setup, teardown),
	    cmocka_unit_test_setup_teardown(test_same_base_once, setup, teardown),
	    cmocka_unit_test(test_uidl),
	    cmocka_unit_test_setup_teardown(test_twins, setup, teardown),
	    cmocka_unit_test_setup_teardown(test_open_follows_renames, setup, teardown),
	    cmocka_unit_test_setup_teardown(test_unlink_list, setup, teardown),
	    cmocka_unit_test_setup_teardown(test_refused_unlink_hides, setup, teardown),
	    cmocka_unit_test_setup_teardown(test_hidden_until_shown, setup, teardown),
	    cmocka_unit_test_setup_teardown(test_what_is_no_mailbox, setup, teardown),
	    cmocka_unit_test_setup_teardown(test_other_kinds_are_no_messages, setup, teardown),
	    cmocka_unit_test_setup_teardown(test_a_folder_is_gone, setup, teardown),
	    cmocka_unit_test_setup_teardown(test_names_that_nearly_fit, setup, teardown),
	    cmocka_unit_test_setup_teardown(test_stale_files, setup, teardown),
	    cmocka_unit_test_setup_teardown(test_errors, setup, teardown),
	};

	if (cmocka_run_group_tests_name("maildir", tests, NULL, NULL) != 0)
		return 1;
	without_openat2();
	return cmocka_run_group_tests_name("maildir on a kernel without openat2", tests, NULL, NULL);
}
