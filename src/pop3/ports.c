#include "pop3/ports.h"

#include "base/alloc.h"
#include "base/log.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

struct port {
	struct port *next;
	struct pop3_ports *owner;
	char *address;
	uint16_t number;
	bool tls;
	bool wanted;               /* by what is being prepared */
	bool fresh;                /* bound by it */
	struct listener *listener; /* NULL: had to make way for a fresh one */
};

struct pop3_ports {
	struct loop *loop;
	pop3_ports_accepted *fn;
	void *arg;
	struct port *first;
};

struct pop3_ports *pop3_ports_new(struct loop *l, pop3_ports_accepted *fn, void *arg)
{
	struct pop3_ports *p = xcalloc(1, sizeof *p);

	*p = (struct pop3_ports){.loop = l, .fn = fn, .arg = arg};
	return p;
}

static void on_accept(void *arg, int fd, const struct ip_addr *peer, uint16_t peer_port)
{
	struct port *port = arg;

	(void)peer_port;
	port->owner->fn(port->owner->arg, port->tls, fd, peer);
}

static int bind_port(struct port *port, struct err *e)
{
	const struct strlist one = {&port->address, 1};

	port->listener = listener_new(port->owner->loop, &one, port->number, on_accept, port, e);
	return port->listener != NULL ? 0 : -1;
}

/* An old socket of ours on 0.0.0.0:110 forbids one on 127.0.0.1:110: it has to go first. */
static bool make_way(struct pop3_ports *p, uint16_t number)
{
	bool any = false;

	for (struct port *q = p->first; q != NULL; q = q->next)
		if (q->listener != NULL && !q->wanted && q->number == number) {
			listener_free(&q->listener);
			any = true;
		}
	return any;
}

static int add(struct pop3_ports *p, const char *address, uint16_t number, bool tls, struct err *e)
{
	struct port *port = xcalloc(1, sizeof *port);
	struct err why = {0, ""};

	*port = (struct port){
	    .owner = p, .address = xstrdup(address), .number = number, .tls = tls, .wanted = true, .fresh = true};
	port->next = p->first;
	p->first = port;
	if (bind_port(port, &why) == 0)
		return 0;
	if (make_way(p, number) && bind_port(port, &why) == 0)
		return 0;
	return err_set(e, why.code, "[pop3] %s", why.text);
}

static int want(struct pop3_ports *p, const char *address, uint16_t number, bool tls, struct err *e)
{
	if (number == 0)
		return 0;
	for (struct port *q = p->first; q != NULL; q = q->next)
		if (q->number == number && q->tls == tls && strcmp(q->address, address) == 0) {
			q->wanted = true;
			return 0;
		}
	return add(p, address, number, tls, e);
}

/* Those that are already bound are marked first, so that none of them makes way. */
int pop3_ports_prepare(struct pop3_ports *p, const struct config_server *c, struct err *e)
{
	for (struct port *q = p->first; q != NULL; q = q->next)
		q->wanted = q->fresh = false;
	for (struct port *q = p->first; q != NULL; q = q->next)
		for (size_t i = 0; i < c->bind.n; i++)
			if (strcmp(q->address, c->bind.v[i]) == 0 && q->number == (q->tls ? c->tls_port : c->port))
				q->wanted = true;
	for (size_t i = 0; i < c->bind.n; i++)
		if (want(p, c->bind.v[i], c->port, false, e) != 0 || want(p, c->bind.v[i], c->tls_port, true, e) != 0) {
			pop3_ports_abort(p);
			return -1;
		}
	return 0;
}

static void drop(struct pop3_ports *p, bool fresh)
{
	struct port **at = &p->first;

	while (*at != NULL) {
		struct port *q = *at;

		if (fresh ? !q->fresh : q->wanted) {
			at = &q->next;
			continue;
		}
		*at = q->next;
		listener_free(&q->listener);
		free(q->address);
		free(q);
	}
}

void pop3_ports_commit(struct pop3_ports *p)
{
	drop(p, false);
	for (struct port *q = p->first; q != NULL; q = q->next)
		q->fresh = false;
}

void pop3_ports_abort(struct pop3_ports *p)
{
	struct err e;

	drop(p, true);
	for (struct port *q = p->first; q != NULL; q = q->next) {
		q->wanted = true;
		if (q->listener == NULL && bind_port(q, &e) != 0)
			log_error("pop3.listen", kv_s("error", e.text));
	}
}

void pop3_ports_each(const struct pop3_ports *p, void (*fn)(void *arg, const char *where), void *arg)
{
	for (const struct port *q = p->first; q != NULL; q = q->next) {
		bool v6 = strchr(q->address, ':') != NULL;
		char *where =
		    xasprintf("%s%s%s:%u%s", v6 ? "[" : "", q->address, v6 ? "]" : "", q->number, q->tls ? " tls" : "");

		fn(arg, where);
		free(where);
	}
}

void pop3_ports_close(struct pop3_ports *p)
{
	for (struct port *q = p->first; q != NULL; q = q->next)
		q->wanted = false;
	drop(p, false);
}

void pop3_ports_free(struct pop3_ports **p)
{
	if (*p == NULL)
		return;
	pop3_ports_close(*p);
	free(*p);
	*p = NULL;
}
