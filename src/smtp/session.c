#include "smtp/session_internal.h"

#include "base/alloc.h"
#include "base/log.h"
#include "base/random.h"

#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>

enum {
	FEED_MAX = 16 * 1024,
	SEND_MAX = 64 * 1024,     /* replies that the client does not read: then nothing more is taken from it */
	CONTENT_STEP = 16 * 1024, /* so many bytes of a message ... */
	CONTENT_PATIENCE = 5,     /* ... in so many timeouts, ... */
	CONTENT_PATIENCE_MS = 300 * 1000, /* ... but no more than this, or the client is a trickler */
	PATIENCE_MS = 60 * 1000           /* a command from its first byte, a handshake: at most */
};

static int64_t timeout_ms(const struct smtp_session *s)
{
	return s->service->config->smtp.timeout * 1000;
}

void smtp_session_client(const struct smtp_session *s, struct smtp_client *out)
{
	*out = (struct smtp_client){.ip = s->ip,
	                            .our_ip = s->our_ip,
	                            .global = ip_addr_is_global(&s->ip),
	                            .secure = stream_is_tls(s->stream),
	                            .extended = smtp_core_extended(s->core),
	                            .helo = smtp_core_helo(s->core),
	                            .login = s->login != NULL ? s->login : ""};
}

void smtp_session_free(struct smtp_session **sp)
{
	struct smtp_session *s = *sp;
	struct smtp_service *v = s->service;

	log_debug("smtp.close", kv_s("sid", s->sid));
	smtp_session_detach(s);
	LIST_REMOVE(s, link);
	door_leave(v->door, &s->ip);
	transaction_free(&s->transaction);
	smtp_core_free(&s->core);
	stream_free(&s->stream);
	loop_timer_free(&s->penalty);
	free(s->login);
	free(s);
	*sp = NULL;
	v->changed(v);
}

/* ---- limits of time ---- */

/* How long a command or a handshake may take that has begun. */
static int64_t patience_ms(const struct smtp_session *s)
{
	int64_t ms = timeout_ms(s);

	return ms < PATIENCE_MS ? ms : PATIENCE_MS;
}

/* How long each step of a message may take; never less than what mere silence may. */
static int64_t content_patience_ms(const struct smtp_session *s)
{
	int64_t silence = timeout_ms(s), ms = silence * CONTENT_PATIENCE;

	if (ms > CONTENT_PATIENCE_MS)
		ms = CONTENT_PATIENCE_MS;
	return ms > silence ? ms : silence;
}

static void set_limits(struct smtp_session *s, enum smtp_phase phase)
{
	stream_set_timeout(s->stream, phase == SMTP_PHASE_WAIT ? 0 : timeout_ms(s));
	if (phase == SMTP_PHASE_PARTIAL)
		stream_set_deadline(s->stream, patience_ms(s));
	else
		stream_set_deadline(s->stream, phase == SMTP_PHASE_CONTENT ? content_patience_ms(s) : 0);
	s->phase = phase;
	s->mark = s->received;
}

/* Silence has its limit, and so has a command from its first byte, and each piece of a message: one byte every few
 * seconds is not silence. */
static void watch(struct smtp_session *s)
{
	enum smtp_phase phase = smtp_core_phase(s->core);

	if (s->shaking)
		return;
	if (phase != s->phase || (phase == SMTP_PHASE_CONTENT && s->received - s->mark >= CONTENT_STEP))
		set_limits(s, phase);
}

/* ---- bytes ---- */

static bool flush(struct smtp_session *s)
{
	struct buf *out = smtp_core_out(s->core);
	bool any = out->n > 0;

	if (any)
		stream_write(s->stream, out->p, out->n);
	buf_free(out);
	return any;
}

/* Feeds one piece; false where the engine took nothing. */
static bool feed(struct smtp_session *s)
{
	struct evbuffer *in = stream_in(s->stream);
	struct evbuffer_iovec piece;

	if (evbuffer_peek(in, FEED_MAX, NULL, &piece, 1) < 1)
		return false;
	size_t n = piece.iov_len < FEED_MAX ? piece.iov_len : FEED_MAX;
	n = smtp_core_feed(s->core, slice_make(piece.iov_base, n));
	evbuffer_drain(in, n);
	s->received += n;
	return n > 0;
}

/* The handshake as a whole has the time that a command has. */
static void limit_handshake(struct smtp_session *s)
{
	s->shaking = true;
	stream_set_timeout(s->stream, timeout_ms(s));
	stream_set_deadline(s->stream, patience_ms(s));
}

static void handshake(struct smtp_session *s)
{
	s->start_tls = false;
	limit_handshake(s);
	stream_start_tls(s->stream, s->service->tls);
}

static void finish(struct smtp_session *s)
{
	stream_finish(&s->stream);
	smtp_session_free(&s);
}

static bool may_end(const struct smtp_session *s)
{
	return s->service->stopping && !smtp_core_busy(s->core) && smtp_core_phase(s->core) != SMTP_PHASE_WAIT;
}

void smtp_session_pump(struct smtp_session *s)
{
	if (s->pumping)
		return;
	s->pumping = true;
	bool moved = true;
	while (moved && !s->start_tls) {
		if (may_end(s))
			smtp_core_end(s->core, "421 4.3.2 shutting down, good-bye");
		moved = flush(s);
		if (smtp_core_phase(s->core) == SMTP_PHASE_CLOSED) {
			finish(s);
			return;
		}
		if (evbuffer_get_length(stream_out(s->stream)) < SEND_MAX)
			moved |= feed(s);
	}
	flush(s);
	s->pumping = false;
	if (s->start_tls)
		handshake(s);
	else if (s->eof && smtp_core_phase(s->core) != SMTP_PHASE_WAIT &&
	         evbuffer_get_length(stream_out(s->stream)) < SEND_MAX)
		finish(s);
	else
		watch(s);
}

static void on_readable(void *arg)
{
	smtp_session_pump(arg);
}

static void on_secured(void *arg)
{
	struct smtp_session *s = arg;

	s->shaking = false;
	if (smtp_core_phase(s->core) == SMTP_PHASE_WAIT)
		smtp_core_secured(s->core);
	set_limits(s, smtp_core_phase(s->core));
	smtp_session_pump(s);
}

/* A client may say all it has to say and shut its side: replies still reach it. */
static void on_ended(void *arg, enum stream_end why)
{
	struct smtp_session *s = arg;

	if (why == STREAM_EOF) {
		s->eof = true;
		smtp_session_pump(s);
		return;
	}
	if (why == STREAM_TIMEOUT)
		log_info("smtp.timeout", kv_s("sid", s->sid));
	if (why == STREAM_TIMEOUT && !s->shaking) { /* within a handshake nothing can be said */
		smtp_core_end(s->core, "421 4.4.2 timeout, good-bye");
		flush(s);
		finish(s);
		return;
	}
	smtp_session_free(&s);
}

static const struct stream_callbacks callbacks = {on_readable, on_readable, on_ended, on_secured};

/* ---- life ---- */

static void find_our_ip(int fd, struct ip_addr *out)
{
	struct sockaddr_storage sa = {0};
	socklen_t len = sizeof sa;

	if (getsockname(fd, (struct sockaddr *)&sa, &len) != 0 || !ip_addr_from_sockaddr((struct sockaddr *)&sa, out))
		*out = (struct ip_addr){{0}};
}

static void make_sid(char out[static 12])
{
	unsigned char b[5];

	random_bytes(b, sizeof b);
	snprintf(out, 12, "%02x%02x%02x%02x%02x", b[0], b[1], b[2], b[3], b[4]);
}

void smtp_session_start(struct smtp_service *v, int fd, bool implicit_tls, const struct ip_addr *peer,
                        uint16_t peer_port)
{
	struct smtp_session *s = xcalloc(1, sizeof *s);
	char ip[46];

	s->service = v;
	s->ip = *peer;
	s->port = peer_port;
	find_our_ip(fd, &s->our_ip);
	make_sid(s->sid);
	s->core = smtp_core_new(&smtp_session_hooks, s);
	s->stream = stream_accept(v->deps.loop, fd, implicit_tls ? v->tls : NULL, &callbacks, s);
	LIST_INSERT_HEAD(&v->sessions, s, link);
	door_enter(v->door, peer);
	ip_addr_format(peer, ip);
	log_debug("smtp.connect", kv_s("sid", s->sid), kv_s("peer", ip), kv_u("port", peer_port),
	          kv_s("tls", implicit_tls ? "yes" : "no"));
	set_limits(s, SMTP_PHASE_COMMAND);
	if (implicit_tls)
		limit_handshake(s);
	smtp_core_greet(s->core);
	smtp_session_pump(s);
}

void smtp_sessions_stop_all(struct smtp_service *v)
{
	struct smtp_session *s, *next;

	for (s = LIST_FIRST(&v->sessions); s != NULL; s = next) {
		next = LIST_NEXT(s, link);
		smtp_session_pump(s);
	}
}

void smtp_sessions_kill_all(struct smtp_service *v)
{
	struct smtp_session *s, *next;

	for (s = LIST_FIRST(&v->sessions); s != NULL; s = next) {
		next = LIST_NEXT(s, link);
		smtp_session_free(&s);
	}
}
