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

static void wildcard_takes_the_place_of_one_address(void **state)
{
	struct loop *l = loop_new();
	struct ports *p = ports_new(l, "test", on_accepted, NULL);
	struct strlist one = on("127.0.0.1"), any;
	uint16_t port = free_port();
	char wanted[64];
	struct err e;

	(void)state;
	assert_int_equal(ports_prepare(p, &one, port, 0, &e), 0);
	ports_commit(p);
	any = on("0.0.0.0");
	assert_int_equal(ports_prepare(p, &any, port, 0, &e), 0);
	ports_abort(p); /* as before, though the old one had to go for a moment */
	snprintf(wanted, sizeof wanted, "127.0.0.1:%u; ", port);
	assert_listens(p, wanted);
	assert_true(reached("127.0.0.1", port));
	assert_false(reached("127.0.0.2", port));
	assert_int_equal(ports_prepare(p, &any, port, 0, &e), 0);
	ports_commit(p);
	ports_commit(p);
	ports_abort(p);
	snprintf(wanted, sizeof wanted, "0.0.0.0:%u; ", port);
	assert_listens(p, wanted);
	assert_true(reached("127.0.0.2", port));
	ports_close(p);
	assert_listens(p, "");
	assert_false(reached("127.0.0.1", port));
	ports_free(&p);
	assert_null(p);
	loop_free(&l);
}

static void a_port_that_is_taken_changes_nothing(void **state)
{
	struct loop *l = loop_new();
	struct ports *p = ports_new(l, "test", on_accepted, NULL);
	struct strlist one = on("127.0.0.1");
	uint16_t port = free_port(), other = free_port();
	int taken = socket_on("127.0.0.1", 0);
	struct sockaddr_in sa;
	socklen_t n = sizeof sa;
	char wanted[64];
	struct err e;

	(void)state;
	assert_int_equal(getsockname(taken, (struct sockaddr *)&sa, &n), 0);
	assert_int_equal(ports_prepare(p, &one, port, 0, &e), 0);
	ports_commit(p);
	assert_int_equal(ports_prepare(p, &one, other, ntohs(sa.sin_port), &e), -1);
	assert_memory_equal(e.text, "[test] ", 7);
	snprintf(wanted, sizeof wanted, "127.0.0.1:%u; ", port);
	assert_listens(p, wanted);
	assert_true(reached("127.0.0.1", port));
	assert_false(reached("127.0.0.1", other));
	close(taken);
	assert_int_equal(ports_prepare(p, &one, port, ntohs(sa.sin_port), &e), 0);
	ports_commit(p);
	snprintf(wanted, sizeof wanted, "127.0.0.1:%u; 127.0.0.1:%u tls; ", port, ntohs(sa.sin_port));
	assert_listens(p, wanted);
	ports_free(&p);
	loop_free(&l);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(each_hears_why),
	    cmocka_unit_test(one_log_line_a_minute),
	    cmocka_unit_test(wildcard_takes_the_place_of_one_address),
	    cmocka_unit_test(a_port_that_is_taken_changes_nothing),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
