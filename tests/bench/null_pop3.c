/* A provider that costs as little as possible: mailboxes aN (N < boxes) with messages in memory, any password. A thread
 * a connection. Replies leave when no further command waits, so a pipelining client is answered in few segments.
 *
 * null_pop3 --port P [--cert F --key F] --boxes N --messages N --size BYTES [--no-pipelining 1]
 * On SIGUSR1 it prints what has happened so far. */
#include "kit.h"

#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/socket.h>
#include <unistd.h>

struct provider {
	SSL_CTX *tls;
	long boxes, messages;
	size_t size;
	bool pipelining;
	atomic_uchar *deleted; /* boxes * messages */
	atomic_long logins, retrieved, removed, commands;
	_Atomic double last; /* when QUIT removed something, monotonic seconds */
};

struct session {
	struct provider *p;
	struct line l;
	struct message m;
	long box;            /* -1: nobody yet */
	unsigned char *gone; /* at log-in; per message */
	unsigned char *marked;
	bool end;
};

static long number(const char *arg)
{
	return strtol(arg, NULL, 10);
}

static bool exists(const struct session *s, long n)
{
	return s->box >= 0 && n >= 1 && n <= s->p->messages && !s->gone[n - 1] && !s->marked[n - 1];
}

static unsigned id_of(const struct session *s, long n)
{
	return (unsigned)(s->box * s->p->messages + n - 1);
}

static void do_capa(struct session *s, const char *arg)
{
	(void)arg;
	line_say(&s->l, "+OK\r\nUSER\r\nTOP\r\nUIDL\r\n%s.\r\n", s->p->pipelining ? "PIPELINING\r\n" : "");
}

static void do_user(struct session *s, const char *arg)
{
	s->box = arg[0] == 'a' ? number(arg + 1) : -1;
	if (s->box >= s->p->boxes)
		s->box = -1;
	line_say(&s->l, s->box >= 0 ? "+OK\r\n" : "-ERR nobody\r\n");
}

static void do_pass(struct session *s, const char *arg)
{
	(void)arg;
	if (s->box < 0) {
		line_say(&s->l, "-ERR who\r\n");
		return;
	}
	for (long i = 0; i < s->p->messages; i++)
		s->gone[i] = s->p->deleted[s->box * s->p->messages + i];
	memset(s->marked, 0, (size_t)s->p->messages);
	s->p->logins++;
	line_say(&s->l, "+OK\r\n");
}

static void do_stat(struct session *s, const char *arg)
{
	long n = 0;

	(void)arg;
	for (long i = 1; i <= s->p->messages; i++)
		n += exists(s, i);
	line_say(&s->l, "+OK %ld %zu\r\n", n, (size_t)n * s->m.n);
}

static void list(struct session *s, const char *arg, bool uidl)
{
	long one = *arg != 0 ? number(arg) : 0;

	if (one != 0 && !exists(s, one)) {
		line_say(&s->l, "-ERR none\r\n");
		return;
	}
	if (one == 0)
		line_say(&s->l, "+OK\r\n");
	for (long i = one != 0 ? one : 1; i <= (one != 0 ? one : s->p->messages); i++) {
		if (!exists(s, i))
			continue;
		if (uidl)
			line_say(&s->l, "%s%ld bench%08u\r\n", one != 0 ? "+OK " : "", i, id_of(s, i));
		else
			line_say(&s->l, "%s%ld %zu\r\n", one != 0 ? "+OK " : "", i, s->m.n);
	}
	if (one == 0)
		line_say(&s->l, ".\r\n");
}

static void do_list(struct session *s, const char *arg)
{
	list(s, arg, false);
}

static void do_uidl(struct session *s, const char *arg)
{
	list(s, arg, true);
}

static void do_retr(struct session *s, const char *arg)
{
	long n = number(arg);

	if (!exists(s, n)) {
		line_say(&s->l, "-ERR none\r\n");
		return;
	}
	message_number(&s->m, id_of(s, n));
	line_say(&s->l, "+OK %zu octets\r\n", s->m.n);
	line_put(&s->l, s->m.bytes, s->m.n);
	line_say(&s->l, ".\r\n");
	s->p->retrieved++;
}

static void do_top(struct session *s, const char *arg)
{
	long n = number(arg);

	if (!exists(s, n)) {
		line_say(&s->l, "-ERR none\r\n");
		return;
	}
	message_number(&s->m, id_of(s, n));
	line_say(&s->l, "+OK\r\n");
	line_put(&s->l, s->m.bytes, s->m.body);
	line_say(&s->l, ".\r\n");
}

static void do_dele(struct session *s, const char *arg)
{
	long n = number(arg);

	line_say(&s->l, exists(s, n) ? "+OK\r\n" : "-ERR none\r\n");
	if (exists(s, n))
		s->marked[n - 1] = 1;
}

static void do_noop(struct session *s, const char *arg)
{
	(void)arg;
	line_say(&s->l, "+OK\r\n");
}

static void do_rset(struct session *s, const char *arg)
{
	memset(s->marked, 0, (size_t)s->p->messages);
	do_noop(s, arg);
}

static void do_quit(struct session *s, const char *arg)
{
	for (long i = 0; s->box >= 0 && i < s->p->messages; i++)
		if (s->marked[i] && atomic_exchange(&s->p->deleted[s->box * s->p->messages + i], 1) == 0) {
			s->p->removed++;
			s->p->last = now();
		}
	do_noop(s, arg);
	s->end = true;
}

static const struct verb {
	const char *name;
	void (*run)(struct session *s, const char *arg);
} verbs[] = {{"CAPA", do_capa}, {"USER", do_user}, {"PASS", do_pass}, {"STAT", do_stat},
             {"LIST", do_list}, {"UIDL", do_uidl}, {"RETR", do_retr}, {"TOP", do_top},
             {"DELE", do_dele}, {"NOOP", do_noop}, {"RSET", do_rset}, {"QUIT", do_quit}};

static void command(struct session *s, char *text, size_t n)
{
	while (n > 0 && (text[n - 1] == '\n' || text[n - 1] == '\r'))
		n--;
	text[n] = 0;
	char *arg = strchr(text, ' ');
	if (arg != NULL)
		*arg++ = 0;
	s->p->commands++;
	for (size_t i = 0; i < sizeof verbs / sizeof verbs[0]; i++) {
		if (strcasecmp(text, verbs[i].name) == 0) {
			verbs[i].run(s, arg != NULL ? arg : "");
			return;
		}
	}
	line_say(&s->l, "-ERR unknown\r\n");
}

struct arrival {
	struct provider *p;
	int fd;
};

static void *serve(void *arg)
{
	struct arrival *a = arg;
	struct provider *p = a->p;
	SSL *ssl = p->tls != NULL ? SSL_new(p->tls) : NULL;
	struct session s = {.p = p, .m = message_new(p->size), .box = -1};
	char *text;
	size_t n;

	line_init(&s.l, a->fd, ssl);
	s.gone = calloc(2, (size_t)p->messages);
	s.marked = s.gone + p->messages;
	if (ssl != NULL)
		SSL_set_fd(ssl, a->fd);
	if (ssl == NULL || SSL_accept(ssl) == 1) {
		line_say(&s.l, "+OK bench\r\n");
		line_flush(&s.l);
		while (!s.end && (text = line_get(&s.l, &n)) != NULL) {
			command(&s, text, n);
			if (!line_waiting(&s.l) && line_flush(&s.l) != 0)
				break;
		}
		line_flush(&s.l);
	}
	line_close(&s.l);
	free(s.m.bytes);
	free(s.gone);
	free(a);
	return NULL;
}

static void *report(void *arg)
{
	struct provider *p = arg;
	sigset_t usr1;
	int got;

	sigemptyset(&usr1);
	sigaddset(&usr1, SIGUSR1);
	while (sigwait(&usr1, &got) == 0) {
		printf("{\"logins\": %ld, \"retrieved\": %ld, \"removed\": %ld, \"commands\": %ld, \"last\": %.6f}\n",
		       p->logins, p->retrieved, p->removed, p->commands, p->last);
		fflush(stdout);
	}
	return NULL;
}

int main(int argc, char **argv)
{
	struct provider p = {.boxes = option_n(argc, argv, "--boxes", 1),
	                     .messages = option_n(argc, argv, "--messages", 40),
	                     .size = (size_t)option_n(argc, argv, "--size", 4096),
	                     .pipelining = option_n(argc, argv, "--no-pipelining", 0) == 0};
	const char *cert = option(argc, argv, "--cert", NULL);
	sigset_t usr1;
	pthread_t t;

	if (cert != NULL)
		p.tls = tls_server(cert, option(argc, argv, "--key", ""));
	p.deleted = calloc((size_t)(p.boxes * p.messages), 1);
	signal(SIGPIPE, SIG_IGN);
	sigemptyset(&usr1);
	sigaddset(&usr1, SIGUSR1);
	pthread_sigmask(SIG_BLOCK, &usr1, NULL);
	int listener = listen_on((int)option_n(argc, argv, "--port", 110));
	pthread_create(&t, NULL, report, &p);
	for (int fd; (fd = accept4(listener, NULL, NULL, SOCK_CLOEXEC)) >= 0;) {
		struct arrival *a = malloc(sizeof *a);
		*a = (struct arrival){&p, fd};
		pthread_create(&t, NULL, serve, a);
		pthread_detach(t);
	}
	return 0;
}
