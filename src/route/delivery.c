#include "route/delivery.h"

#include "base/alloc.h"
#include "base/clock.h"
#include "base/log.h"
#include "disk/ballast.h"
#include "route/delivery_internal.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <unistd.h>

enum {
	SLACK_BYTES = 4 * 1024 * 1024,
	SLACK_INODES = 16,
	/* Where so much is left over, nobody fills it within AMPLE_MS: until then nothing is measured again. */
	AMPLE_BYTES = 1024 * 1024 * 1024,
	AMPLE_INODES = 100 * 1000,
	AMPLE_MS = 50,
	SMALL_BYTES = 1024 * 1024,
	SMALL_INODES = 100,
	STOP_POLL_MS = 20
};

const char delivery_schema[] =
    /* dests: "m USER" or "q", a line each. bytes is NULL where .spool/NAME holds them. */
    "CREATE TABLE IF NOT EXISTS message(id INTEGER PRIMARY KEY, name TEXT NOT NULL, size INTEGER NOT NULL,"
    " spilled INTEGER NOT NULL, dests TEXT NOT NULL, bytes BLOB);"
    /* Every destination of the message was linked during this boot. */
    "CREATE TABLE IF NOT EXISTS linked(message INTEGER PRIMARY KEY, boot TEXT NOT NULL);";

/* ---- boxes ---- */

static unsigned bucket(const char *user)
{
	return slice_hash(slice_of(user)) % BOX_BUCKETS;
}

static struct box *box_find(const struct delivery *d, const char *user)
{
	struct box *b;

	LIST_FOREACH(b, &d->boxes[bucket(user)], link)
	if (strcmp(b->user, user) == 0)
		return b;
	return NULL;
}

struct box *box_get(struct delivery *d, const char *user)
{
	struct box *b = box_find(d, user);

	if (b != NULL)
		return b;
	b = xcalloc(1, sizeof *b);
	b->user = xstrdup(user);
	b->new_fd = -1;
	TAILQ_INIT(&b->unlinked);
	TAILQ_INIT(&b->waiters);
	LIST_INSERT_HEAD(&d->boxes[bucket(user)], b, link);
	return b;
}

static bool waits(const struct box *b, const struct waiter *w)
{
	const struct dest *first = TAILQ_FIRST(&b->unlinked);

	return first != NULL && first->message->seq <= w->seq;
}

static void wake_later(void *arg)
{
	struct waiter *w = arg;

	w->done(w->arg);
	free(w);
}

void box_wake(struct delivery *d, struct box *b)
{
	for (struct waiter *w; (w = TAILQ_FIRST(&b->waiters)) != NULL && !waits(b, w);) {
		TAILQ_REMOVE(&b->waiters, w, link);
		d->nwaiters--;
		loop_post(d->loop, wake_later, w);
	}
}

/* Whether any mailbox still lacks what the waiter waits for. */
static bool any_waits(const struct delivery *d, const struct waiter *w)
{
	const struct box *b;

	if (d->reports > 0)
		return true;
	for (size_t i = 0; i < BOX_BUCKETS; i++)
		LIST_FOREACH(b, &d->boxes[i], link)
	if (waits(b, w))
		return true;
	return false;
}

void delivery_wake(struct delivery *d)
{
	for (struct waiter *w; (w = TAILQ_FIRST(&d->waiters)) != NULL && !any_waits(d, w);) {
		TAILQ_REMOVE(&d->waiters, w, link);
		d->nwaiters--;
		loop_post(d->loop, wake_later, w);
	}
}

void delivery_report_begins(struct delivery *d)
{
	d->reports++;
}

void delivery_report_ends(struct delivery *d)
{
	struct waiter *w;

	d->reports--;
	TAILQ_FOREACH(w, &d->waiters, link)
	w->seq = d->seq;
	delivery_wake(d);
	settler_kick(d, d->nwaiters > 0);
}

void delivery_settled(struct delivery *d, const char *user, void (*done)(void *arg), void *arg)
{
	struct waiter *w = xmalloc(sizeof *w);
	struct box *b = user != NULL ? box_find(d, user) : NULL;

	*w = (struct waiter){.seq = d->seq, .done = done, .arg = arg};
	if (user != NULL ? b == NULL || !waits(b, w) : !any_waits(d, w)) {
		loop_post(d->loop, wake_later, w);
		return;
	}
	if (b != NULL)
		TAILQ_INSERT_TAIL(&b->waiters, w, link);
	else
		TAILQ_INSERT_TAIL(&d->waiters, w, link);
	d->nwaiters++;
	if (b != NULL)
		placing_hasten(d, b);
	settler_kick(d, true);
}

void delivery_on_queued(struct delivery *d, void (*fn)(void *arg, const char *id), void *arg)
{
	d->queued = fn;
	d->queued_arg = arg;
}

void delivery_on_stuck(struct delivery *d, void (*fn)(void *arg, const char *id), void *arg)
{
	d->stuck = fn;
	d->stuck_arg = arg;
}

static void each_queued(const struct pending_list *list, void (*fn)(void *arg, const char *id), void *arg)
{
	const struct pending *p;

	TAILQ_FOREACH(p, list, link)
	if (p->env != NULL)
		fn(arg, p->name);
}

void delivery_each_stuck(const struct delivery *d, void (*fn)(void *arg, const char *id), void *arg)
{
	each_queued(&d->retry, fn, arg);
	each_queued(&d->to_write[ROAD_AWAITED], fn, arg);
	each_queued(&d->to_write[ROAD_COLLECTED], fn, arg);
}

bool delivery_is_queueing(struct delivery *d)
{
	if (d->queueing > 0)
		settler_kick(d, true);
	return d->queueing > 0;
}

void delivery_on_trouble(struct delivery *d, void (*fn)(void *arg, const char *user, int error), void *arg)
{
	d->trouble = fn;
	d->trouble_arg = arg;
}

void delivery_each_trouble(const struct delivery *d, void (*fn)(void *arg, const char *user, int error), void *arg)
{
	const struct box *b;

	if (d->queue_trouble != 0)
		fn(arg, NULL, d->queue_trouble);
	for (size_t i = 0; i < BOX_BUCKETS; i++)
		LIST_FOREACH(b, &d->boxes[i], link)
	if (b->trouble != 0)
		fn(arg, b->user, b->trouble);
}

struct database *delivery_database(const struct delivery *d)
{
	return d->db;
}

void delivery_set_journal(struct delivery *d, struct journal *j)
{
	d->journal = j;
}

struct journal *delivery_journal(const struct delivery *d)
{
	return d->journal;
}

/* ---- room ---- */

/* NULL, or what is wanting. */
static const char *lacks(int fd, uint64_t bytes, uint64_t inodes)
{
	struct statvfs v;

	if (fstatvfs(fd, &v) != 0)
		return strerror(errno);
	if (v.f_flag & ST_RDONLY)
		return "the disk is read-only";
	/* Some file systems have no fixed number of inodes and say 0. */
	if (v.f_files != 0 && v.f_favail < inodes)
		return "the disk has no room for more files (inodes)";
	return (uint64_t)v.f_bavail * v.f_frsize >= bytes ? NULL : "the disk is full";
}

void delivery_drop_ballast(struct delivery *d)
{
	if (!d->ballast)
		return;
	log_warning("delivery.ballast", kv_s("disk", "full"));
	d->ballast = false;
	ballast_release(d->state_fd);
}

struct lack { /* why NULL: there is room in every folder */
	const char *folder, *why;
};

static struct lack first_lack(const struct delivery *d, uint64_t bytes, uint64_t inodes, uint64_t in_state)
{
	const struct {
		const char *name;
		int fd;
		uint64_t inodes;
	} folders[] = {
	    {"mailboxes", d->spool_fd, inodes}, {"outqueue", d->outqueue_fd, inodes}, {"state", d->state_fd, in_state}};

	for (size_t i = 0; i < sizeof folders / sizeof *folders; i++) {
		const char *why = lacks(folders[i].fd, bytes, folders[i].inodes);
		if (why != NULL)
			return (struct lack){folders[i].name, why};
	}
	return (struct lack){NULL, NULL};
}

static struct lack room_for(struct delivery *d, uint64_t need, uint64_t inodes)
{
	if (!d->ballast && !(d->ballast = ballast_fill(d->state_fd)))
		return (struct lack){"state", "the disk is full"};
	d->ample_until = 0;
	if (first_lack(d, need + AMPLE_BYTES, inodes + AMPLE_INODES, AMPLE_INODES).why == NULL) {
		d->ample_until = clock_mono_ms() + AMPLE_MS;
		return (struct lack){NULL, NULL};
	}
	return first_lack(d, need, inodes, SLACK_INODES);
}

uint64_t delivery_unplaced(const struct delivery *d)
{
	return d->unplaced_bytes[ROAD_AWAITED] + d->unplaced_bytes[ROAD_COLLECTED];
}

bool delivery_fits(struct delivery *d, uint64_t bytes, uint64_t more_inodes)
{
	/* No disk has that much, and the sum below must not overflow: peers name sizes as they like. */
	if (bytes > INT64_MAX / 4)
		return false;
	if (d->ballast && clock_mono_ms() < d->ample_until && bytes <= SMALL_BYTES && more_inodes <= SMALL_INODES)
		return true;
	/* In the log, in a file, and what is accepted but in no file yet. */
	struct lack lack = room_for(d, delivery_unplaced(d) + 2 * bytes + SLACK_BYTES,
	                            d->unplaced_count + d->unlinked_count + more_inodes + SLACK_INODES);

	/* That one huge message does not fit is no trouble. */
	if (lack.why != NULL && bytes <= SLACK_BYTES)
		health_refuses(d, lack.folder, lack.why);
	return lack.why == NULL;
}

bool delivery_has_room(struct delivery *d, uint64_t bytes)
{
	return delivery_fits(d, bytes, 0);
}

/* ---- life ---- */

static int open_dir(const char *path, struct err *e)
{
	int fd = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);

	if (fd < 0)
		return err_errno(e, "%s", path);
	return fd;
}

static void add_sync_fd(struct delivery *d, int fd)
{
	struct stat st, other;

	if (fstat(fd, &st) != 0)
		return;
	for (size_t i = 0; i < d->nsync_fds; i++)
		if (fstat(d->sync_fds[i], &other) == 0 && other.st_dev == st.st_dev)
			return;
	d->sync_fds[d->nsync_fds++] = fd;
}

static int open_folders(struct delivery *d, const struct config *c, struct err *e)
{
	if ((d->spool_fd = spool_open(c->mailboxes, e)) < 0 || (d->outqueue_fd = open_dir(c->outqueue, e)) < 0 ||
	    (d->outqueue_spool_fd = spool_open(c->outqueue, e)) < 0 || (d->state_fd = open_dir(c->state, e)) < 0)
		return -1;
	add_sync_fd(d, d->spool_fd);
	add_sync_fd(d, d->outqueue_fd);
	return 0;
}

struct delivery *delivery_new(struct loop *l, struct workers *w, struct database *db, struct maildir *m,
                              const struct config *c, struct err *e)
{
	struct delivery *d = xcalloc(1, sizeof *d);

	*d = (struct delivery){.loop = l,
	                       .workers = w,
	                       .db = db,
	                       .maildir = m,
	                       .spool_fd = -1,
	                       .outqueue_fd = -1,
	                       .outqueue_spool_fd = -1,
	                       .state_fd = -1};
	TAILQ_INIT(&d->written);
	TAILQ_INIT(&d->linked);
	TAILQ_INIT(&d->retry);
	deletion_init(d);
	TAILQ_INIT(&d->tombs);
	for (int r = 0; r < ROADS; r++) {
		TAILQ_INIT(&d->to_write[r]);
		TAILQ_INIT(&d->waiting[r]);
	}
	TAILQ_INIT(&d->waiters);
	settler_init(d);
	if (open_folders(d, c, e) != 0)
		delivery_free(&d);
	return d;
}

void delivery_start(struct delivery *d)
{
	generation_start(d);
	settler_kick(d, false);
}

void delivery_retire(struct delivery *d)
{
	struct err e;

	if (generation_next(d, &e) != 0)
		log_error("delivery.generation", kv_s("error", e.text));
}

static bool idle(const struct delivery *d)
{
	return d->accepting == 0 && d->writing == 0 && !d->round_running && !placing_has_line(d) &&
	       TAILQ_EMPTY(&d->written) && TAILQ_EMPTY(&d->linked) && TAILQ_EMPTY(&d->tombs) &&
	       TAILQ_EMPTY(&d->waiting[ROAD_AWAITED]) && TAILQ_EMPTY(&d->waiting[ROAD_COLLECTED]);
}

static void poll_stop(void *arg)
{
	struct delivery *d = arg;

	if (idle(d) || clock_mono_ms() >= d->stop_until) {
		d->stopped(d->stopped_arg);
		return;
	}
	settler_kick(d, true);
	loop_timer_set(d->stop_timer, STOP_POLL_MS);
}

void delivery_stop(struct delivery *d, int64_t ms, void (*done)(void *arg), void *arg)
{
	d->stopped = done;
	d->stopped_arg = arg;
	d->stop_until = clock_mono_ms() + ms;
	d->stop_timer = loop_timer_new(d->loop, poll_stop, d);
	loop_timer_set(d->stop_timer, 0);
}

static void free_list(struct pending_list *list)
{
	for (struct pending *p; (p = TAILQ_FIRST(list)) != NULL;) {
		TAILQ_REMOVE(list, p, link);
		pending_free(&p);
	}
}

static void free_waiters(struct waiter_list *list)
{
	for (struct waiter *w; (w = TAILQ_FIRST(list)) != NULL;) {
		TAILQ_REMOVE(list, w, link);
		free(w);
	}
}

static void free_boxes(struct delivery *d)
{
	for (size_t i = 0; i < BOX_BUCKETS; i++) {
		for (struct box *b; (b = LIST_FIRST(&d->boxes[i])) != NULL;) {
			LIST_REMOVE(b, link);
			free_waiters(&b->waiters);
			free(b->user);
			free(b);
		}
	}
}

static void close_fd(int fd)
{
	if (fd >= 0)
		close(fd);
}

void delivery_free(struct delivery **dp)
{
	struct delivery *d = *dp;

	if (d == NULL)
		return;
	*dp = NULL;
	for (int r = 0; r < ROADS; r++)
		free_list(&d->to_write[r]);
	free_list(&d->written);
	free_list(&d->linked);
	free_list(&d->retry);
	settler_forget_tombs(&d->tombs);
	deletion_end(d);
	free_boxes(d);
	free_waiters(&d->waiters);
	free(d->trouble_text);
	loop_timer_free(&d->round_timer);
	loop_timer_free(&d->stop_timer);
	loop_timer_free(&d->generation_timer);
	loop_timer_free(&d->spare_timer);
	close_fd(d->spool_fd);
	close_fd(d->outqueue_fd);
	close_fd(d->outqueue_spool_fd);
	close_fd(d->state_fd);
	free(d);
}
