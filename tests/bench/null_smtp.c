/* A relay that costs as little as possible: takes everything, checks that each message is whole, keeps nothing. A
 * thread a connection.
 *
 * null_smtp --port P [--size BYTES] [--ids N] [--chunking 0] [--pipelining 0]
 * On SIGUSR1 it prints what has happened so far: messages, connections, the most at once, damaged ones, ids that came
 * again. */
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

struct relay {
	bool chunking, pipelining;
	struct message m;
	struct seen *seen;
	atomic_long messages, connections, open, most, damaged, again;
};

struct session {
	struct relay *r;
	struct line l;
	char *content;
	size_t n, room;
	bool end;
};

static void content_add(struct session *s, const char *p, size_t n)
{
	if (s->n + n > s->room) {
		s->room = 2 * (s->n + n);
		s->content = realloc(s->content, s->room);
	}
	memcpy(s->content + s->n, p, n);
	s->n += n;
}

static void message_end(struct session *s)
{
	long id = message_id(&s->r->m, s->content, s->n);

	if (id < 0)
		s->r->damaged++;
	else if (!seen_mark(s->r->seen, id))
		s->r->again++;
	s->r->messages++;
	s->n = 0;
	line_say(&s->l, "250 2.0.0 taken\r\n");
}

static void do_ehlo(struct session *s, char *arg)
{
	(void)arg;
	line_say(&s->l, "250-null.test\r\n%s%s250-8BITMIME\r\n250 ENHANCEDSTATUSCODES\r\n",
	         s->r->pipelining ? "250-PIPELINING\r\n" : "", s->r->chunking ? "250-CHUNKING\r\n" : "");
}

static void do_ok(struct session *s, char *arg)
{
	(void)arg;
	line_say(&s->l, "250 2.0.0 ok\r\n");
}

static void do_data(struct session *s, char *arg)
{
	char *text;
	size_t n;

	(void)arg;
	line_say(&s->l, "354 go on\r\n");
	if (!line_waiting(&s->l))
		line_flush(&s->l);
	while ((text = line_get(&s->l, &n)) != NULL && !(n == 3 && text[0] == '.'))
		content_add(s, text[0] == '.' ? text + 1 : text, text[0] == '.' ? n - 1 : n);
	if (text != NULL)
		message_end(s);
}

static void do_bdat(struct session *s, char *arg)
{
	char *rest, chunk[16384];
	size_t left = strtoul(arg, &rest, 10);
	bool last = strcasestr(rest, "LAST") != NULL;

	while (left > 0) {
		size_t n = line_take(&s->l, chunk, left < sizeof chunk ? left : sizeof chunk);
		if (n == 0) {
			s->end = true;
			return;
		}
		content_add(s, chunk, n);
		left -= n;
	}
	if (last)
		message_end(s);
	else
		do_ok(s, arg);
}

static void do_quit(struct session *s, char *arg)
{
	(void)arg;
	line_say(&s->l, "221 2.0.0 bye\r\n");
	s->end = true;
}

static const struct verb {
	const char *name;
	void (*run)(struct session *s, char *arg);
} verbs[] = {{"EHLO", do_ehlo}, {"MAIL", do_ok}, {"RCPT", do_ok}, {"DATA", do_data},
             {"BDAT", do_bdat}, {"RSET", do_ok}, {"NOOP", do_ok}, {"QUIT", do_quit}};

static void command(struct session *s, const char *text, size_t n)
{
	char copy[2048];

	if (n >= sizeof copy)
		n = sizeof copy - 1;
	memcpy(copy, text, n);
	copy[n] = 0;
	for (size_t i = 0; i < sizeof verbs / sizeof verbs[0]; i++) {
		if (strncasecmp(copy, verbs[i].name, 4) == 0) {
			verbs[i].run(s, copy + 4);
			return;
		}
	}
	line_say(&s->l, "500 5.5.2 unknown\r\n");
}

struct arrival {
	struct relay *r;
	int fd;
};

static void *serve(void *arg)
{
	struct arrival *a = arg;
	struct session s = {.r = a->r};
	char *text;
	size_t n;

	line_init(&s.l, a->fd, NULL);
	free(a);
	s.r->connections++;
	if (++s.r->open > s.r->most)
		s.r->most = s.r->open;
	line_say(&s.l, "220 null.test ESMTP\r\n");
	line_flush(&s.l);
	while (!s.end && (text = line_get(&s.l, &n)) != NULL) {
		command(&s, text, n);
		if (!line_waiting(&s.l) && line_flush(&s.l) != 0)
			break;
	}
	line_flush(&s.l);
	line_close(&s.l);
	s.r->open--;
	free(s.content);
	return NULL;
}

static void *report(void *arg)
{
	struct relay *r = arg;
	sigset_t usr1;
	int got;

	sigemptyset(&usr1);
	sigaddset(&usr1, SIGUSR1);
	while (sigwait(&usr1, &got) == 0) {
		printf("{\"messages\": %ld, \"connections\": %ld, \"most\": %ld, \"damaged\": %ld, \"again\": %ld}\n",
		       r->messages, r->connections, r->most, r->damaged, r->again);
		fflush(stdout);
	}
	return NULL;
}

int main(int argc, char **argv)
{
	struct relay r = {.chunking = option_n(argc, argv, "--chunking", 1) != 0,
	                  .pipelining = option_n(argc, argv, "--pipelining", 1) != 0,
	                  .m = message_new((size_t)option_n(argc, argv, "--size", 4096)),
	                  .seen = seen_new((size_t)option_n(argc, argv, "--ids", 1000000))};
	sigset_t usr1;
	pthread_t t;

	signal(SIGPIPE, SIG_IGN);
	sigemptyset(&usr1);
	sigaddset(&usr1, SIGUSR1);
	pthread_sigmask(SIG_BLOCK, &usr1, NULL);
	int listener = listen_on((int)option_n(argc, argv, "--port", 25));
	pthread_create(&t, NULL, report, &r);
	for (int fd; (fd = accept4(listener, NULL, NULL, SOCK_CLOEXEC)) >= 0;) {
		struct arrival *a = malloc(sizeof *a);
		*a = (struct arrival){&r, fd};
		pthread_create(&t, NULL, serve, a);
		pthread_detach(t);
	}
	return 0;
}
