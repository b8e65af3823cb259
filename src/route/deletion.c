/* QUIT's deletions: tombstones are committed, then the client hears +OK. From the commit on no log-in shows the
 * messages. The files of a few are unlinked before the +OK, so that whoever looks into the folder finds what POP3 has
 * said; those of many behind it, for a disk may take long over them. The settler drops a tombstone when a round has
 * synced its unlink. */
#include "base/alloc.h"
#include "base/log.h"
#include "route/delivery_internal.h"

#include <stdlib.h>

enum { FEW = 50 };

struct deletion {
	TAILQ_ENTRY(deletion) link; /* in undeleted */
	struct delivery *d;
	char *user;
	struct strlist names;
	void (*done)(void *arg, bool ok);
	void *arg;
	struct maildir_hidden *hidden; /* from the commit to the unlink */
	bool unlinked;
};

static int add_tombstones(struct db_conn *c, void *arg, struct err *e)
{
	struct deletion *del = arg;

	for (size_t i = 0; i < del->names.n; i++)
		if (tombstone_add(c, del->user, del->names.v[i], e) != 0)
			return -1;
	return 0;
}

static int remove_tombstones(struct db_conn *c, void *arg, struct err *e)
{
	struct deletion *del = arg;

	for (size_t i = 0; i < del->names.n; i++)
		if (tombstone_remove(c, del->user, del->names.v[i], e) != 0)
			return -1;
	return 0;
}

static void unlink_all(void *arg)
{
	struct deletion *del = arg;
	struct err e;

	del->unlinked = maildir_unlink_list(del->d->maildir, del->user, &del->names, &e) == 0;
	/* The tombstones stay, what is left stays hidden, and it is tried again. */
	if (!del->unlinked)
		log_error("delivery.unlink", kv_s("user", del->user), kv_s("error", e.text));
}

static void deletion_free(struct deletion *del)
{
	maildir_show(del->d->maildir, &del->hidden);
	free(del->user);
	strlist_free(&del->names);
	free(del);
}

/* The next round syncs the unlinks, and then drops the tombstones. */
static void mourn(struct deletion *del)
{
	struct delivery *d = del->d;

	for (size_t i = 0; i < del->names.n; i++) {
		struct tomb *t = xcalloc(1, sizeof *t);
		t->mailbox = xstrdup(del->user);
		t->name = xstrdup(del->names.v[i]);
		TAILQ_INSERT_TAIL(&d->tombs, t, link);
	}
	deletion_free(del);
	settler_kick(d, false);
}

static void unlink_later(struct deletion *del)
{
	TAILQ_INSERT_TAIL(&del->d->undeleted, del, link);
	loop_timer_set(del->d->unlink_timer, UNLINK_RETRY_MS);
}

static void unlink_again(void *arg)
{
	struct deletion *del = arg;

	del->unlinked = maildir_unlink_list(del->d->maildir, del->user, &del->names, NULL) == 0;
}

static void after_unlink(void *arg)
{
	struct deletion *del = arg;

	del->d->accepting--;
	if (del->unlinked)
		mourn(del);
	else
		unlink_later(del);
}

static void after_few(void *arg)
{
	struct deletion *del = arg;

	/* What the disk has refused is promised all the same: its tombstone is committed. */
	del->done(del->arg, true);
	after_unlink(del);
}

static void on_unlink_timer(void *arg)
{
	struct delivery *d = arg;

	for (struct deletion *del; (del = TAILQ_FIRST(&d->undeleted)) != NULL;) {
		TAILQ_REMOVE(&d->undeleted, del, link);
		d->accepting++; /* a stop waits for it */
		workers_run(d->workers, unlink_again, after_unlink, del);
	}
}

static void submit_tombstones(struct deletion *del);

static void after_tombstones(void *arg, enum db_outcome outcome, const struct err *e)
{
	struct deletion *del = arg;

	if (outcome == DB_COMMITTED) {
		/* Before it is said, and with that the mailbox given to whoever logs in next. */
		del->hidden = maildir_hide(del->d->maildir, del->user, &del->names);
		if (del->names.n <= FEW) {
			workers_run(del->d->workers, unlink_all, after_few, del);
		} else {
			workers_run(del->d->workers, unlink_all, after_unlink, del);
			del->done(del->arg, true);
		}
		return;
	}
	log_error("delivery.delete", kv_s("user", del->user), kv_s("error", e != NULL ? e->text : ""));
	/* Deleting is what makes room: once more with the ballast's space. */
	if (del->d->ballast && outcome == DB_FAILED) {
		delivery_drop_ballast(del->d);
		submit_tombstones(del);
		return;
	}
	del->d->accepting--;
	del->done(del->arg, false);
	deletion_free(del);
}

static void submit_tombstones(struct deletion *del)
{
	struct db_job job = {add_tombstones, remove_tombstones, after_tombstones, del,
	                     DB_LANE_POP3,   del->names.n * 100};

	database_submit(del->d->db, &job);
}

void delivery_delete(struct delivery *d, const char *user, const struct strlist *names,
                     void (*done)(void *arg, bool ok), void *arg)
{
	struct deletion *del = xcalloc(1, sizeof *del);

	*del = (struct deletion){.d = d, .user = xstrdup(user), .done = done, .arg = arg};
	strlist_copy(&del->names, names);
	d->accepting++;
	submit_tombstones(del);
}

void deletion_init(struct delivery *d)
{
	TAILQ_INIT(&d->undeleted);
	d->unlink_timer = loop_timer_new(d->loop, on_unlink_timer, d);
}

void deletion_end(struct delivery *d)
{
	for (struct deletion *del; (del = TAILQ_FIRST(&d->undeleted)) != NULL;) {
		TAILQ_REMOVE(&d->undeleted, del, link);
		deletion_free(del);
	}
	loop_timer_free(&d->unlink_timer);
}
