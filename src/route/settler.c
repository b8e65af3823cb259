/* The settler's round. W is what is written and not yet linked, N what earlier rounds linked:
 *
 *   1. freeze W, N and the unlinked tombstones T
 *   2. syncfs: the bytes of W, the names of N and the unlinks of T are now durable
 *   3. link W: a name in new/ always has durable bytes
 *   4. commit: mark W as linked in this boot, drop the rows of N; then, in a commit behind it, those of T: a
 *      tombstone must not go before the row from which its message could come back
 *   5. unlink the spool files of N; W is the next round's N
 *
 * Steps 2 and 3 run on a worker, the rest on the loop. After a failed sync nothing advances: the files of W are
 * written anew, as new inodes, since the pages of the old ones may be gone. */
#include "base/alloc.h"
#include "base/clock.h"
#include "base/log.h"
#include "route/delivery_internal.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

struct round {
	struct delivery *d;
	struct pending_list w, n;
	struct tomb_list t;
	bool synced;
	int error;
	unsigned commits; /* under way */
	bool commit_failed;
	bool tombs_committed;
};

struct settle_job { /* one commit's share of a round */
	struct round *round;
	struct pending **mark, **drop;
	size_t nmark, ndrop;
	struct tomb **tombs;
	size_t ntombs;
};

static void start_round(struct delivery *d);

/* ---- steps 2 and 3, on a worker ---- */

static void link_message(struct delivery *d, struct pending *p)
{
	if (p->env != NULL) {
		p->queue_linked = p->queue_linked || placing_link_queue(d, p) == 0;
		p->queue_error = errno;
		return;
	}
	for (size_t i = 0; i < p->ndests; i++) {
		struct dest *de = &p->dests[i];
		if (de->linked)
			continue;
		de->linked = placing_link(d, p, de) == 0;
		de->failed = !de->linked;
		de->error = errno;
	}
}

static void sync_and_link(void *arg)
{
	struct round *r = arg;
	struct pending *p;

	r->synced = placing_sync(r->d) == 0;
	r->error = errno;
	if (!r->synced)
		return;
	TAILQ_FOREACH(p, &r->w, link)
	link_message(r->d, p);
	TAILQ_FOREACH(p, &r->w, link)
	placing_close_boxes(p);
}

/* ---- step 4 ---- */

static int mark_row(struct db_conn *c, const struct pending *p, struct err *e)
{
	sqlite3_stmt *st = db_stmt(c, "INSERT OR REPLACE INTO linked(message, boot) VALUES(?, ?)", e);

	if (st == NULL)
		return -1;
	sqlite3_bind_int64(st, 1, p->row);
	sqlite3_bind_text(st, 2, clock_boot_id(), -1, SQLITE_STATIC);
	return db_step(c, st, e);
}

static int delete_row(struct db_conn *c, const char *sql, int64_t row, struct err *e)
{
	sqlite3_stmt *st = db_stmt(c, sql, e);

	if (st == NULL)
		return -1;
	sqlite3_bind_int64(st, 1, row);
	return db_step(c, st, e);
}

int settler_drop_row(struct db_conn *c, int64_t row, struct err *e)
{
	if (delete_row(c, "DELETE FROM message WHERE id = ?", row, e) != 0)
		return -1;
	return delete_row(c, "DELETE FROM linked WHERE message = ?", row, e);
}

int settler_narrow_row(struct db_conn *c, const struct pending *p, struct err *e)
{
	sqlite3_stmt *st = db_stmt(c, "UPDATE message SET dests = ? WHERE id = ?", e);
	struct buf rest;

	if (st == NULL)
		return -1;
	buf_init(&rest, SIZE_MAX / 4);
	for (size_t i = 0; i < p->ndests; i++)
		if (!p->dests[i].linked)
			buf_printf(&rest, "m %s\n", p->dests[i].box->user);
	sqlite3_bind_text(st, 1, rest.p, (int)rest.n, SQLITE_TRANSIENT);
	sqlite3_bind_int64(st, 2, p->row);
	buf_free(&rest);
	return db_step(c, st, e);
}

static bool all_linked(const struct pending *p)
{
	if (p->env != NULL)
		return p->queue_linked;
	for (size_t i = 0; i < p->ndests; i++)
		if (!p->dests[i].linked)
			return false;
	return true;
}

static int drop_row(struct db_conn *c, const struct pending *p, struct err *e)
{
	if (!all_linked(p))
		return p->env != NULL ? 0 : settler_narrow_row(c, p, e);
	return settler_drop_row(c, p->row, e);
}

static int drop_tomb(struct db_conn *c, const struct tomb *t, struct err *e)
{
	sqlite3_stmt *st = db_stmt(c, "DELETE FROM tombstone WHERE mailbox = ? AND name = ?", e);

	if (st == NULL)
		return -1;
	sqlite3_bind_text(st, 1, t->mailbox, -1, SQLITE_STATIC);
	sqlite3_bind_text(st, 2, t->name, -1, SQLITE_STATIC);
	return db_step(c, st, e);
}

static int apply_settle(struct db_conn *c, void *arg, struct err *e)
{
	struct settle_job *j = arg;

	for (size_t i = 0; i < j->nmark; i++)
		if (all_linked(j->mark[i]) && mark_row(c, j->mark[i], e) != 0)
			return -1;
	for (size_t i = 0; i < j->ndrop; i++)
		if (drop_row(c, j->drop[i], e) != 0)
			return -1;
	for (size_t i = 0; i < j->ntombs; i++)
		if (drop_tomb(c, j->tombs[i], e) != 0)
			return -1;
	return 0;
}

static void end_round(struct round *r);
static void on_commit(struct round *r);

static void on_settled(void *arg, enum db_outcome outcome, const struct err *e)
{
	struct settle_job *j = arg;
	struct round *r = j->round;

	if (outcome != DB_COMMITTED) {
		health_stalls(r->d, "database", e != NULL ? e->text : "");
		r->commit_failed = true;
		delivery_drop_ballast(r->d);
	}
	free(j->mark);
	free(j->drop);
	free(j->tombs);
	free(j);
	on_commit(r);
}

static struct settle_job *next_job(struct round *r, struct pending **w, struct pending **n, struct tomb **t)
{
	struct settle_job *j = xcalloc(1, sizeof *j);

	j->round = r;
	j->mark = xcalloc(DROP_AT_ONCE, sizeof(struct pending *));
	j->drop = xcalloc(DROP_AT_ONCE, sizeof(struct pending *));
	j->tombs = xcalloc(DROP_AT_ONCE, sizeof(struct tomb *));
	for (; *w != NULL && j->nmark < DROP_AT_ONCE; *w = TAILQ_NEXT(*w, link))
		j->mark[j->nmark++] = *w;
	for (; *n != NULL && j->ndrop < DROP_AT_ONCE; *n = TAILQ_NEXT(*n, link))
		j->drop[j->ndrop++] = *n;
	for (; *t != NULL && j->ntombs < DROP_AT_ONCE; *t = TAILQ_NEXT(*t, link))
		j->tombs[j->ntombs++] = *t;
	return j;
}

static void submit_jobs(struct round *r, struct pending *w, struct pending *n, struct tomb *t)
{
	r->commits = 1; /* ours, so that an early done does not end the round */
	while (w != NULL || n != NULL || t != NULL) {
		struct settle_job *j = next_job(r, &w, &n, &t);
		struct db_job job = {apply_settle, NULL, on_settled, j, DB_LANE_SETTLE, j->nmark * 40 + j->ndrop * 40};
		r->commits++;
		database_submit(r->d->db, &job);
	}
	on_commit(r);
}

static void commit_tombs(struct round *r)
{
	r->tombs_committed = true;
	submit_jobs(r, NULL, NULL, TAILQ_FIRST(&r->t));
}

static void on_commit(struct round *r)
{
	if (--r->commits > 0)
		return;
	if (r->commit_failed || r->tombs_committed)
		end_round(r);
	else
		commit_tombs(r);
}

/* ---- between the steps, on the loop ---- */

static void leave_box(struct delivery *d, struct dest *de)
{
	struct box *b = de->box;

	if (de->message == NULL)
		return; /* in an earlier round */
	TAILQ_REMOVE(&b->unlinked, de, in_box);
	de->message = NULL;
	box_wake(d, b);
}

void settler_stop_waiting(struct delivery *d, struct pending *p)
{
	for (size_t i = 0; i < p->ndests; i++)
		leave_box(d, &p->dests[i]);
	delivery_wake(d);
}

/* One word for a folder in trouble, not one for each message that waits for it. */
static bool is_news(int error, int *trouble, int64_t *told_at)
{
	if (error == *trouble && (error == 0 || clock_mono_ms() < *told_at + TROUBLE_MS))
		return false;
	*trouble = error;
	*told_at = clock_mono_ms();
	return true;
}

static void tell_trouble(struct delivery *d, const struct pending *p, const struct dest *de)
{
	struct box *b = de->box;
	int error = de->failed ? de->error : 0;

	if (!is_news(error, &b->trouble, &b->told_at))
		return;
	if (error != 0)
		log_error("delivery.link", kv_s("id", p->name), kv_s("user", b->user), kv_s("error", strerror(error)));
	if (d->trouble != NULL)
		d->trouble(d->trouble_arg, b->user, error);
}

static void tell_queue_trouble(struct delivery *d, struct pending *p)
{
	int error = p->queue_linked ? 0 : p->queue_error;

	if (error != 0 && !p->stuck_told && d->stuck != NULL)
		d->stuck(d->stuck_arg, p->name);
	p->stuck_told = true;
	if (!is_news(error, &d->queue_trouble, &d->queue_told_at))
		return;
	if (error != 0)
		log_error("delivery.queue", kv_s("id", p->name), kv_s("error", strerror(error)));
	if (d->trouble != NULL)
		d->trouble(d->trouble_arg, NULL, error);
}

/* Tells those who wait for what the round has linked. */
static void announce(struct delivery *d, struct pending *p)
{
	d->unlinked_count -= p->links;
	p->links = 0;
	if (p->env != NULL)
		tell_queue_trouble(d, p);
	if (p->env != NULL && p->queue_linked && !p->queue_told) {
		p->queue_told = true;
		d->queueing -= d->queueing > 0;
		if (d->queued != NULL)
			d->queued(d->queued_arg, p->name);
	}
	for (size_t i = 0; i < p->ndests; i++) {
		struct dest *de = &p->dests[i];
		tell_trouble(d, p, de);
		leave_box(d, de);
	}
}

static void note_sync(struct delivery *d, int error)
{
	if (error != 0)
		health_stalls(d, "flushing mail to the disk", strerror(error));
	else if (d->sync_error != 0)
		log_info("delivery.sync_again");
	d->sync_error = error;
	health_look(d);
}

static void write_anew(struct delivery *d, struct pending_list *list)
{
	for (struct pending *p; (p = TAILQ_FIRST(list)) != NULL;) {
		TAILQ_REMOVE(list, p, link);
		settler_distrust(d, p);
		d->unplaced_count++;
		placing_line_up(d, p);
	}
}

void settler_distrust(struct delivery *d, struct pending *p)
{
	settler_stop_waiting(d, p);
	/* A large message's file was flushed before its commit; only its envelope file may have suffered. */
	p->stale = !p->spilled && p->bytes == NULL;
}

/* A failed flush may have dropped the pages of any file that was not on disk yet, those written while it ran too, and
 * the next one would succeed without them. */
static void sync_failed(struct round *r)
{
	struct delivery *d = r->d;

	d->syncs_failed++;
	write_anew(d, &r->w);
	write_anew(d, &d->written);
	TAILQ_CONCAT(&d->linked, &r->n, link);
	TAILQ_CONCAT(&d->tombs, &r->t, link);
	d->round_running = false;
	free(r);
	settler_kick(d, false);
}

static void after_link(void *arg)
{
	struct round *r = arg;
	struct pending *p;

	note_sync(r->d, r->synced ? 0 : r->error);
	if (!r->synced) {
		sync_failed(r);
		return;
	}
	TAILQ_FOREACH(p, &r->w, link)
	announce(r->d, p);
	delivery_wake(r->d);
	submit_jobs(r, TAILQ_FIRST(&r->w), TAILQ_FIRST(&r->n), NULL);
}

/* ---- step 5 ---- */

struct unspool_task {
	struct delivery *d;
	struct pending_list list;
};

static void unspool(void *arg)
{
	struct unspool_task *t = arg;

	for (struct pending *p; (p = TAILQ_FIRST(&t->list)) != NULL;) {
		TAILQ_REMOVE(&t->list, p, link);
		placing_unspool(t->d, p);
		pending_free(&p);
	}
	free(t);
}

void settler_forget_tombs(struct tomb_list *list)
{
	for (struct tomb *t; (t = TAILQ_FIRST(list)) != NULL;) {
		TAILQ_REMOVE(list, t, link);
		free(t->mailbox);
		free(t->name);
		free(t);
	}
}

/* Keeps only the destinations that are still to be placed, in their old box order's end. */
static void narrow(struct pending *p)
{
	size_t n = 0;

	for (size_t i = 0; i < p->ndests; i++)
		if (!p->dests[i].linked)
			p->dests[n++] = p->dests[i];
	p->ndests = n;
	for (size_t i = 0; i < n; i++)
		p->dests[i].failed = false;
}

static void end_round(struct round *r)
{
	struct delivery *d = r->d;
	struct unspool_task *t = xcalloc(1, sizeof *t);

	t->d = d;
	TAILQ_INIT(&t->list);
	for (struct pending *p; !r->commit_failed && (p = TAILQ_FIRST(&r->n)) != NULL;) {
		TAILQ_REMOVE(&r->n, p, link);
		if (all_linked(p)) {
			TAILQ_INSERT_TAIL(&t->list, p, link);
			continue;
		}
		narrow(p);
		settler_retry_later(d, p);
	}
	if (!r->commit_failed)
		settler_forget_tombs(&r->t);
	TAILQ_CONCAT(&d->linked, &r->n, link);
	TAILQ_CONCAT(&d->tombs, &r->t, link);
	TAILQ_CONCAT(&d->linked, &r->w, link);
	d->settle_failed = r->commit_failed;
	health_look(d);
	if (TAILQ_EMPTY(&t->list))
		free(t);
	else
		workers_run(d->workers, unspool, NULL, t);
	d->round_running = false;
	free(r);
	placing_retry(d);
	settler_kick(d, false);
}

/* ---- when ---- */

static bool has_waiters(const struct delivery *d)
{
	return d->nwaiters > 0;
}

static void on_round_timer(void *arg)
{
	struct delivery *d = arg;
	bool more = d->deferred;

	placing_retry(d);
	/* The round takes along what gathered for it; the end of writing starts it. */
	if (more && d->writing > 0)
		loop_timer_set(d->round_timer, TOGETHER_MS);
	else
		start_round(d);
}

void settler_retry_later(struct delivery *d, struct pending *p)
{
	int64_t longer = p->retry_wait > 0 ? 2 * p->retry_wait : PLACE_RETRY_FIRST_MS;

	p->retry_wait = longer < PLACE_RETRY_MAX_MS ? longer : PLACE_RETRY_MAX_MS;
	p->retry_at = clock_mono_ms() + p->retry_wait;
	if (TAILQ_EMPTY(&d->retry) || p->retry_at < d->retry_at)
		d->retry_at = p->retry_at;
	TAILQ_INSERT_TAIL(&d->retry, p, link);
}

/* Those whose time has come are tried in this round. */
static void take_due(struct delivery *d)
{
	int64_t now = clock_mono_ms(), first = INT64_MAX;
	struct pending *p, *next;

	if (TAILQ_EMPTY(&d->retry) || now < d->retry_at)
		return;
	for (p = TAILQ_FIRST(&d->retry); p != NULL; p = next) {
		next = TAILQ_NEXT(p, link);
		if (p->retry_at > now) {
			first = p->retry_at < first ? p->retry_at : first;
			continue;
		}
		TAILQ_REMOVE(&d->retry, p, link);
		TAILQ_INSERT_TAIL(&d->written, p, link);
	}
	d->retry_at = first;
}

static void start_round(struct delivery *d)
{
	if (d->round_running)
		return;
	take_due(d);
	if (TAILQ_EMPTY(&d->written) && TAILQ_EMPTY(&d->linked) && TAILQ_EMPTY(&d->tombs))
		return;
	struct round *r = xcalloc(1, sizeof *r);
	r->d = d;
	TAILQ_INIT(&r->w);
	TAILQ_INIT(&r->n);
	TAILQ_INIT(&r->t);
	TAILQ_CONCAT(&r->w, &d->written, link);
	TAILQ_CONCAT(&r->n, &d->linked, link);
	TAILQ_CONCAT(&r->t, &d->tombs, link);
	d->round_running = true;
	d->last_round = clock_mono_ms();
	workers_run(d->workers, sync_and_link, after_link, r);
}

void settler_kick(struct delivery *d, bool now)
{
	if (now && d->deferred) {
		placing_retry(d);
		return; /* the end of writing comes here again */
	}
	if (d->round_running)
		return;
	if (TAILQ_EMPTY(&d->written) && TAILQ_EMPTY(&d->linked) && TAILQ_EMPTY(&d->tombs)) {
		if (d->deferred)
			loop_timer_set(d->round_timer, d->last_round + ROUND_MS - clock_mono_ms());
		else if (placing_has_line(d))
			loop_timer_set(d->round_timer, WRITE_RETRY_MS);
		else if (!TAILQ_EMPTY(&d->retry))
			loop_timer_set(d->round_timer, d->retry_at - clock_mono_ms());
		return;
	}
	bool troubled = d->sync_error != 0 || d->settle_failed;
	int64_t from = d->last_round + (troubled ? WRITE_RETRY_MS : ROUND_MS);
	/* A message's parts are written side by side: a round waits for the slower ones, but not for what never ends.
	 */
	bool more = d->writing > 0 || (placing_has_line(d) && !d->deferred);
	if (more && from < d->written_at + TOGETHER_MS)
		from = d->written_at + TOGETHER_MS;
	int64_t wait = from - clock_mono_ms();
	if ((now && !troubled) || wait <= 0 || (!troubled && has_waiters(d) && !TAILQ_EMPTY(&d->written)))
		start_round(d);
	else
		loop_timer_set(d->round_timer, wait);
}

void settler_init(struct delivery *d)
{
	d->round_timer = loop_timer_new(d->loop, on_round_timer, d);
}

/* ---- after a failed sync: the bytes again, from the database ---- */

struct reload {
	struct delivery *d;
	struct pending *p;
};

static int read_bytes(struct db_conn *c, void *arg, struct err *e)
{
	struct pending *p = ((struct reload *)arg)->p;
	sqlite3_stmt *st = db_stmt(c, "SELECT bytes FROM message WHERE id = ?", e);

	if (st == NULL)
		return -1;
	sqlite3_bind_int64(st, 1, p->row);
	if (sqlite3_step(st) == SQLITE_ROW && (uint64_t)sqlite3_column_bytes(st, 0) == p->size) {
		p->bytes = xmalloc(p->size + 1);
		if (p->size > 0)
			memcpy(p->bytes, sqlite3_column_blob(st, 0), p->size);
	}
	sqlite3_reset(st);
	return p->bytes != NULL ? 0 : err_set(e, 0, "message %s is not in the database", p->name);
}

static void on_bytes(void *arg, int rc, const struct err *e)
{
	struct reload *l = arg;
	struct delivery *d = l->d;
	struct pending *p = l->p;

	placing_line_up(d, p);
	if (rc != 0) {
		log_error("delivery.reload", kv_s("id", p->name), kv_s("error", e->text));
		settler_kick(d, false);
	} else {
		p->stale = false;
		d->unplaced_bytes[p->road] += p->size;
		placing_retry(d);
	}
	free(l);
}

void settler_reload(struct delivery *d, struct pending *p)
{
	struct reload *l = xmalloc(sizeof *l);

	*l = (struct reload){d, p};
	database_read(d->db, read_bytes, on_bytes, l);
}
