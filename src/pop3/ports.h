/* The listening sockets of the server, switched in two steps. Inside pop3/. Loop thread. */
#ifndef OFM_POP3_PORTS_H
#define OFM_POP3_PORTS_H

#include "config/config.h"
#include "net/listener.h"

struct pop3_ports;

typedef void pop3_ports_accepted(void *arg, bool tls, int fd, const struct ip_addr *peer);

struct pop3_ports *pop3_ports_new(struct loop *l, pop3_ports_accepted *fn, void *arg);
/* Binds what `want` names and is not bound yet; what is no longer wanted goes on until commit, unless it stands in
 * the way. -1 with e: as before. */
int pop3_ports_prepare(struct pop3_ports *p, const struct config_server *want, struct err *e);
void pop3_ports_commit(struct pop3_ports *p);
void pop3_ports_abort(struct pop3_ports *p);
void pop3_ports_each(const struct pop3_ports *p, void (*fn)(void *arg, const char *where), void *arg);
void pop3_ports_close(struct pop3_ports *p); /* all of them */
void pop3_ports_free(struct pop3_ports **p);

#endif
