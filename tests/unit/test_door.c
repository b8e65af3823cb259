/* Who is let in and what the others hear; what a server listens on, while that changes. Real sockets on loopback. */
#include "base/alloc.h"
#include "net/door.h"
#include "net/ports.h"
#include "net/refusals.h"

#include <netinet/in.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cmocka.h>

static struct ip_addr addr(const char *s)
{
	struct ip_addr a;
	struct err e;

	assert_int_equal(ip_addr_parse(slice_of(s), &a, &e), 0);
	return a;
}

/* ---- the door ---- */

static const struct door_words words = {"stranger\r\n", "full\r\n", "crowded\r\n"};

/* What the peer reads; NULL where it is let in. */
static const char *knock(struct door *d, const struct ip_filter *f, unsigned max, bool tls, const char *peer)
{
	static char heard[64];
	struct ip_addr a = addr(peer);
	int pair[2];

	assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM, 0, pair), 0);
	bool in = door_admits(d, f, max, pair[0], tls, &a);
	if (in) {
		door_enter(d, &a);
		close(pair[0]);
	}
	ssize_t n = recv(pair[1], heard, sizeof heard - 1, 0);
	assert_true(n >= 0);
	heard[n] = '\0';
	close(pair[1]);
	assert_true(!in || n == 0);
	return in ? NULL : heard;
}

static void each_hears_why(void **state)
{
	struct ip_range deny = {addr("10.0.0.66"), addr("10.0.0.66")};
	struct ip_range all = {addr("0.0.0.0"), addr("255.255.255.255")};
	const struct ip_filter f = {.enabled = true, .allow = &all, .nallow = 1, .deny = &deny, .ndeny = 1};
	struct door *d = door_new("test.refused", &words);
	struct ip_addr first = addr("10.0.0.1");

	(void)state;
	assert_string_equal(knock(d, &f, 12, false, "10.0.0.66"), "stranger\r\n");
	assert_string_equal(knock(d, &f, 12, true, "10.0.0.66"), ""); /* under TLS nobody could read it */
	for (int i = 0; i < 10; i++)
		assert_null(knock(d, &f, 12, false, "10.0.0.1"));
	assert_string_equal(knock(d, &f, 12, false, "10.0.0.1"), "crowded\r\n");
	assert_null(knock(d, &f, 12, false, "10.0.0.2"));
	assert_null(knock(d, &f, 12, true, "10.0.0.2"));
	assert_int_equal(door_inside(d), 12);
	assert_string_equal(knock(d, &f, 12, false, "10.0.0.3"), "full\r\n");
	door_leave(d, &first);
	assert_int_equal(door_inside(d), 11);
	assert_null(knock(d, &f, 12, false, "10.0.0.3"));
	door_free(&d);
	assert_null(d);
}

static void one_log_line_a_minute(void **state)
{
	struct refusals *r = xcalloc(1, sizeof *r);
	struct ip_addr a = addr("8.8.8.8"), b = addr("8.8.4.4");
	unsigned before;

	(void)state;
	assert_true(refusals_note(r, &a, 1000, &before));
	assert_false(refusals_note(r, &a, 2000, &before));
	assert_false(refusals_note(r, &a, 60999, &before));
	assert_true(refusals_note(r, &b, 3000, &before));
	assert_true(refusals_note(r, &a, 61000, &before));
	assert_int_equal(before, 2);
	free(r);
}

/* ---- ports ---- */

static void on_accepted(void *arg, int fd, bool tls, const struct ip_addr *peer, uint16_t peer_port)
{
	(void)arg, (void)tls, (void)peer, (void)peer_port;
	close(fd);
}

static int socket_on(const char *ip, uint16_t port)
{
	int fd = socket(AF_INET, SOCK_STREAM, 0);
	struct ip_addr a = addr(ip);
	struct sockaddr_in sa = {.sin_family = AF_INET, .sin_port = htons(port)};

	memcpy(&sa.sin_addr, a.b + 12, 4);
	assert_true(fd >= 0);
	assert_int_equal(setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &(int){1}, sizeof(int)), 0);
	assert_int_equal(bind(fd, (struct sockaddr *)&sa, sizeof sa), 0);
	assert_int_equal(listen(fd, 1), 0);
	return fd;
}

static uint16_t free_port(void)
{
	int fd = socket_on("127.0.0.1", 0);
	struct sockaddr_in sa;
	socklen_t n = sizeof sa;

	assert_int_equal(getsockname(fd, (struct sockaddr *)&sa, &n), 0);
	close(fd);
	return ntohs(sa.sin_port);
}

static bool reached(const char *ip, uint16_t port)
{
	int fd = socket(AF_INET, SOCK_STREAM, 0);
	struct ip_addr a = addr(ip);
	struct sockaddr_in sa = {.sin_family = AF_INET, .sin_port = htons(port)};

	memcpy(&sa.sin_addr, a.b + 12, 4);
	bool yes = connect(fd, (struct sockaddr *)&sa, sizeof sa) == 0;
	close(fd);
	return yes;
}

static void append(void *arg, const char *where)
{
	strcat(arg, where);
	strcat(arg, "; ");
}

static void assert_listens(const struct ports *p, const char *wanted)
{
	char all[512] = "";

	ports_each(p, append, all);
	assert_string_equal(all, wanted);
}

/* The list of addresses for one call. */
static struct strlist on(char *address)
{
	static char *v[1];

	v[0] = address;
	return (struct strlist){v, 1};
}

/* What one server wants, all of it bound. */
static int open_on(struct ports_pool *pool, struct ports *p, const struct strlist *bind, uint16_t port,
                   uint16_t tls_port, struct err *e)
{
	if (ports_want(p, bind, port, tls_port, e) == 0)
		return ports_pool_open(pool, e);
	ports_pool_let_go(pool);
	return -1;
}

static void wildcard_takes_the_place_of_one_address(void **state)
{
	struct loop *l = loop_new();
	struct ports_pool *pool = ports_pool_new(l);
	struct ports *p = ports_new(pool, "test", on_accepted, NULL);
	struct strlist one = on("127.0.0.1"), any;
	uint16_t port = free_port();
	char wanted[64];
	struct err e;

	(void)state;
	assert_int_equal(open_on(pool, p, &one, port, 0, &e), 0);
	ports_pool_switch(pool);
	any = on("0.0.0.0");
	assert_int_equal(open_on(pool, p, &any, port, 0, &e), 0);
	ports_pool_let_go(pool); /* as before, though the old one had to go for a moment */
	snprintf(wanted, sizeof wanted, "127.0.0.1:%u; ", port);
	assert_listens(p, wanted);
	assert_true(reached("127.0.0.1", port));
	assert_false(reached("127.0.0.2", port));
	assert_int_equal(open_on(pool, p, &any, port, 0, &e), 0);
	ports_pool_switch(pool);
	ports_pool_switch(pool);
	ports_pool_let_go(pool);
	snprintf(wanted, sizeof wanted, "0.0.0.0:%u; ", port);
	assert_listens(p, wanted);
	assert_true(reached("127.0.0.2", port));
	/* Both at once are one, and back to the narrow one. */
	char *both[] = {"127.0.0.1", "0.0.0.0", "127.0.0.1"};
	const struct strlist wide = {both, 3};
	assert_int_equal(open_on(pool, p, &wide, port, 0, &e), 0);
	ports_pool_switch(pool);
	assert_listens(p, wanted);
	one = on("127.0.0.1");
	assert_int_equal(open_on(pool, p, &one, port, 0, &e), 0);
	ports_pool_switch(pool);
	assert_false(reached("127.0.0.2", port));
	ports_close(p);
	assert_listens(p, "");
	assert_false(reached("127.0.0.1", port));
	ports_free(&p);
	assert_null(p);
	ports_pool_free(&pool);
	loop_free(&l);
}

static void a_port_that_is_taken_changes_nothing(void **state)
{
	struct loop *l = loop_new();
	struct ports_pool *pool = ports_pool_new(l);
	struct ports *p = ports_new(pool, "test", on_accepted, NULL);
	struct strlist one = on("127.0.0.1");
	uint16_t port = free_port(), other = free_port();
	int taken = socket_on("127.0.0.1", 0);
	struct sockaddr_in sa;
	socklen_t n = sizeof sa;
	char wanted[64];
	struct err e;

	(void)state;
	assert_int_equal(getsockname(taken, (struct sockaddr *)&sa, &n), 0);
	assert_int_equal(open_on(pool, p, &one, port, 0, &e), 0);
	ports_pool_switch(pool);
	assert_int_equal(open_on(pool, p, &one, other, ntohs(sa.sin_port), &e), -1);
	assert_memory_equal(e.text, "[test] ", 7);
	snprintf(wanted, sizeof wanted, "127.0.0.1:%u; ", port);
	assert_listens(p, wanted);
	assert_true(reached("127.0.0.1", port));
	assert_false(reached("127.0.0.1", other));
	close(taken);
	assert_int_equal(open_on(pool, p, &one, port, ntohs(sa.sin_port), &e), 0);
	ports_pool_switch(pool);
	snprintf(wanted, sizeof wanted, "127.0.0.1:%u; 127.0.0.1:%u tls; ", port, ntohs(sa.sin_port));
	assert_listens(p, wanted);
	ports_free(&p);
	ports_pool_free(&pool);
	loop_free(&l);
}

/* Two servers; a change is what both want. */
struct pair {
	struct ports_pool *pool;
	struct ports *a, *b;
};

static int change(struct pair *x, char *bind_a, uint16_t a, uint16_t a_tls, char *bind_b, uint16_t b, uint16_t b_tls,
                  struct err *e)
{
	char *va[] = {bind_a}, *vb[] = {bind_b};
	const struct strlist la = {va, 1}, lb = {vb, 1};

	if (ports_want(x->a, &la, a, a_tls, e) == 0 && ports_want(x->b, &lb, b, b_tls, e) == 0 &&
	    ports_pool_open(x->pool, e) == 0) {
		ports_pool_switch(x->pool);
		return 0;
	}
	ports_pool_let_go(x->pool);
	return -1;
}

static void listens(const struct pair *x, const char *a, const char *b)
{
	assert_listens(x->a, a);
	assert_listens(x->b, b);
}

#define BOTH "127.0.0.1"

static void ports_go_from_one_server_to_the_other(void **state)
{
	struct loop *l = loop_new();
	struct pair x = {ports_pool_new(l), NULL, NULL};
	uint16_t p = free_port(), q = free_port(), r = free_port();
	char on_p[40], on_q[40], tls_q[80], any_q[40];
	struct err e = {0, ""};

	(void)state;
	x.a = ports_new(x.pool, "one", on_accepted, NULL);
	x.b = ports_new(x.pool, "two", on_accepted, NULL);
	snprintf(on_p, sizeof on_p, "127.0.0.1:%u; ", p);
	snprintf(on_q, sizeof on_q, "127.0.0.1:%u; ", q);
	snprintf(any_q, sizeof any_q, "0.0.0.0:%u; ", q);
	snprintf(tls_q, sizeof tls_q, "127.0.0.1:%u; 127.0.0.1:%u tls; ", r, q);
	assert_int_equal(change(&x, BOTH, p, 0, BOTH, q, 0, &e), 0);
	listens(&x, on_p, on_q);
	assert_int_equal(change(&x, BOTH, q, 0, BOTH, p, 0, &e), 0); /* swapped */
	listens(&x, on_q, on_p);
	assert_int_equal(change(&x, BOTH, r, q, BOTH, p, 0, &e), 0); /* plain becomes TLS */
	listens(&x, tls_q, on_p);
	assert_int_equal(change(&x, BOTH, p, 0, "0.0.0.0", q, 0, &e), 0); /* moved, and wider */
	listens(&x, on_p, any_q);
	assert_true(reached("127.0.0.2", q));
	assert_int_equal(change(&x, BOTH, q, 0, BOTH, p, 0, &e), 0); /* swapped, and narrower */
	listens(&x, on_q, on_p);
	assert_false(reached("127.0.0.2", q));
	/* Both want the same, or one what is in the other's way: all stays as it was. */
	assert_int_equal(change(&x, BOTH, p, 0, BOTH, p, 0, &e), -1);
	assert_non_null(strstr(e.text, "[two] listen on 127.0.0.1"));
	listens(&x, on_q, on_p);
	assert_int_equal(change(&x, "0.0.0.0", p, 0, BOTH, p, 0, &e), -1);
	assert_non_null(strstr(e.text, "in the same file"));
	listens(&x, on_q, on_p);
	assert_true(reached("127.0.0.1", p) && reached("127.0.0.1", q) && !reached("127.0.0.2", p));
	ports_free(&x.a);
	assert_false(reached("127.0.0.1", q));
	assert_true(reached("127.0.0.1", p));
	ports_free(&x.b);
	ports_pool_free(&x.pool);
	loop_free(&l);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(each_hears_why),
	    cmocka_unit_test(one_log_line_a_minute),
	    cmocka_unit_test(wildcard_takes_the_place_of_one_address),
	    cmocka_unit_test(a_port_that_is_taken_changes_nothing),
	    cmocka_unit_test(ports_go_from_one_server_to_the_other),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
