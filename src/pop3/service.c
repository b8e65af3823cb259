#include "pop3/session.h"

#include "base/alloc.h"
#include "base/clock.h"
#include "net/crowd.h"
#include "net/tls.h"
#include "pop3/ports.h"
#include "pop3/sweep.h"

#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

enum { REFUSED_SLOTS = 256, REFUSED_MS = 60 * 1000, STOP_TICK_MS = 100, STOP_SILENT_MS = 1000 };

struct pop3_service {
	struct pop3_service_deps deps;
	const struct config *config, *next_config; /* a reference each */
	SSL_CTX *tls, *next_tls;
	struct pop3_offer offer;
	struct pop3_ports *ports;
	struct pop3_locks *locks;
	struct pop3_sweep *sweep;
	struct pop3_session *first;
	unsigned connections; /* with a stream */
	struct crowd *crowd;  /* those, by address */
	unsigned sessions;    /* and whoever waits for a callback */
	uint64_t last_id;
	struct buf scratch;
	char *chunk;
	struct {
		struct ip_addr peer;
		int64_t until;
	} refused[REFUSED_SLOTS]; /* already told in the log */
	struct loop_timer *stop_timer;
	int64_t stop_at;
	void (*stopped)(void *arg);
	void *stopped_arg;
	bool freed;
};

static void on_accepted(void *arg, bool tls, int fd, const struct ip_addr *peer);

struct pop3_service *pop3_service_new(const struct pop3_service_deps *deps)
{
	struct pop3_service *s = xcalloc(1, sizeof *s);

	s->deps = *deps;
	s->ports = pop3_ports_new(deps->loop, on_accepted, s);
	s->locks = pop3_locks_new(deps->loop);
	s->crowd = crowd_new();
	buf_init(&s->scratch, POP3_SCRATCH);
	s->chunk = xmalloc(POP3_CHUNK);
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

char *pop3_service_chunk(struct pop3_service *s)
{
	return s->chunk;
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
	s->connections++;
	crowd_enter(s->crowd, &session->peer);
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
	s->connections--;
	crowd_leave(s->crowd, &session->peer);
}

static void destroy(struct pop3_service *s)
{
	SSL_CTX_free(s->tls);
	config_unref((struct config **)&s->config);
	pop3_locks_free(&s->locks);
	crowd_free(&s->crowd);
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

static size_t slot_of(const struct ip_addr *a)
{
	uint32_t h = 2166136261u;

	for (size_t i = 0; i < sizeof a->b; i++)
		h = (h ^ a->b[i]) * 16777619u;
	return h % REFUSED_SLOTS;
}

/* One line per address and minute. */
static void log_refused(struct pop3_service *s, const struct ip_addr *peer, const char *why)
{
	int64_t now = clock_mono_ms();
	size_t i = slot_of(peer);
	char ip[46];

	if (s->refused[i].until > now && memcmp(&s->refused[i].peer, peer, sizeof *peer) == 0)
		return;
	s->refused[i].peer = *peer;
	s->refused[i].until = now + REFUSED_MS;
	ip_addr_format(peer, ip);
	log_warning("pop3.refused", kv_s("ip", ip), kv_s("why", why));
}

/* No session for these: they are many when they come. Under TLS there is nobody to read the line. */
static void refuse(int fd, bool tls, const char *line)
{
	if (!tls && send(fd, line, strlen(line), MSG_NOSIGNAL | MSG_DONTWAIT) > 0)
		shutdown(fd, SHUT_WR);
	close(fd);
}

static void on_accepted(void *arg, bool tls, int fd, const struct ip_addr *peer)
{
	struct pop3_service *s = arg;

	if (!ip_filter_serves(&s->config->ip_filter, peer)) {
		log_refused(s, peer, "ip_filter");
		refuse(fd, tls, "-ERR This server does not serve your address\r\n");
	} else if (s->connections >= s->config->pop3.max_connections) {
		log_refused(s, peer, "max_connections");
		refuse(fd, tls, "-ERR [SYS/TEMP] Too many connections, try later\r\n");
	} else if (!crowd_has_room(s->crowd, peer, s->config->pop3.max_connections)) {
		log_refused(s, peer, "max_connections of one address");
		refuse(fd, tls, "-ERR [SYS/TEMP] Too many connections from your address, try later\r\n");
	} else {
		pop3_session_start(s, fd, peer, tls ? s->tls : NULL);
	}
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
	if (pop3_ports_prepare(s->ports, &c->pop3, e) != 0) {
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
	pop3_ports_commit(s->ports);
	if (s->sweep == NULL)
		s->sweep = pop3_sweep_new(s);
}

void pop3_service_abort(struct pop3_service *s)
{
	SSL_CTX_free(s->next_tls);
	s->next_tls = NULL;
	config_unref((struct config **)&s->next_config);
	pop3_ports_abort(s->ports);
}

unsigned pop3_service_connections(const struct pop3_service *s)
{
	return s->connections;
}

void pop3_service_listeners(const struct pop3_service *s, void (*fn)(void *arg, const char *where), void *arg)
{
	pop3_ports_each(s->ports, fn, arg);
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
	pop3_ports_close(s->ports);
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
	pop3_ports_free(&s->ports);
	loop_timer_free(&s->stop_timer);
	s->sessions++; /* ours, so that the last session does not end s under our feet */
	send_away(s, true);
	s->freed = true;
	pop3_service_forget(s);
}
