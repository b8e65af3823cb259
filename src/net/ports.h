/* What the servers listen on, and its change while they run. Loop thread only.
 *
 * All servers share one pool, so that a port may go from one to another, or from plain to TLS, without being closed in
 * between. A change has three steps: each server says what it wants, the pool binds what is not bound yet, and then all
 * of it is switched or let go. */
#ifndef OFM_NET_PORTS_H
#define OFM_NET_PORTS_H

#include "net/listener.h"

struct ports_pool;
struct ports; /* one server's */

/* tls: the port is one of implicit TLS. The callee takes fd (non-blocking, close-on-exec). */
typedef void ports_accepted(void *arg, int fd, bool tls, const struct ip_addr *peer, uint16_t peer_port);

struct ports_pool *ports_pool_new(struct loop *l);
/* Behind all of its servers. */
void ports_pool_free(struct ports_pool **pool);

/* section ("smtp") stands before errors; borrowed. */
struct ports *ports_new(struct ports_pool *pool, const char *section, ports_accepted *fn, void *arg);
void ports_free(struct ports **p);
/* 1. This server wants port and tls_port (0 = none) on each address of `bind`, and nothing else; each server has to say
 * so in each change. Addresses that 0.0.0.0 or :: in the same list covers are left out. -1 with e where another
 * server wants the same; then the change has to be let go. */
int ports_want(struct ports *p, const struct strlist *bind, uint16_t port, uint16_t tls_port, struct err *e);
/* 2. Binds what is not bound. -1 with e: everything is as before. What nobody wants any more stays bound until it is
 * switched, except where it is in the way (0.0.0.0 and 127.0.0.1). */
int ports_pool_open(struct ports_pool *pool, struct err *e);
/* 3. Connections that have come to a port by now still go to the server that had it. Either does nothing without a
 * change before it. */
void ports_pool_switch(struct ports_pool *pool);
void ports_pool_let_go(struct ports_pool *pool);

/* "127.0.0.1:995 tls" for each, in the order of the configuration. */
void ports_each(const struct ports *p, void (*fn)(void *arg, const char *where), void *arg);
void ports_close(struct ports *p);

#endif
