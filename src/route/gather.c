#include "route/gather.h"

#include "base/alloc.h"
#include "base/io.h"
#include "base/log.h"
#include "base/random.h"
#include "route/delivery_internal.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

struct gather {
	struct delivery *d;
	struct buf mem;   /* all bytes until it spills; then the header section */
	struct buf chunk; /* spilled bytes on their way to the file */
	uint64_t size;
	int fd;    /* a file without a name: a crash leaves nothing behind */
	int error; /* errno why it failed */
	bool failed, eight_bit, header_done, line_empty;
};

struct gather *gather_new(struct delivery *d)
{
	struct gather *g = xcalloc(1, sizeof *g);

	g->d = d;
	g->fd = -1;
	g->line_empty = true;
	buf_init(&g->mem, GATHER_HEADER_MAX + GATHER_MEMORY);
	buf_init(&g->chunk, 2 * GATHER_MEMORY);
	return g;
}

void gather_free(struct gather **gp)
{
	struct gather *g = *gp;

	if (g == NULL)
		return;
	*gp = NULL;
	if (g->fd >= 0)
		close(g->fd);
	buf_free(&g->mem);
	buf_free(&g->chunk);
	free(g);
}

/* Bytes of s that belong to the header section, its empty line included; notes where it ends. */
static size_t header_part(struct gather *g, struct slice s)
{
	for (size_t at = 0; at < s.n;) {
		const char *lf = memchr(s.p + at, '\n', s.n - at);
		size_t end = lf != NULL ? (size_t)(lf - s.p) : s.n;
		for (size_t i = at; i < end && g->line_empty; i++)
			if (s.p[i] != '\r')
				g->line_empty = false;
		if (lf == NULL)
			return s.n;
		at = end + 1;
		if (g->line_empty) {
			g->header_done = true;
			return at;
		}
		g->line_empty = true;
	}
	return s.n;
}

static bool has_eight_bit(struct slice s)
{
	unsigned char all = 0;

	for (size_t i = 0; i < s.n; i++)
		all |= (unsigned char)s.p[i];
	return (all & 0x80) != 0;
}

static int open_spill(struct gather *g)
{
	char name[RANDOM_NAME_MAX + 2] = "g.";

	random_name(name + 2);
	g->fd = openat(g->d->spool_fd, name, O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC | O_NOFOLLOW, 0600);
	if (g->fd < 0)
		return -1;
	return unlinkat(g->d->spool_fd, name, 0);
}

static void fail(struct gather *g)
{
	g->error = errno != 0 ? errno : EIO;
	g->failed = true;
	log_error("delivery.spill", kv_s("error", strerror(g->error)));
	buf_free(&g->mem);
	buf_free(&g->chunk);
}

static void flush_chunk(struct gather *g)
{
	if (g->failed || g->chunk.n == 0)
		return;
	if (io_write_all(g->fd, buf_slice(&g->chunk)) != 0)
		fail(g);
	else
		buf_clear(&g->chunk);
}

static void spill(struct gather *g)
{
	if (open_spill(g) != 0 || io_write_all(g->fd, buf_slice(&g->mem)) != 0) {
		fail(g);
		return;
	}
	if (g->header_done) {
		/* Only the header is still of interest in memory; find its end again in these few bytes. */
		struct gather probe = {.line_empty = true};
		g->mem.n = header_part(&probe, buf_slice(&g->mem));
	}
}

static void take_bytes(struct gather *g, struct slice s)
{
	g->eight_bit = g->eight_bit || has_eight_bit(s);
	size_t head = g->header_done ? 0 : header_part(g, s);
	if (g->fd < 0 && g->mem.n + s.n <= GATHER_MEMORY) {
		buf_add_slice(&g->mem, s);
		return;
	}
	if (g->fd < 0) {
		spill(g);
		if (g->failed)
			return;
	}
	if (head > 0 && g->mem.n < GATHER_HEADER_MAX)
		buf_add_slice(&g->mem, slice_sub(s, 0, head));
	if (s.n < GATHER_MEMORY && buf_add_slice(&g->chunk, s)) {
		if (g->chunk.n >= GATHER_MEMORY)
			flush_chunk(g);
		return;
	}
	flush_chunk(g);
	if (!g->failed && io_write_all(g->fd, s) != 0)
		fail(g);
}

void gather_add(struct gather *g, struct slice s)
{
	g->size += s.n;
	if (g->failed)
		return;
	take_bytes(g, s);
	if (g->failed && g->error != ENOSPC && g->error != EDQUOT)
		health_refuses(g->d, "writing mail", strerror(g->error));
}

/* A word alone gets no more than this. */
enum { EXPECT_MOST = 16 * 1024, PREFIX_ROOM = 1024 };

void gather_expect(struct gather *g, uint64_t bytes)
{
	if (bytes <= EXPECT_MOST)
		buf_reserve(&g->mem, (size_t)bytes + PREFIX_ROOM);
}

bool gather_failed(const struct gather *g)
{
	return g->failed;
}

int gather_error(const struct gather *g)
{
	return g->error;
}

uint64_t gather_size(const struct gather *g)
{
	return g->size;
}

struct slice gather_head(const struct gather *g)
{
	return slice_sub(buf_slice(&g->mem), 0, GATHER_HEADER_MAX);
}

bool gather_eight_bit(const struct gather *g)
{
	return g->eight_bit;
}

struct slice gather_bytes(const struct gather *g)
{
	return g->fd < 0 ? buf_slice(&g->mem) : (struct slice){NULL, 0};
}

void gather_take(struct gather *g, struct buf *into)
{
	*into = g->mem;
	buf_init(&g->mem, into->max);
}

bool gather_spilled(const struct gather *g)
{
	return g->fd >= 0;
}

int gather_fd(struct gather *g)
{
	/* The rest of the bytes joins the file before anybody reads it. */
	flush_chunk(g);
	return g->failed ? -1 : g->fd;
}
