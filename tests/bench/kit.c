#include "kit.h"

#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <pthread.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

void die(const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	vfprintf(stderr, fmt, ap);
	va_end(ap);
	fputc('\n', stderr);
	exit(1);
}

double now(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (double)t.tv_sec + (double)t.tv_nsec / 1e9;
}

const char *option(int argc, char **argv, const char *name, const char *fallback)
{
	for (int i = 1; i + 1 < argc; i += 2)
		if (strcmp(argv[i], name) == 0)
			return argv[i + 1];
	return fallback;
}

long option_n(int argc, char **argv, const char *name, long fallback)
{
	const char *text = option(argc, argv, name, NULL);

	return text != NULL ? strtol(text, NULL, 10) : fallback;
}

/* ---- messages ---- */

#define NUMBER_FIELD "X-Bench: "
static const char head[] = NUMBER_FIELD "00000000\r\n"
                                        "From: Bench <sender@office.lan>\r\n"
                                        "To: Bench <u0@office.lan>\r\n"
                                        "Subject: of many messages, rule 000\r\n"
                                        "Date: Tue, 24 Nov 2026 04:00:00 +0000\r\n"
                                        "Message-ID: <00000000.bench@client.test>\r\n"
                                        "\r\n";

struct message message_new(size_t size)
{
	struct message m = {malloc(size + sizeof head + 80), sizeof head - 1, sizeof head - 1};

	memcpy(m.bytes, head, m.n);
	for (unsigned line = 0; m.n < size; line++) {
		size_t left = size - m.n;
		size_t width = left < 76 + 3 ? left : 76;
		for (size_t i = 0; i + 2 < width; i++)
			m.bytes[m.n++] = (char)('a' + (line + i * 7) % 26);
		memcpy(m.bytes + m.n, "\r\n", 2);
		m.n += 2;
	}
	return m;
}

void message_number(struct message *m, unsigned id)
{
	char digits[9];
	char *mid = strstr(m->bytes, "Message-ID: <");

	snprintf(digits, sizeof digits, "%08u", id % 100000000);
	memcpy(m->bytes + strlen(NUMBER_FIELD), digits, 8);
	memcpy(mid + strlen("Message-ID: <"), digits, 8);
	snprintf(digits, sizeof digits, "%03u", id % 200);
	memcpy(strstr(m->bytes, "rule ") + strlen("rule "), digits, 3);
}

long message_id(const struct message *m, const char *p, size_t n)
{
	size_t body = m->n - m->body;
	const char *field = memmem(p, n < 4096 ? n : 4096, NUMBER_FIELD, strlen(NUMBER_FIELD));

	if (field == NULL || n < body + 18 || memcmp(p + n - body, m->bytes + m->body, body) != 0)
		return -1;
	return strtol(field + strlen(NUMBER_FIELD), NULL, 10);
}

struct seen {
	size_t n;
	atomic_uchar was[];
};

struct seen *seen_new(size_t ids)
{
	struct seen *s = calloc(1, sizeof *s + ids);

	s->n = ids;
	return s;
}

bool seen_mark(struct seen *s, long id)
{
	return id >= 0 && (size_t)id < s->n && atomic_exchange(&s->was[id], 1) == 0;
}

/* ---- figures ---- */

void samples_add(struct samples *s, double v)
{
	if (s->n == s->cap) {
		s->cap = s->cap ? 2 * s->cap : 1024;
		s->v = realloc(s->v, s->cap * sizeof *s->v);
	}
	s->v[s->n++] = v;
}

static int by_value(const void *a, const void *b)
{
	double x = *(const double *)a, y = *(const double *)b;

	return (x > y) - (x < y);
}

double samples_at(struct samples *s, double share)
{
	if (s->n == 0)
		return 0;
	qsort(s->v, s->n, sizeof *s->v, by_value);
	return s->v[(size_t)(share * (double)(s->n - 1))];
}

/* ---- connections ---- */

static struct sockaddr_in address(const char *host, int port)
{
	struct sockaddr_in a = {.sin_family = AF_INET, .sin_port = htons((uint16_t)port)};

	if (inet_pton(AF_INET, host, &a.sin_addr) != 1)
		die("%s is no address", host);
	return a;
}

static void no_delay(int fd)
{
	setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &(int){1}, sizeof(int));
}

int dial(const char *host, int port)
{
	struct sockaddr_in a = address(host, port);
	int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);

	if (fd < 0 || connect(fd, (struct sockaddr *)&a, sizeof a) != 0)
		die("connect to %s:%d: %s", host, port, strerror(errno));
	no_delay(fd);
	return fd;
}

int listen_on(int port)
{
	struct sockaddr_in a = address("127.0.0.1", port);
	int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);

	setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &(int){1}, sizeof(int));
	no_delay(fd); /* its connections inherit it */
	if (fd < 0 || bind(fd, (struct sockaddr *)&a, sizeof a) != 0 || listen(fd, 4096) != 0)
		die("listen on %d: %s", port, strerror(errno));
	return fd;
}

void line_init(struct line *l, int fd, SSL *ssl)
{
	*l = (struct line){.fd = fd, .ssl = ssl, .in = malloc(LINE_BUF), .out = malloc(LINE_BUF)};
}

void line_close(struct line *l)
{
	if (l->ssl != NULL) {
		SSL_shutdown(l->ssl);
		SSL_free(l->ssl);
	}
	close(l->fd);
	free(l->in);
	free(l->out);
}

static int write_all(struct line *l, const char *p, size_t n)
{
	while (n > 0) {
		ssize_t w = l->ssl != NULL ? SSL_write(l->ssl, p, (int)(n < 1 << 20 ? n : 1 << 20))
		                           : send(l->fd, p, n, MSG_NOSIGNAL);
		if (w <= 0)
			return -1;
		p += w;
		n -= (size_t)w;
	}
	return 0;
}

int line_flush(struct line *l)
{
	size_t n = l->out_n;

	l->out_n = 0;
	return write_all(l, l->out, n);
}

void line_put(struct line *l, const void *p, size_t n)
{
	if (n > LINE_BUF - l->out_n)
		line_flush(l);
	if (n > LINE_BUF) {
		write_all(l, p, n);
		return;
	}
	memcpy(l->out + l->out_n, p, n);
	l->out_n += n;
}

void line_say(struct line *l, const char *fmt, ...)
{
	char text[2048];
	va_list ap;

	va_start(ap, fmt);
	int n = vsnprintf(text, sizeof text, fmt, ap);
	va_end(ap);
	line_put(l, text, (size_t)n);
}

bool line_waiting(const struct line *l)
{
	return l->in_at < l->in_n;
}

static bool fill(struct line *l)
{
	if (l->in_at > 0) {
		memmove(l->in, l->in + l->in_at, l->in_n - l->in_at);
		l->in_n -= l->in_at;
		l->in_at = 0;
	}
	if (l->in_n == LINE_BUF)
		die("a line longer than %d bytes", LINE_BUF);
	size_t room = LINE_BUF - l->in_n;
	ssize_t n =
	    l->ssl != NULL ? SSL_read(l->ssl, l->in + l->in_n, (int)room) : recv(l->fd, l->in + l->in_n, room, 0);
	if (n <= 0)
		return false;
	l->in_n += (size_t)n;
	return true;
}

char *line_get(struct line *l, size_t *n)
{
	size_t looked = 0;

	for (;;) {
		char *p = l->in + l->in_at;
		char *end = memchr(p + looked, '\n', l->in_n - l->in_at - looked);
		if (end != NULL) {
			*n = (size_t)(end - p) + 1;
			l->in_at += *n;
			return p;
		}
		looked = l->in_n - l->in_at;
		if (!fill(l))
			return NULL;
	}
}

static size_t take(struct line *l, char *into, size_t n)
{
	size_t got = 0;

	while (got < n) {
		size_t have = l->in_n - l->in_at;
		if (have == 0) {
			if (!fill(l))
				break;
			continue;
		}
		if (have > n - got)
			have = n - got;
		if (into != NULL)
			memcpy(into + got, l->in + l->in_at, have);
		l->in_at += have;
		got += have;
	}
	return got;
}

size_t line_take(struct line *l, char *into, size_t n)
{
	return take(l, into, n);
}

size_t line_skip(struct line *l, size_t n)
{
	return take(l, NULL, n);
}

SSL_CTX *tls_client(const char *ca_file)
{
	SSL_CTX *c = SSL_CTX_new(TLS_client_method());

	if (ca_file != NULL && SSL_CTX_load_verify_locations(c, ca_file, NULL) != 1)
		die("%s cannot be read", ca_file);
	SSL_CTX_set_verify(c, ca_file != NULL ? SSL_VERIFY_PEER : SSL_VERIFY_NONE, NULL);
	return c;
}

SSL_CTX *tls_server(const char *cert, const char *key)
{
	SSL_CTX *c = SSL_CTX_new(TLS_server_method());

	if (SSL_CTX_use_certificate_chain_file(c, cert) != 1 ||
	    SSL_CTX_use_PrivateKey_file(c, key, SSL_FILETYPE_PEM) != 1)
		die("certificate %s: not usable", cert);
	SSL_CTX_set_mode(c, SSL_MODE_AUTO_RETRY);
	return c;
}
