/* The SMTP server for the LAN (RFC 5321). Loop thread. */
#ifndef OFM_SMTP_SERVICE_H
#define OFM_SMTP_SERVICE_H

#include "config/config.h"
#include "net/brake.h"
#include "net/ports.h"
#include "route/delivery.h"
#include "store/passwords.h"

struct smtp_service;

struct smtp_service_deps { /* all borrowed */
	struct loop *loop;
	struct delivery *delivery;
	struct passwords *passwords;
	struct brake *brake; /* shared with the other server, as is ... */
	struct ports_pool *ports;
	/* A message to the daemon was committed (with fact "sync_wanted"): start or append a sync. sender: user name.
	 */
	void (*daemon_called)(void *arg, const char *sender);
	void *arg;
};

struct smtp_service *smtp_service_new(const struct smtp_service_deps *deps);
/* Two steps, so that a faulty reload changes nothing: prepare takes what is new and says to the pool which ports it
 * wants (-1 with e: nothing changed); when the owner of the pool has opened and switched them, commit switches the
 * rest; or abort lets go. Running connections go on; new transactions see the new configuration. */
int smtp_service_prepare(struct smtp_service *s, const struct config *c, struct err *e);
void smtp_service_commit(struct smtp_service *s);
void smtp_service_abort(struct smtp_service *s);
unsigned smtp_service_connections(const struct smtp_service *s);
/* "0.0.0.0:25", "[::]:465 tls", …: calls fn for each listening address. */
void smtp_service_listeners(const struct smtp_service *s, void (*fn)(void *arg, const char *where), void *arg);
/* Accepts nothing more; done when running transactions have ended, or after ms. */
void smtp_service_stop(struct smtp_service *s, int64_t ms, void (*done)(void *arg), void *arg);
void smtp_service_free(struct smtp_service **s);

#endif
