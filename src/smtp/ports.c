#include "smtp/ports.h"

#include "base/alloc.h"
#include "base/log.h"

#include <stdlib.h>
#include <string.h>

struct port {
	struct smtp_ports *owner;
	char *address;
	uint16_t number;
	bool tls;
	struct listener *listener; /* NULL: let go for a moment, while new ones are bound */
};

struct port_list {
	struct port **v;
	size_t n;
};

struct smtp_ports {
	struct loop *loop;
	void (*accepted)(void *arg, int fd, bool tls, const struct ip_addr *peer, uint16_t peer_port);
	void *arg;
	struct port_list live, next; /* what stays the same stands in both */
	bool prepared;
};

static void on_accepted(void *arg, int fd, const struct ip_addr *peer, uint16_t peer_port)
{
	const struct port *o = arg;

	o->owner->accepted(o->owner->arg, fd, o->tls, peer, peer_port);
}

static int open_port(struct port *o, struct err *e)
{
	struct strlist one = {&o->address, 1};

	o->listener = listener_new(o->owner->loop, &one, o->number, on_accepted, o, e);
	return o->listener != NULL ? 0 : -1;
}

static void free_port(struct port *o)
{
	listener_free(&o->listener);
	free(o->address);
	free(o);
}

static bool has(const struct port_list *l, const struct port *o)
{
	for (size_t i = 0; i < l->n; i++)
		if (l->v[i] == o)
			return true;
	return false;
}

static void add(struct port_list *l, struct port *o)
{
	l->v = xreallocarray(l->v, l->n + 1, sizeof *l->v);
	l->v[l->n++] = o;
}

/* Frees l and those of its ports that do not stand in kept. */
static void drop(struct port_list *l, const struct port_list *kept)
{
	for (size_t i = 0; i < l->n; i++)
		if (!has(kept, l->v[i]))
			free_port(l->v[i]);
	free(l->v);
	*l = (struct port_list){NULL, 0};
}

static struct port *find(const struct port_list *l, const char *address, uint16_t number, bool tls)
{
	for (size_t i = 0; i < l->n; i++)
		if (l->v[i]->number == number && l->v[i]->tls == tls && strcmp(l->v[i]->address, address) == 0)
			return l->v[i];
	return NULL;
}

static void want(struct smtp_ports *p, const char *address, uint16_t number, bool tls)
{
	if (number == 0 || find(&p->next, address, number, tls) != NULL)
		return;
	struct port *o = find(&p->live, address, number, tls);
	if (o == NULL) {
		o = xcalloc(1, sizeof *o);
		*o = (struct port){p, xstrdup(address), number, tls, NULL};
	}
	add(&p->next, o);
}

/* Lets go of unwanted ports of that number: 0.0.0.0 stands in the way of 127.0.0.1. */
static bool make_way(struct smtp_ports *p, uint16_t number)
{
	bool any = false;

	for (size_t i = 0; i < p->live.n; i++) {
		struct port *o = p->live.v[i];
		if (o->number != number || o->listener == NULL || has(&p->next, o))
			continue;
		listener_free(&o->listener);
		any = true;
	}
	return any;
}

static int open_next(struct smtp_ports *p, struct err *e)
{
	for (size_t i = 0; i < p->next.n; i++) {
		struct port *o = p->next.v[i];
		if (o->listener != NULL || open_port(o, e) == 0)
			continue;
		if (!make_way(p, o->number) || open_port(o, e) != 0)
			return -1;
	}
	return 0;
}

void smtp_ports_abort(struct smtp_ports *p)
{
	struct err e;

	if (!p->prepared)
		return;
	p->prepared = false;
	drop(&p->next, &p->live);
	for (size_t i = 0; i < p->live.n; i++)
		if (p->live.v[i]->listener == NULL && open_port(p->live.v[i], &e) != 0)
			log_error("smtp.listen", kv_s("error", e.text));
}

int smtp_ports_prepare(struct smtp_ports *p, const struct config *c, struct err *e)
{
	smtp_ports_abort(p);
	p->prepared = true;
	for (size_t i = 0; i < c->smtp.bind.n; i++) {
		want(p, c->smtp.bind.v[i], c->smtp.port, false);
		want(p, c->smtp.bind.v[i], c->smtp.tls_port, true);
	}
	if (open_next(p, e) == 0)
		return 0;
	smtp_ports_abort(p);
	return -1;
}

void smtp_ports_commit(struct smtp_ports *p)
{
	if (!p->prepared)
		return;
	p->prepared = false;
	drop(&p->live, &p->next);
	p->live = p->next;
	p->next = (struct port_list){NULL, 0};
}

void smtp_ports_each(const struct smtp_ports *p, void (*fn)(void *arg, const char *where), void *arg)
{
	for (size_t i = 0; i < p->live.n; i++) {
		const struct port *o = p->live.v[i];
		bool v6 = strchr(o->address, ':') != NULL;
		char *where =
		    xasprintf("%s%s%s:%u%s", v6 ? "[" : "", o->address, v6 ? "]" : "", o->number, o->tls ? " tls" : "");
		fn(arg, where);
		free(where);
	}
}

void smtp_ports_close(struct smtp_ports *p)
{
	smtp_ports_abort(p);
	drop(&p->live, &p->next);
}

struct smtp_ports *
smtp_ports_new(struct loop *l,
               void (*accepted)(void *arg, int fd, bool tls, const struct ip_addr *peer, uint16_t peer_port), void *arg)
{
	struct smtp_ports *p = xcalloc(1, sizeof *p);

	p->loop = l;
	p->accepted = accepted;
	p->arg = arg;
	return p;
}

void smtp_ports_free(struct smtp_ports **p)
{
	if (*p == NULL)
		return;
	smtp_ports_close(*p);
	free(*p);
	*p = NULL;
}
