/* The outqueue's rows: written, read back, finished. */
#include "base/alloc.h"
#include "base/clock.h"
#include "queue/outqueue.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

struct bed {
	char dir[64], path[96];
	struct database *db;
	struct db_conn *c;
	struct outqueue_message *got[4];
	size_t n;
};

static int set_up(void **state)
{
	const char *const schemas[] = {outqueue_schema, NULL};
	struct bed *b = xcalloc(1, sizeof *b);
	struct err e;

	strcpy(b->dir, "/tmp/ofm.outqueue.XXXXXX");
	if (mkdtemp(b->dir) == NULL)
		return -1;
	snprintf(b->path, sizeof b->path, "%s/db", b->dir);
	b->db = database_open(b->path, schemas, &e);
	if (b->db == NULL)
		return -1;
	b->c = database_conn(b->db);
	*state = b;
	return 0;
}

static int tear_down(void **state)
{
	struct bed *b = *state;
	char *rm = xasprintf("rm -rf %s", b->dir);
	int rc;

	database_free(&b->db);
	rc = system(rm);
	free(rm);
	free(b);
	return rc;
}

static void take(void *arg, struct outqueue_message *m)
{
	struct bed *b = arg;

	assert_true(b->n < 4);
	b->got[b->n++] = m;
}

static void load(struct bed *b, const char *id)
{
	struct err e;

	for (size_t i = 0; i < b->n; i++)
		outqueue_message_free(&b->got[i]);
	b->n = 0;
	assert_int_equal(outqueue_load(b->c, id, take, b, &e), 0);
}

static void insert(struct bed *b, const char *id, size_t recipients)
{
	struct outqueue_entry en = {
	    .sender = xstrdup("s@x"), .local_sender = xstrdup("anna"), .eight_bit = true, .smtputf8 = true};
	struct err e;

	for (size_t i = 0; i < recipients; i++) {
		char *a = xasprintf("r%zu@y", i);
		strlist_add(&en.recipients, a);
		free(a);
	}
	assert_int_equal(outqueue_insert(b->c, id, &en, 1234, &e), 0);
	outqueue_entry_free(&en);
}

static void round_trip(void **state)
{
	struct bed *b = *state;
	struct err e;

	insert(b, "one", 2);
	insert(b, "two", 12);
	load(b, NULL);
	assert_int_equal(b->n, 2);
	load(b, "two");
	assert_int_equal(b->n, 1);
	struct outqueue_message *m = b->got[0];
	assert_string_equal(m->id, "two");
	assert_string_equal(m->entry.sender, "s@x");
	assert_string_equal(m->entry.local_sender, "anna");
	assert_true(m->entry.eight_bit && m->entry.smtputf8);
	assert_int_equal(m->size, 1234);
	assert_true(clock_wall_s() - m->queued_at < 60);
	assert_int_equal(m->nrecipients, 12);
	assert_string_equal(m->recipients[11].address, "r11@y"); /* in order of insertion, not of text */
	assert_int_equal(m->recipients[11].state, OUTQUEUE_WAITING);
	assert_string_equal(m->recipients[11].last_reply, "");
	load(b, "three");
	assert_int_equal(b->n, 0);
	assert_int_equal(outqueue_erase(b->c, "two", &e), 0);
	assert_int_equal(outqueue_pending(b->c, "two", &e), 0);
	load(b, NULL);
	assert_int_equal(b->n, 1);
	assert_string_equal(b->got[0]->id, "one");
	load(b, "none");
}

static void states(void **state)
{
	struct bed *b = *state;
	struct outqueue_recipient r = {.state = OUTQUEUE_DELIVERED, .attempts = 3, .last_reply = (char *)"250 ok"};
	struct err e;

	insert(b, "id", 2);
	assert_int_equal(outqueue_pending(b->c, "id", &e), 1);
	assert_int_equal(outqueue_set_recipient(b->c, "id", 0, &r, &e), 0);
	assert_int_equal(outqueue_pending(b->c, "id", &e), 1);
	r = (struct outqueue_recipient){
	    .state = OUTQUEUE_WAITING, .attempts = 7, .refusals = 5, .next_at = 99, .last_reply = (char *)"451 later"};
	assert_int_equal(outqueue_set_recipient(b->c, "id", 1, &r, &e), 0);
	assert_int_equal(outqueue_set_age(b->c, "id", 500, 600, true, &e), 0);
	assert_int_equal(outqueue_set_held(b->c, "id", true, &e), 0);
	load(b, "id");
	struct outqueue_message *m = b->got[0];
	assert_int_equal(m->recipients[0].state, OUTQUEUE_DELIVERED);
	assert_string_equal(m->recipients[0].last_reply, "250 ok");
	assert_int_equal(m->recipients[1].attempts, 7);
	assert_int_equal(m->recipients[1].refusals, 5);
	assert_int_equal(m->recipients[1].next_at, 99);
	assert_int_equal(m->waited, 500);
	assert_int_equal(m->counted_at, 600);
	assert_true(m->warned && m->held);
	r.state = OUTQUEUE_BOUNCED;
	assert_int_equal(outqueue_set_recipient(b->c, "id", 1, &r, &e), 0);
	assert_int_equal(outqueue_pending(b->c, "id", &e), 0);
	load(b, "none");
}

static void the_same_id_twice(void **state)
{
	struct bed *b = *state;
	struct outqueue_entry en = {.sender = xstrdup(""), .local_sender = xstrdup("")};
	struct err e;

	insert(b, "id", 1);
	strlist_add(&en.recipients, "a@b");
	assert_int_equal(outqueue_insert(b->c, "id", &en, 1, &e), -1);
	outqueue_entry_free(&en);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test_setup_teardown(round_trip, set_up, tear_down),
	    cmocka_unit_test_setup_teardown(states, set_up, tear_down),
	    cmocka_unit_test_setup_teardown(the_same_id_twice, set_up, tear_down),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
