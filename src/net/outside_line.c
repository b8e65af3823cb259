#include "base/alloc.h"
#include "base/clock.h"
#include "net/outside_internal.h"

#include <stdlib.h>

/* ---- silence ---- */

static void arm_silence(struct outside *o)
{
	o->last_ms = clock_mono_ms();
	if (o->silence_ms > 0 && o->state == OUTSIDE_LIVE)
		loop_timer_set(o->silence, o->silence_ms);
	else if (o->silence != NULL)
		loop_timer_cancel(o->silence);
}

static void on_silence(void *arg)
{
	struct outside *o = arg;
	int64_t rest = o->silence_ms - (clock_mono_ms() - o->last_ms);

	if (o->silence_ms <= 0 || o->state != OUTSIDE_LIVE)
		return;
	if (o->paused) { /* the owner does not listen: the peer is not to blame */
		arm_silence(o);
		return;
	}
	if (rest > 0) {
		loop_timer_set(o->silence, rest);
		return;
	}
	outside_enter(o);
	outside_fail(o, OUTSIDE_NETWORK, "the server fell silent");
	outside_leave(o);
}

void outside_set_timeout(struct outside *o, int64_t ms)
{
	o->silence_ms = ms;
	arm_silence(o);
}

/* ---- receiving ---- */

/* true: there may be more at once. TLS may hold bytes that the socket no longer announces, so only CURLE_AGAIN means
 * that nothing is left. */
static bool receive_some(struct outside *o, size_t *got)
{
	struct evbuffer_iovec v;
	size_t n = 0;

	evbuffer_reserve_space(o->in, OUTSIDE_SEND_CHUNK, &v, 1);
	CURLcode rc = curl_easy_recv(o->easy, v.iov_base, v.iov_len, &n);
	v.iov_len = rc == CURLE_OK ? n : 0;
	evbuffer_commit_space(o->in, &v, 1);
	*got += v.iov_len;
	if (rc == CURLE_OK && n > 0)
		return true;
	if (rc != CURLE_AGAIN) {
		/* What came before the end is the owner's to read first. */
		if (*got > 0)
			o->cb.readable(o->arg);
		outside_fail(o, OUTSIDE_NETWORK,
		             rc == CURLE_OK ? "the server closed the connection" : "the connection was lost");
		*got = 0;
	}
	return false;
}

static void read_soon(struct outside *o);

static void read_turn(void *arg)
{
	struct outside *o = arg;
	size_t got = 0;
	bool more = true;

	if (o->state != OUTSIDE_LIVE || o->paused || o->full)
		return;
	outside_enter(o);
	while (more && !o->paused && got < OUTSIDE_TURN && evbuffer_get_length(o->in) < OUTSIDE_HIGH_WATER)
		more = receive_some(o, &got);
	if (got > 0) {
		o->last_ms = clock_mono_ms();
		o->cb.readable(o->arg);
	}
	if (o->state == OUTSIDE_LIVE && !o->closed) {
		o->full = evbuffer_get_length(o->in) >= OUTSIDE_HIGH_WATER;
		if (o->paused || o->full)
			event_del(o->rd);
		else if (more) /* others first, then go on, even if the socket stays quiet */
			read_soon(o);
	}
	outside_leave(o);
}

static void read_soon(struct outside *o)
{
	loop_turn_ask(o->loop, &o->turn, read_turn, o);
}

static void on_readable(evutil_socket_t fd, short what, void *arg)
{
	(void)fd;
	(void)what;
	read_soon(arg);
}

static void resume_reading(struct outside *o)
{
	if (o->state != OUTSIDE_LIVE || o->paused || o->full)
		return;
	event_add(o->rd, NULL);
	read_soon(o);
}

static void on_in_changed(struct evbuffer *b, const struct evbuffer_cb_info *info, void *arg)
{
	struct outside *o = arg;

	(void)info;
	if (!o->full || evbuffer_get_length(b) >= OUTSIDE_HIGH_WATER / 2)
		return;
	o->full = false;
	resume_reading(o);
}

void outside_pause(struct outside *o, bool paused)
{
	if (o->paused == paused)
		return;
	o->paused = paused;
	o->last_ms = clock_mono_ms();
	if (o->state != OUTSIDE_LIVE)
		return;
	if (paused)
		event_del(o->rd);
	else
		resume_reading(o);
}

/* ---- sending ---- */

static bool next_chunk(struct outside *o)
{
	if (o->chunk_at < o->chunk_n)
		return true;
	int n = evbuffer_remove(o->out, o->chunk, OUTSIDE_SEND_CHUNK);
	o->chunk_at = 0;
	o->chunk_n = n > 0 ? (size_t)n : 0;
	return n > 0;
}

/* The line is gone, but what the server said before (421, say) may still lie there. */
static void hear_last_words(struct outside *o)
{
	size_t got = 0;

	while (got < OUTSIDE_TURN && receive_some(o, &got))
		;
	if (got > 0)
		o->cb.readable(o->arg);
	outside_fail(o, OUTSIDE_NETWORK, "the connection was lost");
}

/* 1: all sent; 0: the line is full; -1: lost. */
static int send_all(struct outside *o)
{
	while (next_chunk(o)) {
		size_t n = 0;
		CURLcode rc = curl_easy_send(o->easy, o->chunk + o->chunk_at, o->chunk_n - o->chunk_at, &n);

		if (rc == CURLE_AGAIN)
			return 0;
		if (rc != CURLE_OK)
			return -1;
		o->chunk_at += n;
		o->last_ms = clock_mono_ms();
	}
	return 1;
}

static void on_writable(evutil_socket_t fd, short what, void *arg)
{
	struct outside *o = arg;

	(void)fd;
	(void)what;
	if (o->state != OUTSIDE_LIVE)
		return;
	outside_enter(o);
	switch (send_all(o)) {
	case 0:
		event_add(o->wr, NULL);
		break;
	case 1:
		if (o->cb.drained != NULL)
			o->cb.drained(o->arg);
		break;
	default:
		hear_last_words(o);
	}
	outside_leave(o);
}

static void on_out_changed(struct evbuffer *b, const struct evbuffer_cb_info *info, void *arg)
{
	struct outside *o = arg;

	(void)b;
	/* From the loop, so that all that its owner says in one turn leaves together, and others get their turn. */
	if (info->n_added > 0 && o->state == OUTSIDE_LIVE)
		event_add(o->wr, NULL);
}

/* ---- life ---- */

int outside_line_start(struct outside *o)
{
	curl_socket_t fd = CURL_SOCKET_BAD;

	if (curl_easy_getinfo(o->easy, CURLINFO_ACTIVESOCKET, &fd) != CURLE_OK || fd == CURL_SOCKET_BAD)
		return -1;
	o->rd = event_new(loop_base(o->loop), fd, EV_READ | EV_PERSIST, on_readable, o);
	o->wr = event_new(loop_base(o->loop), fd, EV_WRITE, on_writable, o);
	o->chunk = xmalloc(OUTSIDE_SEND_CHUNK);
	o->silence = loop_timer_new(o->loop, on_silence, o);
	evbuffer_add_cb(o->in, on_in_changed, o);
	evbuffer_add_cb(o->out, on_out_changed, o);
	if (!o->paused)
		event_add(o->rd, NULL);
	event_add(o->wr, NULL);
	read_soon(o); /* bytes may have come together with the handshake's last */
	o->state = OUTSIDE_LIVE;
	arm_silence(o);
	return 0;
}

void outside_line_stop(struct outside *o)
{
	if (o->rd != NULL)
		event_free(o->rd);
	if (o->wr != NULL)
		event_free(o->wr);
	o->rd = o->wr = NULL;
	loop_timer_free(&o->silence);
	loop_turn_leave(o->loop, &o->turn);
	free(o->chunk);
	o->chunk = NULL;
	o->chunk_at = o->chunk_n = 0;
}

struct evbuffer *outside_in(struct outside *o)
{
	return o->in;
}

struct evbuffer *outside_out(struct outside *o)
{
	return o->out;
}
