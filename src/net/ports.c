#include "net/ports.h"

#include "base/alloc.h"
#include "base/log.h"

#include <stdlib.h>
#include <string.h>

struct port {
	struct port *next;
	struct ports *owner;
	char *address;
	uint16_t number;
	bool tls;
	bool wanted;               /* by what is prepared; all are, while nothing is */
	bool fresh;                /* came with what is prepared */
	struct listener *listener; /* NULL: not bound yet, or had to make way for one that is fresh */
};

struct ports {
	struct loop *loop;
	const char *section;
	ports_accepted *fn;
	void *arg;
	struct port *first;
};

struct ports *ports_new(struct loop *l, const char *section, ports_accepted *fn, void *arg)
{
	struct ports *p = xcalloc(1, sizeof *p);

	*p = (struct ports){.loop = l, .section = section, .fn = fn, .arg = arg};
	return p;
}

static void on_accepted(void *arg, int fd, const struct ip_addr *peer, uint16_t peer_port)
{
	const struct port *q = arg;

	q->owner->fn(q->owner->arg, fd, q->tls, peer, peer_port);
}

static int open_port(struct port *q, struct err *e)
{
	const struct strlist one = {&q->address, 1};
	struct err why;

	q->listener = listener_new(q->owner->loop, &one, q->number, on_accepted, q, &why);
	return q->listener != NULL ? 0 : err_set(e, why.code, "[%s] %s", q->owner->section, why.text);
}

static bool is(const struct port *q, const char *address, uint16_t number, bool tls)
{
	return q->number == number && q->tls == tls && strcmp(q->address, address) == 0;
}

static void want(struct ports *p, const char *address, uint16_t number, bool tls)
{
	struct port **at = &p->first;

	if (number == 0)
		return;
	while (*at != NULL && !is(*at, address, number, tls))
		at = &(*at)->next;
	if (*at == NULL) {
		*at = xcalloc(1, sizeof **at);
		**at =
		    (struct port){.owner = p, .address = xstrdup(address), .number = number, .tls = tls, .fresh = true};
	}
	(*at)->wanted = true;
}

/* Lets go of unwanted ports of that number: 0.0.0.0 stands in the way of 127.0.0.1. */
static bool make_way(struct ports *p, uint16_t number)
{
	bool any = false;

	for (struct port *q = p->first; q != NULL; q = q->next)
		if (!q->wanted && q->number == number && q->listener != NULL) {
			listener_free(&q->listener);
			any = true;
		}
	return any;
}

static int open_wanted(struct ports *p, struct err *e)
{
	for (struct port *q = p->first; q != NULL; q = q->next) {
		if (!q->wanted || q->listener != NULL || open_port(q, e) == 0)
			continue;
		if (!make_way(p, q->number) || open_port(q, e) != 0)
			return -1;
	}
	return 0;
}

int ports_prepare(struct ports *p, const struct strlist *bind, uint16_t port, uint16_t tls_port, struct err *e)
{
	ports_abort(p);
	for (struct port *q = p->first; q != NULL; q = q->next)
		q->wanted = false;
	for (size_t i = 0; i < bind->n; i++) {
		want(p, bind->v[i], port, false);
		want(p, bind->v[i], tls_port, true);
	}
	if (open_wanted(p, e) == 0)
		return 0;
	ports_abort(p);
	return -1;
}

/* Those that are fresh, or those that are unwanted. */
static void drop(struct ports *p, bool fresh)
{
	for (struct port **at = &p->first; *at != NULL;) {
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

void ports_commit(struct ports *p)
{
	drop(p, false);
	for (struct port *q = p->first; q != NULL; q = q->next)
		q->fresh = false;
}

void ports_abort(struct ports *p)
{
	struct err e;

	drop(p, true);
	for (struct port *q = p->first; q != NULL; q = q->next) {
		q->wanted = true;
		if (q->listener == NULL && open_port(q, &e) != 0)
			log_error("net.listen", kv_s("error", e.text));
	}
}

void ports_each(const struct ports *p, void (*fn)(void *arg, const char *where), void *arg)
{
	for (const struct port *q = p->first; q != NULL; q = q->next) {
		bool v6 = strchr(q->address, ':') != NULL;
		char *where =
		    xasprintf("%s%s%s:%u%s", v6 ? "[" : "", q->address, v6 ? "]" : "", q->number, q->tls ? " tls" : "");

		fn(arg, where);
		free(where);
	}
}

void ports_close(struct ports *p)
{
	for (struct port *q = p->first; q != NULL; q = q->next)
		q->wanted = false;
	drop(p, false);
}

void ports_free(struct ports **p)
{
	if (*p == NULL)
		return;
	ports_close(*p);
	free(*p);
	*p = NULL;
}
