#include "disk/file.h"

#include "base/alloc.h"
#include "base/io.h"
#include "base/random.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

int file_write_durable(int dirfd, const char *name, struct slice bytes, struct err *e)
{
	char unique[RANDOM_NAME_MAX];

	random_name(unique);
	char *temporary = xasprintf(".%s.%s", name, unique);
	int rc = -1, fd = openat(dirfd, temporary, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC | O_NOFOLLOW, 0640);
	if (fd < 0)
		goto out;
	if (io_write_all(fd, bytes) == 0 && fsync(fd) == 0 && renameat(dirfd, temporary, dirfd, name) == 0 &&
	    fsync(dirfd) == 0)
		rc = 0;
	int saved = errno;
	if (rc != 0)
		unlinkat(dirfd, temporary, 0);
	close(fd);
	errno = saved;
out:
	if (rc != 0)
		err_errno(e, "%s", name);
	free(temporary);
	return rc;
}

int file_read(int dirfd, const char *name, struct buf *out, struct err *e)
{
	char chunk[4096];
	ssize_t n = 0;
	int fd = openat(dirfd, name, O_RDONLY | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK);

	if (fd < 0)
		return err_errno(e, "%s", name);
	while ((n = read(fd, chunk, sizeof chunk)) > 0)
		if (!buf_add(out, chunk, (size_t)n))
			break;
	if (n < 0)
		err_errno(e, "%s", name);
	else if (n > 0)
		err_set(e, EFBIG, "%s: too large", name);
	close(fd);
	return n == 0 ? 0 : -1;
}
