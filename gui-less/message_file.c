#include "message_file.h"

#include "base/alloc.h"
#include "ctl.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum { PIECE = 256 * 1024, END = 1, TOO_LONG = 2 };

int message_file_open(const char *path)
{
	int fd = strcmp(path, "-") == 0 ? dup(STDIN_FILENO) : open(path, O_RDONLY | O_CLOEXEC);

	if (fd < 0)
		ctl_error("%s: %s", path, strerror(errno));
	return fd;
}

int message_file_each(int fd, int (*fn)(void *arg, struct slice piece), void *arg, struct err *e)
{
	char *piece = xmalloc(PIECE);
	int rc = 0;

	while (rc == 0) {
		ssize_t n = read(fd, piece, PIECE);
		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			rc = err_errno(e, "it cannot be read");
		else if (n == 0)
			break;
		else
			rc = fn(arg, slice_make(piece, (size_t)n));
	}
	free(piece);
	return rc;
}

/* ---- the header section ---- */

/* Whether an empty line stands in b behind `from`, or at b's beginning. */
static bool has_empty_line(const struct buf *b, size_t from)
{
	const char *p = b->p + from, *end = b->p + b->n;

	if (b->n > 0 && (b->p[0] == '\n' || (b->n > 1 && b->p[0] == '\r' && b->p[1] == '\n')))
		return true;
	while (p < end && (p = memchr(p, '\n', (size_t)(end - p))) != NULL) {
		p++;
		if ((p < end && *p == '\n') || (end - p > 1 && p[0] == '\r' && p[1] == '\n'))
			return true;
	}
	return false;
}

static int take_head(void *arg, struct slice piece)
{
	struct buf *out = arg;
	/* A line end that the piece before ended with, or within. */
	size_t from = out->n > 2 ? out->n - 2 : 0;

	if (!buf_add_slice(out, piece))
		return TOO_LONG;
	return has_empty_line(out, from) ? END : 0;
}

static int take_all(void *arg, struct slice piece)
{
	return buf_add_slice(arg, piece) ? 0 : TOO_LONG;
}

static bool read_into(const char *path, struct buf *out, int (*take)(void *arg, struct slice piece),
                      const char *too_long)
{
	struct err e = {0, ""};
	int fd = message_file_open(path);

	if (fd < 0)
		return false;
	int rc = message_file_each(fd, take, out, &e);
	close(fd);
	if (rc == TOO_LONG)
		ctl_error("%s: %s %zu KiB", path, too_long, out->max / 1024);
	else if (rc < 0)
		ctl_error("%s: %s", path, e.text);
	if (rc == TOO_LONG || rc < 0)
		buf_free(out);
	return rc == 0 || rc == END;
}

bool message_file_head(const char *path, struct buf *out)
{
	buf_init(out, MESSAGE_HEADER_MAX);
	return read_into(path, out, take_head, "its header section is longer than");
}

bool message_file_whole(const char *path, size_t max, struct buf *out)
{
	buf_init(out, max);
	return read_into(path, out, take_all, "it is longer than");
}
