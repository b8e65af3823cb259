#include "config/rewrite.h"

#include "base/alloc.h"
#include "base/io.h"
#include "base/random.h"

#include <errno.h>
#include <fcntl.h>
#include <libgen.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

enum { TRIES = 100 };

/* A lock on a file that was replaced meanwhile is a lock on nothing: look again whether the name still means it. */
static int open_locked(const char *path, struct err *e)
{
	for (int i = 0; i < TRIES; i++) {
		struct stat held, named;
		int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY);
		if (fd < 0)
			return err_errno(e, "%s cannot be opened", path);
		if (flock(fd, LOCK_EX) == 0 && fstat(fd, &held) == 0 && stat(path, &named) == 0 &&
		    held.st_ino == named.st_ino && held.st_dev == named.st_dev) {
			if (S_ISREG(held.st_mode))
				return fd;
			close(fd);
			return err_set(e, 0, "%s is no file", path);
		}
		close(fd);
	}
	return err_set(e, 0, "%s is being changed all the time", path);
}

static int read_all(int fd, struct buf *to)
{
	char chunk[65536];
	ssize_t n;

	while ((n = read(fd, chunk, sizeof chunk)) != 0) {
		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return -1;
		if (!buf_add(to, chunk, (size_t)n)) {
			errno = EFBIG;
			return -1;
		}
	}
	return 0;
}

int rewrite_open(struct rewrite *r, const char *file, struct err *e)
{
	*r = (struct rewrite){.fd = -1};
	buf_init(&r->text, REWRITE_MAX);
	r->path = realpath(file, NULL);
	if (r->path == NULL) {
		err_errno(e, "%s cannot be opened", file);
		goto fail;
	}
	r->fd = open_locked(r->path, e);
	if (r->fd < 0)
		goto fail;
	if (read_all(r->fd, &r->text) != 0) {
		err_errno(e, "%s cannot be read", file);
		goto fail;
	}
	return 0;
fail:
	rewrite_close(r);
	return -1;
}

void rewrite_close(struct rewrite *r)
{
	if (r->fd >= 0)
		close(r->fd);
	r->fd = -1;
	free(r->path);
	r->path = NULL;
	buf_free(&r->text);
}

/* A new file beside the old one, as private as it from its first byte on. */
static int write_new(int dir, const char *name, const struct stat *like, struct slice text)
{
	int fd = openat(dir, name, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC | O_NOFOLLOW, 0600);
	int saved;

	if (fd < 0)
		return -1;
	if ((fchown(fd, like->st_uid, like->st_gid) == 0) && fchmod(fd, like->st_mode & 07777) == 0 &&
	    io_write_all(fd, text) == 0 && fsync(fd) == 0)
		return close(fd);
	saved = errno;
	close(fd);
	unlinkat(dir, name, 0);
	errno = saved;
	return -1;
}

int rewrite_commit(struct rewrite *r, struct slice text, struct err *e)
{
	char *for_dir = xstrdup(r->path), *for_base = xstrdup(r->path);
	char unique[RANDOM_NAME_MAX], name[RANDOM_NAME_MAX + 16];
	const char *base = basename(for_base);
	struct stat like;
	int rc = -1;
	int dir = open(dirname(for_dir), O_RDONLY | O_DIRECTORY | O_CLOEXEC);

	random_name(unique);
	snprintf(name, sizeof name, ".ofmsrv.%s", unique);
	if (dir < 0 || fstat(r->fd, &like) != 0 || write_new(dir, name, &like, text) != 0) {
		err_errno(e, "a new %s cannot be written", r->path);
	} else if (renameat(dir, name, dir, base) != 0) {
		err_errno(e, "%s cannot be replaced", r->path);
		unlinkat(dir, name, 0);
	} else if (fsync(dir) != 0) {
		err_errno(e, "%s was replaced, but may be the old one again after a power cut", r->path);
	} else {
		rc = 0;
	}
	if (dir >= 0)
		close(dir);
	free(for_dir);
	free(for_base);
	return rc;
}
