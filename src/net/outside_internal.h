/* What the two halves of an outside connection share: libcurl's part until it is ready, the live line after. */
#ifndef OFM_NET_OUTSIDE_INTERNAL_H
#define OFM_NET_OUTSIDE_INTERNAL_H

#include "base/buf.h"
#include "net/outside.h"

#include <curl/curl.h>

enum outside_state { OUTSIDE_OPENING, OUTSIDE_LIVE, OUTSIDE_DEAD };

enum { OUTSIDE_SEND_CHUNK = 16 * 1024, OUTSIDE_HIGH_WATER = 256 * 1024, OUTSIDE_TURN = 32 * 1024 };

struct outside {
	struct loop *loop;
	struct outside_callbacks cb;
	void *arg;
	enum outside_state state;
	unsigned depth; /* calls of ours on the stack: freeing waits for them */
	bool closed;    /* the owner let go */

	/* opening */
	CURLM *multi; /* private: settings and credentials of two connections never meet in one cache */
	CURL *easy;   /* stays in its multi for as long as the connection lives */
	struct loop_timer *curl_timer, *deadline;
	int64_t connect_timeout_ms;
	enum outside_protocol protocol;
	enum outside_security security;
	char *ca_file;         /* what the certificate is verified against; NULL: it is not */
	bool first_ok;         /* the greeting was a friendly one */
	struct buf transcript; /* lines since the greeting or the TLS handshake, whichever was later */
	struct buf reply;      /* the newest line alone */
	size_t heard;          /* bytes of all lines */
	char why[CURL_ERROR_SIZE];
	enum outside_failure refused_as; /* a failure known before anything was tried */
	const char *refused;

	/* live */
	struct event *rd, *wr;
	struct evbuffer *in, *out;
	bool paused, full;
	char *chunk; /* what curl_easy_send was offered: TLS wants the same bytes at the same place again */
	size_t chunk_at, chunk_n;
	struct loop_turn turn; /* to read */
	struct loop_timer *silence;
	int64_t silence_ms, last_ms;
};

/* Entering and leaving whatever may call the owner, who may close the connection there. leave frees it then. */
void outside_enter(struct outside *o);
void outside_leave(struct outside *o);
/* Tells the owner, once. Between enter and leave. */
void outside_fail(struct outside *o, enum outside_failure f, const char *text);

/* The live half. */
int outside_line_start(struct outside *o); /* -1 where the socket is gone */
void outside_line_stop(struct outside *o);

#endif
