/* The bytes of one accepted message: prefix + source[skip..], in memory or in its spool file. */
#include "route/accept_bytes.h"

#include "base/alloc.h"
#include "base/io.h"
#include "mail/blind.h"
#include "mail/dot.h"
#include "route/gather.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <unistd.h>

enum { COPY_CHUNK = 64 * 1024 };

uint64_t accept_rough_size(const struct accept_message *m)
{
	uint64_t source = m->source != NULL ? gather_size(m->source) : 0;

	return m->prefix.n + (source > m->skip ? source - m->skip : 0);
}

bool accept_fits_memory(const struct accept_message *m)
{
	return (m->source == NULL || !gather_spilled(m->source)) && accept_rough_size(m) <= 2 * GATHER_MEMORY;
}

static struct slice source_rest(const struct accept_message *m)
{
	if (m->source == NULL)
		return (struct slice){NULL, 0};
	return slice_sub(gather_bytes(m->source), (size_t)m->skip, SIZE_MAX);
}

/* Nobody else needs them as they came. */
static bool may_take_source(const struct accept_message *m, bool alone)
{
	return alone && m->source != NULL && m->skip == 0 && !m->normalize && m->blind == 0;
}

static void filter_begin(struct blind_filter *f, const struct accept_message *m)
{
	blind_init(f, m->blind == UINT64_MAX || m->blind == 0 ? m->blind : m->blind - m->skip);
}

static void add_without_blind(const struct accept_message *m, struct slice s, struct buf *out)
{
	struct blind_filter f;

	filter_begin(&f, m);
	blind_add(&f, s, out);
	blind_end(&f, out);
	blind_free(&f);
}

static void add_normalized(const struct accept_message *m, struct slice rest, struct buf *out)
{
	bool last_cr = false;
	struct buf lines;

	if (m->blind == 0) {
		crlf_normalize(rest, &last_cr, out);
		return;
	}
	buf_init(&lines, 2 * rest.n);
	crlf_normalize(rest, &last_cr, &lines);
	add_without_blind(m, buf_slice(&lines), out);
	buf_free(&lines);
}

void accept_build(struct accept_message *m, bool alone)
{
	struct slice rest = source_rest(m);
	struct buf all;

	buf_init(&all, m->prefix.n + 2 * rest.n + 2);
	if (may_take_source(m, alone)) {
		gather_take(m->source, &all);
		buf_prepend(&all, buf_slice(&m->prefix));
	} else if (m->normalize) {
		buf_reserve(&all, m->prefix.n + rest.n + 2);
		buf_add_slice(&all, buf_slice(&m->prefix));
		add_normalized(m, rest, &all);
	} else if (m->blind > 0) {
		buf_add_slice(&all, buf_slice(&m->prefix));
		add_without_blind(m, rest, &all);
	} else {
		buf_reserve(&all, m->prefix.n + rest.n);
		buf_add_slice(&all, buf_slice(&m->prefix));
		buf_add_slice(&all, rest);
	}
	m->pending->size = all.n;
	m->pending->bytes = buf_steal(&all);
}

struct spool_writer {
	int fd;
	struct buf out;
	uint64_t size;
	/* of the source part alone */
	bool source, normalize, last_cr, hides;
	struct buf lines;
	struct blind_filter blind;
};

static int spool_flush(struct spool_writer *w)
{
	if (io_write_all(w->fd, buf_slice(&w->out)) != 0)
		return -1;
	w->size += w->out.n;
	buf_clear(&w->out);
	return 0;
}

static void spool_change(struct spool_writer *w, struct slice part)
{
	buf_clear(&w->lines);
	if (w->normalize) {
		crlf_normalize(part, &w->last_cr, w->hides ? &w->lines : &w->out);
		part = buf_slice(&w->lines);
	}
	if (w->hides)
		blind_add(&w->blind, part, &w->out);
}

static int spool_add(struct spool_writer *w, struct slice s)
{
	while (s.n > 0) {
		struct slice part = slice_sub(s, 0, COPY_CHUNK);
		if (w->source && (w->normalize || w->hides))
			spool_change(w, part);
		else
			buf_add_slice(&w->out, part);
		if (spool_flush(w) != 0)
			return -1;
		s = slice_sub(s, part.n, s.n);
	}
	return 0;
}

static int spool_copy(struct spool_writer *w, const struct accept_message *m, int source_fd)
{
	char *chunk = xmalloc(COPY_CHUNK);
	int rc = -1;

	for (uint64_t at = m->skip;;) {
		ssize_t n = pread(source_fd, chunk, COPY_CHUNK, (off_t)at);
		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0 || spool_add(w, slice_make(chunk, (size_t)n)) != 0)
			break;
		if (n == 0) {
			rc = 0;
			break;
		}
		at += (uint64_t)n;
	}
	int error = errno;
	free(chunk);
	errno = error;
	return rc;
}

static int spool_fill(struct spool_writer *w, struct accept_message *m)
{
	int source_fd = m->source != NULL && gather_spilled(m->source) ? gather_fd(m->source) : -1;

	if (m->source != NULL && gather_failed(m->source)) {
		errno = gather_error(m->source);
		return -1;
	}
	if (spool_add(w, buf_slice(&m->prefix)) != 0)
		return -1;
	w->source = true;
	if (source_fd >= 0 ? spool_copy(w, m, source_fd) != 0 : spool_add(w, source_rest(m)) != 0)
		return -1;
	blind_end(&w->blind, &w->out);
	return spool_flush(w) == 0 ? fsync(w->fd) : -1;
}

static void spool_begin(struct spool_writer *w, const struct accept_message *m)
{
	buf_init(&w->out, 2 * COPY_CHUNK + 4096);
	buf_init(&w->lines, 2 * COPY_CHUNK + 2);
	filter_begin(&w->blind, m);
	w->normalize = m->normalize;
	w->hides = m->blind > 0;
}

static void spool_end(struct spool_writer *w)
{
	buf_free(&w->out);
	buf_free(&w->lines);
	blind_free(&w->blind);
	close(w->fd);
}

int accept_build_spool(struct delivery *d, struct accept_message *m)
{
	struct spool_writer w = {.fd = -1};
	int dir = m->entry != NULL ? d->outqueue_spool_fd : d->spool_fd;

	while ((w.fd = openat(dir, m->pending->name, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC | O_NOFOLLOW, 0600)) < 0 &&
	       errno == EEXIST)
		random_name(m->pending->name);
	if (w.fd < 0)
		return errno;
	spool_begin(&w, m);
	int error = spool_fill(&w, m) == 0 && fsync(dir) == 0 ? 0 : errno;
	m->pending->size = w.size;
	spool_end(&w);
	if (error != 0)
		unlinkat(dir, m->pending->name, 0);
	return error;
}
