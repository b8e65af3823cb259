#include "net/ports.h"

#include "base/alloc.h"
#include "base/log.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

struct use {
	struct ports *owner; /* NULL: nobody */
	bool tls;
	unsigned rank; /* in the owner's order */
};

struct place { /* an address and port, bound or to be bound */
	struct place *next;
	char *address;
	uint16_t number;
	struct listener *listener; /* NULL: not bound yet, or had to make way */
	struct use now, then;      /* the same, while nothing changes */
};

struct ports_pool {
	struct loop *loop;
	struct place *first;
	bool changing; /* `then` are wishes */
	struct listener_shortage shortage;
};

struct ports {
	struct ports_pool *pool;
	const char *section;
	ports_accepted *fn;
	void *arg;
};

struct ports_pool *ports_pool_new(struct loop *l)
{
	struct ports_pool *pool = xcalloc(1, sizeof *pool);

	pool->loop = l;
	return pool;
}

struct ports *ports_new(struct ports_pool *pool, const char *section, ports_accepted *fn, void *arg)
{
	struct ports *p = xcalloc(1, sizeof *p);

	*p = (struct ports){.pool = pool, .section = section, .fn = fn, .arg = arg};
	return p;
}

/* ---- one place ---- */

static void on_accepted(void *arg, int fd, const struct ip_addr *peer, uint16_t peer_port)
{
	const struct place *q = arg;

	q->now.owner->fn(q->now.owner->arg, fd, q->now.tls, peer, peer_port);
}

static int place_open(struct ports_pool *pool, struct place *q, const struct ports *whose, struct err *e)
{
	const struct strlist one = {&q->address, 1};
	struct err why = {0, ""};

	q->listener = listener_new(pool->loop, &one, q->number, on_accepted, q, &why);
	if (q->listener == NULL)
		return err_set(e, why.code, "[%s] %s", whose->section, why.text);
	listener_share(q->listener, &pool->shortage);
	return 0;
}

/* Who is connected already is served; only then it closes. */
static void place_close(struct place *q)
{
	if (q->listener != NULL && q->now.owner != NULL)
		listener_drain(q->listener);
	listener_free(&q->listener);
}

static struct place *place_get(struct ports_pool *pool, const char *address, uint16_t number)
{
	struct place **at = &pool->first;

	while (*at != NULL && ((*at)->number != number || strcmp((*at)->address, address) != 0))
		at = &(*at)->next;
	if (*at == NULL) {
		*at = xcalloc(1, sizeof **at);
		**at = (struct place){.address = xstrdup(address), .number = number};
	}
	return *at;
}

/* Those that nobody has. */
static void places_sweep(struct ports_pool *pool)
{
	for (struct place **at = &pool->first; *at != NULL;) {
		struct place *q = *at;

		if (q->now.owner != NULL) {
			at = &q->next;
			continue;
		}
		*at = q->next;
		listener_free(&q->listener);
		free(q->address);
		free(q);
	}
}

/* ---- 1. wishes ---- */

static int want(struct ports *p, const char *address, uint16_t number, bool tls, unsigned rank, struct err *e)
{
	if (number == 0)
		return 0;
	struct place *q = place_get(p->pool, address, number);
	const struct ports *other = q->then.owner;
	if (other != NULL && other != p)
		return err_set(e, EADDRINUSE, "[%s] listen on %s port %u: [%s] has the same", p->section, address,
		               number, other->section);
	if (other == NULL)
		q->then = (struct use){p, tls, rank};
	return 0;
}

static bool is_covered(const struct strlist *bind, const char *address)
{
	const char *all = strchr(address, ':') != NULL ? "::" : "0.0.0.0";

	for (size_t i = 0; i < bind->n && strcmp(address, all) != 0; i++)
		if (strcmp(bind->v[i], all) == 0)
			return true;
	return false;
}

int ports_want(struct ports *p, const struct strlist *bind, uint16_t port, uint16_t tls_port, struct err *e)
{
	/* What another has now it may be giving up in the same change: only wishes count. */
	for (struct place *q = p->pool->first; q != NULL; q = q->next)
		if (!p->pool->changing || q->then.owner == p)
			q->then = (struct use){NULL, false, 0};
	p->pool->changing = true;
	for (size_t i = 0; i < bind->n; i++) {
		unsigned rank = 2 * (unsigned)i;
		if (is_covered(bind, bind->v[i]))
			continue;
		if (want(p, bind->v[i], port, false, rank, e) != 0 ||
		    want(p, bind->v[i], tls_port, true, rank + 1, e) != 0)
			return -1;
	}
	return 0;
}

/* ---- 2. binding ---- */

/* Lets go of unwanted ports of that number: 0.0.0.0 is in the way of 127.0.0.1, and the reverse. */
static bool make_way(struct ports_pool *pool, uint16_t number)
{
	bool any = false;

	for (struct place *q = pool->first; q != NULL; q = q->next)
		if (q->then.owner == NULL && q->number == number && q->listener != NULL) {
			place_close(q);
			any = true;
		}
	return any;
}

/* Whether one of them is all addresses of the other's kind. */
static bool overlap(const struct place *a, const struct place *b)
{
	bool v6 = strchr(a->address, ':') != NULL;
	const char *all = v6 ? "::" : "0.0.0.0";

	return a->number == b->number && v6 == (strchr(b->address, ':') != NULL) &&
	       (strcmp(a->address, all) == 0 || strcmp(b->address, all) == 0);
}

/* It is not another program that is in the way but a server of ours: says so. */
static void name_rival(const struct ports_pool *pool, const struct place *q, struct err *e)
{
	for (const struct place *r = pool->first; r != NULL; r = r->next)
		if (r != q && r->then.owner != NULL && r->listener != NULL && overlap(q, r)) {
			err_set(e, EADDRINUSE, "[%s] listen on %s port %u: [%s] has %s port %u in the same file",
			        q->then.owner->section, q->address, q->number, r->then.owner->section, r->address,
			        r->number);
			return;
		}
}

/* What is free is bound first, so that nothing makes way for a change that fails elsewhere. */
static int open_all(struct ports_pool *pool, bool force, struct err *e)
{
	for (struct place *q = pool->first; q != NULL; q = q->next) {
		if (q->then.owner == NULL || q->listener != NULL || place_open(pool, q, q->then.owner, e) == 0)
			continue;
		if (e->code == EADDRINUSE && !force)
			continue;
		if (e->code == EADDRINUSE && make_way(pool, q->number) && place_open(pool, q, q->then.owner, e) == 0)
			continue;
		name_rival(pool, q, e);
		return -1;
	}
	return 0;
}

int ports_pool_open(struct ports_pool *pool, struct err *e)
{
	struct err why = {0, ""};

	if (open_all(pool, false, &why) == 0 && open_all(pool, true, &why) == 0)
		return 0;
	*e = why;
	ports_pool_let_go(pool);
	return -1;
}

/* ---- 3. the switch ---- */

void ports_pool_switch(struct ports_pool *pool)
{
	pool->changing = false;
	for (struct place *q = pool->first; q != NULL; q = q->next) {
		bool same = q->now.owner == q->then.owner && q->now.tls == q->then.tls;
		if (q->listener != NULL && q->now.owner != NULL && !same)
			listener_drain(q->listener);
	}
	for (struct place *q = pool->first; q != NULL; q = q->next)
		q->now = q->then;
	places_sweep(pool);
}

void ports_pool_let_go(struct ports_pool *pool)
{
	struct err e = {0, ""};

	pool->changing = false;
	places_sweep(pool);
	for (struct place *q = pool->first; q != NULL; q = q->next) {
		q->then = q->now;
		if (q->listener == NULL && place_open(pool, q, q->now.owner, &e) != 0)
			log_error("net.listen", kv_s("error", e.text));
	}
}

/* ---- the rest ---- */

void ports_each(const struct ports *p, void (*fn)(void *arg, const char *where), void *arg)
{
	unsigned last = 0;

	for (const struct place *q = p->pool->first; q != NULL; q = q->next)
		if (q->now.owner == p && q->now.rank > last)
			last = q->now.rank;
	for (unsigned rank = 0; rank <= last; rank++)
		for (const struct place *q = p->pool->first; q != NULL; q = q->next) {
			if (q->now.owner != p || q->now.rank != rank)
				continue;
			bool v6 = strchr(q->address, ':') != NULL;
			char *where = xasprintf("%s%s%s:%u%s", v6 ? "[" : "", q->address, v6 ? "]" : "", q->number,
			                        q->now.tls ? " tls" : "");
			fn(arg, where);
			free(where);
		}
}

void ports_close(struct ports *p)
{
	for (struct place *q = p->pool->first; q != NULL; q = q->next) {
		if (q->then.owner == p)
			q->then.owner = NULL;
		if (q->now.owner == p)
			q->now.owner = NULL;
	}
	places_sweep(p->pool);
}

void ports_free(struct ports **p)
{
	if (*p == NULL)
		return;
	ports_close(*p);
	free(*p);
	*p = NULL;
}

void ports_pool_free(struct ports_pool **pool)
{
	if (*pool == NULL)
		return;
	places_sweep(*pool);
	free(*pool);
	*pool = NULL;
}
