#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "base/clock.h"
#include "pop3/locks.h"

#include <string.h>

struct owner {
	struct pop3_locks *locks;
	struct loop *loop;
	struct pop3_claim claim;
	int64_t silent;
	int granted; /* 1 yes, -1 no */
	bool evicted;
};

static void granted(void *arg, bool ok)
{
	struct owner *o = arg;

	assert_int_equal(o->granted, 0);
	o->granted = ok ? 1 : -1;
	loop_stop(o->loop);
}

static int64_t silent(void *arg)
{
	return ((struct owner *)arg)->silent;
}

static void evict(void *arg)
{
	struct owner *o = arg;

	o->evicted = true;
	pop3_locks_release(o->locks, &o->claim);
}

static void claim(struct owner *o, struct loop *loop, struct pop3_locks *l, const char *user, unsigned char peer)
{
	*o = (struct owner){.locks = l, .loop = loop};
	o->claim = (struct pop3_claim){.user = user, .granted = granted, .silent = silent, .evict = evict, .arg = o};
	o->claim.peer.b[15] = peer;
	pop3_locks_acquire(l, &o->claim);
}

static void test_one_each_in_order(void **state)
{
	struct loop *loop = loop_new();
	struct pop3_locks *l = pop3_locks_new(loop);
	struct owner a, b, c, other;

	(void)state;
	claim(&a, loop, l, "anna", 1);
	claim(&b, loop, l, "anna", 2);
	claim(&c, loop, l, "anna", 3);
	claim(&other, loop, l, "boris", 3);
	assert_int_equal(a.granted, 1);
	assert_int_equal(other.granted, 1);
	assert_int_equal(b.granted, 0);
	assert_true(pop3_locks_held(l, "anna") && !pop3_locks_held(l, "clara"));
	pop3_locks_release(l, &a.claim);
	assert_int_equal(b.granted, 1);
	assert_int_equal(c.granted, 0);
	pop3_locks_release(l, &a.claim); /* twice is once */
	assert_int_equal(c.granted, 0);
	pop3_locks_release(l, &c.claim); /* waits no more */
	pop3_locks_release(l, &b.claim);
	assert_int_equal(c.granted, 0);
	assert_false(pop3_locks_held(l, "anna"));
	pop3_locks_release(l, &other.claim);
	pop3_locks_free(&l);
	loop_free(&loop);
}

static void test_silent_is_taken_over_by_its_own_address(void **state)
{
	struct loop *loop = loop_new();
	struct pop3_locks *l = pop3_locks_new(loop);
	struct owner a, stranger, b;

	(void)state;
	claim(&a, loop, l, "anna", 1);
	a.silent = POP3_LOCK_SILENT_MS;
	claim(&stranger, loop, l, "anna", 2);
	assert_false(a.evicted);
	a.silent = 100;
	claim(&b, loop, l, "anna", 1);
	assert_false(a.evicted);
	a.silent = POP3_LOCK_SILENT_MS; /* falls silent while b waits */
	loop_run(loop);
	assert_true(a.evicted);
	assert_int_equal(stranger.granted, 1); /* who came first */
	assert_int_equal(b.granted, 0);
	pop3_locks_release(l, &stranger.claim);
	assert_int_equal(b.granted, 1);
	pop3_locks_release(l, &b.claim);
	pop3_locks_free(&l);
	loop_free(&loop);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(test_one_each_in_order),
	    cmocka_unit_test(test_silent_is_taken_over_by_its_own_address),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
