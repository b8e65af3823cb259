#include "net/stream.h"

#include "base/alloc.h"
#include "base/clock.h"

#include <errno.h>
#include <event2/event_struct.h>
#include <openssl/err.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>

enum {
	HIGH_WATER = 64 * 1024,
	SINGLE_READ = 32 * 1024,
	SINGLE_WRITE = 256 * 1024,
	RECORD = 16 * 1024,   /* TLS: so much travels together at most */
	PUSH_MAX = 32 * 1024, /* replies up to so much are written at once, without asking the kernel when */
	FLUSH_MS = 5000,      /* how long a finished stream may take to write its rest */
	LINGER_MS = 2000,     /* and to see the peer's end, lest a reset eats our last reply */
	LINGER_MAX = 64 << 20 /* but who goes on talking is not listened to for longer than that */
};

struct stream {
	struct loop_orphan orphan; /* once it is finishing */
	struct loop *loop;
	int fd;
	SSL *ssl; /* NULL: plain */
	struct evbuffer *in, *out;
	struct event readable, writable;
	struct event push; /* writes what this round of the loop has said */
	const struct stream_callbacks *cb;
	void *arg;
	SSL_CTX *tls_next; /* a handshake waits for the output to be written */
	struct loop_timer *deadline;
	struct loop_timer *silence; /* looks now and then, so that a byte costs no timer */
	int64_t silence_due;        /* 0 = not set */
	int64_t timeout_ms, read_at, written_at;
	size_t high_water;
	size_t ignored;                          /* what came after the owner had gone */
	bool reading, writing;                   /* what the kernel was asked for */
	bool shaking, paused, full, eof;         /* full: the owner has to take something first */
	bool read_needs_write, write_needs_read; /* TLS has something to say first */
	bool finishing, lingering, watched;
	bool away;         /* the loop's crew has ssl; nobody else touches it */
	bool gone;         /* freed, as soon as ssl is back */
	int shaken;        /* the crew's: what SSL_do_handshake returned ... */
	short shake_needs; /* ... and what it needs before it goes on, as needs() */
};

/* ---- what the kernel is asked for ---- */

/* What OpenSSL holds already the kernel does not announce. */
static void announce_held(struct stream *s)
{
	if (s->ssl != NULL && !s->shaking && (SSL_has_pending(s->ssl) || SSL_get_shutdown(s->ssl) != 0))
		event_active(&s->readable, EV_READ, 0);
}

static void set_reading(struct stream *s)
{
	bool want = s->shaking ? !s->away : (!s->paused && !s->full && !s->eof && s->tls_next == NULL);

	if (want == s->reading)
		return;
	s->reading = want;
	s->read_at = clock_mono_ms();
	if (!want) {
		event_del(&s->readable);
		return;
	}
	event_add(&s->readable, NULL);
	announce_held(s);
}

static void set_writing(struct stream *s, bool want)
{
	if (want == s->writing)
		return;
	s->writing = want;
	if (!want) {
		event_del(&s->writable);
		return;
	}
	s->written_at = clock_mono_ms();
	event_add(&s->writable, NULL);
}

/* ---- the end ---- */

static void release(struct stream *s)
{
	SSL_free(s->ssl);
	close(s->fd);
	evbuffer_free(s->in);
	evbuffer_free(s->out);
	SSL_CTX_free(s->tls_next);
	free(s);
}

static void destroy(struct stream *s)
{
	if (s->finishing)
		loop_disown(&s->orphan);
	event_del(&s->readable);
	event_del(&s->writable);
	event_del(&s->push);
	loop_timer_free(&s->deadline);
	loop_timer_free(&s->silence);
	s->gone = true;
	if (!s->away)
		release(s);
}

/* Nothing more comes. */
static void end(struct stream *s, enum stream_end why)
{
	s->eof = true;
	s->shaking = false;
	set_reading(s);
	if (why != STREAM_EOF)
		set_writing(s, false);
	if (!s->finishing)
		s->cb->ended(s->arg, why);
	else if (why != STREAM_EOF || s->lingering)
		destroy(s);
}

/* The owner has gone and all is written: say so to the peer and wait a moment for its end, unless that has come
 * already. */
static void linger(struct stream *s)
{
	if (s->lingering)
		return;
	s->lingering = true;
	ERR_clear_error();
	if (s->ssl != NULL && !s->shaking)
		SSL_shutdown(s->ssl);
	if (s->eof) {
		destroy(s);
		return;
	}
	shutdown(s->fd, SHUT_WR);
	s->paused = s->full = false;
	set_reading(s);
	loop_timer_set(s->deadline, LINGER_MS);
}

/* ---- TLS ---- */

/* What an operation of OpenSSL needs before it can go on: EV_READ, EV_WRITE; 0: it has failed. */
static short needs(const struct stream *s, int rc)
{
	switch (SSL_get_error(s->ssl, rc)) {
	case SSL_ERROR_WANT_READ:
		return EV_READ;
	case SSL_ERROR_WANT_WRITE:
		return EV_WRITE;
	default:
		return 0;
	}
}

/* On the crew: OpenSSL tells what is missing by the thread's own list of errors. */
static void shake_once(void *arg)
{
	struct stream *s = arg;

	ERR_clear_error();
	s->shaken = SSL_do_handshake(s->ssl);
	s->shake_needs = s->shaken == 1 ? 0 : needs(s, s->shaken);
	ERR_clear_error();
}

static void secured(struct stream *s)
{
	s->shaking = false;
	set_reading(s);
	announce_held(s); /* what came with the handshake's last word */
	if (evbuffer_get_length(s->out) > 0)
		event_active(&s->push, EV_TIMEOUT, 0);
	if (!s->finishing && s->cb->secured != NULL)
		s->cb->secured(s->arg);
}

static void after_shake(void *arg)
{
	struct stream *s = arg;

	s->away = false;
	if (s->gone) {
		release(s);
		return;
	}
	s->read_at = clock_mono_ms();
	set_reading(s);
	set_writing(s, s->shake_needs == EV_WRITE);
	if (s->shaken == 1)
		secured(s);
	else if (s->shake_needs == 0)
		end(s, STREAM_TLS_FAILED);
}

/* One step takes as long as the answers to a hundred commands: it is not the loop's. */
static void shake(struct stream *s)
{
	s->away = true;
	set_reading(s);
	set_writing(s, false);
	loop_hand_over(s->loop, shake_once, after_shake, s);
}

static void make_tls(struct stream *s, SSL_CTX *tls)
{
	s->ssl = SSL_new(tls);
	if (s->ssl == NULL || SSL_set_fd(s->ssl, s->fd) != 1)
		abort();
	SSL_set_accept_state(s->ssl);
	SSL_set_read_ahead(s->ssl, 1); /* else a record costs two calls */
	s->shaking = true;
}

static void begin_tls(struct stream *s)
{
	SSL_CTX *tls = s->tls_next;

	s->tls_next = NULL;
	make_tls(s, tls);
	SSL_CTX_free(tls);
	set_reading(s);
}

/* As recv. */
static ssize_t receive_tls(struct stream *s, char *into, size_t room)
{
	ERR_clear_error();
	int n = SSL_read(s->ssl, into, (int)room);

	if (n > 0)
		return n;
	if (SSL_get_error(s->ssl, n) == SSL_ERROR_ZERO_RETURN)
		return 0;
	short next = needs(s, n);
	s->read_needs_write = next == EV_WRITE;
	if (s->read_needs_write)
		set_writing(s, true);
	errno = next != 0 ? EAGAIN : ECONNRESET;
	return -1;
}

/* Replies that wait together travel in few records. Returns as evbuffer_write. */
static int send_tls(struct stream *s)
{
	char record[RECORD];
	int sent = 0;

	s->write_needs_read = false;
	for (ssize_t n; sent < SINGLE_WRITE && (n = evbuffer_copyout(s->out, record, sizeof record)) > 0;) {
		ERR_clear_error();
		int rc = SSL_write(s->ssl, record, (int)n);
		if (rc <= 0) {
			short next = needs(s, rc);
			s->write_needs_read = next == EV_READ;
			errno = next != 0 ? EAGAIN : EPIPE;
			return sent > 0 ? sent : -1;
		}
		evbuffer_drain(s->out, (size_t)rc);
		sent += rc;
	}
	return sent;
}

/* ---- reading ---- */

static void on_taken(struct evbuffer *in, const struct evbuffer_cb_info *info, void *arg)
{
	struct stream *s = arg;

	(void)info;
	if (!s->full || evbuffer_get_length(in) >= s->high_water)
		return;
	s->full = false;
	set_reading(s);
}

static void look_how_full(struct stream *s)
{
	s->full = evbuffer_get_length(s->in) >= s->high_water;
	if (s->full && !s->watched)
		s->watched = evbuffer_add_cb(s->in, on_taken, s) != NULL;
	set_reading(s);
}

static void take(struct stream *s)
{
	char bytes[SINGLE_READ];
	size_t have = evbuffer_get_length(s->in), room = s->high_water > have ? s->high_water - have : 1;

	if (room > sizeof bytes)
		room = sizeof bytes;
	ssize_t n = s->ssl != NULL ? receive_tls(s, bytes, room) : recv(s->fd, bytes, room, 0);
	if (n < 0 && (errno == EAGAIN || errno == EINTR))
		return;
	if (n <= 0) {
		end(s, n == 0 ? STREAM_EOF : STREAM_RESET);
		return;
	}
	s->read_at = clock_mono_ms();
	announce_held(s);
	if (s->finishing) {
		s->ignored += (size_t)n;
		if (s->ignored > LINGER_MAX)
			destroy(s);
		return;
	}
	evbuffer_add(s->in, bytes, (size_t)n);
	look_how_full(s);
	s->cb->readable(s->arg);
}

/* ---- writing ---- */

static void drained(struct stream *s)
{
	set_writing(s, s->read_needs_write);
	if (s->finishing)
		linger(s);
	else if (s->tls_next != NULL)
		begin_tls(s);
	else if (s->cb->drained != NULL)
		s->cb->drained(s->arg);
}

static int send_some(struct stream *s)
{
	return s->ssl != NULL ? send_tls(s) : evbuffer_write_atmost(s->out, s->fd, SINGLE_WRITE);
}

/* Small output is written at once, and only what is left over waits for the kernel's word: asking for that word costs
 * two system calls and a turn of the loop for an answer that is nearly always yes. Large output goes its way by turns,
 * so that nobody keeps the loop to himself. */
static void on_push(evutil_socket_t fd, short what, void *arg)
{
	struct stream *s = arg;
	size_t n = evbuffer_get_length(s->out);

	(void)fd;
	(void)what;
	if (n == 0 || s->shaking || s->lingering)
		return;
	if (n <= PUSH_MAX && send_some(s) > 0)
		s->written_at = clock_mono_ms();
	if (evbuffer_get_length(s->out) == 0)
		drained(s);
	else if (!s->write_needs_read)
		set_writing(s, true); /* an error is found there again, and told */
}

static void give(struct stream *s)
{
	if (evbuffer_get_length(s->out) == 0) {
		set_writing(s, false);
		return;
	}
	int n = send_some(s);
	if (n > 0)
		s->written_at = clock_mono_ms();
	else if (n == 0 || (errno != EAGAIN && errno != EINTR)) {
		end(s, STREAM_RESET);
		return;
	}
	set_writing(s, !s->write_needs_read);
	if (evbuffer_get_length(s->out) == 0)
		drained(s);
}

/* ---- the kernel's word ---- */

static void on_readable(evutil_socket_t fd, short what, void *arg)
{
	struct stream *s = arg;

	(void)fd;
	(void)what;
	if (!s->reading)
		return;
	if (s->shaking) {
		shake(s);
		return;
	}
	if (s->write_needs_read) {
		s->write_needs_read = false;
		set_writing(s, true);
	}
	take(s);
}

static void on_writable(evutil_socket_t fd, short what, void *arg)
{
	struct stream *s = arg;

	(void)fd;
	(void)what;
	if (s->shaking) {
		shake(s);
		return;
	}
	if (s->read_needs_write) {
		s->read_needs_write = false;
		event_active(&s->readable, EV_READ, 0);
	}
	give(s);
}

/* ---- silence ---- */

static void watch_silence(struct stream *s, int64_t ms)
{
	s->silence_due = clock_mono_ms() + ms;
	loop_timer_set(s->silence, ms);
}

/* Someone who downloads says nothing meanwhile: only a stalled write counts then. */
static void on_silence(void *arg)
{
	struct stream *s = arg;
	bool stalls = evbuffer_get_length(s->out) > 0;
	int64_t last = stalls || s->written_at > s->read_at ? s->written_at : s->read_at;
	int64_t left = last + s->timeout_ms - clock_mono_ms();

	if (!stalls && !s->reading)
		left = s->timeout_ms;
	if (left > 0)
		watch_silence(s, left);
	else
		s->cb->ended(s->arg, STREAM_TIMEOUT);
}

void stream_set_timeout(struct stream *s, int64_t ms)
{
	int64_t now = clock_mono_ms();

	s->timeout_ms = ms;
	s->read_at = s->written_at = now;
	if (ms > 0 && s->silence == NULL)
		s->silence = loop_timer_new(s->loop, on_silence, s);
	if (ms == 0 && s->silence_due != 0) {
		loop_timer_cancel(s->silence);
		s->silence_due = 0;
	} else if (ms > 0 && (s->silence_due == 0 || s->silence_due > now + ms)) {
		watch_silence(s, ms);
	}
}

static void on_deadline(void *arg)
{
	struct stream *s = arg;

	if (s->finishing)
		destroy(s);
	else
		s->cb->ended(s->arg, STREAM_TIMEOUT);
}

void stream_set_deadline(struct stream *s, int64_t ms)
{
	if (ms > 0 && s->deadline == NULL)
		s->deadline = loop_timer_new(s->loop, on_deadline, s);
	if (ms > 0)
		loop_timer_set(s->deadline, ms);
	else if (s->deadline != NULL)
		loop_timer_cancel(s->deadline);
}

/* ---- the owner's side ---- */

struct stream *stream_accept(struct loop *l, int fd, SSL_CTX *tls, const struct stream_callbacks *cb, void *arg)
{
	struct stream *s = xcalloc(1, sizeof *s);
	struct event_base *base = loop_base(l);

	*s = (struct stream){.loop = l, .fd = fd, .cb = cb, .arg = arg, .high_water = HIGH_WATER};
	s->in = evbuffer_new();
	s->out = evbuffer_new();
	if (s->in == NULL || s->out == NULL || event_assign(&s->push, base, -1, 0, on_push, s) != 0 ||
	    event_assign(&s->readable, base, fd, EV_READ | EV_PERSIST, on_readable, s) != 0 ||
	    event_assign(&s->writable, base, fd, EV_WRITE | EV_PERSIST, on_writable, s) != 0)
		abort();
	evbuffer_set_flags(s->out, EVBUFFER_FLAG_DRAINS_TO_FD); /* parts of files go by sendfile */
	s->read_at = s->written_at = clock_mono_ms();
	if (tls != NULL)
		make_tls(s, tls);
	set_reading(s);
	return s;
}

void stream_free(struct stream **s)
{
	if (*s == NULL)
		return;
	destroy(*s);
	*s = NULL;
}

struct evbuffer *stream_in(struct stream *s)
{
	return s->in;
}

struct evbuffer *stream_out(struct stream *s)
{
	return s->out;
}

void stream_write(struct stream *s, const void *p, size_t n)
{
	evbuffer_add(s->out, p, n);
	event_active(&s->push, EV_TIMEOUT, 0);
}

int stream_write_file(struct stream *s, struct evbuffer_file_segment *file, uint64_t at, size_t n)
{
	int rc = evbuffer_add_file_segment(s->out, file, (ev_off_t)at, (ev_off_t)n);

	event_active(&s->push, EV_TIMEOUT, 0);
	return rc;
}

void stream_pause(struct stream *s, bool paused)
{
	s->paused = paused;
	set_reading(s);
}

void stream_set_high_water(struct stream *s, size_t bytes)
{
	s->high_water = bytes;
	look_how_full(s);
}

void stream_start_tls(struct stream *s, SSL_CTX *tls)
{
	SSL_CTX_up_ref(tls);
	s->tls_next = tls;
	set_reading(s);
	evbuffer_drain(s->in, SIZE_MAX);
	if (evbuffer_get_length(s->out) == 0)
		begin_tls(s);
}

bool stream_is_tls(const struct stream *s)
{
	return s->ssl != NULL;
}

static void end_orphan(void *arg)
{
	destroy(arg);
}

void stream_finish(struct stream **sp)
{
	struct stream *s = *sp;

	if (s == NULL)
		return;
	*sp = NULL;
	s->finishing = true;
	loop_adopt(s->loop, &s->orphan, end_orphan, s);
	stream_set_timeout(s, 0);
	if (s->deadline == NULL)
		s->deadline = loop_timer_new(s->loop, on_deadline, s);
	loop_timer_set(s->deadline, FLUSH_MS);
	evbuffer_drain(s->in, SIZE_MAX);
	if (evbuffer_get_length(s->out) == 0)
		linger(s);
}
