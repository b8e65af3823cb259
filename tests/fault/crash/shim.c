/* Preloaded into the program under test: sees each call that changes files below one folder, counts it, and at the
 * counts that the test names kills the process (before the call, or in the middle of a write) or lets the call fail.
 * It can also write down each call with its data, from which power cuts are made up afterwards.
 *
 * The test steers it through a mapped file, OFM_SHIM_STATE, of struct shim; OFM_SHIM_ROOT names the folder. */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <signal.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <time.h>
#include <unistd.h>

enum op { CREATE, WRITE, FSYNC, SYNCFS, LINK, RENAME, UNLINK, MKDIR, TRUNCATE, ALLOCATE };
enum action { NOTHING, KILL, TEAR, FAIL };
enum { NAME_BYTES = 4096, CREATED = 1, EMPTIED = 2 };

struct shim { /* as in shim.py */
	uint64_t count, from, until, fired;
	uint32_t action, error, ops, pid;
	char last[64];
};

struct record { /* as in shim.py; followed by path, second, data */
	uint32_t op, npath, nsecond, ndata;
	uint64_t ns, ino, at;
};

struct call {
	enum op op;
	int fd; /* of the file; -1 where paths name it */
	char path[NAME_BYTES], second[NAME_BYTES];
	const void *data;
	size_t n;
	uint64_t at;
};

static struct shim *shim;
static int record_fd = -1;
static char root[NAME_BYTES];
static size_t root_len;
static pthread_mutex_t order = PTHREAD_MUTEX_INITIALIZER;

__attribute__((constructor)) static void begin(void)
{
	const char *state = getenv("OFM_SHIM_STATE"), *folder = getenv("OFM_SHIM_ROOT"),
	           *out = getenv("OFM_SHIM_RECORD");
	int fd = state != NULL ? open(state, O_RDWR | O_CLOEXEC) : -1;

	if (fd < 0 || folder == NULL)
		return;
	void *p = mmap(NULL, sizeof *shim, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	close(fd);
	if (p == MAP_FAILED)
		return;
	snprintf(root, sizeof root, "%s/", folder);
	root_len = strlen(root);
	if (out != NULL)
		record_fd = open(out, O_WRONLY | O_APPEND | O_CREAT | O_CLOEXEC, 0600);
	shim = p;
	if (shim->pid == 0)
		shim->pid = (uint32_t)getpid();
}

/* ---- whose call is it? ---- */

static void path_of_fd(int fd, char out[static NAME_BYTES])
{
	char proc[64];

	snprintf(proc, sizeof proc, "/proc/self/fd/%d", fd);
	ssize_t n = readlink(proc, out, NAME_BYTES - 1);
	out[n > 0 ? n : 0] = '\0';
}

static void path_at(int dir, const char *name, char out[static NAME_BYTES])
{
	char base[NAME_BYTES];

	if (name[0] == '/') {
		snprintf(out, NAME_BYTES, "%s", name);
		return;
	}
	if (dir != AT_FDCWD)
		path_of_fd(dir, base);
	else if (getcwd(base, sizeof base) == NULL)
		base[0] = '\0';
	if (snprintf(out, NAME_BYTES, "%s/%s", base, name) >= NAME_BYTES)
		out[0] = '\0';
}

/* The log is not mail: it may fail and lose what it likes. */
static int counts(const char *path)
{
	return shim != NULL && shim->pid == (uint32_t)getpid() && strncmp(path, root, root_len) == 0 &&
	       strncmp(path + root_len, "ofmsrv.log", 10) != 0 && strstr(path, "-shm") == NULL;
}

/* ---- what happens to it ---- */

static const char *const names[] = {"create", "write",  "fsync", "syncfs",   "link",
                                    "rename", "unlink", "mkdir", "truncate", "allocate"};

static enum action decide(const struct call *c)
{
	uint64_t n = __atomic_add_fetch(&shim->count, 1, __ATOMIC_SEQ_CST);

	if (shim->action == NOTHING || n < shim->from || n > shim->until || !(shim->ops & (1U << c->op)))
		return NOTHING;
	snprintf(shim->last, sizeof shim->last, "%s %.50s", names[c->op], c->path + root_len);
	__atomic_add_fetch(&shim->fired, 1, __ATOMIC_SEQ_CST);
	return (enum action)shim->action;
}

static void die(void)
{
	syscall(SYS_kill, getpid(), SIGKILL);
	for (;;)
		pause();
}

static uint64_t now(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return (uint64_t)ts.tv_sec * 1000000000 + (uint64_t)ts.tv_nsec;
}

static void put(const void *p, size_t n)
{
	if (n > 0 && syscall(SYS_write, record_fd, p, n) != (long)n)
		abort();
}

static void write_down(const struct call *c, int result_fd)
{
	struct stat st = {0};
	struct record r = {c->op, (uint32_t)strlen(c->path), (uint32_t)strlen(c->second), 0, now(), 0, c->at};

	if (c->fd >= 0 || result_fd >= 0)
		fstat(c->fd >= 0 ? c->fd : result_fd, &st);
	r.ino = st.st_ino;
	r.ndata = (uint32_t)c->n;
	put(&r, sizeof r);
	put(c->path, r.npath);
	put(c->second, r.nsecond);
	put(c->data, c->n);
}

/* Before the call: 0, or -1 with errno where it fails. Locked until after() while calls are written down. */
static int before(const struct call *c)
{
	switch (decide(c)) {
	case KILL:
		die();
		break;
	case TEAR:
		if (c->op == WRITE && c->n > 1 && c->at != UINT64_MAX)
			syscall(SYS_pwrite64, c->fd, c->data, c->n / 2, c->at);
		die();
		break;
	case FAIL:
		errno = (int)shim->error;
		return -1;
	case NOTHING:
		break;
	}
	if (record_fd >= 0)
		pthread_mutex_lock(&order);
	return 0;
}

static long after(const struct call *c, long rc)
{
	int saved = errno;

	if (record_fd >= 0) {
		if (rc >= 0)
			write_down(c, c->op == CREATE ? (int)rc : -1);
		pthread_mutex_unlock(&order);
	}
	errno = saved;
	return rc;
}

/* ---- the calls ---- */

/* After a power cut the machine has another boot id. */
static const char *other_boot(const char *name)
{
	const char *other = getenv("OFM_SHIM_BOOT");

	return other != NULL && strcmp(name, "/proc/sys/kernel/random/boot_id") == 0 ? other : name;
}

static int open_at(int dir, const char *name, int flags, mode_t mode)
{
	struct call c = {.op = CREATE, .fd = -1};
	struct stat st;

	name = other_boot(name);
	if (!(flags & (O_CREAT | O_TRUNC)) || shim == NULL)
		return (int)syscall(SYS_openat, dir, name, flags, mode);
	path_at(dir, name, c.path);
	if (!counts(c.path))
		return (int)syscall(SYS_openat, dir, name, flags, mode);
	int stands = fstatat(dir, name, &st, AT_SYMLINK_NOFOLLOW) == 0;
	if (stands && !(flags & O_TRUNC) && !(flags & O_EXCL))
		return (int)syscall(SYS_openat, dir, name, flags, mode);
	c.at = stands ? EMPTIED : CREATED;
	if (before(&c) != 0)
		return -1;
	return (int)after(&c, syscall(SYS_openat, dir, name, flags, mode));
}

#define MODE(flags)                                                                                                    \
	mode_t mode = 0;                                                                                               \
	if ((flags) & (O_CREAT | O_TMPFILE)) {                                                                         \
		va_list ap;                                                                                            \
		va_start(ap, flags);                                                                                   \
		mode = va_arg(ap, mode_t);                                                                             \
		va_end(ap);                                                                                            \
	}

int open(const char *name, int flags, ...)
{
	MODE(flags)
	return open_at(AT_FDCWD, name, flags, mode);
}

int open64(const char *name, int flags, ...)
{
	MODE(flags)
	return open_at(AT_FDCWD, name, flags, mode);
}

int openat(int dir, const char *name, int flags, ...)
{
	MODE(flags)
	return open_at(dir, name, flags, mode);
}

int openat64(int dir, const char *name, int flags, ...)
{
	MODE(flags)
	return open_at(dir, name, flags, mode);
}

static ssize_t write_at(int fd, const void *p, size_t n, off_t at, int positioned)
{
	struct call c = {.op = WRITE, .fd = fd, .data = p, .n = n};

	if (shim != NULL)
		path_of_fd(fd, c.path);
	if (shim == NULL || !counts(c.path))
		return positioned ? syscall(SYS_pwrite64, fd, p, n, at) : syscall(SYS_write, fd, p, n);
	c.at = (uint64_t)(positioned ? at : lseek(fd, 0, SEEK_CUR));
	if (before(&c) != 0)
		return -1;
	return after(&c, positioned ? syscall(SYS_pwrite64, fd, p, n, at) : syscall(SYS_write, fd, p, n));
}

ssize_t write(int fd, const void *p, size_t n)
{
	return write_at(fd, p, n, 0, 0);
}

ssize_t pwrite(int fd, const void *p, size_t n, off_t at)
{
	return write_at(fd, p, n, at, 1);
}

ssize_t pwrite64(int fd, const void *p, size_t n, off_t at)
{
	return write_at(fd, p, n, at, 1);
}

static int on_fd(enum op op, long number, int fd, off_t a, off_t b)
{
	struct call c = {.op = op, .fd = fd, .at = (uint64_t)(op == ALLOCATE ? a + b : a)};

	if (shim != NULL)
		path_of_fd(fd, c.path);
	/* syncfs may be called on the folder itself. */
	if (shim == NULL || (!counts(c.path) && !(op == SYNCFS && shim->pid == (uint32_t)getpid())))
		goto plain;
	if (before(&c) != 0)
		return -1;
	return (int)after(&c, op == ALLOCATE ? syscall(number, fd, 0, a, b) : syscall(number, fd, a));
plain:
	return (int)(op == ALLOCATE ? syscall(number, fd, 0, a, b) : syscall(number, fd, a));
}

int fsync(int fd)
{
	return on_fd(FSYNC, SYS_fsync, fd, 0, 0);
}

int fdatasync(int fd)
{
	return on_fd(FSYNC, SYS_fdatasync, fd, 0, 0);
}

int syncfs(int fd)
{
	return on_fd(SYNCFS, SYS_syncfs, fd, 0, 0);
}

int ftruncate(int fd, off_t n)
{
	return on_fd(TRUNCATE, SYS_ftruncate, fd, n, 0);
}

int ftruncate64(int fd, off_t n)
{
	return ftruncate(fd, n);
}

int posix_fallocate(int fd, off_t at, off_t n)
{
	return on_fd(ALLOCATE, SYS_fallocate, fd, at, n) == 0 ? 0 : errno;
}

int posix_fallocate64(int fd, off_t at, off_t n)
{
	return posix_fallocate(fd, at, n);
}

static int on_name(enum op op, long number, int dir, const char *name, long flags)
{
	struct call c = {.op = op, .fd = -1, .at = (uint64_t)flags};

	if (shim != NULL)
		path_at(dir, name, c.path);
	if (shim == NULL || !counts(c.path))
		return (int)syscall(number, dir, name, flags);
	if (before(&c) != 0)
		return -1;
	return (int)after(&c, syscall(number, dir, name, flags));
}

int unlinkat(int dir, const char *name, int flags)
{
	return on_name(UNLINK, SYS_unlinkat, dir, name, flags);
}

int unlink(const char *name)
{
	return unlinkat(AT_FDCWD, name, 0);
}

int mkdirat(int dir, const char *name, mode_t mode)
{
	return on_name(MKDIR, SYS_mkdirat, dir, name, (long)mode);
}

int mkdir(const char *name, mode_t mode)
{
	return mkdirat(AT_FDCWD, name, mode);
}

static int on_two(enum op op, int dir, const char *name, int dir2, const char *name2, int flags)
{
	struct call c = {.op = op, .fd = -1};
	long number = op == LINK ? SYS_linkat : SYS_renameat2;

	if (shim != NULL) {
		path_at(dir, name, c.path);
		path_at(dir2, name2, c.second);
	}
	if (shim == NULL || !counts(c.second))
		return (int)syscall(number, dir, name, dir2, name2, flags);
	if (before(&c) != 0)
		return -1;
	return (int)after(&c, syscall(number, dir, name, dir2, name2, flags));
}

int linkat(int dir, const char *name, int dir2, const char *name2, int flags)
{
	return on_two(LINK, dir, name, dir2, name2, flags);
}

int renameat(int dir, const char *name, int dir2, const char *name2)
{
	return on_two(RENAME, dir, name, dir2, name2, 0);
}

int renameat2(int dir, const char *name, int dir2, const char *name2, unsigned flags)
{
	return on_two(RENAME, dir, name, dir2, name2, (int)flags);
}

int rename(const char *name, const char *name2)
{
	return on_two(RENAME, AT_FDCWD, name, AT_FDCWD, name2, 0);
}
