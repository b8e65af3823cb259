/* The rig of delivery_rig.h on a disk and a database that refuse: calls of the C library fail on purpose. For one
 * program's one file, since the calls are defined here. */
#ifndef OFM_TESTS_FAULT_RIG_H
#define OFM_TESTS_FAULT_RIG_H

#undef _FORTIFY_SOURCE /* whose wrappers have the names that are defined here */
#include "delivery_rig.h"

#include <dlfcn.h>
#include <errno.h>
#include <pthread.h>
#include <sys/statvfs.h>
#include <sys/syscall.h>
#include <time.h>

enum call { NONE, LINK, CREATE, FSYNC, SYNCFS, UNLINK, RENAME, WRITE, TAKEN, STATVFS, ALLOCATE };
enum { ALWAYS = 1000000, WRITE_MIN = 256 /* what libevent writes to itself is shorter */ };

static struct fault {
	enum call call;
	int error;
	const char *prefix; /* of the file's name; NULL: any */
	int skip, left;
} faults[2];
static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;

static inline void fail_at(int i, enum call call, int error, const char *prefix, int skip, int times)
{
	pthread_mutex_lock(&lock);
	faults[i] = (struct fault){call, error, prefix, skip, times};
	pthread_mutex_unlock(&lock);
}

static inline void calm(void)
{
	fail_at(0, NONE, 0, NULL, 0, 0);
	fail_at(1, NONE, 0, NULL, 0, 0);
}

static inline bool strikes(struct fault *f, enum call call, const char *name)
{
	if (f->call != call || (f->prefix != NULL && strncmp(name, f->prefix, strlen(f->prefix)) != 0))
		return false;
	return f->skip > 0 ? f->skip-- < 0 : f->left > 0 && f->left-- > 0;
}

static inline bool fails(enum call call, const char *name)
{
	int error = -1;

	pthread_mutex_lock(&lock);
	for (int i = 0; i < 2 && error < 0; i++)
		if (strikes(&faults[i], call, name))
			error = faults[i].error;
	pthread_mutex_unlock(&lock);
	if (error > 0)
		errno = error;
	return error >= 0;
}

/* Whether a name may be given; somebody else may take it first. */
static bool may_name(const char *name, int to, const char *target)
{
	if (fails(LINK, name))
		return false;
	if (fails(TAKEN, name)) {
		int fd = (int)syscall(SYS_openat, to, target, O_WRONLY | O_CREAT | O_EXCL, 0600);
		assert_int_equal(write(fd, "theirs", 6), 6);
		close(fd);
	}
	return true;
}

int linkat(int from, const char *name, int to, const char *target, int flags)
{
	return may_name(name, to, target) ? (int)syscall(SYS_linkat, from, name, to, target, flags) : -1;
}

int renameat2(int from, const char *name, int to, const char *target, unsigned flags)
{
	return may_name(name, to, target) ? (int)syscall(SYS_renameat2, from, name, to, target, flags) : -1;
}

int openat(int dir, const char *name, int flags, ...)
{
	if ((flags & O_CREAT) != 0 && fails(CREATE, name))
		return -1;
	return (int)syscall(SYS_openat, dir, name, flags, 0600);
}

int fsync(int fd)
{
	return fails(FSYNC, "") ? -1 : (int)syscall(SYS_fsync, fd);
}

int syncfs(int fd)
{
	return fails(SYNCFS, "") ? -1 : (int)syscall(SYS_syncfs, fd);
}

int unlinkat(int dir, const char *name, int flags)
{
	return fails(UNLINK, name) ? -1 : (int)syscall(SYS_unlinkat, dir, name, flags);
}

int renameat(int from, const char *name, int to, const char *target)
{
	return fails(RENAME, name) ? -1 : (int)syscall(SYS_renameat2, from, name, to, target, 0);
}

ssize_t write(int fd, const void *p, size_t n)
{
	return n >= WRITE_MIN && fails(WRITE, "") ? -1 : syscall(SYS_write, fd, p, n);
}

int posix_fallocate(int fd, off_t at, off_t n)
{
	return fails(ALLOCATE, "") || syscall(SYS_fallocate, fd, 0, at, n) != 0 ? errno : 0;
}

/* What the clock tells this thread, and the loop that it runs, is so many seconds ahead. */
static _Thread_local time_t ahead;

int clock_gettime(clockid_t id, struct timespec *t)
{
	int rc = (int)syscall(SYS_clock_gettime, id, t);

	t->tv_sec += ahead;
	return rc;
}

static struct statvfs disk; /* what is told of it, where f_bsize is not 0 */

int fstatvfs(int fd, struct statvfs *out)
{
	static int (*real)(int, struct statvfs *);

	if (real == NULL)
		*(void **)&real = dlsym(RTLD_NEXT, "fstatvfs");
	if (fails(STATVFS, ""))
		return -1;
	if (disk.f_bsize == 0)
		return real(fd, out);
	*out = disk;
	return 0;
}

static struct {
	char user[64];
	int error;
	unsigned told, well;
	char was[200];
} heard;

static inline void on_trouble(void *arg, const char *user, int error)
{
	(void)arg;
	snprintf(heard.user, sizeof heard.user, "%s", user);
	heard.error = error;
	heard.told++;
}

static inline void on_well_again(void *arg, int64_t since, const char *trouble)
{
	(void)arg;
	(void)since;
	heard.well++;
	snprintf(heard.was, sizeof heard.was, "%s", trouble);
}

static inline int setup_faults(void **state)
{
	calm();
	memset(&heard, 0, sizeof heard);
	memset(&disk, 0, sizeof disk);
	int rc = setup(state);
	struct world *w = *state;
	delivery_on_trouble(w->delivery, on_trouble, NULL);
	delivery_on_well_again(w->delivery, on_well_again, NULL);
	return rc;
}

static inline int teardown_faults(void **state)
{
	calm();
	return teardown(state);
}

static inline void turn(struct world *w, int64_t ms)
{
	struct loop_timer *t = loop_timer_new(w->loop, on_settled, w);

	w->waiting++;
	loop_timer_set(t, ms);
	run(w);
	loop_timer_free(&t);
}

static inline void until_count(struct world *w, const char *user, unsigned n)
{
	char name[256];

	for (int i = 0; i < 1000 && count(w, user, name) != n; i++)
		turn(w, 10);
	assert_int_equal(count(w, user, name), n);
}

static inline void until_told(struct world *w, int error)
{
	for (int i = 0; i < 1000 && (heard.told == 0 || heard.error != error); i++)
		turn(w, 10);
	assert_int_equal(heard.error, error);
}

static inline enum acceptance_result give(struct world *w, struct gather *g, const char *a, const char *b)
{
	return offer(w, "S: 1\r\n\r\n", g, a, b);
}

static inline unsigned entries(const char *root, const char *rest, bool dots)
{
	char *path = xasprintf("%s/%s", root, rest);
	DIR *d = opendir(path);
	unsigned n = 0;

	assert_non_null(d);
	for (const struct dirent *de; (de = readdir(d)) != NULL;)
		n += strcmp(de->d_name, ".") != 0 && strcmp(de->d_name, "..") != 0 && (dots || de->d_name[0] != '.');
	closedir(d);
	free(path);
	return n;
}

static inline void until_settled(struct world *w)
{
	for (int i = 0; i < 1000 && (rows(w) > 0 || entries(w->config.mailboxes, ".spool", true) > 0); i++)
		turn(w, 10);
	assert_int_equal(rows(w), 0);
	assert_int_equal(entries(w->config.mailboxes, ".spool", true), 0);
}

/* It is told when the round has ended, which is after the last row and file. */
static inline void until_well(struct world *w)
{
	for (int i = 0; i < 1000 && heard.well == 0; i++)
		turn(w, 10);
	assert_int_equal(heard.well, 1);
}

static inline int sql(struct world *w, const char *text)
{
	char *path = xasprintf("%s/state/ofmsrv.db", w->dir);
	sqlite3 *db;

	assert_int_equal(sqlite3_open(path, &db), SQLITE_OK);
	sqlite3_busy_timeout(db, 5000);
	int rc = sqlite3_exec(db, text, NULL, NULL, NULL);
	if (rc != SQLITE_OK)
		print_error("%s: %s\n", text, sqlite3_errmsg(db));
	sqlite3_close(db);
	free(path);
	return rc;
}

static inline void file_in_place_of(struct world *w, const char *user)
{
	char *path = xasprintf("%s/%s", w->config.mailboxes, user);
	int fd = open(path, O_WRONLY | O_CREAT | O_EXCL, 0600);

	assert_true(fd >= 0);
	close(fd);
	free(path);
}

static inline void remove_file(struct world *w, const char *user)
{
	char *path = xasprintf("%s/%s", w->config.mailboxes, user);

	assert_int_equal(unlink(path), 0);
	free(path);
}

#endif
