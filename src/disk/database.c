#include "disk/database.h"

#include "base/alloc.h"
#include "base/clock.h"
#include "base/log.h"
#include "disk/batch.h"
#include "disk/conn.h"
#include "disk/lock_step.h"

#include <errno.h>
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum {
	BATCH_JOBS = 200,
	BATCH_BYTES = 1024 * 1024,
	BATCH_BYTES_SHARED = 192 * 1024, /* while somebody at a mail program waits for his commits */
	SHARED_MS = 2000,                /* so long after his last */
	LANES = 128,
	CROWD_MAX_US = 10 * 1000,
	CHECK_PAGES = 16 * 1024,
	PAGE = 4096,
	WAL_PASSIVE = 16 * 1024 * 1024 / PAGE, /* pages from which the second connection checkpoints */
	WAL_RESTART = 32 * 1024 * 1024 / PAGE  /* pages from which the writer waits for it */
};

struct lane {
	struct db_node *first, **last;
};

struct read_job {
	struct read_job *next;
	struct database *d;
	int (*fn)(struct db_conn *c, void *arg, struct err *e);
	void (*done)(void *arg, int rc, const struct err *e);
	void *arg;
	int rc;
	struct err e;
};

struct database {
	char *path;
	const char *const *schemas;
	struct loop *loop;
	struct db_conn *writer;
	pthread_t write_thread, read_thread, checkpoint_thread;
	bool running;
	pthread_mutex_t lock;
	pthread_cond_t work, reads, grown;
	struct lane lanes[LANES];
	atomic_size_t waiting;    /* jobs in the lanes; changed under the lock */
	size_t next_lane, wanted; /* wanted: so many waiting wake the writer */
	bool asleep;              /* the writer, until somebody wakes it */
	struct lock_step steps;   /* the writer's */
	size_t crowd;             /* the writer's: jobs of the last batch */
	int64_t commit_us;        /* how long it took */
	int64_t submission_ms;    /* when somebody last submitted */
	struct read_job *first_read, **last_read;
	atomic_bool ending; /* changed under the lock */
	bool checkpoint_wanted, checkpoint_ending;
};

static int make_schema(struct db_conn *c, const char *const *schemas, struct err *e)
{
	for (size_t i = 0; schemas[i] != NULL; i++)
		if (db_exec(c, schemas[i], e) != 0)
			return -1;
	return 0;
}

/* Damage is better found now than at the first message, as long as looking costs no more than a moment. */
static int look_over(struct db_conn *c, struct err *e)
{
	if (db_number(c, "PRAGMA page_count", e) > CHECK_PAGES)
		return 0;
	sqlite3_stmt *st = db_stmt(c, "PRAGMA quick_check(1)", e);
	if (st == NULL)
		return -1;
	int step = sqlite3_step(st), rc = 0;
	const char *text = step == SQLITE_ROW ? (const char *)sqlite3_column_text(st, 0) : NULL;
	if (step != SQLITE_ROW && step != SQLITE_DONE)
		rc = conn_error(c, "quick_check", e);
	else if (text != NULL && strcmp(text, "ok") != 0)
		rc = err_set(e, SQLITE_CORRUPT, "database: %s", text);
	sqlite3_reset(st);
	return rc;
}

static void init_monotonic(pthread_cond_t *c)
{
	pthread_condattr_t a;

	pthread_condattr_init(&a);
	pthread_condattr_setclock(&a, CLOCK_MONOTONIC);
	pthread_cond_init(c, &a);
	pthread_condattr_destroy(&a);
}

struct database *database_open(const char *path, const char *const *schemas, struct err *e)
{
	struct database *d = xcalloc(1, sizeof *d);

	d->path = xstrdup(path);
	d->schemas = schemas;
	pthread_mutex_init(&d->lock, NULL);
	init_monotonic(&d->work);
	pthread_cond_init(&d->reads, NULL);
	pthread_cond_init(&d->grown, NULL);
	for (size_t i = 0; i < LANES; i++)
		d->lanes[i].last = &d->lanes[i].first;
	d->last_read = &d->first_read;
	d->writer = conn_open(path, false, e);
	if (d->writer == NULL || make_schema(d->writer, schemas, e) != 0 || look_over(d->writer, e) != 0)
		database_free(&d);
	return d;
}

bool database_is_damage(const struct err *e)
{
	int code = e->code & 0xff;

	return code == SQLITE_CORRUPT || code == SQLITE_NOTADB;
}

int database_set_aside(const char *path, const char *aside, struct err *e)
{
	static const char *const suffixes[] = {"-wal", "-shm", ""};
	int rc = 0;

	/* The database itself last: until it has gone, this can be done again. */
	for (size_t i = 0; rc == 0 && i < 3; i++) {
		char *from = xasprintf("%s%s", path, suffixes[i]), *to = xasprintf("%s%s", aside, suffixes[i]);
		if (rename(from, to) != 0 && errno != ENOENT)
			rc = err_errno(e, "%s", from);
		free(from);
		free(to);
	}
	return rc;
}

struct db_conn *database_conn(struct database *d)
{
	return d->writer;
}

struct batch {
	struct db_node *first, **last;
	size_t n, bytes;
};

/* Moves a lane's first job to the batch. */
static void take_first(struct database *d, struct lane *lane, struct batch *b)
{
	struct db_node *node = lane->first;

	if (node == NULL)
		return;
	lane->first = node->next;
	if (lane->first == NULL)
		lane->last = &lane->first;
	node->next = NULL;
	*b->last = node;
	b->last = &node->next;
	d->waiting--;
	b->n++;
	b->bytes += node->job.bytes;
}

/* Takes one job of each lane in turn until the batch is full; before that, up to half of it, those for which somebody
 * sits at a mail program. Under the lock. */
static struct db_node *take_batch(struct database *d)
{
	struct lane *const awaited[] = {&d->lanes[DB_LANE_SMTP], &d->lanes[DB_LANE_POP3]};
	struct batch b = {NULL, &b.first, 0, 0};
	bool shared = clock_mono_ms() - d->submission_ms < SHARED_MS;
	size_t most = shared ? BATCH_BYTES_SHARED : BATCH_BYTES;

	for (size_t i = 0; i < 2; i++)
		while (awaited[i]->first != NULL && b.n < BATCH_JOBS / 2 && b.bytes < most / 2)
			take_first(d, awaited[i], &b);
	while (d->waiting > 0 && b.n < BATCH_JOBS && b.bytes < most) {
		struct lane *lane = &d->lanes[d->next_lane];
		d->next_lane = (d->next_lane + 1) % LANES;
		take_first(d, lane, &b);
	}
	return b.first;
}

static void run_dones(void *arg)
{
	for (struct db_node *n = arg, *next; n != NULL; n = next) {
		next = n->next;
		if (n->job.done != NULL)
			n->job.done(n->job.arg, n->outcome, n->e);
		free(n->e);
		free(n);
	}
}

/* Whether the log is as long as it may get: then the writer moves it itself. The second connection may be at it already
 * (SQLite waits for no checkpoint, whatever the timeout) and knows nothing of this commit: it has to begin anew. */
static bool moved_by_writer(struct database *d)
{
	return conn_wal_pages(d->writer) >= WAL_RESTART &&
	       sqlite3_wal_checkpoint_v2(db_handle(d->writer), NULL, SQLITE_CHECKPOINT_RESTART, NULL, NULL) ==
	           SQLITE_OK;
}

static void after_commit(struct database *d)
{
	if (d->writer == NULL || conn_wal_pages(d->writer) < WAL_PASSIVE || moved_by_writer(d))
		return;
	pthread_mutex_lock(&d->lock);
	d->checkpoint_wanted = true;
	pthread_cond_signal(&d->grown);
	pthread_mutex_unlock(&d->lock);
}

static struct timespec later(int64_t us)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	t.tv_sec += (time_t)(us / 1000000);
	t.tv_nsec += (long)(us % 1000000 * 1000);
	if (t.tv_nsec >= 1000000000) {
		t.tv_sec++;
		t.tv_nsec -= 1000000000;
	}
	return t;
}

/* Those whom the last commit answered are about to come again; whoever is first would else commit alone, and all others
 * wait for that. So the first waits for as many as there were, a fraction of a commit at most. Under the lock. */
static void await_crowd(struct database *d)
{
	const struct timespec end = later(d->commit_us / 2 < CROWD_MAX_US ? d->commit_us / 2 : CROWD_MAX_US);

	d->wanted = d->crowd;
	while (d->waiting < d->wanted && !d->ending)
		if (pthread_cond_timedwait(&d->work, &d->lock, &end) != 0)
			break;
	d->wanted = 1;
}

/* Asleep until there is work, and as much of it as it pays to wait for. Under the lock. */
static void await_work(struct database *d)
{
	d->asleep = true;
	while (d->waiting == 0 && !d->ending)
		pthread_cond_wait(&d->work, &d->lock);
	lock_step_came(&d->steps, clock_mono_us());
	await_crowd(d);
	d->asleep = false;
}

/* Awake, and without the lock. */
static void look_out(const struct database *d)
{
	while (d->waiting == 0 && !d->ending && lock_step_waits(&d->steps, clock_mono_us()))
		;
}

static void note_end(struct database *d, const struct db_node *batch, int64_t began)
{
	int64_t now = clock_mono_us();
	unsigned submissions = 0;

	d->commit_us = now - began;
	d->crowd = 0;
	for (; batch != NULL; batch = batch->next) {
		d->crowd++;
		submissions += batch->job.lane == DB_LANE_SMTP;
	}
	lock_step_answered(&d->steps, now, submissions);
}

static void *write_loop(void *arg)
{
	struct database *d = arg;

	for (;;) {
		pthread_mutex_lock(&d->lock);
		await_work(d);
		struct db_node *batch = take_batch(d);
		pthread_mutex_unlock(&d->lock);
		if (batch == NULL)
			return NULL;
		int64_t began = clock_mono_us();
		batch_run(&d->writer, d->path, batch);
		note_end(d, batch, began);
		loop_post(d->loop, run_dones, batch);
		after_commit(d);
		look_out(d);
	}
}

static void *checkpoint_loop(void *arg)
{
	struct database *d = arg;
	struct db_conn *c = NULL;
	struct err e;

	for (;;) {
		pthread_mutex_lock(&d->lock);
		while (!d->checkpoint_wanted && !d->checkpoint_ending)
			pthread_cond_wait(&d->grown, &d->lock);
		bool ending = d->checkpoint_ending;
		d->checkpoint_wanted = false;
		pthread_mutex_unlock(&d->lock);
		if (ending)
			break;
		if (c == NULL)
			c = conn_open(d->path, false, &e);
		if (c != NULL &&
		    sqlite3_wal_checkpoint_v2(db_handle(c), NULL, SQLITE_CHECKPOINT_PASSIVE, NULL, NULL) != SQLITE_OK)
			conn_close(&c);
	}
	conn_close(&c);
	return NULL;
}

static void run_read_done(void *arg)
{
	struct read_job *j = arg;

	j->done(j->arg, j->rc, j->rc == 0 ? NULL : &j->e);
	free(j);
}

static struct read_job *take_read(struct database *d)
{
	pthread_mutex_lock(&d->lock);
	while (d->first_read == NULL && !d->ending)
		pthread_cond_wait(&d->reads, &d->lock);
	struct read_job *j = d->first_read;
	if (j != NULL && (d->first_read = j->next) == NULL)
		d->last_read = &d->first_read;
	pthread_mutex_unlock(&d->lock);
	return j;
}

static void *read_loop(void *arg)
{
	struct database *d = arg;
	struct db_conn *c = NULL;

	for (struct read_job *j; (j = take_read(d)) != NULL;) {
		if (c == NULL)
			c = conn_open(d->path, true, &j->e);
		j->rc = c != NULL ? j->fn(c, j->arg, &j->e) : -1;
		/* After a failure the next one starts afresh: the file may have been replaced or healed. */
		if (j->rc != 0)
			conn_close(&c);
		loop_post(d->loop, run_read_done, j);
	}
	conn_close(&c);
	return NULL;
}

void database_start(struct database *d, struct loop *l)
{
	sigset_t all, before;

	d->loop = l;
	lock_step_init(&d->steps, sysconf(_SC_NPROCESSORS_ONLN));
	d->submission_ms = clock_mono_ms() - SHARED_MS;
	sigfillset(&all);
	pthread_sigmask(SIG_SETMASK, &all, &before);
	if (pthread_create(&d->write_thread, NULL, write_loop, d) != 0 ||
	    pthread_create(&d->read_thread, NULL, read_loop, d) != 0 ||
	    pthread_create(&d->checkpoint_thread, NULL, checkpoint_loop, d) != 0)
		abort();
	pthread_sigmask(SIG_SETMASK, &before, NULL);
	d->running = true;
}

void database_submit(struct database *d, const struct db_job *job)
{
	struct db_node *n = xcalloc(1, sizeof *n);
	struct lane *lane = &d->lanes[job->lane % LANES];

	n->job = *job;
	pthread_mutex_lock(&d->lock);
	if (job->lane == DB_LANE_SMTP)
		d->submission_ms = clock_mono_ms();
	*lane->last = n;
	lane->last = &n->next;
	d->waiting++;
	bool wake = d->asleep && d->waiting >= d->wanted;
	pthread_mutex_unlock(&d->lock);
	/* Under the lock it would wake only to find that taken. */
	if (wake)
		pthread_cond_signal(&d->work);
}

void database_read(struct database *d, int (*fn)(struct db_conn *c, void *arg, struct err *e),
                   void (*done)(void *arg, int rc, const struct err *e), void *arg)
{
	struct read_job *j = xcalloc(1, sizeof *j);

	*j = (struct read_job){.d = d, .fn = fn, .done = done, .arg = arg};
	pthread_mutex_lock(&d->lock);
	*d->last_read = j;
	d->last_read = &j->next;
	pthread_cond_signal(&d->reads);
	pthread_mutex_unlock(&d->lock);
}

void database_stop(struct database *d)
{
	if (!d->running)
		return;
	d->running = false;
	pthread_mutex_lock(&d->lock);
	d->ending = true;
	pthread_cond_broadcast(&d->work);
	pthread_cond_broadcast(&d->reads);
	pthread_mutex_unlock(&d->lock);
	pthread_join(d->write_thread, NULL);
	pthread_join(d->read_thread, NULL);
	pthread_mutex_lock(&d->lock);
	d->checkpoint_ending = true;
	pthread_cond_broadcast(&d->grown);
	pthread_mutex_unlock(&d->lock);
	pthread_join(d->checkpoint_thread, NULL);
}

void database_free(struct database **dp)
{
	struct database *d = *dp;

	if (d == NULL)
		return;
	*dp = NULL;
	database_stop(d);
	conn_close(&d->writer);
	pthread_mutex_destroy(&d->lock);
	pthread_cond_destroy(&d->work);
	pthread_cond_destroy(&d->reads);
	pthread_cond_destroy(&d->grown);
	free(d->path);
	free(d);
}
