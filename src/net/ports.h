/* What a server listens on, and its change in two steps while it runs. Loop thread only. */
#ifndef OFM_NET_PORTS_H
#define OFM_NET_PORTS_H

#include "net/listener.h"

struct ports;

/* tls: the port is one of implicit TLS. The callee takes fd (non-blocking, close-on-exec). */
typedef void ports_accepted(void *arg, int fd, bool tls, const struct ip_addr *peer, uint16_t peer_port);

/* section ("smtp") stands before errors; borrowed. */
struct ports *ports_new(struct loop *l, const char *section, ports_accepted *fn, void *arg);
/* Binds port and tls_port (0 = none) on each address of `bind` where that is not done yet. -1 with e: everything is as
 * before. What is no longer wanted stays bound until commit, except where it stands in the way of what is. */
int ports_prepare(struct ports *p, const struct strlist *bind, uint16_t port, uint16_t tls_port, struct err *e);
/* Either, without a prepare before it, does nothing. */
void ports_commit(struct ports *p);
void ports_abort(struct ports *p);
/* "127.0.0.1:995 tls" for each, in the order of the configuration. */
void ports_each(const struct ports *p, void (*fn)(void *arg, const char *where), void *arg);
void ports_close(struct ports *p);
void ports_free(struct ports **p);

#endif
