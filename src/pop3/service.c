#include "pop3/session.h"

#include "base/alloc.h"
#include "base/clock.h"
#include "net/door.h"
#include "net/ports.h"
#include "net/tls.h"
#include "pop3/sweep.h"

#include <stdlib.h>
#include <unistd.h>

enum { STOP_TICK_MS = 100, STOP_SILENT_MS = 1000 };

struct pop3_service {
	struct pop3_service_deps deps;
	const struct config *config, *next_config; /* a reference each */
	SSL_CTX *tls, *next_tls;
	struct pop3_offer offer;
	struct ports *ports;
	struct pop3_locks *locks;
	struct pop3_sweep *sweep;
	struct pop3_session *first;
	struct door *door; /* counts those with a stream */
	unsigned sessions; /* and whoever waits for a callback */
	uint64_t last_id;
	struct buf scratch;
	char *chunk;
	size_t chunk_size;
	bool reads_blindly;
	struct loop_timer *stop_timer;
	int64_t stop_at;
	void (*stopped)(void *arg);
	void *stopped_arg;
	bool freed;
};

static const struct door_words words = {
    .stranger = "-ERR This server does not serve your address\r\n",
    .full = "-ERR [SYS/TEMP] Too many connections, try later\r\n",
    .crowded = "-ERR [SYS/TEMP] Too many connections from your address, try later\r\n",
};

static ports_accepted on_accepted;

struct pop3_service *pop3_service_new(const struct pop3_service_deps *deps)
{
	struct pop3_service *s = xcalloc(1, sizeof *s);

	s->deps = *deps;
	s->ports = ports_new(deps->ports, "pop3", on_accepted, s);
	s->locks = pop3_locks_new(deps->loop);
	s->door = door_new("pop3.refused", &words);
	buf_init(&s->scratch, POP3_SCRATCH);
	pop3_service_chunk(s, POP3_CHUNK);
	return s;
}

/* ---- what sessions ask ---- */

const struct pop3_service_deps *pop3_service_deps(const struct pop3_service *s)
{
	return &s->deps;
}

const struct config *pop3_service_config(const struct pop3_service *s)
{
	return s->config;
}

SSL_CTX *pop3_service_tls(const struct pop3_service *s)
{
	return s->tls;
}

struct pop3_locks *pop3_service_locks(const struct pop3_service *s)
{
	return s->locks;
}

struct buf *pop3_service_scratch(struct pop3_service *s)
{
	buf_clear(&s->scratch);
	return &s->scratch;
}

char *pop3_service_chunk(struct pop3_service *s, size_t n)
{
	if (n > s->chunk_size) {
		free(s->chunk);
		s->chunk = xmalloc(n);
		s->chunk_size = n;
	}
	return s->chunk;
}

bool pop3_service_reads_ahead(const struct pop3_service *s)
{
	return !s->reads_blindly;
}

void pop3_service_reads_blindly(struct pop3_service *s)
{
	s->reads_blindly = true;
}

struct pop3_offer pop3_service_offer(const struct pop3_service *s, bool tls)
{
	struct pop3_offer o = s->offer;

	o.stls = s->tls != NULL && !tls;
	o.login = tls || !s->config->pop3.auth_tls;
	return o;
}

uint64_t pop3_service_add(struct pop3_service *s, struct pop3_session *session)
{
	session->next = s->first;
	if (s->first != NULL)
		s->first->prev = session;
	s->first = session;
	door_enter(s->door, &session->peer);
	pop3_service_remember(s);
	return ++s->last_id;
}

void pop3_service_ended(struct pop3_service *s, struct pop3_session *session)
{
	if (session->prev != NULL)
		session->prev->next = session->next;
	else
		s->first = session->next;
	if (session->next != NULL)
		session->next->prev = session->prev;
	door_leave(s->door, &session->peer);
}

static void destroy(struct pop3_service *s)
{
	SSL_CTX_free(s->tls);
	config_unref((struct config **)&s->config);
	pop3_locks_free(&s->locks);
	door_free(&s->door);
	buf_free(&s->scratch);
	free(s->chunk);
	free(s);
}

void pop3_service_remember(struct pop3_service *s)
{
	s->sessions++;
}

void pop3_service_forget(struct pop3_service *s)
{
	s->sessions--;
	if (s->freed && s->sessions == 0)
		destroy(s);
}

/* ---- new connections ---- */

static void on_accepted(void *arg, int fd, bool tls, const struct ip_addr *peer, uint16_t peer_port)
{
	struct pop3_service *s = arg;

	(void)peer_port;
	if (!door_admits(s->door, &s->config->ip_filter, s->config->pop3.max_connections, fd, tls, peer))
		return;
	if (tls && s->tls == NULL)
		close(fd);
	else
		pop3_session_start(s, fd, peer, tls ? s->tls : NULL);
}

/* ---- configuration ---- */

int pop3_service_prepare(struct pop3_service *s, const struct config *c, struct err *e)
{
	if (c->tls_certificate[0] != '\0') {
		s->next_tls = tls_server_new(c->tls_certificate, c->tls_key, e);
		if (s->next_tls == NULL)
			return -1;
	} else if (c->pop3.tls_port != 0) {
		return err_set(e, 0, "[pop3] tls_port needs [tls] certificate and key");
	}
	if (ports_want(s->ports, &c->pop3.bind, c->pop3.port, c->pop3.tls_port, e) != 0) {
		SSL_CTX_free(s->next_tls);
		s->next_tls = NULL;
		return -1;
	}
	s->next_config = config_ref(c);
	return 0;
}

/* What clients without a name may be told of how long mail stays. */
static void set_expire(struct pop3_service *s)
{
	const struct config *c = s->config;

	s->offer = (struct pop3_offer){.expire = -1};
	for (size_t i = 0; i < c->nusers; i++) {
		int64_t days = pop3_login_days(c->users[i]);

		if (days >= 0 && (s->offer.expire < 0 || days < s->offer.expire))
			s->offer.expire = days;
	}
	for (size_t i = 0; i < c->nusers; i++)
		if (!c->users[i]->is_daemon && pop3_login_days(c->users[i]) != s->offer.expire)
			s->offer.expire_varies = true;
}

void pop3_service_commit(struct pop3_service *s)
{
	SSL_CTX_free(s->tls);
	s->tls = s->next_tls;
	s->next_tls = NULL;
	config_unref((struct config **)&s->config);
	s->config = s->next_config;
	s->next_config = NULL;
	set_expire(s);
	if (s->sweep == NULL)
		s->sweep = pop3_sweep_new(s);
}

void pop3_service_abort(struct pop3_service *s)
{
	SSL_CTX_free(s->next_tls);
	s->next_tls = NULL;
	config_unref((struct config **)&s->next_config);
}

unsigned pop3_service_connections(const struct pop3_service *s)
{
	return door_inside(s->door);
}

void pop3_service_listeners(const struct pop3_service *s, void (*fn)(void *arg, const char *where), void *arg)
{
	ports_each(s->ports, fn, arg);
}

/* ---- the end ---- */

/* Those that do nothing are sent away; others may end what they do. */
static void send_away(struct pop3_service *s, bool all)
{
	struct pop3_session *next;

	for (struct pop3_session *p = s->first; p != NULL; p = next) {
		next = p->next;
		if (all || (pop3_session_idle(p) && pop3_session_silent(p) >= STOP_SILENT_MS))
			pop3_session_end(p, "server stops", true);
	}
}

static void on_stop_tick(void *arg)
{
	struct pop3_service *s = arg;
	bool late = clock_mono_ms() >= s->stop_at;

	send_away(s, late);
	if (s->sessions > 0 && !late) {
		loop_timer_set(s->stop_timer, STOP_TICK_MS);
		return;
	}
	s->stopped(s->stopped_arg);
}

void pop3_service_stop(struct pop3_service *s, int64_t ms, void (*done)(void *arg), void *arg)
{
	ports_close(s->ports);
	pop3_sweep_free(&s->sweep);
	s->stop_at = clock_mono_ms() + ms;
	s->stopped = done;
	s->stopped_arg = arg;
	if (s->stop_timer == NULL)
		s->stop_timer = loop_timer_new(s->deps.loop, on_stop_tick, s);
	loop_timer_set(s->stop_timer, 0);
}

void pop3_service_free(struct pop3_service **sp)
{
	struct pop3_service *s = *sp;

	if (s == NULL)
		return;
	*sp = NULL;
	pop3_sweep_free(&s->sweep);
	ports_free(&s->ports);
	loop_timer_free(&s->stop_timer);
	s->sessions++; /* ours, so that the last session does not end s under our feet */
	send_away(s, true);
	s->freed = true;
	pop3_service_forget(s);
}
