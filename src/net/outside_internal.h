/* What the parts of an outside connection share. Names, handshakes and log-ins are libcurl's, on the opener's thread
 * (loop_helper): a handshake is a millisecond's work, and a hundred of them would hold up everybody's sessions. Then
 * the live line is the loop's. Each side has the connection alone: outside_begin and outside_abandon are posted to the
 * opener, outside_opened and outside_bury to the loop, in this order. */
#ifndef OFM_NET_OUTSIDE_INTERNAL_H
#define OFM_NET_OUTSIDE_INTERNAL_H

#include "base/buf.h"
#include "net/outside.h"

#include <curl/curl.h>

enum outside_state { OUTSIDE_OPENING, OUTSIDE_LIVE, OUTSIDE_DEAD };

enum {
	OUTSIDE_SEND_CHUNK = 16 * 1024,
	OUTSIDE_HIGH_WATER = 256 * 1024,
	OUTSIDE_TURN = 32 * 1024,
	OUTSIDE_TRANSCRIPT_MAX = 64 * 1024,
	OUTSIDE_REPLY_MAX = 1024
};

struct outside {
	struct loop *loop;
	struct outside_callbacks cb;
	void *arg;
	enum outside_state state;
	unsigned depth; /* calls of ours on the stack: freeing waits for them */
	bool closed;    /* the owner let go; its own */

	/* opening: the opener's, a thread of its own, from outside_begin until it posts outside_opened */
	struct loop *opener;
	bool begun, handed; /* the opener got it; gave it back */
	struct loop_turn beginning;
	CURLM *multi; /* private: settings and credentials of two connections never meet in one cache */
	CURL *easy;   /* stays in its multi for as long as the connection lives */
	struct outside_memory *memory;
	struct loop_timer *curl_timer, *deadline;
	LIST_HEAD(, outside_watch) watches;
	int64_t connect_timeout_ms;
	enum outside_protocol protocol;
	enum outside_security security;
	char *ca_file;         /* what the certificate is verified against; NULL: it is not */
	bool first_ok;         /* the greeting was a friendly one */
	struct buf transcript; /* lines since the greeting or the TLS handshake, whichever was later */
	struct buf reply;      /* the newest line alone */
	size_t heard;          /* bytes of all lines */
	char why[CURL_ERROR_SIZE];
	enum outside_failure failure; /* why it could not be opened, where `wrong` has a text */
	struct buf wrong;

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

/* Has the handle use it. */
void outside_memory_use(struct outside_memory *m, CURL *easy);

/* With CONNECT_ONLY, it closes the connection without libcurl's own (blocking) QUIT. */
void outside_drop_curl(struct outside *o);

/* ---- on the opener's thread; arg is the connection ---- */
void outside_set_opening(struct outside *o); /* before: what libcurl calls there */
void outside_wrong(struct outside *o, enum outside_failure f, const char *text);
void outside_begin(void *arg);
void outside_abandon(void *arg); /* the owner closed it: outside_bury follows */

/* ---- on the loop's ---- */
void outside_opened(void *arg);
void outside_bury(void *arg);

/* The live half. */
int outside_line_start(struct outside *o); /* -1 where the socket is gone */
void outside_line_stop(struct outside *o);

#endif
