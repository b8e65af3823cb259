#include "send/source.h"

#include "base/alloc.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

struct source {
	struct workers *w;
	void (*changed)(void *arg);
	void *arg;
	char *path;
	int fd;
	int error;
	bool opened, busy, closed; /* busy: a worker has it, and nobody else may touch the lines below */
	uint64_t size, taken;      /* taken: bytes of chunks that were used up */
	size_t n;                  /* of the chunk at hand */
	char *chunk;
};

static void destroy(struct source *s)
{
	if (s->fd >= 0)
		close(s->fd);
	free(s->chunk);
	free(s->path);
	free(s);
}

static int open_file(struct source *s)
{
	struct stat st;

	s->fd = open(s->path, O_RDONLY | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK);
	if (s->fd < 0 || fstat(s->fd, &st) != 0)
		return errno;
	if (!S_ISREG(st.st_mode))
		return EINVAL;
	s->size = (uint64_t)st.st_size;
	s->chunk = xmalloc(s->size < SOURCE_CHUNK ? s->size + 1 : SOURCE_CHUNK);
	return 0;
}

/* A file that became shorter under our hands is an error, not an end. */
static int read_chunk(struct source *s)
{
	uint64_t left = s->size - s->taken;
	size_t want = left < SOURCE_CHUNK ? (size_t)left : SOURCE_CHUNK;

	for (s->n = 0; s->n < want;) {
		ssize_t got = pread(s->fd, s->chunk + s->n, want - s->n, (off_t)(s->taken + s->n));
		if (got < 0 && errno == EINTR)
			continue;
		if (got <= 0)
			return got < 0 ? errno : EIO;
		s->n += (size_t)got;
	}
	return 0;
}

static void work(void *arg)
{
	struct source *s = arg;

	if (s->fd < 0)
		s->error = open_file(s);
	if (s->error == 0)
		s->error = read_chunk(s);
}

static void done(void *arg)
{
	struct source *s = arg;

	s->busy = false;
	s->opened = true;
	if (s->closed)
		destroy(s);
	else
		s->changed(s->arg);
}

static void run(struct source *s)
{
	s->busy = true;
	workers_run(s->w, work, done, s);
}

struct source *source_open(struct workers *w, const char *path, void (*changed)(void *arg), void *arg)
{
	struct source *s = xcalloc(1, sizeof *s);

	s->w = w;
	s->changed = changed;
	s->arg = arg;
	s->path = xstrdup(path);
	s->fd = -1;
	run(s);
	return s;
}

bool source_opened(const struct source *s)
{
	return s->opened;
}

int source_error(const struct source *s)
{
	return s->busy ? 0 : s->error;
}

uint64_t source_size(const struct source *s)
{
	return s->size;
}

struct slice source_chunk(const struct source *s)
{
	return s->busy || s->error != 0 ? slice_make(NULL, 0) : slice_make(s->chunk, s->n);
}

uint64_t source_left(const struct source *s)
{
	return s->size - s->taken;
}

void source_next(struct source *s)
{
	s->taken += s->n;
	s->n = 0;
	if (s->taken < s->size)
		run(s);
}

void source_close(struct source **sp)
{
	struct source *s = *sp;

	*sp = NULL;
	if (s == NULL)
		return;
	s->closed = true;
	if (!s->busy)
		destroy(s);
}
