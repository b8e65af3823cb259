#include "net/stream.h"

#include "base/alloc.h"

#include <event2/bufferevent.h>
#include <event2/bufferevent_ssl.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>

enum {
	HIGH_WATER = 64 * 1024,
	SINGLE_READ = 64 * 1024,
	SINGLE_WRITE = 256 * 1024,
	PUSH_MAX = 32 * 1024, /* replies up to so much are written at once, without asking the kernel when */
	FLUSH_MS = 5000,      /* how long a finished stream may take to write its rest */
	LINGER_MS = 2000      /* and to see the peer's end, lest a reset eats our last reply */
};

struct stream {
	struct loop_orphan orphan; /* once it is finishing */
	struct loop *loop;
	struct bufferevent *bev;
	const struct stream_callbacks *cb;
	void *arg;
	SSL_CTX *tls_next;  /* a handshake waits for the output to be written */
	struct event *push; /* plain: writes what this round of the loop has said */
	struct loop_timer *deadline;
	int64_t timeout_ms;
	size_t high_water;
	bool tls, shaking, paused, finishing, lingering;
};

static void make_bev(struct stream *s, int fd, SSL_CTX *tls);

static void set_reading(struct stream *s)
{
	if (s->paused)
		bufferevent_disable(s->bev, EV_READ);
	else
		bufferevent_enable(s->bev, EV_READ);
}

static void apply_timeout(struct stream *s)
{
	struct timeval tv = {.tv_sec = (time_t)(s->timeout_ms / 1000),
	                     .tv_usec = (suseconds_t)(s->timeout_ms % 1000 * 1000)};

	bufferevent_set_timeouts(s->bev, s->timeout_ms > 0 ? &tv : NULL, s->timeout_ms > 0 ? &tv : NULL);
}

static void free_bev(struct stream *s)
{
	if (s->bev == NULL)
		return;
	bufferevent_setcb(s->bev, NULL, NULL, NULL, NULL);
	bufferevent_free(s->bev);
	s->bev = NULL;
}

static void destroy(struct stream *s)
{
	if (s->finishing)
		loop_disown(&s->orphan);
	free_bev(s);
	if (s->push != NULL)
		event_free(s->push);
	loop_timer_free(&s->deadline);
	SSL_CTX_free(s->tls_next);
	free(s);
}

/* The owner has gone and all is written: say so to the peer and wait a moment for its end. */
static void linger(struct stream *s)
{
	SSL *ssl = s->tls ? bufferevent_openssl_get_ssl(s->bev) : NULL;

	if (s->lingering)
		return;
	s->lingering = true;
	if (ssl != NULL)
		SSL_shutdown(ssl);
	shutdown(bufferevent_getfd(s->bev), SHUT_WR);
	evbuffer_drain(bufferevent_get_input(s->bev), SIZE_MAX);
	s->paused = false;
	set_reading(s);
	loop_timer_set(s->deadline, LINGER_MS);
}

static void begin_tls(struct stream *s)
{
	SSL_CTX *tls = s->tls_next;
	int fd = bufferevent_getfd(s->bev);

	s->tls_next = NULL;
	bufferevent_setfd(s->bev, -1);
	free_bev(s);
	make_bev(s, fd, tls);
	SSL_CTX_free(tls);
}

static void on_read(struct bufferevent *bev, void *arg)
{
	struct stream *s = arg;

	if (s->finishing)
		evbuffer_drain(bufferevent_get_input(bev), SIZE_MAX);
	else if (s->tls_next == NULL)
		s->cb->readable(s->arg);
}

static void on_write(struct bufferevent *bev, void *arg)
{
	struct stream *s = arg;

	if (!s->tls)
		bufferevent_disable(bev, EV_WRITE); /* the next output is pushed first */
	if (s->finishing)
		linger(s);
	else if (s->tls_next != NULL)
		begin_tls(s);
	else if (s->cb->drained != NULL)
		s->cb->drained(s->arg);
}

/* A bufferevent asks the kernel for each reply whether it may write, and takes the question back: two system calls and
 * a turn of the loop for an answer that is nearly always yes. So small output is written first, and only what is left
 * over waits for the kernel's word. Large output goes its way by turns, so that nobody keeps the loop to himself. */
static void on_push(evutil_socket_t fd, short what, void *arg)
{
	struct stream *s = arg;
	struct evbuffer *out = bufferevent_get_output(s->bev);

	(void)fd;
	(void)what;
	if (s->tls || evbuffer_get_length(out) == 0)
		return;
	if (evbuffer_get_length(out) <= PUSH_MAX) {
		evbuffer_unfreeze(out, 1);
		evbuffer_write(out, bufferevent_getfd(s->bev));
		evbuffer_freeze(out, 1);
	}
	if (evbuffer_get_length(out) > 0)
		bufferevent_enable(s->bev, EV_WRITE); /* an error is found there again, and told */
	else
		on_write(s->bev, s);
}

static enum stream_end why_ended(const struct stream *s, short what)
{
	if (what & BEV_EVENT_TIMEOUT)
		return STREAM_TIMEOUT;
	if (s->shaking)
		return STREAM_TLS_FAILED;
	return what & BEV_EVENT_EOF ? STREAM_EOF : STREAM_RESET;
}

static void on_event(struct bufferevent *bev, short what, void *arg)
{
	struct stream *s = arg;

	if (what & BEV_EVENT_CONNECTED) {
		s->shaking = false;
		set_reading(s);
		if (!s->finishing && s->cb->secured != NULL)
			s->cb->secured(s->arg);
		return;
	}
	/* Someone who downloads says nothing meanwhile: only a stalled write counts then, and has its own timeout. */
	if ((what & BEV_EVENT_TIMEOUT) && (what & BEV_EVENT_READING) && !s->finishing &&
	    evbuffer_get_length(bufferevent_get_output(bev)) > 0) {
		set_reading(s);
		return;
	}
	if (s->finishing) {
		destroy(s);
		return;
	}
	s->cb->ended(s->arg, why_ended(s, what));
}

static void on_deadline(void *arg)
{
	struct stream *s = arg;

	if (s->finishing)
		destroy(s);
	else
		s->cb->ended(s->arg, STREAM_TIMEOUT);
}

static void make_bev(struct stream *s, int fd, SSL_CTX *tls)
{
	SSL *ssl = tls != NULL ? SSL_new(tls) : NULL;

	if (ssl != NULL) {
		s->tls = s->shaking = true;
		s->bev = bufferevent_openssl_socket_new(loop_base(s->loop), fd, ssl, BUFFEREVENT_SSL_ACCEPTING,
		                                        BEV_OPT_CLOSE_ON_FREE);
		if (s->bev != NULL)
			bufferevent_openssl_set_allow_dirty_shutdown(s->bev, 1);
	} else {
		s->bev = bufferevent_socket_new(loop_base(s->loop), fd, BEV_OPT_CLOSE_ON_FREE);
	}
	if (s->bev == NULL)
		abort();
	bufferevent_setcb(s->bev, on_read, on_write, on_event, s);
	bufferevent_set_max_single_read(s->bev, SINGLE_READ);
	bufferevent_set_max_single_write(s->bev, SINGLE_WRITE);
	bufferevent_setwatermark(s->bev, EV_READ, 0, s->high_water);
	apply_timeout(s);
	if (ssl != NULL)
		bufferevent_enable(s->bev, EV_WRITE);
	else
		bufferevent_disable(s->bev, EV_WRITE);
	set_reading(s);
}

struct stream *stream_accept(struct loop *l, int fd, SSL_CTX *tls, const struct stream_callbacks *cb, void *arg)
{
	struct stream *s = xcalloc(1, sizeof *s);

	*s = (struct stream){.loop = l, .cb = cb, .arg = arg, .high_water = HIGH_WATER};
	s->push = event_new(loop_base(l), -1, 0, on_push, s);
	if (s->push == NULL)
		abort();
	make_bev(s, fd, tls);
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
	return bufferevent_get_input(s->bev);
}

struct evbuffer *stream_out(struct stream *s)
{
	return bufferevent_get_output(s->bev);
}

void stream_write(struct stream *s, const void *p, size_t n)
{
	bufferevent_write(s->bev, p, n);
	if (!s->tls)
		event_active(s->push, EV_TIMEOUT, 0);
}

int stream_write_file(struct stream *s, struct evbuffer_file_segment *file, uint64_t at, size_t n)
{
	int rc = evbuffer_add_file_segment(stream_out(s), file, (ev_off_t)at, (ev_off_t)n);

	event_active(s->push, EV_TIMEOUT, 0);
	return rc;
}

void stream_set_timeout(struct stream *s, int64_t ms)
{
	s->timeout_ms = ms;
	apply_timeout(s);
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

void stream_pause(struct stream *s, bool paused)
{
	s->paused = paused;
	set_reading(s);
}

void stream_set_high_water(struct stream *s, size_t bytes)
{
	s->high_water = bytes;
	bufferevent_setwatermark(s->bev, EV_READ, 0, bytes);
}

void stream_start_tls(struct stream *s, SSL_CTX *tls)
{
	SSL_CTX_up_ref(tls);
	s->tls_next = tls;
	bufferevent_disable(s->bev, EV_READ);
	evbuffer_drain(bufferevent_get_input(s->bev), SIZE_MAX);
	if (evbuffer_get_length(bufferevent_get_output(s->bev)) == 0)
		begin_tls(s);
}

bool stream_is_tls(const struct stream *s)
{
	return s->tls;
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
	s->timeout_ms = 0;
	apply_timeout(s);
	if (s->deadline == NULL)
		s->deadline = loop_timer_new(s->loop, on_deadline, s);
	loop_timer_set(s->deadline, FLUSH_MS);
	evbuffer_drain(bufferevent_get_input(s->bev), SIZE_MAX);
	if (evbuffer_get_length(bufferevent_get_output(s->bev)) == 0)
		linger(s);
}
