#include "smtp/service.h"

#include "base/alloc.h"
#include "net/tls.h"
#include "smtp/session.h"

#include <stdlib.h>
#include <unistd.h>

static const struct door_words words = {
    .stranger = "554 5.7.1 this server does not talk to your address\r\n",
    .full = "421 4.3.2 too many connections, try later\r\n",
    .crowded = "421 4.7.0 too many connections from your address, try later\r\n",
};

static void on_accepted(void *arg, int fd, bool tls, const struct ip_addr *peer, uint16_t peer_port)
{
	struct smtp_service *v = arg;

	if (!door_admits(v->door, &v->config->ip_filter, v->config->smtp.max_connections, fd, tls, peer))
		return;
	if (tls && v->tls == NULL)
		close(fd); /* a reload took the certificate away a moment ago */
	else
		smtp_session_start(v, fd, tls, peer, peer_port);
}

/* ---- configuration ---- */

static int make_tls(const struct config *c, SSL_CTX **out, struct err *e)
{
	*out = NULL;
	if (c->tls_certificate[0] == '\0')
		return c->smtp.tls_port == 0 ? 0 : err_set(e, 0, "[smtp] tls_port needs a [tls] certificate and key");
	*out = tls_server_new(c->tls_certificate, c->tls_key, e);
	return *out != NULL ? 0 : -1;
}

static void forget_prepared(struct smtp_service *v)
{
	config_unref(&v->next_config);
	SSL_CTX_free(v->next_tls);
	v->next_tls = NULL;
}

int smtp_service_prepare(struct smtp_service *v, const struct config *c, struct err *e)
{
	forget_prepared(v);
	if (make_tls(c, &v->next_tls, e) != 0)
		return -1;
	if (ports_want(v->ports, &c->smtp.bind, c->smtp.port, c->smtp.tls_port, e) != 0) {
		forget_prepared(v);
		return -1;
	}
	v->next_config = config_ref(c);
	return 0;
}

void smtp_service_commit(struct smtp_service *v)
{
	if (v->next_config == NULL)
		return;
	config_unref(&v->config);
	SSL_CTX_free(v->tls);
	v->config = v->next_config;
	v->tls = v->next_tls;
	v->next_config = NULL;
	v->next_tls = NULL;
}

void smtp_service_abort(struct smtp_service *v)
{
	forget_prepared(v);
}

unsigned smtp_service_connections(const struct smtp_service *v)
{
	return door_inside(v->door);
}

void smtp_service_listeners(const struct smtp_service *v, void (*fn)(void *arg, const char *where), void *arg)
{
	ports_each(v->ports, fn, arg);
}

/* ---- life ---- */

static void on_stopped(void *arg)
{
	struct smtp_service *v = arg;
	void (*stopped)(void *) = v->stopped;

	loop_timer_cancel(v->stop_timer);
	v->stopped = NULL;
	if (stopped != NULL)
		stopped(v->stopped_arg);
}

/* Through the timer, since whoever ends the last session is still using us. */
static void on_changed(struct smtp_service *v)
{
	if (v->stopping && v->stopped != NULL && door_inside(v->door) == 0 && LIST_EMPTY(&v->pendings))
		loop_timer_set(v->stop_timer, 0);
}

static void on_stop_timer(void *arg)
{
	struct smtp_service *v = arg;

	smtp_sessions_kill_all(v);
	on_stopped(v);
}

void smtp_service_stop(struct smtp_service *v, int64_t ms, void (*done)(void *arg), void *arg)
{
	v->stopping = true;
	v->stopped = done;
	v->stopped_arg = arg;
	ports_close(v->ports);
	loop_timer_set(v->stop_timer, ms);
	smtp_sessions_stop_all(v);
	on_changed(v);
}

struct smtp_service *smtp_service_new(const struct smtp_service_deps *deps)
{
	struct smtp_service *v = xcalloc(1, sizeof *v);

	v->deps = *deps;
	v->changed = on_changed;
	v->door = door_new("smtp.refuse", &words);
	v->ports = ports_new(deps->ports, "smtp", on_accepted, v);
	v->stop_timer = loop_timer_new(deps->loop, on_stop_timer, v);
	LIST_INIT(&v->sessions);
	LIST_INIT(&v->pendings);
	return v;
}

void smtp_service_free(struct smtp_service **vp)
{
	struct smtp_service *v = *vp;

	if (v == NULL)
		return;
	v->stopped = NULL;
	smtp_sessions_kill_all(v);
	smtp_pendings_orphan(v);
	forget_prepared(v);
	ports_free(&v->ports);
	loop_timer_free(&v->stop_timer);
	config_unref(&v->config);
	SSL_CTX_free(v->tls);
	door_free(&v->door);
	free(v);
	*vp = NULL;
}
