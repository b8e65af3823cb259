/* Delivery on a rig: real folders and a real database in a folder of their own, and a loop that is run by hand. */
#ifndef OFM_TESTS_DELIVERY_RIG_H
#define OFM_TESTS_DELIVERY_RIG_H

#include "base/alloc.h"
#include "disk/database.h"
#include "route/delivery.h"
#include "store/ledger.h"

#include <dirent.h>
#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

struct world {
	char dir[64];
	struct config config;
	struct loop *loop;
	struct workers *workers;
	struct database *db;
	struct maildir *maildir;
	struct delivery *delivery;
	unsigned waiting, refused;
	enum acceptance_result result;
	char queued[64];
	bool deleted;
};

static const char *const schemas[] = {delivery_schema, tombstone_schema, outqueue_schema,
                                      ledger_schema,   fact_schema,      NULL};

/* As far as before recovery. */
static inline void open_parts(struct world *w)
{
	struct err e = {0, ""};
	char *db = xasprintf("%s/state/ofmsrv.db", w->dir);

	w->loop = loop_new();
	w->workers = workers_new(w->loop, 2);
	w->db = database_open(db, schemas, &e);
	assert_non_null(w->db);
	w->maildir = maildir_open(w->config.mailboxes, &e);
	assert_non_null(w->maildir);
	w->delivery = delivery_new(w->loop, w->workers, w->db, w->maildir, &w->config, &e);
	assert_non_null(w->delivery);
	free(db);
}

static inline void start_world(struct world *w)
{
	database_start(w->db, w->loop);
	delivery_start(w->delivery);
}

static inline void open_world(struct world *w)
{
	struct err e = {0, ""};

	open_parts(w);
	if (delivery_recover(w->delivery, &e) != 0)
		fail_msg("recover: %s", e.text);
	start_world(w);
}

static inline void on_stopped(void *arg)
{
	((struct world *)arg)->waiting--;
}

static inline void run(struct world *w);

/* What is closed when nothing runs any more. */
static inline void close_parts(struct world *w)
{
	workers_stop(w->workers);
	database_stop(w->db);
	loop_drain(w->loop);
	delivery_free(&w->delivery);
	workers_free(&w->workers);
	maildir_free(&w->maildir);
	database_free(&w->db);
	loop_free(&w->loop);
}

static inline void close_world(struct world *w)
{
	w->waiting++;
	delivery_stop(w->delivery, 5000, on_stopped, w);
	run(w);
	close_parts(w);
}

static inline int setup(void **state)
{
	struct world *w = xcalloc(1, sizeof *w);
	static const char *const sub[] = {"mailboxes", "outqueue", "state"};
	char **paths[] = {&w->config.mailboxes, &w->config.outqueue, &w->config.state};

	strcpy(w->dir, "/tmp/ofm.delivery.XXXXXX");
	assert_non_null(mkdtemp(w->dir));
	for (int i = 0; i < 3; i++) {
		*paths[i] = xasprintf("%s/%s", w->dir, sub[i]);
		assert_int_equal(mkdir(*paths[i], 0700), 0);
	}
	open_world(w);
	*state = w;
	return 0;
}

static inline int teardown(void **state)
{
	struct world *w = *state;
	char *rm = xasprintf("rm -rf %s", w->dir);

	close_world(w);
	assert_int_equal(system(rm), 0);
	free(rm);
	free(w->config.mailboxes);
	free(w->config.outqueue);
	free(w->config.state);
	free(w);
	return 0;
}

static inline void give_up(void *arg)
{
	fail_msg("timed out waiting (%u left)", ((struct world *)arg)->waiting);
}

/* Runs the loop until all that is awaited has come. */
static inline void run(struct world *w)
{
	struct loop_timer *t = loop_timer_new(w->loop, give_up, w);

	loop_timer_set(t, 10000);
	while (w->waiting > 0)
		event_base_loop(loop_base(w->loop), EVLOOP_ONCE);
	loop_timer_free(&t);
}

static inline void on_done(void *arg, enum acceptance_result r)
{
	struct world *w = arg;

	w->result = r;
	w->refused += r == ACCEPT_NO_SPACE;
	w->waiting--;
}

static inline void on_settled(void *arg)
{
	((struct world *)arg)->waiting--;
}

static inline void on_queued(void *arg, const char *id)
{
	struct world *w = arg;

	snprintf(w->queued, sizeof w->queued, "%s", id);
	w->waiting--;
}

static inline void on_deleted(void *arg, bool ok)
{
	struct world *w = arg;

	w->deleted = ok;
	w->waiting--;
}

static inline unsigned count(struct world *w, const char *user, char name[static 256])
{
	char *path = xasprintf("%s/%s/new", w->config.mailboxes, user);
	DIR *d = opendir(path);
	unsigned n = 0;

	for (const struct dirent *de; d != NULL && (de = readdir(d)) != NULL;) {
		if (de->d_name[0] == '.')
			continue;
		n++;
		snprintf(name, 256, "%s", de->d_name);
	}
	if (d != NULL)
		closedir(d);
	free(path);
	return n;
}

static inline char *contents(struct world *w, const char *user, const char *name, size_t *n)
{
	char *path = xasprintf("%s/%s/new/%s", w->config.mailboxes, user, name);
	int fd = open(path, O_RDONLY);
	struct stat st;

	assert_true(fd >= 0 && fstat(fd, &st) == 0);
	char *p = xmalloc((size_t)st.st_size + 1);
	assert_int_equal(read(fd, p, (size_t)st.st_size), st.st_size);
	*n = (size_t)st.st_size;
	close(fd);
	free(path);
	return p;
}

static inline void settle(struct world *w, const char *user)
{
	w->waiting++;
	delivery_settled(w->delivery, user, on_settled, w);
	run(w);
}

static inline enum acceptance_result offer(struct world *w, const char *prefix, struct gather *g, const char *a,
                                           const char *b)
{
	struct acceptance *acc = acceptance_new(w->delivery, DB_LANE_SMTP);
	size_t m = acceptance_message(acc, slice_of(prefix), g, 0, false);

	acceptance_to_mailbox(acc, m, a);
	if (b != NULL)
		acceptance_to_mailbox(acc, m, b);
	w->waiting++;
	acceptance_commit(&acc, on_done, w);
	run(w);
	return w->result;
}

static inline void accept_to(struct world *w, const char *prefix, struct gather *g, const char *a, const char *b)
{
	assert_int_equal(offer(w, prefix, g, a, b), ACCEPTED);
}

static inline void queue_one(struct world *w)
{
	struct outqueue_entry en = {.sender = (char *)"a@firm.example", .local_sender = (char *)"anna"};
	struct acceptance *acc = acceptance_new(w->delivery, DB_LANE_SMTP);

	strlist_add(&en.recipients, "x@far.example");
	acceptance_to_outqueue(acc, acceptance_message(acc, slice_of("A: b\r\n\r\nc\r\n"), NULL, 0, false), &en);
	w->waiting += 2;
	acceptance_commit(&acc, on_done, w);
	run(w);
	assert_int_equal(w->result, ACCEPTED);
	strlist_free(&en.recipients);
}

/* Files in outqueue/ (or its .spool) that end so; the last one's name. */
static inline unsigned count_queue(struct world *w, const char *sub, const char *suffix, char name[static 256])
{
	char *path = xasprintf("%s/%s", w->config.outqueue, sub);
	DIR *dir = opendir(path);
	unsigned n = 0;

	assert_non_null(dir);
	for (const struct dirent *de; (de = readdir(dir)) != NULL;) {
		size_t len = strlen(de->d_name), tail = strlen(suffix);
		if (de->d_name[0] == '.' || len < tail || strcmp(de->d_name + len - tail, suffix) != 0)
			continue;
		snprintf(name, 256, "%s", de->d_name);
		n++;
	}
	closedir(dir);
	free(path);
	return n;
}

static inline unsigned rows(struct world *w)
{
	sqlite3_stmt *st;
	char *path = xasprintf("%s/state/ofmsrv.db", w->dir);
	sqlite3 *db;

	assert_int_equal(sqlite3_open(path, &db), SQLITE_OK);
	assert_int_equal(sqlite3_prepare_v2(db, "SELECT count(*) FROM message", -1, &st, NULL), SQLITE_OK);
	assert_int_equal(sqlite3_step(st), SQLITE_ROW);
	unsigned n = (unsigned)sqlite3_column_int(st, 0);
	sqlite3_finalize(st);
	sqlite3_close(db);
	free(path);
	return n;
}

#endif
