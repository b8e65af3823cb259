/* The brake on guessing passwords, over hours that pass at once. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "net/brake.h"

#include <stdio.h>
#include <string.h>

enum { SECOND = 1000, MINUTE = 60 * SECOND, HOUR = 60 * MINUTE };

static struct ip_addr address(const char *text)
{
	struct ip_addr a;

	assert_int_equal(ip_addr_parse(slice_of(text), &a, NULL), 0);
	return a;
}

static const char *name_of(unsigned n)
{
	static char name[16];

	snprintf(name, sizeof name, "n%u", n);
	return name;
}

/* Fails with other names each time until the address is banned; returns when. */
static int64_t fail_until_banned(struct brake *b, const struct ip_addr *a, int64_t now)
{
	for (unsigned i = 0; i < 1000; i++) {
		if (!brake_admits(b, a, "somebody", now))
			return now;
		brake_failed(b, a, name_of(i), 1, now);
	}
	fail_msg("never banned");
	return 0;
}

static void answers_take_longer_and_longer(void **state)
{
	struct brake *b = brake_new();
	struct ip_addr a = address("10.0.0.1"), other = address("10.0.0.2");

	(void)state;
	for (unsigned i = 1; i <= 8; i++)
		assert_int_equal(brake_failed(b, &a, name_of(i), i, 1000), (i < 5 ? i : 5) * SECOND);
	/* New connections begin anew ... */
	assert_int_equal(brake_failed(b, &a, "x", 1, 1000), 1 * SECOND);
	assert_int_equal(brake_failed(b, &a, "x", 1, 1000), 1 * SECOND);
	/* ... up to a number. */
	for (int i = 2; i <= 8; i++)
		assert_int_equal(brake_failed(b, &a, "y", 1, 1000), (i < 5 ? i : 5) * SECOND);
	assert_int_equal(brake_failed(b, &other, "x", 1, 1000), 1 * SECOND);
	/* One is forgotten every 30 seconds: 17 of them are 12 then, and this one is the 13th. */
	assert_int_equal(brake_failed(b, &a, "z", 1, 1000 + 5 * 30 * SECOND), 4 * SECOND);
	assert_int_equal(brake_failed(b, &a, "z", 1, 1000 + HOUR), 1 * SECOND);
	brake_free(&b);
}

static void a_name_is_banned_at_an_address(void **state)
{
	struct brake *b = brake_new();
	struct ip_addr a = address("10.0.0.1"), other = address("10.0.0.2");
	int64_t now = 5000;

	(void)state;
	for (int i = 0; i < BRAKE_LIMIT_NAME; i++) {
		assert_true(brake_admits(b, &a, "anna", now));
		brake_failed(b, &a, "anna", 1, now);
	}
	assert_false(brake_admits(b, &a, "anna", now));
	assert_true(brake_admits(b, &a, "boris", now));
	assert_true(brake_admits(b, &other, "anna", now));
	assert_false(brake_admits(b, &a, "anna", now + 5 * MINUTE - 1));
	assert_true(brake_admits(b, &a, "anna", now + 5 * MINUTE));
	brake_free(&b);
}

static void an_address_is_banned_for_a_while(void **state)
{
	struct brake *b = brake_new();
	struct ip_addr a = address("10.0.0.1"), other = address("10.0.0.2");
	int64_t now = 5000;

	(void)state;
	for (unsigned i = 0; i < BRAKE_LIMIT; i++) {
		assert_true(brake_admits(b, &a, "anna", now));
		brake_failed(b, &a, name_of(i), 1, now);
	}
	assert_false(brake_admits(b, &a, "anna", now));
	assert_true(brake_admits(b, &other, "anna", now));
	assert_false(brake_admits(b, &a, "anna", now + 5 * MINUTE - 1));
	assert_true(brake_admits(b, &a, "anna", now + 5 * MINUTE));
	brake_free(&b);
}

static void bans_grow_to_an_hour_and_are_forgotten(void **state)
{
	static const int minutes[] = {5, 10, 20, 40, 60, 60};
	struct brake *b = brake_new();
	struct ip_addr a = address("10.0.0.1");
	int64_t now = 5000;

	(void)state;
	for (size_t i = 0; i < sizeof minutes / sizeof *minutes; i++) {
		now = fail_until_banned(b, &a, now);
		assert_false(brake_admits(b, &a, "anna", now + minutes[i] * MINUTE - 1));
		now += minutes[i] * MINUTE;
		assert_true(brake_admits(b, &a, "anna", now));
	}
	now = fail_until_banned(b, &a, now + 25 * HOUR);
	assert_true(brake_admits(b, &a, "anna", now + 5 * MINUTE));
	brake_free(&b);
}

static void whoever_logged_in_well_there_is_not_banned(void **state)
{
	struct brake *b = brake_new();
	struct ip_addr a = address("10.0.0.1"), other = address("10.0.0.2");
	int64_t now = 5000;

	(void)state;
	brake_succeeded(b, &a, "anna", now);
	brake_succeeded(b, &other, "boris", now);
	for (int i = 0; i < 2 * BRAKE_LIMIT_NAME; i++)
		brake_failed(b, &a, "anna", 1, now);
	assert_true(brake_admits(b, &a, "anna", now));
	/* Guessing the password of that one is slow now. */
	assert_int_equal(brake_failed(b, &a, "anna", 1, now), 30 * SECOND);
	now = fail_until_banned(b, &a, now + MINUTE);
	assert_true(brake_admits(b, &a, "anna", now));
	assert_false(brake_admits(b, &a, "boris", now));
	assert_int_equal(brake_failed(b, &a, "anna", 1, now), 30 * SECOND);
	assert_true(brake_admits(b, &a, "anna", now));
	now = fail_until_banned(b, &a, now + 25 * HOUR);
	assert_false(brake_admits(b, &a, "anna", now));
	brake_free(&b);
}

/* Neither addresses nor names cost more than so much memory; who guesses cannot push out who logged in. */
static void it_is_bounded(void **state)
{
	struct brake *b = brake_new();
	struct ip_addr a = address("10.0.0.1");
	char longest[300];

	(void)state;
	memset(longest, 'x', sizeof longest - 1);
	longest[sizeof longest - 1] = '\0';
	brake_failed(b, &a, longest, 1, 5000);
	brake_succeeded(b, &a, "anna", 5000);
	for (unsigned i = 0; i < 3 * BRAKE_NAMES; i++)
		brake_failed(b, &a, name_of(i), 1, 5000);
	int64_t now = fail_until_banned(b, &a, 5000);
	assert_true(brake_admits(b, &a, "anna", now));
	for (unsigned i = 0; i < 3 * BRAKE_NAMES; i++)
		brake_succeeded(b, &a, name_of(i), 6000 + i);
	assert_true(brake_admits(b, &a, name_of(3 * BRAKE_NAMES - 1), now));
	assert_false(brake_admits(b, &a, "anna", now));
	for (unsigned i = 0; i < 2 * BRAKE_ADDRESSES; i++) {
		struct ip_addr x = address("10.1.0.0");
		x.b[14] = (unsigned char)(i >> 8);
		x.b[15] = (unsigned char)i;
		brake_failed(b, &x, "y", 1, 7000 + i);
	}
	assert_true(brake_admits(b, &a, "anna", now)); /* pushed out by others */
	brake_free(&b);
}

static void one_network_of_ipv6_is_one_address(void **state)
{
	struct brake *b = brake_new();
	struct ip_addr x = address("2a00:1450:1:2::1"), y = address("2a00:1450:1:2:3::4"),
	               z = address("2a00:1450:1:3::1");
	struct ip_addr lan = address("fe80::1"), lan2 = address("fe80::2");
	int64_t now = fail_until_banned(b, &x, 5000);

	(void)state;
	assert_false(brake_admits(b, &y, "anna", now));
	assert_true(brake_admits(b, &z, "anna", now));
	now = fail_until_banned(b, &lan, 5000);
	assert_true(brake_admits(b, &lan2, "anna", now));
	brake_free(&b);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(answers_take_longer_and_longer),
	    cmocka_unit_test(a_name_is_banned_at_an_address),
	    cmocka_unit_test(an_address_is_banned_for_a_while),
	    cmocka_unit_test(bans_grow_to_an_hour_and_are_forgotten),
	    cmocka_unit_test(whoever_logged_in_well_there_is_not_banned),
	    cmocka_unit_test(it_is_bounded),
	    cmocka_unit_test(one_network_of_ipv6_is_one_address),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
