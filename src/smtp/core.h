/* The SMTP server's protocol engine: RFC 5321 with SIZE (1870), PIPELINING (2920), 8BITMIME (6152), CHUNKING (3030),
 * ENHANCEDSTATUSCODES (2034), SMTPUTF8 (6531), AUTH PLAIN LOGIN (4954), STARTTLS (3207). Bytes in; replies and events
 * out. It owns no socket, clock or file; who may do what is decided by its hooks.
 *
 * Lines end in CRLF. A client whose very first line ends in a bare LF is an old device: its commands may end so too. */
#ifndef OFM_SMTP_CORE_H
#define OFM_SMTP_CORE_H

#include "base/buf.h"
#include "config/config.h"
#include "mail/address.h"

enum {
	SMTP_LINE_MAX = 2048,
	SMTP_AUTH_LINE_MAX = 12288,
	SMTP_ENDLESS = 64 * 1024, /* a line longer than this ends the connection */
	SMTP_MAX_ERRORS = 100,
	SMTP_MAX_LOGIN_FAILURES = 10,
	SMTP_HELO_MAX = 255
};

struct smtp_core;

struct smtp_options { /* as they stand when asked */
	const char *hostname;
	bool tls_offered; /* there is a certificate */
	bool secure;      /* the connection is under TLS */
	enum config_auth_offer auth;
	bool auth_tls;
};

struct smtp_mail { /* MAIL FROM and its parameters */
	struct address from;
	bool has_size;
	uint64_t size;
	bool eight_bit;
	bool utf8; /* SMTPUTF8 was said */
};

/* Replies that hooks give are whole lines without CRLF ("550 5.1.1 no such user here"), constants or valid until the
 * next call; NULL = yes. Everything handed to a hook is valid during the call alone. */
struct smtp_hooks {
	void (*options)(void *arg, struct smtp_options *out);
	const char *(*mail)(void *arg, const struct smtp_mail *m);
	const char *(*rcpt)(void *arg, const struct address *to);
	const char *(*content_begin)(void *arg); /* DATA or the first BDAT */
	void (*content)(void *arg, struct slice run);
	void (*content_end)(void *arg); /* answer by smtp_core_content_done, now or later */
	void (*reset)(void *arg);       /* forget the transaction, if any */
	/* answer by smtp_core_login_done or _refused, now or later */
	void (*login)(void *arg, struct slice name, struct slice password);
	void (*start_tls)(void *arg); /* then smtp_core_secured, once shaken hands */
	void (*forget_login)(void *arg);
};

enum smtp_phase {
	SMTP_PHASE_COMMAND, /* awaits a command; nothing of it is here */
	SMTP_PHASE_PARTIAL, /* a part of a line is here */
	SMTP_PHASE_CONTENT, /* reads a message */
	SMTP_PHASE_WAIT,    /* awaits one of the ..._done calls: takes no bytes */
	SMTP_PHASE_CLOSED   /* send what is in out, then close */
};

struct smtp_core *smtp_core_new(const struct smtp_hooks *hooks, void *arg);
void smtp_core_free(struct smtp_core **c);
/* The greeting. */
void smtp_core_greet(struct smtp_core *c);
/* Returns how many bytes were taken: less than all where it waits, or where out wants to be emptied first. */
size_t smtp_core_feed(struct smtp_core *c, struct slice in);
/* Replies to be sent: the owner empties it. */
struct buf *smtp_core_out(struct smtp_core *c);
void smtp_core_content_done(struct smtp_core *c, const char *reply);
void smtp_core_login_done(struct smtp_core *c, bool ok);
/* The same, where it was not looked at: reply says why. */
void smtp_core_login_refused(struct smtp_core *c, const char *reply);
void smtp_core_secured(struct smtp_core *c);
/* Says a last line ("421 …") and closes. */
void smtp_core_end(struct smtp_core *c, const char *reply);
enum smtp_phase smtp_core_phase(const struct smtp_core *c);
/* Inside a transaction, which a stop should let end. */
bool smtp_core_busy(const struct smtp_core *c);
/* What the client calls itself: printable ASCII without spaces; "" before HELO. */
const char *smtp_core_helo(const struct smtp_core *c);
bool smtp_core_extended(const struct smtp_core *c); /* EHLO */

#endif
