/* What the load generators, null servers and null clients share: the message they all send, blocking connections with
 * and without TLS, figures. A tool prints one JSON object on stdout; whatever goes wrong ends it with a word on stderr.
 */
#ifndef BENCH_KIT_H
#define BENCH_KIT_H

#include <openssl/ssl.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

_Noreturn void die(const char *fmt, ...) __attribute__((format(printf, 1, 2)));
double now(void); /* seconds, monotonic */

/* ---- options: --name VALUE ---- */
const char *option(int argc, char **argv, const char *name, const char *fallback);
long option_n(int argc, char **argv, const char *name, long fallback);

/* ---- messages ----
 *
 * Message `id` is a few header lines, one of which holds the id as eight digits (and Subject id % 200), and a body that
 * depends on the size alone: so whoever receives it can tell which one it is and that it is whole. No line begins with
 * a dot. */
struct message {
	char *bytes;    /* owned */
	size_t n, body; /* the body begins at `body` */
};
struct message message_new(size_t size);
void message_number(struct message *m, unsigned id);
/* The id of a received message that ends in m's body, whatever header lines stand in front; -1: damaged. */
long message_id(const struct message *m, const char *p, size_t n);

/* Which ids came; thread-safe. */
struct seen;
struct seen *seen_new(size_t ids);
bool seen_mark(struct seen *s, long id); /* false: out of range, or for the second time */

/* ---- figures ---- */
struct samples {
	double *v;
	size_t n, cap;
};
void samples_add(struct samples *s, double v);
double samples_at(struct samples *s, double share); /* sorts; 0.5 = the median */

/* ---- connections ---- */
int dial(const char *host, int port); /* blocking, TCP_NODELAY */
int listen_on(int port);              /* 127.0.0.1 */

struct line { /* a blocking connection with buffers; zero it, then set fd, or line_dial */
	int fd;
	SSL *ssl;
	char *in, *out;
	size_t in_at, in_n, out_n;
};
enum { LINE_BUF = 256 * 1024 };
void line_init(struct line *l, int fd, SSL *ssl);
void line_close(struct line *l);
void line_put(struct line *l, const void *p, size_t n); /* buffered */
void line_say(struct line *l, const char *fmt, ...) __attribute__((format(printf, 2, 3)));
int line_flush(struct line *l);            /* 0 or -1 */
bool line_waiting(const struct line *l);   /* bytes have been read and not been taken */
char *line_get(struct line *l, size_t *n); /* the next line with its LF; NULL at the end. Valid until the next call */
size_t line_take(struct line *l, char *into, size_t n); /* reads n bytes; fewer at the end */
size_t line_skip(struct line *l, size_t n);             /* the same, and throws them away */
/* With ca_file it verifies the server's chain, as the programs that are measured do. */
SSL_CTX *tls_client(const char *ca_file);
SSL_CTX *tls_server(const char *cert, const char *key);

#endif
