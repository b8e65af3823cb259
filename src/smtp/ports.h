/* The addresses that the SMTP server listens on, and their change while it runs. Internal to smtp/. */
#ifndef OFM_SMTP_PORTS_H
#define OFM_SMTP_PORTS_H

#include "config/config.h"
#include "net/listener.h"

struct smtp_ports;

/* accepted is told whether the port is one of implicit TLS; it takes fd. */
struct smtp_ports *smtp_ports_new(struct loop *l,
                                  void (*accepted)(void *arg, int fd, bool tls, const struct ip_addr *peer,
                                                   uint16_t peer_port),
                                  void *arg);
/* Binds what c wants and is not bound yet. -1 with e: everything is as before. Addresses that are no longer wanted stay
 * bound until commit, except where they stand in the way of new ones. */
int smtp_ports_prepare(struct smtp_ports *p, const struct config *c, struct err *e);
void smtp_ports_commit(struct smtp_ports *p);
void smtp_ports_abort(struct smtp_ports *p);
void smtp_ports_each(const struct smtp_ports *p, void (*fn)(void *arg, const char *where), void *arg);
void smtp_ports_close(struct smtp_ports *p);
void smtp_ports_free(struct smtp_ports **p);

#endif
