/* POP3 clients in threads.
 *
 * pop3_drain --port P --mode drain|login|open --boxes N --at-once N --user u --pass x [--messages N] [--size BYTES]
 *            [--depth N] [--tls 1] [--ca FILE] [--delete 0] [--logins N] [--sink 1]
 *
 * drain: `at-once` clients empty the mailboxes user0 … user(N-1): STAT, RETR each, DELE each, QUIT. depth 1 is
 * lock-step, otherwise so many commands are under way. With --messages and --size it checks that box b holds the ids
 * b*messages … With --sink the octets that RETR announces are counted and not looked at: for large messages, which were
 * checked before, lest the client be what is measured. login: each client connects, logs in, STATs and quits, over and
 * over: `logins` times together. */
#include "kit.h"

#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct drain {
	int port;
	SSL_CTX *tls;
	const char *user, *pass;
	long boxes, at_once, messages, depth, logins;
	bool delete, sink;
	struct message m;
	struct seen *seen;
	atomic_long next, got, bytes;
	pthread_mutex_t lock;
	struct samples times;
};

static void expect_ok(struct line *l, const char *what)
{
	size_t n;
	const char *text = line_get(l, &n);

	if (text == NULL || n < 3 || memcmp(text, "+OK", 3) != 0)
		die("%s: %.*s", what, text != NULL ? (int)n : 0, text != NULL ? text : "");
}

static void ask(struct line *l, const char *command)
{
	line_say(l, "%s\r\n", command);
	line_flush(l);
	expect_ok(l, command);
}

/* Returns what STAT says. */
static long enter(struct drain *d, struct line *l, long box)
{
	SSL *ssl = NULL;
	int fd = dial("127.0.0.1", d->port);
	size_t n;
	char *text;

	if (d->tls != NULL) {
		ssl = SSL_new(d->tls);
		SSL_set_fd(ssl, fd);
		if (SSL_connect(ssl) != 1)
			die("TLS handshake");
	}
	line_init(l, fd, ssl);
	expect_ok(l, "greeting");
	line_say(l, "USER %s%ld\r\n", d->user, box);
	line_flush(l);
	expect_ok(l, "USER");
	line_say(l, "PASS %s\r\n", d->pass);
	line_flush(l);
	expect_ok(l, "PASS");
	line_say(l, "STAT\r\n");
	line_flush(l);
	text = line_get(l, &n);
	if (text == NULL || memcmp(text, "+OK ", 4) != 0)
		die("STAT");
	return strtol(text + 4, NULL, 10);
}

static void leave(struct line *l)
{
	ask(l, "QUIT");
	line_close(l);
}

/* Takes one message off the line and checks it. The stored message may have header lines in front. */
static void sink(struct drain *d, struct line *l)
{
	size_t n, size;
	const char *text = line_get(l, &n);

	if (text == NULL || sscanf(text, "+OK %zu octets", &size) != 1 || line_skip(l, size) != size)
		die("cut in a message, or without its size");
	text = line_get(l, &n);
	if (text == NULL || n != 3 || text[0] != '.')
		die("a message that ends elsewhere");
	d->got++;
	d->bytes += (long)size;
}

static void take(struct drain *d, struct line *l, char *into, size_t room)
{
	size_t have = 0, n;
	char *text;

	if (d->sink) {
		sink(d, l);
		return;
	}
	expect_ok(l, "RETR");
	while ((text = line_get(l, &n)) != NULL && !(n == 3 && text[0] == '.')) {
		if (have + n > room)
			die("a message larger than %zu bytes", room);
		memcpy(into + have, text, n);
		have += n;
	}
	if (text == NULL)
		die("cut in a message");
	d->got++;
	d->bytes += (long)have;
	if (d->seen != NULL && !seen_mark(d->seen, message_id(&d->m, into, have)))
		die("a message came damaged or twice");
}

/* `commands` of RETR, or of DELE, at most `depth` unanswered. */
static void each(struct drain *d, struct line *l, long count, const char *verb, char *into, size_t room)
{
	long asked = 0;

	for (long answered = 0; answered < count; answered++) {
		bool any = false;
		/* Half of them at a time, so that commands and replies travel in few segments. */
		if (asked - answered <= d->depth / 2)
			for (; asked < count && asked - answered < d->depth; any = true)
				line_say(l, "%s %ld\r\n", verb, ++asked);
		if (any)
			line_flush(l);
		if (verb[0] == 'R')
			take(d, l, into, room);
		else
			expect_ok(l, verb);
	}
}

static void drain_box(struct drain *d, long box, char *into, size_t room)
{
	struct line l;
	long count = enter(d, &l, box);

	if (d->messages > 0 && count != d->messages)
		die("box %ld has %ld messages instead of %ld", box, count, d->messages);
	each(d, &l, count, "RETR", into, room);
	if (d->delete)
		each(d, &l, count, "DELE", into, room);
	leave(&l);
}

static void *drain_thread(void *arg)
{
	struct drain *d = arg;
	size_t room = d->m.n + 65536;
	char *into = malloc(room);

	for (long box; (box = atomic_fetch_add(&d->next, 1)) < d->boxes;)
		drain_box(d, box, into, room);
	free(into);
	return NULL;
}

static void *login_thread(void *arg)
{
	struct drain *d = arg;
	struct line l;

	for (long i; (i = atomic_fetch_add(&d->next, 1)) < d->logins;) {
		double began = now();
		enter(d, &l, i % d->boxes);
		double took = now() - began;
		leave(&l);
		pthread_mutex_lock(&d->lock);
		samples_add(&d->times, took);
		pthread_mutex_unlock(&d->lock);
	}
	return NULL;
}

static void *open_thread(void *arg)
{
	struct drain *d = arg;
	struct line l;
	size_t n;
	char *text;

	enter(d, &l, 0);
	ask(&l, "UIDL");
	while ((text = line_get(&l, &n)) != NULL && !(n == 3 && text[0] == '.'))
		d->got++;
	leave(&l);
	return NULL;
}

int main(int argc, char **argv)
{
	const char *mode = option(argc, argv, "--mode", "drain");
	bool drain = strcmp(mode, "drain") == 0;
	void *(*thread)(void *) = drain ? drain_thread : strcmp(mode, "open") == 0 ? open_thread : login_thread;
	struct drain d = {.port = (int)option_n(argc, argv, "--port", 110),
	                  .user = option(argc, argv, "--user", "u"),
	                  .pass = option(argc, argv, "--pass", "x"),
	                  .boxes = option_n(argc, argv, "--boxes", 1),
	                  .at_once = option_n(argc, argv, "--at-once", 20),
	                  .messages = option_n(argc, argv, "--messages", 0),
	                  .depth = option_n(argc, argv, "--depth", 1),
	                  .logins = option_n(argc, argv, "--logins", 1000),
	                  .delete = option_n(argc, argv, "--delete", 1) != 0,
	                  .sink = option_n(argc, argv, "--sink", 0) != 0,
	                  .m = message_new((size_t)option_n(argc, argv, "--size", 4096)),
	                  .lock = PTHREAD_MUTEX_INITIALIZER};
	pthread_t *t = calloc((size_t)d.at_once, sizeof *t);

	if (option_n(argc, argv, "--tls", 0) != 0)
		d.tls = tls_client(option(argc, argv, "--ca", NULL));
	if (d.messages > 0)
		d.seen = seen_new((size_t)(d.boxes * d.messages));
	double began = now();
	for (long i = 0; i < d.at_once; i++)
		pthread_create(&t[i], NULL, thread, &d);
	for (long i = 0; i < d.at_once; i++)
		pthread_join(t[i], NULL);
	printf(
	    "{\"seconds\": %.6f, \"messages\": %ld, \"bytes\": %ld, \"logins\": %ld, \"p50\": %.6f, \"p99\": %.6f}\n",
	    now() - began, d.got, d.bytes, drain ? d.boxes : d.logins, samples_at(&d.times, 0.5),
	    samples_at(&d.times, 0.99));
	return 0;
}
