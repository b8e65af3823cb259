/* Streams and listeners over loopback: lines both ways, silence, one byte at a time, STARTTLS, the last reply,
 * handshakes on another thread. */
#include "base/alloc.h"
#include "net/listener.h"
#include "net/stream.h"
#include "net/tls.h"

#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <poll.h>
#include <pthread.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cmocka.h>

struct task {
	void (*work)(void *arg);
	void (*done)(void *arg);
	void *arg;
};

struct world {
	struct loop *loop;
	struct listener *listener;
	uint16_t port;
	struct stream *stream;
	SSL_CTX *tls;
	bool implicit;       /* tls from the first byte on */
	struct task held[4]; /* what the crew was given and has not done */
	size_t nheld, steps;
	char got[4096];
	size_t ngot;
	bool ended, secured;
	enum stream_end why;
	void (*react)(struct world *w);
};

static void on_readable(void *arg)
{
	struct world *w = arg;
	int n = evbuffer_remove(stream_in(w->stream), w->got + w->ngot, sizeof w->got - w->ngot - 1);

	if (n > 0)
		w->ngot += (size_t)n;
	w->got[w->ngot] = '\0';
	if (w->react != NULL)
		w->react(w);
}

static void on_ended(void *arg, enum stream_end why)
{
	struct world *w = arg;

	w->ended = true;
	w->why = why;
	stream_free(&w->stream);
}

static void on_secured(void *arg)
{
	((struct world *)arg)->secured = true;
}

static const struct stream_callbacks callbacks = {on_readable, NULL, on_ended, on_secured};

static void on_accepted(void *arg, int fd, const struct ip_addr *peer, uint16_t peer_port)
{
	struct world *w = arg;
	char text[46];

	assert_true(peer_port > 0);
	ip_addr_format(peer, text);
	assert_string_equal(text, "127.0.0.1");
	w->stream = stream_accept(w->loop, fd, w->implicit ? w->tls : NULL, &callbacks, w);
}

static int connect_to(uint16_t port)
{
	struct sockaddr_in to = {
	    .sin_family = AF_INET, .sin_port = htons(port), .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
	int fd = socket(AF_INET, SOCK_STREAM, 0);

	assert_int_equal(connect(fd, (struct sockaddr *)&to, sizeof to), 0);
	return fd;
}

static uint16_t free_port(void)
{
	struct sockaddr_in at = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
	socklen_t len = sizeof at;
	int fd = socket(AF_INET, SOCK_STREAM, 0);

	assert_int_equal(bind(fd, (struct sockaddr *)&at, sizeof at), 0);
	assert_int_equal(getsockname(fd, (struct sockaddr *)&at, &len), 0);
	close(fd);
	return ntohs(at.sin_port);
}

static int setup(void **state)
{
	struct world *w = xcalloc(1, sizeof *w);
	struct strlist bind_to = {NULL, 0};
	struct err e = {0, ""};

	signal(SIGPIPE, SIG_IGN);
	w->loop = loop_new();
	w->port = free_port();
	strlist_add(&bind_to, "127.0.0.1");
	w->listener = listener_new(w->loop, &bind_to, w->port, on_accepted, w, &e);
	if (w->listener == NULL)
		fail_msg("%s", e.text);
	strlist_free(&bind_to);
	*state = w;
	return 0;
}

static int teardown(void **state)
{
	struct world *w = *state;

	stream_free(&w->stream);
	listener_free(&w->listener);
	SSL_CTX_free(w->tls);
	loop_free(&w->loop);
	free(w);
	return 0;
}

/* Lets the loop turn for a while, or until *flag. */
static void turn(struct world *w, const bool *flag, int ms)
{
	for (int i = 0; i < ms / 5 && (flag == NULL || !*flag); i++) {
		event_base_loop(loop_base(w->loop), EVLOOP_NONBLOCK);
		poll(NULL, 0, 5);
	}
}

static void until_connected(struct world *w)
{
	for (int i = 0; i < 400 && w->stream == NULL; i++)
		turn(w, NULL, 5);
	assert_non_null(w->stream);
}

static void bytes_go_both_ways(void **state)
{
	struct world *w = *state;
	int fd = connect_to(w->port);
	char in[16];

	until_connected(w);
	stream_write(w->stream, "hello\r\n", 7);
	assert_int_equal(write(fd, "abc", 3), 3);
	turn(w, NULL, 50);
	assert_string_equal(w->got, "abc");
	assert_int_equal(read(fd, in, sizeof in), 7);
	close(fd);
	turn(w, &w->ended, 500);
	assert_true(w->ended);
	assert_int_equal(w->why, STREAM_EOF);
}

static void silence_ends_it(void **state)
{
	struct world *w = *state;
	int fd = connect_to(w->port);

	until_connected(w);
	stream_set_timeout(w->stream, 100);
	turn(w, &w->ended, 1000);
	assert_true(w->ended);
	assert_int_equal(w->why, STREAM_TIMEOUT);
	close(fd);
}

static void a_deadline_ends_dripping(void **state)
{
	struct world *w = *state;
	int fd = connect_to(w->port);

	until_connected(w);
	stream_set_timeout(w->stream, 200);
	stream_set_deadline(w->stream, 300);
	for (int i = 0; i < 20 && !w->ended; i++) {
		assert_int_equal(send(fd, "x", 1, MSG_NOSIGNAL), 1);
		turn(w, &w->ended, 50);
	}
	assert_true(w->ended);
	assert_int_equal(w->why, STREAM_TIMEOUT);
	assert_true(w->ngot < 12);
	close(fd);
}

static void the_last_reply_arrives_though_input_is_unread(void **state)
{
	struct world *w = *state;
	int fd = connect_to(w->port);
	char in[16];

	until_connected(w);
	assert_int_equal(write(fd, "never read", 10), 10);
	stream_write(w->stream, "bye\r\n", 5);
	stream_finish(&w->stream);
	assert_null(w->stream);
	turn(w, NULL, 50);
	assert_int_equal(read(fd, in, sizeof in), 5);
	assert_int_equal(read(fd, in, sizeof in), 0);
	close(fd);
	turn(w, NULL, 50);
}

static SSL_CTX *make_tls(void)
{
	struct err e = {0, ""};
	char dir[] = "/tmp/ofm.stream.XXXXXX";

	assert_non_null(mkdtemp(dir));
	char *make =
	    xasprintf("openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -days 2 -subj /CN=t "
	              "-keyout %s/k -out %s/c 2>/dev/null",
	              dir, dir);
	char *cert = xasprintf("%s/c", dir), *key = xasprintf("%s/k", dir), *rm = xasprintf("rm -r %s", dir);
	assert_int_equal(system(make), 0);
	SSL_CTX *tls = tls_server_new(cert, key, &e);
	if (tls == NULL)
		fail_msg("%s", e.text);
	assert_null(tls_server_new(cert, cert, &e));
	assert_non_null(strstr(e.text, "[tls] key"));
	assert_null(tls_server_new("/nowhere", key, &e));
	assert_non_null(strstr(e.text, "/nowhere"));
	assert_int_equal(system(rm), 0);
	free(make);
	free(cert);
	free(key);
	free(rm);
	return tls;
}

static void react_starttls(struct world *w)
{
	if (stream_is_tls(w->stream) || strstr(w->got, "STLS\r\n") == NULL)
		return;
	w->ngot = 0;
	w->got[0] = '\0';
	stream_write(w->stream, "+OK\r\n", 5);
	stream_start_tls(w->stream, w->tls);
}

/* Drives a non-blocking client SSL and the loop in turn. */
static int drive(struct world *w, SSL *ssl, int (*step)(SSL *ssl))
{
	int rc = -1;

	for (int i = 0; i < 400 && (rc = step(ssl)) <= 0; i++)
		turn(w, NULL, 5);
	return rc;
}

static char client_in[16];

static int read_some(SSL *ssl)
{
	return SSL_read(ssl, client_in, sizeof client_in);
}

static void starttls_forgets_what_came_before(void **state)
{
	struct world *w = *state;
	int fd = connect_to(w->port);
	char in[16];

	w->tls = make_tls();
	w->react = react_starttls;
	until_connected(w);
	/* One segment: the command, and a command smuggled behind it. */
	assert_int_equal(write(fd, "STLS\r\nUSER evil\r\n", 17), 17);
	turn(w, NULL, 50);
	assert_int_equal(read(fd, in, sizeof in), 5);
	SSL_CTX *ctx = SSL_CTX_new(TLS_client_method());
	SSL *ssl = SSL_new(ctx);
	SSL_set_fd(ssl, fd);
	evutil_make_socket_nonblocking(fd);
	assert_int_equal(drive(w, ssl, SSL_connect), 1);
	turn(w, &w->secured, 500);
	assert_true(w->secured && stream_is_tls(w->stream));
	assert_string_equal(w->got, "");
	assert_int_equal(SSL_write(ssl, "USER a\r\n", 8), 8);
	turn(w, NULL, 50);
	assert_string_equal(w->got, "USER a\r\n");
	stream_write(w->stream, "+OK b\r\n", 7);
	stream_finish(&w->stream);
	assert_int_equal(drive(w, ssl, read_some), 7);
	assert_memory_equal(client_in, "+OK b\r\n", 7);
	SSL_free(ssl);
	SSL_CTX_free(ctx);
	close(fd);
	turn(w, NULL, 50);
}

/* ---- handshakes on the crew ---- */

static void hold(void *crew, void (*work)(void *arg), void (*done)(void *arg), void *arg)
{
	struct world *w = crew;

	assert_true(w->nheld < 4);
	w->held[w->nheld++] = (struct task){work, done, arg};
	w->steps++;
}

static void *on_thread(void *arg)
{
	struct task *t = arg;

	t->work(t->arg);
	return NULL;
}

/* The oldest of what is held, on a thread of its own. */
static void let_go(struct world *w)
{
	struct task t = w->held[0];
	pthread_t thread;

	assert_true(w->nheld > 0);
	memmove(w->held, w->held + 1, --w->nheld * sizeof w->held[0]);
	assert_int_equal(pthread_create(&thread, NULL, on_thread, &t), 0);
	pthread_join(thread, NULL);
	loop_post(w->loop, t.done, t.arg);
	turn(w, NULL, 20);
}

struct client {
	SSL_CTX *ctx;
	SSL *ssl;
	int fd;
};

/* A client whose first words the server has given to its crew, which does nothing yet. */
static struct client knock(struct world *w)
{
	struct client c = {SSL_CTX_new(TLS_client_method()), NULL, -1};

	w->tls = make_tls();
	w->implicit = true;
	loop_set_crew(w->loop, hold, w);
	c.ssl = SSL_new(c.ctx);
	c.fd = connect_to(w->port);
	SSL_set_fd(c.ssl, c.fd);
	evutil_make_socket_nonblocking(c.fd);
	until_connected(w);
	assert_int_equal(SSL_connect(c.ssl), -1);
	for (int i = 0; i < 400 && w->nheld == 0; i++)
		turn(w, NULL, 5);
	assert_int_equal(w->nheld, 1);
	return c;
}

static void leave(struct client *c)
{
	SSL_free(c->ssl);
	SSL_CTX_free(c->ctx);
	close(c->fd);
}

/* Until the client has done its step, with the server's as they come. */
static int meet(struct world *w, struct client *c, int (*step)(SSL *ssl))
{
	int rc = -1;

	for (int i = 0; i < 400 && (rc = step(c->ssl)) <= 0; i++) {
		if (w->nheld > 0)
			let_go(w);
		turn(w, NULL, 5);
	}
	return rc;
}

static void others_are_served_while_a_handshake_is_computed(void **state)
{
	struct world *w = *state;
	struct client c = knock(w);
	struct stream *first = w->stream;
	char in[16];

	w->stream = NULL;
	w->implicit = false;
	int fd = connect_to(w->port);
	until_connected(w);
	assert_int_equal(write(fd, "STAT\r\n", 6), 6);
	turn(w, NULL, 50);
	assert_string_equal(w->got, "STAT\r\n");
	stream_write(w->stream, "+OK\r\n", 5);
	turn(w, NULL, 50);
	assert_int_equal(read(fd, in, sizeof in), 5);
	assert_int_equal(w->nheld, 1);
	assert_false(w->secured);
	assert_int_equal(meet(w, &c, SSL_connect), 1);
	for (int i = 0; i < 400 && !w->secured; i++) {
		if (w->nheld > 0)
			let_go(w);
		turn(w, NULL, 5);
	}
	assert_true(w->secured);
	stream_free(&first);
	close(fd);
	leave(&c);
}

static void one_step_at_a_time_is_away(void **state)
{
	struct world *w = *state;
	struct client c = knock(w);

	/* More comes, and the connection stays readable for the kernel: nobody else may touch what is away. */
	assert_int_equal(write(c.fd, "\x14\x03\x03\x00\x01\x01", 6), 6);
	stream_pause(w->stream, true);
	stream_write(w->stream, "hello", 5);
	stream_pause(w->stream, false);
	turn(w, NULL, 100);
	assert_int_equal(w->steps, 1);
	assert_int_equal(meet(w, &c, SSL_connect), 1);
	assert_int_equal(meet(w, &c, read_some), 5);
	assert_true(w->secured);
	assert_memory_equal(client_in, "hello", 5);
	leave(&c);
}

static void what_is_freed_while_away_closes_when_it_is_back(void **state)
{
	struct world *w = *state;
	struct client c = knock(w);
	char in[4096];

	stream_free(&w->stream);
	turn(w, NULL, 50);
	assert_int_equal(read(c.fd, in, sizeof in), -1);
	assert_int_equal(errno, EAGAIN);
	let_go(w);
	assert_true(read(c.fd, in, sizeof in) > 0); /* the server's first words */
	assert_int_equal(read(c.fd, in, sizeof in), 0);
	assert_false(w->secured || w->ended);
	leave(&c);
}

static void a_deadline_holds_while_a_step_is_away(void **state)
{
	struct world *w = *state;
	struct client c = knock(w);

	stream_set_deadline(w->stream, 100);
	turn(w, &w->ended, 5000);
	assert_true(w->ended);
	assert_int_equal(w->why, STREAM_TIMEOUT);
	assert_int_equal(w->nheld, 1);
	let_go(w);
	leave(&c);
}

static void our_time_is_not_the_peers_silence(void **state)
{
	struct world *w = *state;
	struct client c = knock(w);

	stream_set_timeout(w->stream, 50);
	turn(w, NULL, 200);
	assert_false(w->ended);
	let_go(w);
	turn(w, &w->ended, 5000);
	assert_true(w->ended);
	assert_int_equal(w->why, STREAM_TIMEOUT);
	leave(&c);
}

static void last_words_wait_for_a_step_that_is_away(void **state)
{
	struct world *w = *state;
	struct client c = knock(w);

	stream_write(w->stream, "bye\r\n", 5);
	stream_finish(&w->stream);
	turn(w, NULL, 50);
	assert_int_equal(meet(w, &c, SSL_connect), 1);
	assert_int_equal(meet(w, &c, read_some), 5);
	assert_memory_equal(client_in, "bye\r\n", 5);
	assert_false(w->secured);
	leave(&c);
	turn(w, NULL, 50);
}

static void garbage_instead_of_a_handshake_ends_it(void **state)
{
	struct world *w = *state;

	w->tls = make_tls();
	w->implicit = true;
	loop_set_crew(w->loop, hold, w);
	int fd = connect_to(w->port);
	until_connected(w);
	assert_int_equal(write(fd, "USER a\r\n", 8), 8);
	for (int i = 0; i < 400 && w->nheld == 0; i++)
		turn(w, NULL, 5);
	let_go(w);
	assert_true(w->ended);
	assert_int_equal(w->why, STREAM_TLS_FAILED);
	close(fd);
}

static void a_taken_port_is_a_clear_error(void **state)
{
	struct world *w = *state;
	struct strlist bind_to = {NULL, 0};
	struct err e = {0, ""};

	strlist_add(&bind_to, "127.0.0.1");
	assert_null(listener_new(w->loop, &bind_to, w->port, on_accepted, w, &e));
	assert_non_null(strstr(e.text, "127.0.0.1 port"));
	assert_int_equal(e.code, EADDRINUSE);
	strlist_free(&bind_to);
}

static void what_lingers_ends_with_the_loop(void **state)
{
	struct world *w = *state;
	int fd = connect_to(w->port);
	struct pollfd p = {.fd = fd};

	until_connected(w);
	stream_write(w->stream, "bye\r\n", 5);
	stream_finish(&w->stream);
	turn(w, NULL, 50);
	listener_free(&w->listener);
	loop_free(&w->loop);
	/* Nobody listens any more: a socket that was left behind would still take this. */
	assert_int_equal(write(fd, "hello", 5), 5);
	assert_int_equal(poll(&p, 1, 5000), 1);
	assert_true(p.revents & (POLLERR | POLLHUP));
	close(fd);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test_setup_teardown(bytes_go_both_ways, setup, teardown),
	    cmocka_unit_test_setup_teardown(silence_ends_it, setup, teardown),
	    cmocka_unit_test_setup_teardown(a_deadline_ends_dripping, setup, teardown),
	    cmocka_unit_test_setup_teardown(the_last_reply_arrives_though_input_is_unread, setup, teardown),
	    cmocka_unit_test_setup_teardown(what_lingers_ends_with_the_loop, setup, teardown),
	    cmocka_unit_test_setup_teardown(starttls_forgets_what_came_before, setup, teardown),
	    cmocka_unit_test_setup_teardown(others_are_served_while_a_handshake_is_computed, setup, teardown),
	    cmocka_unit_test_setup_teardown(one_step_at_a_time_is_away, setup, teardown),
	    cmocka_unit_test_setup_teardown(what_is_freed_while_away_closes_when_it_is_back, setup, teardown),
	    cmocka_unit_test_setup_teardown(a_deadline_holds_while_a_step_is_away, setup, teardown),
	    cmocka_unit_test_setup_teardown(our_time_is_not_the_peers_silence, setup, teardown),
	    cmocka_unit_test_setup_teardown(last_words_wait_for_a_step_that_is_away, setup, teardown),
	    cmocka_unit_test_setup_teardown(garbage_instead_of_a_handshake_ends_it, setup, teardown),
	    cmocka_unit_test_setup_teardown(a_taken_port_is_a_clear_error, setup, teardown),
	};

	return cmocka_run_group_tests_name("stream", tests, NULL, NULL);
}
