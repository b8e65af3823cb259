#include "net/ip_filter.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/un.h>

#include <cmocka.h>

static struct ip_addr addr(const char *s)
{
	struct ip_addr a;
	struct err e;

	assert_int_equal(ip_addr_parse(slice_of(s), &a, &e), 0);
	return a;
}

static void ranges(void **state)
{
	static const struct {
		const char *text, *from, *to; /* from NULL: refused, and `to` is said */
	} cases[] = {
	    {"10.0.0.0/8", "10.0.0.0", "10.255.255.255"},
	    {"10.0.0.0/255.0.0.0", "10.0.0.0", "10.255.255.255"},
	    {"172.16.0.0/12", "172.16.0.0", "172.31.255.255"},
	    {"1.2.3.4", "1.2.3.4", "1.2.3.4"},
	    {"1.2.3.4/32", "1.2.3.4", "1.2.3.4"},
	    {"0.0.0.0/0", "0.0.0.0", "255.255.255.255"},
	    {"0.0.0.0/0.0.0.0", "0.0.0.0", "255.255.255.255"},
	    {"10.0.0.1-10.0.0.9", "10.0.0.1", "10.0.0.9"},
	    {"10.0.0.1 - 10.0.0.1", "10.0.0.1", "10.0.0.1"},
	    {"::1", "::1", "::1"},
	    {"fe80::/10", "fe80::", "febf:ffff:ffff:ffff:ffff:ffff:ffff:ffff"},
	    {"fc00::/7", "fc00::", "fdff:ffff:ffff:ffff:ffff:ffff:ffff:ffff"},
	    {"2001:db8::5-2001:db8::7", "2001:db8::5", "2001:db8::7"},
	    {"::ffff:10.1.2.3", "10.1.2.3", "10.1.2.3"},
	    {"::ffff:10.0.0.0/104", "10.0.0.0", "10.255.255.255"},
	    {"", NULL, "no IP address"},
	    {"10", NULL, "no IP address"},
	    {"10.1", NULL, "no IP address"},
	    {"010.0.0.1", NULL, "no IP address"},
	    {"10.0.0.256", NULL, "no IP address"},
	    {"10.0.0.1x", NULL, "no IP address"},
	    {" 10.0.0.1", NULL, "no IP address"},
	    {"fe80::1%eth0", NULL, "no IP address"},
	    {"10.0.0.0/", NULL, "0 to 32"},
	    {"10.0.0.0/33", NULL, "0 to 32"},
	    {"10.0.0.0/08", NULL, "0 to 32"},
	    {"10.0.0.0/8x", NULL, "0 to 32"},
	    {"10.0.0.0/-1", NULL, "0 to 32"},
	    {"::/129", NULL, "0 to 128"},
	    {"10.0.0.1/8", NULL, "10.0.0.0/8 is meant"},
	    {"fe80::1/10", NULL, "fe80::/10 is meant"},
	    {"10.0.0.0/255.0.255.0", NULL, "holes"},
	    {"10.0.0.0/0.0.0.255", NULL, "holes"},
	    {"::/255.0.0.0", NULL, "no netmask"},
	    {"10.0.0.9-10.0.0.1", NULL, "upside down"},
	    {"10.0.0.1-::1", NULL, "IPv4"},
	    {"10.0.0.1-", NULL, "no IP address"},
	};

	(void)state;
	for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
		struct ip_range r;
		struct err e = {0, ""};
		int rc = ip_range_parse(slice_of(cases[i].text), &r, &e);
		if (cases[i].from == NULL) {
			assert_int_equal(rc, -1);
			assert_non_null(strstr(e.text, cases[i].to));
			continue;
		}
		if (rc != 0)
			fail_msg("%s: %s", cases[i].text, e.text);
		char from[46], to[46];
		ip_addr_format(&r.from, from);
		ip_addr_format(&r.to, to);
		assert_string_equal(from, cases[i].from);
		assert_string_equal(to, cases[i].to);
	}
}

static void no_byte_behind_the_slice_is_read(void **state)
{
	struct ip_addr a;
	static const char text[] = "10.0.0.12";

	(void)state;
	assert_int_equal(ip_addr_parse(slice_make(text, 8), &a, NULL), 0);
	assert_int_equal(a.b[15], 1);
	assert_int_equal(ip_addr_parse(slice_make("10.0.0.1\0", 9), &a, NULL), -1);
}

static void sockets(void **state)
{
	struct sockaddr_in four = {.sin_family = AF_INET};
	struct sockaddr_in6 six = {.sin6_family = AF_INET6};
	struct sockaddr_un local = {.sun_family = AF_UNIX};
	struct ip_addr a, b;

	(void)state;
	inet_pton(AF_INET, "10.1.2.3", &four.sin_addr);
	inet_pton(AF_INET6, "::ffff:10.1.2.3", &six.sin6_addr);
	assert_true(ip_addr_from_sockaddr((struct sockaddr *)&four, &a));
	assert_true(ip_addr_from_sockaddr((struct sockaddr *)&six, &b));
	assert_memory_equal(a.b, b.b, 16);
	assert_false(ip_addr_from_sockaddr((struct sockaddr *)&local, &a));
}

static struct ip_range range(const char *s)
{
	struct ip_range r;

	assert_int_equal(ip_range_parse(slice_of(s), &r, NULL), 0);
	return r;
}

static void three_steps(void **state)
{
	struct ip_range allow[] = {range("10.0.0.0/8"), range("::1"), range("fe80::/10")};
	struct ip_range deny[] = {range("10.0.0.5-10.0.0.9")};
	struct ip_filter f = {true, allow, deny, 3, 1};
	static const struct {
		const char *address;
		bool served;
	} cases[] = {{"10.0.0.4", true},       {"10.0.0.5", false},      {"10.0.0.9", false}, {"10.0.0.10", true},
	             {"9.255.255.255", false}, {"11.0.0.0", false},      {"::1", true},       {"::2", false},
	             {"fe80::77", true},       {"::ffff:10.0.0.4", true}};

	(void)state;
	for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
		struct ip_addr a = addr(cases[i].address);
		assert_int_equal(ip_filter_serves(&f, &a), cases[i].served);
		f.enabled = false;
		assert_true(ip_filter_serves(&f, &a));
		f.enabled = true;
	}
	f.nallow = 0;
	struct ip_addr a = addr("10.0.0.4");
	assert_false(ip_filter_serves(&f, &a));
}

static void all_of_ipv6_is_not_ipv4(void **state)
{
	struct ip_range six = range("::/0"), four = range("0.0.0.0/0");
	struct ip_addr a = addr("1.2.3.4"), b = addr("2001:db8::1");

	(void)state;
	assert_false(ip_range_has(&six, &a));
	assert_true(ip_range_has(&six, &b));
	assert_true(ip_range_has(&four, &a));
	assert_false(ip_range_has(&four, &b));
}

static void global_addresses(void **state)
{
	static const char *const here[] = {
	    "127.0.0.1", "10.0.0.1", "172.16.0.1", "172.31.255.255", "192.168.255.1", "169.254.1.1", "100.64.0.1",
	    "0.0.0.0",   "::1",      "::",         "fe80::1",        "fdff::1",       "100.127.1.1", "::ffff:10.0.0.1"};
	static const char *const far[] = {"8.8.8.8",     "172.15.0.1",  "172.32.0.1", "192.167.1.1", "100.63.1.1",
	                                  "100.128.0.1", "2001:db8::1", "::2",        "fec0::1",     "11.0.0.1"};

	(void)state;
	for (size_t i = 0; i < sizeof here / sizeof here[0]; i++) {
		struct ip_addr a = addr(here[i]);
		assert_false(ip_addr_is_global(&a));
	}
	for (size_t i = 0; i < sizeof far / sizeof far[0]; i++) {
		struct ip_addr a = addr(far[i]);
		assert_true(ip_addr_is_global(&a));
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(ranges),
	    cmocka_unit_test(no_byte_behind_the_slice_is_read),
	    cmocka_unit_test(sockets),
	    cmocka_unit_test(three_steps),
	    cmocka_unit_test(all_of_ipv6_is_not_ipv4),
	    cmocka_unit_test(global_addresses),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
