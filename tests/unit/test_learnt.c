/* What was learnt about servers: known at once, there again after a restart, gone after a week or when forgotten. */
#include "base/alloc.h"
#include "base/clock.h"
#include "disk/conn.h"
#include "net/loop.h"
#include "store/learnt.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include <cmocka.h>

static const char *const schemas[] = {learnt_schema, NULL};

struct world {
	char dir[48], path[80];
	struct loop *loop;
	struct database *db;
	struct learnt *l;
};

static void world_open(struct world *w)
{
	struct err e = {0, ""};

	w->db = database_open(w->path, schemas, &e);
	if (w->db == NULL || (w->l = learnt_load(database_conn(w->db), "pop3", &e)) == NULL)
		fail_msg("%s", e.text);
	w->loop = loop_new();
	database_start(w->db, w->loop);
}

static void world_close(struct world *w)
{
	database_stop(w->db);
	database_free(&w->db);
	learnt_free(&w->l);
	loop_free(&w->loop);
}

static int setup(void **state)
{
	struct world *w = xcalloc(1, sizeof *w);

	strcpy(w->dir, "/tmp/ofm.learnt.XXXXXX");
	assert_non_null(mkdtemp(w->dir));
	snprintf(w->path, sizeof w->path, "%s/db", w->dir);
	world_open(w);
	*state = w;
	return 0;
}

static int teardown(void **state)
{
	struct world *w = *state;
	char rm[80];

	world_close(w);
	snprintf(rm, sizeof rm, "rm -r %s", w->dir);
	free(w);
	return system(rm);
}

static void restart(struct world *w)
{
	world_close(w);
	world_open(w);
}

static void a_lesson_outlives_a_restart(void **state)
{
	struct world *w = *state;

	assert_int_equal(learnt_get(w->l, "pop.example:995", LEARNT_NO_PIPELINING), 0);
	learnt_set(w->l, w->db, "POP.Example:995", LEARNT_NO_PIPELINING, 1);
	learnt_set(w->l, w->db, "pop.example:995", LEARNT_CONNECTIONS, 3);
	learnt_set(w->l, w->db, "pop.example:995", LEARNT_CONNECTIONS, 2);
	assert_int_equal(learnt_get(w->l, "pop.example:995", LEARNT_NO_PIPELINING), 1);
	restart(w);
	assert_int_equal(learnt_get(w->l, "pop.example:995", LEARNT_NO_PIPELINING), 1);
	assert_int_equal(learnt_get(w->l, "pop.example:995", LEARNT_CONNECTIONS), 2);
	assert_int_equal(learnt_get(w->l, "pop.example:110", LEARNT_CONNECTIONS), 0);
}

static void kinds_are_apart(void **state)
{
	struct world *w = *state;
	struct err e = {0, ""};

	learnt_set(w->l, w->db, "mail.example:25", LEARNT_CONNECTIONS, 3);
	database_stop(w->db);
	struct learnt *smtp = learnt_load(database_conn(w->db), "smtp", &e);
	assert_non_null(smtp);
	assert_int_equal(learnt_get(smtp, "mail.example:25", LEARNT_CONNECTIONS), 0);
	learnt_free(&smtp);
}

static void what_is_forgotten_is_gone(void **state)
{
	struct world *w = *state;

	learnt_set(w->l, w->db, "a.example:995", LEARNT_NO_PIPELINING, 1);
	learnt_set(w->l, w->db, "a.example:995", LEARNT_CONNECTIONS, 3);
	learnt_set(w->l, w->db, "b.example:995", LEARNT_CONNECTIONS, 4);
	learnt_set(w->l, w->db, "b.example:995", LEARNT_NO_SECOND_LOOK, 1);
	learnt_forget(w->l, w->db, "a.example:995");
	learnt_set(w->l, w->db, "b.example:995", LEARNT_CONNECTIONS, 0);
	for (int again = 0; again < 2; again++) {
		assert_int_equal(learnt_get(w->l, "a.example:995", LEARNT_NO_PIPELINING), 0);
		assert_int_equal(learnt_get(w->l, "a.example:995", LEARNT_CONNECTIONS), 0);
		assert_int_equal(learnt_get(w->l, "b.example:995", LEARNT_CONNECTIONS), 0);
		assert_int_equal(learnt_get(w->l, "b.example:995", LEARNT_NO_SECOND_LOOK), 1);
		restart(w);
	}
}

static void after_a_week_a_server_is_tried_anew(void **state)
{
	struct world *w = *state;
	char sql[200];
	struct err e = {0, ""};
	static const struct {
		int64_t age;
		int64_t value;
	} rows[] = {{LEARNT_TTL_S - 100, 7}, {LEARNT_TTL_S + 1, 0}, {-LEARNT_TTL_S - 100, 0}};

	for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
		database_stop(w->db);
		snprintf(sql, sizeof sql,
		         "INSERT OR REPLACE INTO learnt VALUES('pop3', 'a.example:995', 'connections', 7, %lld)",
		         (long long)(clock_wall_s() - rows[i].age));
		assert_int_equal(db_exec(database_conn(w->db), sql, &e), 0);
		restart(w);
		assert_int_equal(learnt_get(w->l, "a.example:995", LEARNT_CONNECTIONS), rows[i].value);
	}
}

struct shown {
	char text[200];
};

static void show(void *arg, const char *name, int64_t value)
{
	struct shown *s = arg;
	size_t n = strlen(s->text);

	snprintf(s->text + n, sizeof s->text - n, "%s=%lld ", name, (long long)value);
}

static void all_that_is_known_can_be_listed(void **state)
{
	struct world *w = *state;
	struct shown s = {""};

	learnt_set(w->l, w->db, "a.example:995", LEARNT_RATE, 840);
	learnt_set(w->l, w->db, "a.example:995", LEARNT_NO_CHUNKING, 1);
	learnt_set(w->l, w->db, "b.example:995", LEARNT_NO_PIPELINING, 1);
	learnt_each(w->l, "A.example:995", show, &s);
	assert_string_equal(s.text, "no_chunking=1 rate=840 ");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test_setup_teardown(a_lesson_outlives_a_restart, setup, teardown),
	    cmocka_unit_test_setup_teardown(kinds_are_apart, setup, teardown),
	    cmocka_unit_test_setup_teardown(what_is_forgotten_is_gone, setup, teardown),
	    cmocka_unit_test_setup_teardown(after_a_week_a_server_is_tried_anew, setup, teardown),
	    cmocka_unit_test_setup_teardown(all_that_is_known_can_be_listed, setup, teardown),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
