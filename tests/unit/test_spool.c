/* The spool's folder: made anew where it is empty, left alone where it is not. */
#include "base/alloc.h"
#include "route/delivery_internal.h"

#include <fcntl.h>
#include <linux/fs.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

struct place {
	char path[64];
	int fd;
};

static int make_place(void **state)
{
	struct place *p = xcalloc(1, sizeof *p);

	strcpy(p->path, "/tmp/ofm.spool.XXXXXX");
	assert_non_null(mkdtemp(p->path));
	p->fd = open(p->path, O_RDONLY | O_DIRECTORY);
	assert_true(p->fd >= 0);
	*state = p;
	return 0;
}

static int remove_place(void **state)
{
	struct place *p = *state;
	char *rm = xasprintf("rm -rf %s", p->path);

	close(p->fd);
	assert_int_equal(system(rm), 0);
	free(rm);
	free(p);
	return 0;
}

static ino_t opened(const struct place *p)
{
	struct err e;
	struct stat by_fd, by_name;
	int fd = spool_open(p->path, &e);

	assert_true(fd >= 0);
	assert_int_equal(fstat(fd, &by_fd), 0);
	assert_int_equal(fstatat(p->fd, ".spool", &by_name, AT_SYMLINK_NOFOLLOW), 0);
	assert_int_equal(by_fd.st_ino, by_name.st_ino);
	assert_int_equal(by_name.st_mode & 07777, 0700);
	close(fd);
	return by_name.st_ino;
}

static int flags_of(const struct place *p)
{
	int flags = 0;

	return ioctl(p->fd, FS_IOC_GETFLAGS, &flags) == 0 ? flags : -1;
}

/* Where the file system knows how to spread folders. */
static bool can_spread(const struct place *p)
{
	int flags = flags_of(p), with = flags | FS_TOPDIR_FL;

	return flags >= 0 && ioctl(p->fd, FS_IOC_SETFLAGS, &with) == 0 && ioctl(p->fd, FS_IOC_SETFLAGS, &flags) == 0;
}

static void an_empty_one_is_made_anew(void **state)
{
	struct place *p = *state;
	int before = flags_of(p);
	ino_t first, second;

	if (!can_spread(p))
		skip();
	assert_int_equal(mkdirat(p->fd, ".spool", 0700), 0);
	int fd = openat(p->fd, ".spool", O_RDONLY | O_DIRECTORY); /* its inode is not given to another */
	struct stat st;
	assert_int_equal(fstat(fd, &st), 0);
	first = st.st_ino;
	second = opened(p);
	assert_true(first != second);
	assert_int_equal(flags_of(p), before); /* the folder above is as its owner left it */
	close(fd);
}

static void one_with_a_file_stays(void **state)
{
	struct place *p = *state;
	ino_t first = opened(p);
	int fd = openat(p->fd, ".spool/message", O_WRONLY | O_CREAT, 0600);

	assert_true(fd >= 0);
	close(fd);
	assert_int_equal(opened(p), first);
	assert_int_equal(faccessat(p->fd, ".spool/message", F_OK, 0), 0);
}

static void what_a_killed_start_left_goes(void **state)
{
	struct place *p = *state;

	assert_int_equal(mkdirat(p->fd, ".spool.1600000000.abc", 0700), 0);
	opened(p);
	assert_int_equal(faccessat(p->fd, ".spool.1600000000.abc", F_OK, 0), -1);
}

static void a_link_is_not_followed(void **state)
{
	struct place *p = *state;
	struct err e;

	assert_int_equal(mkdirat(p->fd, "elsewhere", 0700), 0);
	assert_int_equal(symlinkat("elsewhere", p->fd, ".spool"), 0);
	assert_int_equal(spool_open(p->path, &e), -1);
	assert_non_null(strstr(e.text, ".spool"));
	struct stat st;
	assert_int_equal(fstatat(p->fd, ".spool", &st, AT_SYMLINK_NOFOLLOW), 0);
	assert_true(S_ISLNK(st.st_mode));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test_setup_teardown(an_empty_one_is_made_anew, make_place, remove_place),
	    cmocka_unit_test_setup_teardown(one_with_a_file_stays, make_place, remove_place),
	    cmocka_unit_test_setup_teardown(what_a_killed_start_left_goes, make_place, remove_place),
	    cmocka_unit_test_setup_teardown(a_link_is_not_followed, make_place, remove_place),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
