/* Shared by session.c and session_mail.c. */
#ifndef OFM_SMTP_SESSION_INTERNAL_H
#define OFM_SMTP_SESSION_INTERNAL_H

#include "net/stream.h"
#include "smtp/session.h"
#include "smtp/transaction.h"

struct smtp_login; /* a password check under way */

struct smtp_session {
	LIST_ENTRY(smtp_session) link;
	struct smtp_service *service;
	struct stream *stream;
	struct smtp_core *core;
	struct transaction *transaction;
	struct smtp_pending *pending;
	struct smtp_login *check;
	unsigned failures;          /* log-ins that failed */
	struct loop_timer *penalty; /* a wrong password's answer waits; NULL before the first */
	char *login;                /* user name; NULL = not logged in */
	struct ip_addr ip, our_ip;
	uint16_t port;
	char sid[12];
	bool pumping, start_tls, shaking, eof;
	enum smtp_phase phase;   /* for which the limits below are set */
	uint64_t received, mark; /* bytes of content; where the deadline was set */
};

/* Moves bytes between stream and engine until neither has work; may free s. */
void smtp_session_pump(struct smtp_session *s);
void smtp_session_client(const struct smtp_session *s, struct smtp_client *out);
void smtp_session_free(struct smtp_session **s);

/* session_mail.c: the hooks for transactions and log-in, and their answers */
extern const struct smtp_hooks smtp_session_hooks;
void smtp_session_detach(struct smtp_session *s); /* what is under way must not call back */

#endif
