/* A connection to an outside server that libcurl opens (names, happy eyeballs, proxy, TLS and its verification,
 * STLS/STARTTLS, log-in) and hands over alive (CURLOPT_CONNECT_ONLY). Then it is a stream of bytes like any other.
 * Loop thread. */
#ifndef OFM_NET_OUTSIDE_H
#define OFM_NET_OUTSIDE_H

#include "net/loop.h"

#include <event2/buffer.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct outside;

/* What TLS servers give to a client that may come back: the next handshake with the same server is then a shorter one.
 * Of one account alone, under the same settings: nothing of it may be shared with others. Counted: connections keep it.
 * (Behind STARTTLS with TLS 1.3 libcurl keeps a session as POP3S's and looks for POP3's: there it is of no use.) */
struct outside_memory;
struct outside_memory *outside_memory_new(void);
struct outside_memory *outside_memory_ref(struct outside_memory *m); /* NULL for NULL */
void outside_memory_unref(struct outside_memory **m);

enum outside_protocol { OUTSIDE_POP3, OUTSIDE_SMTP };
enum outside_security { OUTSIDE_PLAIN, OUTSIDE_OPPORTUNISTIC, OUTSIDE_STARTTLS, OUTSIDE_TLS };

struct outside_target { /* copied */
	enum outside_protocol protocol;
	const char *host;
	uint16_t port;
	enum outside_security security;
	bool tls_verify;
	const char *ca_file;         /* "" = the system's */
	const char *login_options;   /* libcurl's: "AUTH=PLAIN", "AUTH=+APOP", …; "" = any that is safe */
	const char *user, *password; /* user "" = no log-in */
	const char *bearer;          /* XOAUTH2/OAUTHBEARER token; "" = none */
	const char *proxy;           /* "" = none */
	const char *hello;           /* SMTP: name for EHLO */
	int64_t connect_timeout_ms;
	struct outside_memory *memory; /* not copied but kept; NULL = none */
};

enum outside_failure {                    /* what kind of failure: "later" and "wrong password" are worlds apart */
	               OUTSIDE_NETWORK,   /* name, connect, cut off, timeout */
	               OUTSIDE_TLS_TRUST, /* certificate or handshake */
	               OUTSIDE_NO_TLS,    /* TLS is required and not offered or refused */
	               OUTSIDE_LOGIN,     /* log-in refused: see text for [AUTH], [IN-USE], [SYS/TEMP], [LOGIN-DELAY] */
	               OUTSIDE_GREETING,  /* no such server behind it: -ERR/5xx greeting, garbage */
	               OUTSIDE_REFUSED    /* arguments that libcurl must never see (CR, LF, NUL) */
};

struct outside_callbacks {
	void (*ready)(void *arg);    /* logged in */
	void (*readable)(void *arg); /* more in outside_in */
	void (*drained)(void *arg);  /* outside_out became empty; may be NULL */
	/* Before ready: could not get in. After: nothing more comes. `reply` is the server's last line, "" if unknown.
	 * The owner frees the connection. */
	void (*failed)(void *arg, enum outside_failure f, const char *text, const char *reply);
};

struct outside *outside_open(struct loop *l, const struct outside_target *t, const struct outside_callbacks *cb,
                             void *arg);
struct evbuffer *outside_in(struct outside *o);
/* Bytes added are sent as the line takes them. */
struct evbuffer *outside_out(struct outside *o);
void outside_set_timeout(struct outside *o, int64_t ms); /* silence while something is awaited: failed(NETWORK) */
void outside_pause(struct outside *o, bool paused);
/* Lines that the server sent during greeting and log-in, newest last, for capabilities (CAPA / EHLO). */
const char *outside_transcript(const struct outside *o);
void outside_close(struct outside **o); /* at once; send QUIT before it yourself */

#endif
