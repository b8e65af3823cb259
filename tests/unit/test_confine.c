/* Out of the folders from inside: each way is tried in a child that has confined itself. */
#include "app/confine.h"

#include "base/alloc.h"

#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

static void put(const char *path)
{
	FILE *f = fopen(path, "w");

	assert_non_null(f);
	fputs("x", f);
	fclose(f);
}

/* home/{in,in/a,in/b} to write, home/ro to read, home/out for nobody. */
static void make_home(char home[static 64])
{
	static const char *const folders[] = {"in", "in/a", "in/b", "ro", "out"};

	strcpy(home, "/tmp/ofm.confine.XXXXXX");
	assert_non_null(mkdtemp(home));
	assert_int_equal(chdir(home), 0);
	for (size_t i = 0; i < sizeof folders / sizeof folders[0]; i++)
		assert_int_equal(mkdir(folders[i], 0700), 0);
	put("in/a/f");
	put("ro/f");
	put("out/f");
	put("out/g");
	assert_int_equal(symlink("../out/f", "in/leaves"), 0);
	assert_int_equal(symlink("/etc", "in/etc"), 0);
}

static void remove_home(const char *home)
{
	char *command = xasprintf("rm -rf %s", home);

	assert_int_equal(chdir("/"), 0);
	assert_int_equal(system(command), 0);
	free(command);
}

static int try_open(const char *path, int flags)
{
	int fd = open(path, flags | O_CLOEXEC, 0600);

	if (fd >= 0)
		close(fd);
	return fd < 0 ? -1 : 0;
}

static int run(const char *program)
{
	pid_t pid = fork();
	int status = 0;

	if (pid == 0) {
		execl(program, program, (char *)NULL);
		_exit(errno == EACCES ? 99 : 98);
	}
	waitpid(pid, &status, 0);
	errno = EACCES;
	return WIFEXITED(status) && WEXITSTATUS(status) == 0 ? 0 : -1;
}

static int make_socket(const char *path)
{
	struct sockaddr_un sa = {.sun_family = AF_UNIX};
	int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);

	strcpy(sa.sun_path, path);
	int rc = bind(fd, (struct sockaddr *)&sa, sizeof sa);
	close(fd);
	return rc;
}

static void *in_thread(void *arg)
{
	*(int *)arg = try_open("out/f", O_RDONLY);
	return NULL;
}

static int from_a_thread(void)
{
	pthread_t t;
	int rc = 0;

	pthread_create(&t, NULL, in_thread, &rc);
	pthread_join(t, NULL);
	return rc;
}

/* In a child, where cmocka cannot jump. */
static void require(bool ok, const char *what)
{
	if (ok)
		return;
	fprintf(stderr, "%s: %s\n", what, strerror(errno));
	_exit(1);
}

#define MUST(what) require((what) == 0, "must work: " #what)
#define MUST_NOT(what) require((what) != 0, "must not work: " #what)

static void try_inside(void)
{
	MUST(try_open("in/new", O_WRONLY | O_CREAT | O_EXCL));
	MUST(link("in/a/f", "in/b/f")); /* as the settler fills mailboxes */
	MUST(rename("in/b/f", "in/a/g"));
	MUST(truncate("in/a/g", 0));
	MUST(unlink("in/a/g"));
	MUST(mkdir("in/c", 0700));
	MUST(rmdir("in/c"));
	MUST(make_socket("in/s"));
	MUST(try_open("in/a", O_RDONLY | O_DIRECTORY));
	MUST(try_open("ro/f", O_RDONLY));
	MUST(try_open("ro", O_RDONLY | O_DIRECTORY));
}

static void try_outside(int version)
{
	MUST_NOT(try_open("out/f", O_RDONLY));
	MUST_NOT(try_open("out/f", O_WRONLY));
	MUST_NOT(try_open("out/new", O_WRONLY | O_CREAT));
	MUST_NOT(try_open("in/../out/f", O_RDONLY));
	MUST_NOT(try_open("in/leaves", O_RDONLY));
	MUST_NOT(try_open("in/etc/passwd", O_RDONLY));
	MUST_NOT(try_open("/etc/passwd", O_RDONLY));
	MUST_NOT(try_open("/proc/self/mem", O_RDWR));
	MUST_NOT(try_open("out", O_RDONLY | O_DIRECTORY));
	MUST_NOT(try_open("ro/f", O_WRONLY));
	MUST_NOT(try_open("ro/new", O_WRONLY | O_CREAT));
	MUST_NOT(unlink("ro/f"));
	MUST_NOT(unlink("out/f"));
	MUST_NOT(rmdir("out"));
	MUST_NOT(mkdir("out/d", 0700));
	MUST_NOT(rename("in/a/f", "out/h"));
	MUST_NOT(rename("out/f", "in/h"));
	MUST_NOT(link("out/f", "in/h"));
	MUST_NOT(link("in/a/f", "out/h"));
	MUST_NOT(symlink("x", "in/link"));
	MUST_NOT(mkfifo("in/fifo", 0600));
	MUST_NOT(make_socket("out/s"));
	MUST_NOT(run("/bin/true"));
	MUST_NOT(from_a_thread());
	if (version >= 3)
		MUST_NOT(truncate("out/g", 0));
	if (version >= 6)
		MUST_NOT(kill(getppid(), 0));
	require(confine_hides("out/f") && !confine_hides("ro/f") && !confine_hides("out/none"), "confine_hides");
}

static void out_of_the_folders(void **state)
{
	char home[64];
	int status;

	(void)state;
	struct confine *c = confine_new();
	if (c == NULL)
		skip();
	make_home(home);
	pid_t pid = fork();
	assert_true(pid >= 0);
	if (pid == 0) {
		struct err e;
		confine_allow(c, "in", CONFINE_WRITE);
		confine_allow_folder_of(c, "ro/f", CONFINE_READ);
		confine_allow(c, "not/there", CONFINE_WRITE);
		int version = confine_version(c);
		if (confine_enter(c, &e) != 0)
			_exit(2);
		confine_free(&c);
		try_inside();
		try_outside(version);
		_exit(0);
	}
	assert_int_equal(waitpid(pid, &status, 0), pid);
	confine_free(&c);
	assert_null(c);
	assert_int_equal(status, 0);
	remove_home(home);
}

/* What a program needs that resolves names and trusts certificates can be read, and cannot be written. */
static void common(void **state)
{
	int status;

	(void)state;
	struct confine *c = confine_new();
	if (c == NULL)
		skip();
	pid_t pid = fork();
	if (pid == 0) {
		struct err e;
		confine_allow_common(c);
		if (confine_enter(c, &e) != 0)
			_exit(2);
		MUST(try_open("/etc/passwd", O_RDONLY));
		MUST(try_open("/dev/urandom", O_RDONLY));
		MUST(try_open("/proc/sys/kernel/random/boot_id", O_RDONLY));
		MUST(try_open("/usr/lib", O_RDONLY | O_DIRECTORY));
		MUST_NOT(try_open("/root", O_RDONLY | O_DIRECTORY));
		MUST_NOT(try_open("/home", O_RDONLY | O_DIRECTORY));
		MUST_NOT(try_open("/", O_RDONLY | O_DIRECTORY));
		MUST_NOT(try_open("/tmp/ofm.confine.new", O_WRONLY | O_CREAT));
		MUST_NOT(run("/bin/true"));
		_exit(0);
	}
	assert_int_equal(waitpid(pid, &status, 0), pid);
	confine_free(&c);
	assert_int_equal(status, 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {cmocka_unit_test(out_of_the_folders), cmocka_unit_test(common)};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
