/* A connection behind one face, whether a plain socket, TLS of ours (OpenSSL), or one that libcurl opened.
 * Loop thread only. Callbacks may free the stream. */
#ifndef OFM_NET_STREAM_H
#define OFM_NET_STREAM_H

#include "base/err.h"
#include "net/loop.h"

#include <event2/buffer.h>
#include <openssl/ssl.h>
#include <stdbool.h>
#include <stdint.h>
#include <sys/socket.h>

struct stream;

enum stream_end { STREAM_EOF, STREAM_RESET, STREAM_TIMEOUT, STREAM_TLS_FAILED };

struct stream_callbacks {
	void (*readable)(void *arg);                   /* more bytes in stream_in */
	void (*drained)(void *arg);                    /* stream_out became empty; may be NULL */
	void (*ended)(void *arg, enum stream_end why); /* nothing more comes; the owner frees the stream */
	void (*secured)(void *arg);                    /* a TLS handshake of stream_start_tls succeeded; may be NULL */
};

/* Takes fd (closed with the stream). tls, where not NULL, starts a server handshake at once. */
struct stream *stream_accept(struct loop *l, int fd, SSL_CTX *tls, const struct stream_callbacks *cb, void *arg);
/* Closes at once; bytes not yet written are lost. Sets NULL, accepts NULL. */
void stream_free(struct stream **s);
/* Received bytes: the owner drains them. Reading pauses while they exceed the high-water mark (64 KiB unless set). */
struct evbuffer *stream_in(struct stream *s);
/* Bytes to send, to look at; the owner adds by stream_write. */
struct evbuffer *stream_out(struct stream *s);
void stream_write(struct stream *s, const void *p, size_t n);
/* Plain streams alone: n bytes of a file from `at` on, which the kernel copies. 0 or -1. */
int stream_write_file(struct stream *s, struct evbuffer_file_segment *file, uint64_t at, size_t n);
/* Silence limit: `ended(STREAM_TIMEOUT)` when nothing was read for so long, or nothing could be written while there
 * was something to write. 0 = none. */
void stream_set_timeout(struct stream *s, int64_t ms);
/* Whatever the traffic: ended(STREAM_TIMEOUT) so many ms from now, against one byte at a time. 0 = none. */
void stream_set_deadline(struct stream *s, int64_t ms);
void stream_pause(struct stream *s, bool paused); /* stops reading: back-pressure */
void stream_set_high_water(struct stream *s, size_t bytes);
/* Throws away what was received before the handshake (command injection), then shakes hands as a server, once
 * stream_out is written. */
void stream_start_tls(struct stream *s, SSL_CTX *tls);
bool stream_is_tls(const struct stream *s);
/* No more reading; closes and frees itself when stream_out is written or after 5 s, or with its loop. The owner forgets
 * it. */
void stream_finish(struct stream **s);

#endif
