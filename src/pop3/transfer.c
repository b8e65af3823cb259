/* RETR and TOP: a message goes out in pieces as the peer takes them. What the page cache holds is read here; what a
 * disk has to be waited for, on a worker. Every piece is looked through for dots at line starts. Those of a large
 * message that have none are handed to the kernel as parts of the file, without a copy. */
#include "pop3/session.h"

#include "base/alloc.h"
#include "pop3/render.h"

#include <errno.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <sys/uio.h>
#include <unistd.h>

struct pop3_transfer {
	struct pop3_session *s;
	const struct maildir_entry *entry;
	int fd;
	uint64_t at, size;                     /* of the file */
	uint64_t changed;                      /* up to here large pieces do not go out as they stand */
	struct evbuffer_file_segment *segment; /* owns fd, once it is there */
	struct pop3_render render;
	bool stated;  /* the status line was written */
	bool waiting; /* for a worker */
	/* the worker's */
	struct maildir *maildir;
	char *chunk;
	size_t want;
	ssize_t got;
	int error;
};

enum piece { PIECE_OK, PIECE_LATER, PIECE_END, PIECE_CUT, PIECE_FAILED };

void pop3_transfer_free(struct pop3_transfer **t)
{
	if (*t == NULL)
		return;
	if ((*t)->segment != NULL)
		evbuffer_file_segment_free((*t)->segment); /* what is still to be sent keeps it */
	else if ((*t)->fd >= 0)
		close((*t)->fd);
	free((*t)->chunk);
	free(*t);
	*t = NULL;
}

static bool measured(struct pop3_transfer *t)
{
	struct stat st;

	if (fstat(t->fd, &st) != 0)
		return false;
	t->size = (uint64_t)st.st_size;
	return true;
}

/* ---- the slow way ---- */

static void read_slowly(void *arg)
{
	struct pop3_transfer *t = arg;
	struct err e = {0, ""};

	t->error = 0;
	t->got = -1;
	if (t->fd < 0) {
		t->fd = maildir_open_message(t->maildir, t->s->user, t->entry, &e);
		if (t->fd < 0 || !measured(t)) {
			t->error = e.code != 0 ? e.code : EIO;
			return;
		}
	}
	t->chunk = xmalloc(t->want);
	t->got = pread(t->fd, t->chunk, t->want, (off_t)t->at);
	if (t->got < 0)
		t->error = errno;
}

static void slowly_read(void *arg)
{
	struct pop3_transfer *t = arg;

	t->waiting = false;
	if (pop3_session_leave(t->s))
		pop3_transfer_continue(t->s);
}

/* Only a plain connection takes parts of files. */
static bool may_be_large(const struct pop3_transfer *t)
{
	return t->at >= t->changed && t->size >= t->at + POP3_BIG_CHUNK && t->s->core.top < 0 &&
	       !stream_is_tls(t->s->stream);
}

static void ask_worker(struct pop3_transfer *t)
{
	t->waiting = true;
	t->want = t->fd >= 0 && may_be_large(t) ? POP3_BIG_CHUNK : POP3_CHUNK;
	pop3_session_enter(t->s);
	workers_run(pop3_service_deps(t->s->service)->workers, read_slowly, slowly_read, t);
}

/* ---- pieces ---- */

static enum piece end_of(const struct pop3_transfer *t)
{
	/* Cut off while we were reading: nobody may take what went out for the whole message. */
	return t->at < t->size ? PIECE_CUT : PIECE_END;
}

/* From the cache, or -1. */
static ssize_t read_at_once(struct pop3_transfer *t, struct iovec *iov)
{
	struct pop3_service *sv = t->s->service;

	if (t->fd < 0 || !pop3_service_reads_ahead(sv))
		return -1;
	iov->iov_len = may_be_large(t) ? POP3_BIG_CHUNK : POP3_CHUNK;
	iov->iov_base = pop3_service_chunk(sv, iov->iov_len);
	ssize_t n = preadv2(t->fd, iov, 1, (off_t)t->at, RWF_NOWAIT);
	if (n < 0 && errno == EOPNOTSUPP)
		pop3_service_reads_blindly(sv);
	return n;
}

/* What a worker read, where one did; else from the cache. */
static enum piece next_piece(struct pop3_transfer *t, struct slice *piece)
{
	struct iovec iov = {NULL, 0};
	ssize_t n = 0;

	if (t->error != 0)
		return PIECE_FAILED;
	if (t->chunk != NULL) {
		*piece = slice_make(t->chunk, t->got > 0 ? (size_t)t->got : 0);
	} else {
		if (t->fd < 0 || (t->at < t->size && (n = read_at_once(t, &iov)) < 0))
			return PIECE_LATER;
		*piece = slice_make(iov.iov_base, (size_t)n);
	}
	return piece->n == 0 ? end_of(t) : PIECE_OK;
}

static void state(struct pop3_transfer *t, struct buf *out)
{
	if (t->stated)
		return;
	t->stated = true;
	/* Ours only if it is as long as its name says; else somebody has changed it. */
	pop3_render_init(&t->render, !t->entry->ours || t->size != t->entry->size, t->s->core.top);
	if (t->s->core.top < 0)
		buf_printf(out, "+OK %llu octets\r\n", (unsigned long long)t->entry->size);
	else
		buf_add_str(out, "+OK\r\n");
}

static void flush(struct pop3_transfer *t, struct buf *out)
{
	if (out->n > 0)
		stream_write(t->s->stream, out->p, out->n);
	buf_clear(out);
}

static bool send_from_file(struct pop3_transfer *t, size_t n, struct buf *out)
{
	if (t->segment == NULL)
		t->segment = evbuffer_file_segment_new(t->fd, 0, (ev_off_t)t->size,
		                                       EVBUF_FS_CLOSE_ON_FREE | EVBUF_FS_DISABLE_MMAP |
		                                           EVBUF_FS_DISABLE_LOCKING);
	if (t->segment == NULL)
		return false;
	flush(t, out);
	return stream_write_file(t->s->stream, t->segment, t->at, n) == 0;
}

static void send_text(struct pop3_transfer *t, struct slice text, struct buf *out)
{
	struct pop3_render before = t->render;

	if (text.n > POP3_CHUNK) {
		if (pop3_render_as_is(&t->render, text) && send_from_file(t, text.n, out)) {
			t->at += text.n;
			return;
		}
		t->render = before;
		t->changed = t->at + text.n; /* in small pieces up to there */
		text = slice_sub(text, 0, POP3_CHUNK);
	}
	t->at += text.n;
	pop3_render(&t->render, text, out);
}

/* Whether there is more to do at once. */
static bool send_piece(struct pop3_transfer *t, struct buf *out, enum piece *p)
{
	struct slice text;

	*p = next_piece(t, &text);
	if (*p == PIECE_OK || *p == PIECE_END)
		state(t, out);
	if (*p == PIECE_OK) {
		send_text(t, text, out);
		if (t->render.done || t->at == t->size)
			*p = PIECE_END;
	}
	free(t->chunk);
	t->chunk = NULL;
	if (*p == PIECE_END)
		pop3_render_end(&t->render, out);
	flush(t, out);
	return *p == PIECE_OK;
}

static void finish(struct pop3_session *s, enum piece p)
{
	struct buf *out = pop3_service_scratch(s->service);
	bool stated = s->transfer->stated;
	int error = s->transfer->error;

	pop3_transfer_free(&s->transfer);
	if (p == PIECE_END) {
		pop3_core_sent(&s->core);
	} else {
		log_warning("pop3.message", kv_s("sid", s->sid), kv_s("user", s->user),
		            kv_s("name", s->list.v[s->core.message].name), kv_i("errno", error));
		if (stated) {
			pop3_session_end(s, "message cut off", false);
			return;
		}
		pop3_core_failed(&s->core, error == ENOENT, out);
	}
	pop3_session_answered(s, out);
}

void pop3_transfer_continue(struct pop3_session *s)
{
	struct pop3_transfer *t = s->transfer;
	enum piece p = PIECE_OK;

	if (t->waiting)
		return;
	while (evbuffer_get_length(stream_out(s->stream)) < POP3_OUT_HIGH)
		if (!send_piece(t, pop3_service_scratch(s->service), &p))
			break;
	if (p == PIECE_LATER)
		ask_worker(t);
	else if (p != PIECE_OK)
		finish(s, p);
}

void pop3_transfer_begin(struct pop3_session *s)
{
	struct pop3_transfer *t = xcalloc(1, sizeof *t);

	t->s = s;
	t->entry = &s->list.v[s->core.message];
	t->maildir = pop3_service_deps(s->service)->maildir;
	t->fd = maildir_open_message_cached(t->maildir, s->user, t->entry, &t->size);
	s->transfer = t;
	pop3_transfer_continue(s);
}
