/* Files of committed messages: the spool, the links, the flushes. */
#include "base/alloc.h"
#include "base/clock.h"
#include "base/io.h"
#include "base/log.h"
#include "route/delivery_internal.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

/* One task at a time, with all that has come during the last one: a task costs more than a file. */
enum { WRITE_TASKS = 1, COPY_CHUNK = 64 * 1024, ENV_NAME = RANDOM_NAME_MAX + 8 };

struct write_task {
	struct delivery *d;
	unsigned syncs_failed; /* when it began */
	struct pending_list list;
};

void pending_free(struct pending **pp)
{
	struct pending *p = *pp;

	if (p == NULL)
		return;
	*pp = NULL;
	free(p->bytes);
	free(p->env);
	free(p->dests);
	free(p);
}

static void env_name(const struct pending *p, char out[static ENV_NAME])
{
	snprintf(out, ENV_NAME, "%s.env", p->name);
}

size_t placing_links(const struct pending *p)
{
	return p->env != NULL ? 3 : p->ndests; /* ID.env is a file of its own, too */
}

int placing_file_name(const struct pending *p, char out[static 80])
{
	return snprintf(out, 80, "%s,S=%llu", p->name, (unsigned long long)p->size);
}

int placing_write(int dirfd, const char *name, const void *bytes, size_t n, bool durable)
{
	int fd = openat(dirfd, name, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC | O_NOFOLLOW, 0600);

	/* A leftover of a failed try: its pages may be bad, so it is not written over but replaced. */
	if (fd < 0 && errno == EEXIST && unlinkat(dirfd, name, 0) == 0)
		fd = openat(dirfd, name, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC | O_NOFOLLOW, 0600);
	if (fd < 0)
		return -1;
	if (io_write_all(fd, slice_make(bytes, n)) != 0 || (durable && fsync(fd) != 0))
		goto fail;
	return close(fd);
fail:;
	int saved = errno;
	close(fd);
	unlinkat(dirfd, name, 0);
	errno = saved;
	return -1;
}

int placing_spool(struct delivery *d, struct pending *p)
{
	char env[ENV_NAME];

	if (p->env == NULL)
		return p->bytes != NULL ? placing_write(d->spool_fd, p->name, p->bytes, p->size, false) : 0;
	env_name(p, env);
	if (p->bytes != NULL && placing_write(d->outqueue_spool_fd, p->name, p->bytes, p->size, false) != 0)
		return -1;
	return placing_write(d->outqueue_spool_fd, env, p->env, strlen(p->env), false);
}

void placing_unspool(struct delivery *d, const struct pending *p)
{
	char env[ENV_NAME];

	if (p->env == NULL) {
		if (!p->moved)
			unlinkat(d->spool_fd, p->name, 0);
		return;
	}
	env_name(p, env);
	unlinkat(d->outqueue_spool_fd, p->name, 0);
	unlinkat(d->outqueue_spool_fd, env, 0);
}

int placing_sync(struct delivery *d)
{
	for (size_t i = 0; i < d->nsync_fds; i++)
		if (syncfs(d->sync_fds[i]) != 0)
			return -1;
	return 0;
}

/* ---- links ---- */

static int open_new(struct delivery *d, struct box *b)
{
	struct err e = {0, ""};

	if (b->new_fd >= 0)
		return 0;
	errno = b->open_error;
	if (b->open_error != 0)
		return -1;
	b->new_fd = maildir_open_dir(d->maildir, b->user, "new", &e);
	if (b->new_fd < 0 && e.code == ENOENT && maildir_create(d->maildir, b->user, &e) == 0)
		b->new_fd = maildir_open_dir(d->maildir, b->user, "new", &e);
	if (b->new_fd >= 0)
		return 0;
	log_error("delivery.mailbox", kv_s("user", b->user), kv_s("error", e.text));
	errno = b->open_error = e.code != 0 ? e.code : EIO;
	return -1;
}

static bool same_file(int dir_a, const char *a, int dir_b, const char *b)
{
	struct stat x, y;

	return fstatat(dir_a, a, &x, AT_SYMLINK_NOFOLLOW) == 0 && fstatat(dir_b, b, &y, AT_SYMLINK_NOFOLLOW) == 0 &&
	       x.st_dev == y.st_dev && x.st_ino == y.st_ino;
}

static int copy_bytes(int from, int to)
{
	char *chunk = xmalloc(COPY_CHUNK);
	ssize_t n;

	while ((n = read(from, chunk, COPY_CHUNK)) > 0)
		if (io_write_all(to, slice_make(chunk, (size_t)n)) != 0)
			break;
	free(chunk);
	return n == 0 ? 0 : -1;
}

/* Another file system, a link limit, or links forbidden: a copy, flushed by itself since no round's sync covers it. */
static int copy_over(int spool, const char *name, int dir, const char *target)
{
	char temporary[RANDOM_NAME_MAX + 4] = ".t.";
	int rc = -1, to = -1;
	int from = openat(spool, name, O_RDONLY | O_CLOEXEC | O_NOFOLLOW);

	if (from < 0)
		return -1;
	random_name(temporary + 3);
	to = openat(dir, temporary, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC | O_NOFOLLOW, 0600);
	if (to < 0)
		goto out;
	bool renamed = copy_bytes(from, to) == 0 && fsync(to) == 0 && renameat(dir, temporary, dir, target) == 0;
	if (renamed && fsync(dir) == 0)
		rc = 0;
	int saved = errno;
	/* What is tried again must not find its own name taken. */
	if (rc != 0)
		unlinkat(dir, renamed ? target : temporary, 0);
	close(to);
	errno = saved;
out:
	close(from);
	return rc;
}

static int link_into(int spool, const char *name, int dir, const char *target)
{
	if (linkat(spool, name, dir, target, 0) == 0)
		return 0;
	if (errno == EEXIST && same_file(spool, name, dir, target))
		return 0;
	if (errno == EXDEV || errno == EPERM || errno == EMLINK)
		return copy_over(spool, name, dir, target);
	return -1;
}

/* Whether the spool's name may become the mailbox's: nobody else needs it, and were a power cut to lose both, the row
 * has the bytes. It saves the spool a second name that has to be taken away again. */
static bool may_move(const struct pending *p)
{
	return p->ndests == 1 && !p->spilled;
}

/* Moves, or links: p->moved says which. */
static int place_as(struct delivery *d, struct pending *p, int dir, const char *target)
{
	if (!may_move(p))
		return link_into(d->spool_fd, p->name, dir, target);
	p->moved = renameat2(d->spool_fd, p->name, dir, target, RENAME_NOREPLACE) == 0;
	if (p->moved)
		return 0;
	/* Another file system, or one that cannot do it without replacing what stands there. */
	bool cannot = errno == EXDEV || errno == EPERM || errno == EINVAL || errno == ENOSYS;
	return cannot ? link_into(d->spool_fd, p->name, dir, target) : -1;
}

int placing_link(struct delivery *d, struct pending *p, struct dest *de)
{
	char target[80];

	if (open_new(d, de->box) != 0)
		return -1;
	placing_file_name(p, target);
	if (place_as(d, p, de->box->new_fd, target) == 0)
		return 0;
	if (errno != EEXIST)
		return -1;
	/* Somebody else's message of this name: never taken for ours. */
	struct pending other = {.size = p->size};
	random_name(other.name);
	placing_file_name(&other, target);
	log_warning("delivery.name_taken", kv_s("user", de->box->user), kv_s("name", p->name), kv_s("now", target));
	return place_as(d, p, de->box->new_fd, target);
}

int placing_link_queue(struct delivery *d, struct pending *p)
{
	char env[ENV_NAME], eml[ENV_NAME];

	env_name(p, env);
	snprintf(eml, sizeof eml, "%s.eml", p->name);
	/* The message last: whoever sees ID.eml finds its envelope. An envelope alone is what a broken-off try left. */
	if (link_into(d->outqueue_spool_fd, env, d->outqueue_fd, env) != 0 &&
	    (errno != EEXIST || unlinkat(d->outqueue_fd, env, 0) != 0 ||
	     link_into(d->outqueue_spool_fd, env, d->outqueue_fd, env) != 0))
		return -1;
	return link_into(d->outqueue_spool_fd, p->name, d->outqueue_fd, eml);
}

void placing_close_boxes(struct pending *p)
{
	for (size_t i = 0; i < p->ndests; i++) {
		struct box *b = p->dests[i].box;

		if (b->new_fd >= 0)
			close(b->new_fd);
		b->new_fd = -1;
		b->open_error = 0;
	}
}

/* ---- writing, by workers ---- */

static void join_line(struct delivery *d, struct pending *p, enum road line)
{
	p->line = line;
	TAILQ_INSERT_TAIL(&d->to_write[line], p, link);
}

static void leave_line(struct delivery *d, struct pending *p)
{
	TAILQ_REMOVE(&d->to_write[p->line], p, link);
	p->line = ROADS;
}

void placing_line_up(struct delivery *d, struct pending *p)
{
	join_line(d, p, p->road);
}

bool placing_has_line(const struct delivery *d)
{
	return !TAILQ_EMPTY(&d->to_write[ROAD_AWAITED]) || !TAILQ_EMPTY(&d->to_write[ROAD_COLLECTED]);
}

void placing_hasten(struct delivery *d, const struct box *b)
{
	struct dest *de;

	TAILQ_FOREACH(de, &b->unlinked, in_box)
	{
		struct pending *p = de->message;

		if (p->line != ROAD_COLLECTED)
			continue;
		leave_line(d, p);
		join_line(d, p, ROAD_AWAITED);
	}
}

static void write_some(void *arg)
{
	struct write_task *t = arg;
	struct pending *p;

	TAILQ_FOREACH(p, &t->list, link)
	{
		p->write_error = placing_spool(t->d, p) != 0 ? errno : 0;
	}
}

static void dispatch(struct delivery *d);

static void note_writing(struct delivery *d, int error)
{
	if (error != 0)
		health_stalls(d, "writing mail", strerror(error));
	else if (d->write_error != 0)
		log_info("delivery.write_again");
	d->write_error = error;
	health_look(d);
}

static void after_write(void *arg)
{
	struct write_task *t = arg;
	struct delivery *d = t->d;
	int failed = 0;

	d->writing--;
	if (TAILQ_EMPTY(&d->written))
		d->written_at = clock_mono_ms();
	for (struct pending *p; (p = TAILQ_FIRST(&t->list)) != NULL;) {
		TAILQ_REMOVE(&t->list, p, link);
		if (p->write_error != 0) {
			failed = p->write_error;
			settler_stop_waiting(d, p);
			placing_line_up(d, p);
			continue;
		}
		if (t->syncs_failed != d->syncs_failed) {
			settler_distrust(d, p);
			placing_line_up(d, p);
			continue;
		}
		d->unplaced_count--;
		if (p->bytes != NULL) {
			d->unplaced_bytes[p->road] -= p->size;
			spare_placed(d, p->size);
		}
		free(p->bytes);
		p->bytes = NULL;
		TAILQ_INSERT_TAIL(&d->written, p, link);
	}
	free(t);
	settler_kick(d, false);
	acceptance_resume(d);
	/* A full disk: the settler's rounds free space and try again. */
	note_writing(d, failed);
	if (failed == 0 && !d->deferred)
		dispatch(d);
}

/* Up to so many of one line. */
static int take_from(struct delivery *d, enum road line, int most, struct write_task *t)
{
	struct pending *p;
	int n = 0;

	for (; n < most && (p = TAILQ_FIRST(&d->to_write[line])) != NULL; n++) {
		leave_line(d, p);
		if (p->stale)
			settler_reload(d, p);
		else
			TAILQ_INSERT_TAIL(&t->list, p, link);
	}
	return n;
}

static struct write_task *next_task(struct delivery *d)
{
	struct write_task *t = xcalloc(1, sizeof *t);

	t->d = d;
	t->syncs_failed = d->syncs_failed;
	TAILQ_INIT(&t->list);
	/* Collected mail goes on, however much there is of the other. */
	int n = take_from(d, ROAD_COLLECTED, WRITE_COLLECTED, t);
	n += take_from(d, ROAD_AWAITED, WRITE_AT_ONCE - n, t);
	take_from(d, ROAD_COLLECTED, WRITE_AT_ONCE - n, t);
	return t;
}

static void dispatch(struct delivery *d)
{
	d->deferred = false;
	while (d->writing < WRITE_TASKS && placing_has_line(d)) {
		struct write_task *t = next_task(d);
		if (TAILQ_EMPTY(&t->list)) {
			free(t);
			continue;
		}
		d->writing++;
		workers_run(d->workers, write_some, after_write, t);
	}
}

void placing_retry(struct delivery *d)
{
	dispatch(d);
}

/* Under load nothing is linked before the next round, and a task for each message would cost more than its file: they
 * gather till then. Nobody waits for them, and they are few. */
static bool may_wait(const struct delivery *d)
{
	bool troubled = d->sync_error != 0 || d->settle_failed || d->write_error != 0;

	return !troubled && d->nwaiters == 0 && clock_mono_ms() < d->last_round + ROUND_MS &&
	       d->unplaced_count < WRITE_AT_ONCE && delivery_unplaced(d) < GATHERED_MAX;
}

void placing_start(struct delivery *d, struct pending *p)
{
	p->seq = ++d->seq;
	p->links = placing_links(p);
	d->unlinked_count += p->links;
	d->queueing += p->env != NULL;
	for (size_t i = 0; i < p->ndests; i++)
		TAILQ_INSERT_TAIL(&p->dests[i].box->unlinked, &p->dests[i], in_box);
	d->unplaced_count++;
	if (p->bytes != NULL)
		d->unplaced_bytes[p->road] += p->size;
	placing_line_up(d, p);
	if (!may_wait(d)) {
		dispatch(d);
	} else if (!d->deferred) {
		d->deferred = true;
		settler_kick(d, false);
	}
}
