#include "pop3/session.h"

#include "base/alloc.h"
#include "base/clock.h"

#include <stdio.h>
#include <stdlib.h>

/* ---- life ---- */

static void destroy(struct pop3_session *s)
{
	struct pop3_service *sv = s->service;

	pop3_transfer_free(&s->transfer);
	pop3_core_free(&s->core);
	maildir_list_free(&s->list);
	loop_timer_free(&s->timer);
	free(s->user);
	free(s);
	pop3_service_forget(sv);
}

void pop3_session_enter(struct pop3_session *s)
{
	s->under_way++;
}

bool pop3_session_leave(struct pop3_session *s)
{
	s->under_way--;
	if (s->stream != NULL)
		return true;
	if (s->under_way == 0)
		destroy(s);
	return false;
}

static void log_end(const struct pop3_session *s, const char *why)
{
	if (s->user == NULL)
		log_info("pop3.close", kv_s("sid", s->sid), kv_s("why", why));
	else
		log_info("pop3.close", kv_s("sid", s->sid), kv_s("why", why), kv_s("user", s->user),
		         kv_u("messages", s->list.n), kv_u("retrieved", s->core.retrieved),
		         kv_u("topped", s->core.topped),
		         kv_u("deleted", s->core.state == POP3_ENDED ? pop3_core_deletions(&s->core) : 0));
}

/* Ends the connection; the session itself lives on for whoever holds it. */
static void part(struct pop3_session *s, const char *why, bool flush)
{
	log_end(s, why);
	if (flush)
		stream_finish(&s->stream);
	else
		stream_free(&s->stream);
	/* While deletions are being committed the mailbox stays ours: see login.c's sibling below. */
	if (!s->committing)
		pop3_locks_release(pop3_service_locks(s->service), &s->claim);
	pop3_service_ended(s->service, s);
}

void pop3_session_end(struct pop3_session *s, const char *why, bool flush)
{
	if (s->stream == NULL)
		return;
	part(s, why, flush);
	if (s->under_way == 0 && !s->running)
		destroy(s);
}

static void on_timer(void *arg)
{
	struct pop3_session *s = arg;

	if (s->stream != NULL)
		s->timer_fn(s);
}

void pop3_session_timer(struct pop3_session *s, int64_t ms, void (*fn)(struct pop3_session *s))
{
	if (s->timer == NULL)
		s->timer = loop_timer_new(pop3_service_deps(s->service)->loop, on_timer, s);
	s->timer_fn = fn;
	loop_timer_set(s->timer, ms);
}

bool pop3_session_idle(const struct pop3_session *s)
{
	return !s->busy && s->transfer == NULL && !s->again &&
	       evbuffer_get_length(stream_out(s->stream)) + evbuffer_get_length(stream_in(s->stream)) == 0;
}

int64_t pop3_session_silent(const struct pop3_session *s)
{
	return clock_mono_ms() - s->last_active;
}

/* ---- QUIT ---- */

static void committed(void *arg, bool ok)
{
	struct pop3_session *s = arg;

	s->committing = false;
	if (s->stream == NULL) {
		pop3_locks_release(pop3_service_locks(s->service), &s->claim);
		log_info("pop3.deleted", kv_s("sid", s->sid), kv_u("deleted", pop3_core_deletions(&s->core)),
		         kv_s("ok", ok ? "yes" : "no"));
	}
	if (!pop3_session_leave(s))
		return;
	if (!ok)
		log_error("pop3.delete_failed", kv_s("sid", s->sid), kv_s("user", s->user));
	struct buf *out = pop3_service_scratch(s->service);

	pop3_core_committed(&s->core, ok, out);
	pop3_session_answered(s, out);
}

static void begin_commit(struct pop3_session *s)
{
	struct strlist names = {NULL, 0};

	for (size_t i = 0; i < s->list.n; i++)
		if (pop3_core_deleted(&s->core, i)) {
			struct slice name = slice_of(s->list.v[i].name);

			strlist_add_slice(&names, slice_sub(name, 0, slice_find(name, ':')));
		}
	s->committing = true;
	pop3_session_enter(s);
	delivery_delete(pop3_service_deps(s->service)->delivery, s->user, &names, committed, s);
	strlist_free(&names);
}

/* ---- running ---- */

static void flush(struct pop3_session *s, struct buf *out)
{
	if (out->n > 0)
		stream_write(s->stream, out->p, out->n);
	buf_clear(out);
}

/* While we work for it, a silent peer is no idle one. */
static void set_busy(struct pop3_session *s, bool busy)
{
	s->busy = busy;
	stream_set_timeout(s->stream, busy ? 0 : pop3_service_config(s->service)->pop3.timeout * 1000);
}

/* What has begun must be whole in this time, however its bytes drip. */
static int64_t patience_ms(const struct pop3_session *s)
{
	int64_t ms = pop3_service_config(s->service)->pop3.timeout * 1000;

	return ms < POP3_PATIENCE_MS ? ms : POP3_PATIENCE_MS;
}

/* A command from its first byte on. */
static void watch_line(struct pop3_session *s)
{
	bool in_line = pop3_core_in_line(&s->core);

	if (in_line != s->in_line)
		stream_set_deadline(s->stream, in_line ? patience_ms(s) : 0);
	s->in_line = in_line;
}

/* The handshake as a whole, as long as the session is busy with it or has not begun. */
static void watch_handshake(struct pop3_session *s)
{
	s->in_line = false;
	stream_set_deadline(s->stream, patience_ms(s));
}

static void fulfil(struct pop3_session *s, enum pop3_step wish)
{
	switch (wish) {
	case POP3_WANTS_LOGIN:
		set_busy(s, true);
		pop3_login_begin(s);
		break;
	case POP3_WANTS_COMMIT:
		set_busy(s, true);
		begin_commit(s);
		break;
	case POP3_WANTS_MESSAGE:
		s->busy = true;
		pop3_transfer_begin(s);
		break;
	case POP3_WANTS_TLS:
		s->busy = true;
		watch_handshake(s);
		stream_start_tls(s->stream, pop3_service_tls(s->service));
		break;
	case POP3_WANTS_CLOSE:
		part(s, "quit", true);
		break;
	case POP3_WANTS_INPUT:
	case POP3_WANTS_OUTPUT:
		break;
	}
}

/* One run of the core over the first piece of input. */
static enum pop3_step step(struct pop3_session *s)
{
	struct evbuffer *input = stream_in(s->stream);
	struct evbuffer_iovec piece = {NULL, 0};
	struct buf *out = pop3_service_scratch(s->service);
	struct pop3_offer offer = pop3_service_offer(s->service, stream_is_tls(s->stream));
	struct slice in;
	enum pop3_step wish;

	pop3_core_offer(&s->core, &offer);
	evbuffer_peek(input, -1, NULL, &piece, 1);
	in = slice_make(piece.iov_base, evbuffer_get_length(input) > 0 ? piece.iov_len : 0);
	size_t before = in.n;

	wish = pop3_core_run(&s->core, &in, out);
	evbuffer_drain(input, before - in.n);
	flush(s, out);
	return wish;
}

/* Whether to go on at once. */
static bool advance(struct pop3_session *s)
{
	enum pop3_step wish;

	if (s->stream == NULL || s->busy || evbuffer_get_length(stream_out(s->stream)) >= POP3_OUT_HIGH)
		return false;
	wish = step(s);
	watch_line(s);
	if (wish == POP3_WANTS_OUTPUT || (wish == POP3_WANTS_INPUT && evbuffer_get_length(stream_in(s->stream)) > 0))
		return true;
	if (wish == POP3_WANTS_INPUT && s->eof)
		part(s, "closed", true);
	else
		fulfil(s, wish);
	return wish != POP3_WANTS_INPUT;
}

static void run_again(void *arg)
{
	struct pop3_session *s = arg;

	s->again = false;
	if (pop3_session_leave(s))
		pop3_session_run(s);
}

void pop3_session_run(struct pop3_session *s)
{
	int rounds = 0;

	if (s->running || s->again)
		return;
	s->running = true;
	while (rounds < POP3_ROUNDS && advance(s))
		rounds++;
	s->running = false;
	if (s->stream == NULL) {
		if (s->under_way == 0)
			destroy(s);
		return;
	}
	if (rounds == POP3_ROUNDS) {
		s->again = true;
		pop3_session_enter(s);
		loop_post(pop3_service_deps(s->service)->loop, run_again, s);
	}
}

void pop3_session_answered(struct pop3_session *s, struct buf *out)
{
	set_busy(s, false);
	s->last_active = clock_mono_ms();
	flush(s, out);
	pop3_session_run(s);
}

/* ---- the stream's view ---- */

static void on_readable(void *arg)
{
	struct pop3_session *s = arg;

	s->last_active = clock_mono_ms();
	pop3_session_run(s);
}

static void on_drained(void *arg)
{
	struct pop3_session *s = arg;

	s->last_active = clock_mono_ms();
	if (s->transfer != NULL)
		pop3_transfer_continue(s);
	else
		pop3_session_run(s);
}

static void on_ended(void *arg, enum stream_end why)
{
	static const char *const words[] = {[STREAM_EOF] = "closed",
	                                    [STREAM_RESET] = "reset",
	                                    [STREAM_TIMEOUT] = "timeout",
	                                    [STREAM_TLS_FAILED] = "tls"};
	struct pop3_session *s = arg;

	/* Some say all they have to say, close their half, and read on: what came before is still answered. */
	s->eof = why == STREAM_EOF;
	if (s->eof && !s->busy && s->transfer == NULL)
		pop3_session_run(s);
	else if (!s->eof || (s->transfer == NULL && evbuffer_get_length(stream_in(s->stream)) == 0))
		pop3_session_end(s, words[why], false);
}

static void on_secured(void *arg)
{
	struct pop3_session *s = arg;
	struct pop3_offer offer = pop3_service_offer(s->service, true);
	struct buf *out = pop3_service_scratch(s->service);

	log_debug("pop3.tls", kv_s("sid", s->sid));
	stream_set_deadline(s->stream, 0);
	if (s->busy)
		pop3_core_secured(&s->core, &offer);
	else
		pop3_core_greet(out);
	pop3_session_answered(s, out);
}

static const struct stream_callbacks callbacks = {
    .readable = on_readable, .drained = on_drained, .ended = on_ended, .secured = on_secured};

static int64_t claim_silent(void *arg)
{
	struct pop3_session *s = arg;
	size_t out = s->stream != NULL ? evbuffer_get_length(stream_out(s->stream)) : 0;

	if (s->stream == NULL || s->committing || s->core.state != POP3_TRANSACTION)
		return 0;
	if (out != s->last_out)
		s->last_active = clock_mono_ms();
	s->last_out = out;
	return pop3_session_silent(s);
}

static void claim_evict(void *arg)
{
	pop3_session_end(arg, "taken over", false);
}

void pop3_session_start(struct pop3_service *sv, int fd, const struct ip_addr *peer, SSL_CTX *tls)
{
	struct pop3_session *s = xcalloc(1, sizeof *s);
	struct pop3_offer offer = pop3_service_offer(sv, tls != NULL);
	char ip[46];

	s->service = sv;
	s->peer = *peer;
	s->last_active = clock_mono_ms();
	s->claim = (struct pop3_claim){.peer = *peer, .silent = claim_silent, .evict = claim_evict, .arg = s};
	s->id = pop3_service_add(sv, s);
	snprintf(s->sid, sizeof s->sid, "p%llx", (unsigned long long)s->id);
	pop3_core_init(&s->core, &offer);
	ip_addr_format(peer, ip);
	log_debug("pop3.open", kv_s("sid", s->sid), kv_s("ip", ip));
	s->stream = stream_accept(pop3_service_deps(sv)->loop, fd, tls, &callbacks, s);
	stream_set_high_water(s->stream, POP3_IN_HIGH);
	stream_set_timeout(s->stream, pop3_service_config(sv)->pop3.timeout * 1000);
	if (tls != NULL) {
		watch_handshake(s);
	} else {
		struct buf *out = pop3_service_scratch(sv);

		pop3_core_greet(out);
		flush(s, out);
	}
}
