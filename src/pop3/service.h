/* The POP3 server for the LAN (RFC 1939, 2449, 2595, 5034). Loop thread. */
#ifndef OFM_POP3_SERVICE_H
#define OFM_POP3_SERVICE_H

#include "config/config.h"
#include "disk/workers.h"
#include "net/brake.h"
#include "net/ports.h"
#include "route/delivery.h"
#include "store/maildir.h"
#include "store/passwords.h"

struct pop3_service;

struct pop3_service_deps { /* all borrowed */
	struct loop *loop;
	struct delivery *delivery;
	struct passwords *passwords;
	struct maildir *maildir;
	struct workers *workers;
	struct brake *brake; /* shared with the other server, as is ... */
	struct ports_pool *ports;
};

struct pop3_service *pop3_service_new(const struct pop3_service_deps *deps);
/* Two steps, so that a faulty reload changes nothing: prepare takes what is new and says to the pool which ports it
 * wants (-1 with e: nothing changed); when the owner of the pool has opened and switched them, commit switches the
 * rest; or abort lets go. Running connections go on; new sessions see the new configuration. */
int pop3_service_prepare(struct pop3_service *s, const struct config *c, struct err *e);
void pop3_service_commit(struct pop3_service *s);
void pop3_service_abort(struct pop3_service *s);
unsigned pop3_service_connections(const struct pop3_service *s);
/* "0.0.0.0:110", "[::]:995 tls", …: calls fn for each listening address. */
void pop3_service_listeners(const struct pop3_service *s, void (*fn)(void *arg, const char *where), void *arg);
/* Accepts nothing more; done when running sessions have ended, or after ms. */
void pop3_service_stop(struct pop3_service *s, int64_t ms, void (*done)(void *arg), void *arg);
void pop3_service_free(struct pop3_service **s);

#endif
