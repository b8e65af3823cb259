/* One SMTP connection: ties the engine to its stream and the other rooms. Internal to smtp/. */
#ifndef OFM_SMTP_SESSION_H
#define OFM_SMTP_SESSION_H

#include "net/door.h"
#include "net/ports.h"
#include "smtp/service.h"

#include <openssl/ssl.h>
#include <sys/queue.h>

struct smtp_session;
struct smtp_pending;

LIST_HEAD(smtp_sessions, smtp_session);
LIST_HEAD(smtp_pendings, smtp_pending);

struct smtp_service { /* what sessions see of it; service.c owns it */
	struct smtp_service_deps deps;
	struct config *config;      /* a reference; NULL before the first commit */
	SSL_CTX *tls;               /* NULL without certificate */
	struct config *next_config; /* prepared and not yet in force */
	SSL_CTX *next_tls;
	struct smtp_sessions sessions;
	struct smtp_pendings pendings; /* messages whose commit is under way */
	struct door *door;             /* counts sessions */
	bool stopping;
	void (*changed)(struct smtp_service *s); /* a session or a commit ended */
	struct ports *ports;
	struct loop_timer *stop_timer;
	void (*stopped)(void *arg);
	void *stopped_arg;
};

/* Takes fd. implicit_tls: shake hands at once. */
void smtp_session_start(struct smtp_service *v, int fd, bool implicit_tls, const struct ip_addr *peer,
                        uint16_t peer_port);
/* With `stopping` set: each says 421 and ends, unless a transaction is running: then it does so after it. */
void smtp_sessions_stop_all(struct smtp_service *v);
void smtp_sessions_kill_all(struct smtp_service *v);
/* Commits whose answer is still to come forget the service. */
void smtp_pendings_orphan(struct smtp_service *v);

#endif
