/* How many connections each address may hold. */
#include "net/crowd.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

static struct ip_addr addr(const char *s)
{
	struct ip_addr a;
	struct err e;

	assert_int_equal(ip_addr_parse(slice_of(s), &a, &e), 0);
	return a;
}

static void shares(void **state)
{
	static const struct {
		const char *address;
		unsigned max, share; /* UINT32_MAX: no share of its own */
	} cases[] = {
	    {"10.0.0.1", 1000, 500}, {"10.0.0.1", 20, 10},           {"10.0.0.1", 19, 10},   {"10.0.0.1", 1, 10},
	    {"10.0.0.1", 23, 11},    {"fd00::1", 100, 50},           {"127.0.0.2", 100, 50}, {"127.0.0.1", 100, ~0U},
	    {"::1", 100, ~0U},       {"::ffff:127.0.0.1", 100, ~0U}, {"::2", 100, 50},
	};

	(void)state;
	for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
		struct crowd *c = crowd_new();
		struct ip_addr a = addr(cases[i].address), other = addr("10.0.0.2");
		unsigned n = 0;

		while (n < 2000 && crowd_has_room(c, &a, cases[i].max)) {
			crowd_enter(c, &a);
			n++;
		}
		assert_int_equal(n, cases[i].share == ~0U ? 2000 : cases[i].share);
		assert_int_equal(crowd_count(c, &a), n);
		assert_true(crowd_has_room(c, &other, cases[i].max));
		crowd_leave(c, &a);
		assert_true(crowd_has_room(c, &a, cases[i].max));
		crowd_free(&c);
		assert_null(c);
	}
}

/* Many addresses, several to a bucket; who has left is forgotten. */
static void many(void **state)
{
	struct crowd *c = crowd_new();
	struct ip_addr a = addr("10.0.0.0");

	(void)state;
	for (unsigned i = 0; i < 5000; i++) {
		a.b[14] = (unsigned char)(i >> 8);
		a.b[15] = (unsigned char)i;
		for (unsigned n = 0; n <= i % 3; n++)
			crowd_enter(c, &a);
	}
	for (unsigned i = 0; i < 5000; i++) {
		a.b[14] = (unsigned char)(i >> 8);
		a.b[15] = (unsigned char)i;
		for (unsigned n = i % 3 + 1; n > 0; n--) {
			assert_int_equal(crowd_count(c, &a), n);
			crowd_leave(c, &a);
		}
		assert_int_equal(crowd_count(c, &a), 0);
		crowd_leave(c, &a); /* one too many does no harm */
	}
	crowd_free(&c);
}

int main(void)
{
	const struct CMUnitTest tests[] = {cmocka_unit_test(shares), cmocka_unit_test(many)};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
