/* Sends messages over many SMTP connections from one thread, as a busy office does: each connection has one message
 * under way, envelope commands travel together where the server offers PIPELINING.
 *
 * smtp_load --port P --connections N --messages N --size BYTES [--users N] [--per-connection N] [--first ID]
 *           [--mark FILE]: FILE is created at the last 250. */
#include "kit.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <unistd.h>

enum step { GREETING, EHLO, ENVELOPE, CONTENT, QUIT, IDLE };

struct conn {
	int fd;
	enum step step;
	unsigned id;
	int replies; /* still to come in this step */
	int verb;    /* lock-step: 0 MAIL, 1 RCPT, 2 DATA */
	bool pipelining, may_pipeline;
	long sent;
	double began;
	char in[4096];
	size_t in_n;
};

struct load {
	int port, epoll;
	long messages, users, per_connection, first;
	long started, accepted, refused;
	const char *domain;
	struct message m;
	struct samples times;
};

/* Small enough for the socket's buffer unless the message is large; then it blocks a moment. */
static void send_all(struct conn *c, const char *p, size_t n)
{
	while (n > 0) {
		ssize_t w = send(c->fd, p, n, MSG_NOSIGNAL);
		if (w <= 0)
			die("send: %s", strerror(errno));
		p += w;
		n -= (size_t)w;
	}
}

static void connect_one(struct load *l, struct conn *c)
{
	bool known = c->may_pipeline;

	*c = (struct conn){.fd = dial("127.0.0.1", l->port), .step = GREETING, .replies = 1, .may_pipeline = known};
	struct epoll_event e = {.events = EPOLLIN, .data.ptr = c};
	epoll_ctl(l->epoll, EPOLL_CTL_ADD, c->fd, &e);
}

static void quit(struct conn *c)
{
	send_all(c, "QUIT\r\n", 6);
	c->step = QUIT;
	c->replies = 1;
}

static size_t format_verb(const struct load *l, const struct conn *c, int verb, char *out, size_t room)
{
	switch (verb) {
	case 0:
		return (size_t)snprintf(out, room, "MAIL FROM:<sender@%s>\r\n", l->domain);
	case 1:
		return (size_t)snprintf(out, room, "RCPT TO:<u%ld@%s>\r\n", (long)c->id % l->users, l->domain);
	default:
		return (size_t)snprintf(out, room, "DATA\r\n");
	}
}

static void next_message(struct load *l, struct conn *c)
{
	char text[1024];
	size_t n = 0;

	if (l->started == l->messages || c->sent == l->per_connection) {
		quit(c);
		return;
	}
	c->id = (unsigned)(l->first + l->started++);
	c->sent++;
	c->began = now();
	c->step = ENVELOPE;
	c->verb = 0;
	c->replies = c->pipelining ? 3 : 1;
	for (int v = 0; v < c->replies; v++)
		n += format_verb(l, c, v, text + n, sizeof text - n);
	send_all(c, text, n);
}

static void send_content(struct load *l, struct conn *c)
{
	message_number(&l->m, c->id);
	memcpy(l->m.bytes + l->m.n, ".\r\n", 3);
	send_all(c, l->m.bytes, l->m.n + 3);
	c->step = CONTENT;
	c->replies = 1;
}

static void envelope_reply(struct load *l, struct conn *c)
{
	char text[256];

	if (!c->pipelining && ++c->verb < 3) {
		size_t n = format_verb(l, c, c->verb, text, sizeof text);
		c->replies = 1;
		send_all(c, text, n);
		return;
	}
	if (c->replies == 0)
		send_content(l, c);
}

static void closed(struct load *l, struct conn *c)
{
	close(c->fd);
	c->step = IDLE;
	if (l->started < l->messages)
		connect_one(l, c);
}

/* One whole reply; `code` is its first digit. */
static void reply(struct load *l, struct conn *c, char code, const char *text)
{
	if (c->step != CONTENT && code != '2' && code != '3')
		die("refused: %s", text);
	c->replies--;
	switch (c->step) {
	case GREETING:
		send_all(c, "EHLO client.test\r\n", 18);
		c->step = EHLO;
		c->replies = 1;
		break;
	case EHLO:
		next_message(l, c);
		break;
	case ENVELOPE:
		envelope_reply(l, c);
		break;
	case CONTENT:
		samples_add(&l->times, now() - c->began);
		if (code == '2')
			l->accepted++;
		else
			l->refused++;
		next_message(l, c);
		break;
	default:
		break;
	}
}

static void on_line(struct load *l, struct conn *c, const char *text, size_t n)
{
	if (c->step == EHLO && n >= 14 && strncasecmp(text + 4, "PIPELINING", 10) == 0)
		c->pipelining = true;
	if (n >= 4 && text[3] == ' ')
		reply(l, c, text[0], text);
}

static void readable(struct load *l, struct conn *c)
{
	ssize_t got = recv(c->fd, c->in + c->in_n, sizeof c->in - 1 - c->in_n, MSG_DONTWAIT);

	if (got < 0 && errno == EAGAIN)
		return;
	if (got <= 0) {
		if (c->step != QUIT)
			die("the server closed a connection");
		closed(l, c);
		return;
	}
	c->in_n += (size_t)got;
	size_t at = 0;
	for (char *end; (end = memchr(c->in + at, '\n', c->in_n - at)) != NULL;) {
		*end = 0;
		on_line(l, c, c->in + at, (size_t)(end - c->in) - at);
		at = (size_t)(end - c->in) + 1;
	}
	memmove(c->in, c->in + at, c->in_n - at);
	c->in_n -= at;
}

int main(int argc, char **argv)
{
	struct load l = {.port = (int)option_n(argc, argv, "--port", 25),
	                 .epoll = epoll_create1(EPOLL_CLOEXEC),
	                 .messages = option_n(argc, argv, "--messages", 1000),
	                 .users = option_n(argc, argv, "--users", 20),
	                 .first = option_n(argc, argv, "--first", 0),
	                 .per_connection = option_n(argc, argv, "--per-connection", -1),
	                 .domain = option(argc, argv, "--domain", "office.lan"),
	                 .m = message_new((size_t)option_n(argc, argv, "--size", 4096))};
	long connections = option_n(argc, argv, "--connections", 20);
	const char *mark = option(argc, argv, "--mark", NULL);
	struct conn *conns = calloc((size_t)connections, sizeof *conns);
	struct epoll_event events[64];
	struct rusage used;
	double began = now(), ended = 0;

	for (long i = 0; i < connections; i++)
		connect_one(&l, &conns[i]);
	while (ended == 0) {
		int n = epoll_wait(l.epoll, events, 64, 60000);
		if (n <= 0)
			die("no reply for a minute (%ld accepted)", l.accepted);
		for (int i = 0; i < n; i++)
			readable(&l, events[i].data.ptr);
		if (l.accepted + l.refused == l.messages)
			ended = now();
	}
	if (mark != NULL)
		close(open(mark, O_CREAT | O_WRONLY | O_CLOEXEC, 0600));
	getrusage(RUSAGE_SELF, &used);
	printf(
	    "{\"seconds\": %.6f, \"accepted\": %ld, \"refused\": %ld, \"p50\": %.6f, \"p99\": %.6f, \"cpu\": %.3f}\n",
	    ended - began, l.accepted, l.refused, samples_at(&l.times, 0.5), samples_at(&l.times, 0.99),
	    (double)(used.ru_utime.tv_sec + used.ru_stime.tv_sec) +
	        (double)(used.ru_utime.tv_usec + used.ru_stime.tv_usec) / 1e6);
	return 0;
}
