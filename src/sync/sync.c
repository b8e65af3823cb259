#include "sync/sync.h"

#include "base/alloc.h"
#include "base/clock.h"
#include "base/log.h"
#include "base/text.h"
#include "store/ledger.h"
#include "sync/reply.h"
#include "sync/schedule.h"
#include "sync/sync_internal.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum {
	BATCH_MS = 2000,      /* from a message's queueing to its sending: what is sent together travels together */
	SEND_APART_MS = 1000, /* between two starts of retries */
	OWN_APART_MS = 2000,
	WALL_LOOK_MS = 60000 /* the wall's clock may be set at any time, so it is looked at this often */
};

const char sync_schema[] = "CREATE TABLE IF NOT EXISTS sync_run("
                           "kind TEXT PRIMARY KEY, started_at INTEGER NOT NULL) WITHOUT ROWID;";

static void tick(void *arg);

struct sync *sync_new(const struct sync_deps *deps)
{
	struct sync *s = xcalloc(1, sizeof *s);

	s->deps = *deps;
	s->timer = loop_timer_new(deps->loop, tick, s);
	s->send_at = INT64_MAX;
	return s;
}

static void drop_waiting(struct sync *s)
{
	while (s->waiting != NULL) {
		struct run *r = s->waiting;
		s->waiting = r->next;
		r->failed = true;
		sync_run_finish(r);
		sync_run_free(&r);
	}
}

void sync_free(struct sync **sp)
{
	struct sync *s = *sp;

	if (s == NULL)
		return;
	s->stopping = true;
	drop_waiting(s);
	while (s->active != NULL) {
		struct run *r = s->active;
		s->active = r->next;
		sync_run_finish(r);
		sync_run_free(&r);
	}
	strlist_free(&s->callers);
	loop_timer_free(&s->timer);
	loop_timer_free(&s->stop_timer);
	config_unref(&s->config);
	free(s);
	*sp = NULL;
}

/* ---- the line of runs ---- */

static struct run *find_full(struct sync *s)
{
	for (struct run *r = s->waiting; r != NULL; r = r->next)
		if (r->kind == RUN_FULL)
			return r;
	return NULL;
}

static void append(struct sync *s, struct run *r)
{
	struct run **end = &s->waiting;

	while (*end != NULL)
		end = &(*end)->next;
	*end = r;
}

/* One waiting full run serves all who wish for one. */
static struct run *want_full(struct sync *s, const char *reason, bool by_hand)
{
	struct run *r = find_full(s);

	if (r == NULL) {
		r = sync_run_new(s, RUN_FULL, reason);
		append(s, r);
	}
	r->by_hand = r->by_hand || by_hand;
	return r;
}

static bool same_list(const struct strlist *a, const struct strlist *b)
{
	if (a->n != b->n)
		return false;
	for (size_t i = 0; i < a->n; i++)
		if (!text_eq_nocase(slice_of(a->v[i]), slice_of(b->v[i])))
			return false;
	return true;
}

/* Same wish, same run; and where the line is long, the last takes all. */
static struct run *want_accounts(struct sync *s, const struct strlist *accounts)
{
	struct run *last = NULL;
	size_t n = 0;

	for (struct run *r = s->waiting; r != NULL; r = r->next, n++) {
		if (r->kind != RUN_ACCOUNTS)
			continue;
		if (same_list(&r->accounts, accounts))
			return r;
		last = r;
	}
	if (n < SYNC_WAITING_MAX || last == NULL) {
		last = sync_run_new(s, RUN_ACCOUNTS, "by hand");
		last->by_hand = true;
		append(s, last);
	}
	for (size_t i = 0; i < accounts->n; i++)
		if (!text_listed_nocase(&last->accounts, accounts->v[i]))
			strlist_add(&last->accounts, accounts->v[i]);
	return last;
}

/* ---- runs under way ---- */

/* One raises the line or lowers it, or is about to: it must be past that before another may begin. */
static bool line_busy(const struct sync *s)
{
	for (const struct run *r = s->active; r != NULL; r = r->next)
		if (r->state != RUN_TALKING && r->state != RUN_SETTLING)
			return true;
	return false;
}

static bool waited_for(const struct run *r, int64_t now)
{
	return r->state != RUN_TALKING || (!r->left_behind && now - r->heard_ms < SYNC_PATIENCE_MS);
}

/* Whether the schedule and the daemon user have to wait for a run: not for one that only hangs. */
static bool under_way(const struct sync *s, int64_t now)
{
	for (const struct run *r = s->active; r != NULL; r = r->next)
		if (waited_for(r, now))
			return true;
	return false;
}

static bool newest_full(const struct run *r)
{
	const struct run *o = r->sync->active;

	while (o != NULL && o->kind != RUN_FULL)
		o = o->next;
	return o == r;
}

void sync_run_heard(struct run *r, bool well)
{
	int64_t now = clock_mono_ms();

	r->left_behind = r->state == RUN_TALKING && r->heard_ms != 0 && !waited_for(r, now);
	r->heard_ms = now;
	if (!newest_full(r) || (r->left_behind && !well))
		return;
	r->sync->ran = true;
	r->sync->last_end = now;
}

static unsigned count_active(const struct sync *s)
{
	unsigned n = 0;

	for (const struct run *r = s->active; r != NULL; r = r->next)
		n++;
	return n;
}

static void start_next(struct sync *s)
{
	struct run *r = s->waiting;

	if (line_busy(s) || r == NULL || s->stopping || !s->started || count_active(s) >= SYNC_TALKING_MAX)
		return;
	s->waiting = r->next;
	r->next = s->active;
	s->active = r;
	if (r->kind == RUN_FULL && s->at_served < clock_wall_s())
		s->at_served = clock_wall_s();
	sync_run_start(r);
}

static void finish_stop(struct sync *s)
{
	void (*stopped)(void *arg) = s->stopped;

	s->stopped = NULL;
	loop_timer_cancel(s->stop_timer);
	if (stopped != NULL)
		stopped(s->stopped_arg);
}

void sync_run_ended(struct run *r)
{
	struct sync *s = r->sync;
	struct run **at = &s->active;

	while (*at != NULL && *at != r)
		at = &(*at)->next;
	*at = r->next;
	sync_run_finish(r);
	sync_run_free(&r);
	if (s->stopping && s->active == NULL)
		finish_stop(s);
	else if (!s->stopping)
		loop_timer_set(s->timer, 0);
}

/* ---- what is due ---- */

static bool line_is_lan(const struct sync *s)
{
	return !s->config->link_command;
}

static bool sends_soon(const struct sync *s)
{
	return s->config->on_send == ON_SEND_YES || (s->config->on_send == ON_SEND_AUTO && line_is_lan(s));
}

static void on_sent_outside(void *arg, bool failed)
{
	(void)failed; /* the sender has told whom it concerns */
	struct sync *s = arg;

	if (!s->stopping)
		loop_timer_set(s->timer, 0);
}

struct retry_scan {
	int64_t wall; /* of the next retry */
};

static void see_retry(void *arg, const struct sender_entry *en)
{
	struct retry_scan *scan = arg;

	for (size_t i = 0; i < en->nrecipients && !en->held; i++) {
		const struct sender_recipient *rc = &en->recipients[i];
		if (strcmp(rc->state, "waiting") == 0 && rc->attempts > 0 && rc->next_at < scan->wall)
			scan->wall = rc->next_at;
	}
}

/* Mono ms at which the sender wants to be run on a lan line. With on_send = no what was never tried waits for a
 * sync; only retries keep their own time. */
static int64_t retry_due(const struct sync *s)
{
	struct retry_scan scan = {INT64_MAX};
	int64_t due = line_is_lan(s) ? sender_next_due(s->deps.sender) : INT64_MAX;

	if (due == INT64_MAX)
		return due;
	if (!sends_soon(s)) {
		sender_list(s->deps.sender, see_retry, &scan);
		if (scan.wall == INT64_MAX)
			return INT64_MAX;
		int64_t wait = (scan.wall - clock_wall_s()) * 1000;
		due = clock_mono_ms() + (wait > 0 ? wait : 0);
	}
	return due > s->send_from ? due : s->send_from;
}

static void send_what_is_due(struct sync *s, int64_t now)
{
	bool fresh = s->send_at <= now;

	if (!fresh && retry_due(s) > now)
		return;
	s->send_at = INT64_MAX;
	if (fresh && !line_is_lan(s)) {
		want_full(s, "mail queued", false);
		return;
	}
	s->send_from = now + SEND_APART_MS;
	log_debug("sync.send", kv_s("why", fresh ? "mail queued" : "retry"));
	sender_run(s->deps.sender, false, NULL, on_sent_outside, s);
}

struct own_scan {
	const struct config *config;
	int64_t wall;
	struct strlist due;
};

static void see_own(void *arg, const struct fetcher_account_status *st)
{
	struct own_scan *scan = arg;
	const struct config_account *a = config_account_by_label(scan->config, slice_of(st->label));

	if (a != NULL && a->enabled && a->every > 0 && !st->held && !st->running && st->next_at <= scan->wall + 1)
		strlist_add(&scan->due, a->label);
}

static int64_t own_due(const struct sync *s)
{
	int64_t due = line_is_lan(s) ? fetcher_next_due(s->deps.fetcher) : INT64_MAX;

	return due == INT64_MAX || due > s->own_from ? due : s->own_from;
}

static void collect_own(struct sync *s, int64_t now)
{
	struct own_scan scan = {s->config, clock_wall_s(), {NULL, 0}};

	if (own_due(s) > now)
		return;
	s->own_from = now + OWN_APART_MS;
	fetcher_status(s->deps.fetcher, see_own, &scan);
	if (scan.due.n > 0) {
		struct run *r = sync_run_new(s, RUN_OWN, "schedule");
		strlist_copy(&r->accounts, &scan.due);
		append(s, r);
	}
	strlist_free(&scan.due);
}

static int64_t every_due(const struct sync *s, int64_t now)
{
	return schedule_every_next(s->config->every, s->ran, s->last_end, now);
}

static void serve_daemon(struct sync *s, int64_t now)
{
	char reason[SYNC_REASON_MAX];

	if (!s->wanted || now < s->daemon_from)
		return;
	snprintf(reason, sizeof reason, "daemon%s%s", s->wanted_by[0] != '\0' ? " " : "", s->wanted_by);
	s->wanted = false;
	s->daemon_from = now + s->config->min_interval * 1000;
	sync_reply_watch(want_full(s, reason, true), &s->callers);
	strlist_free(&s->callers);
}

/* An owed `at` also follows a sync that began before it. */
static void serve_at(struct sync *s)
{
	int64_t now = clock_wall_s();

	if (s->at_served > now)
		s->at_served = now;
	if (schedule_at_owed(s->config->at, s->config->nat, s->at_served, now) == 0)
		return;
	s->at_served = now;
	want_full(s, "schedule", false);
}

/* ---- the timer ---- */

static int64_t least(int64_t a, int64_t b)
{
	return a < b ? a : b;
}

static void rearm(struct sync *s)
{
	int64_t now = clock_mono_ms(), next = least(s->send_at, retry_due(s));

	if (under_way(s, now)) {
		next = least(next, now + SYNC_PATIENCE_MS);
	} else {
		next = least(next, own_due(s));
		next = least(next, every_due(s, now));
		if (s->wanted)
			next = least(next, s->daemon_from);
	}
	/* Mail just queued is still on its way into the sender's table when we are told of it. */
	if (line_is_lan(s))
		next = least(next, now + WALL_LOOK_MS / 2);
	if (s->config->nat > 0) {
		int64_t at = schedule_at_next(s->config->at, s->config->nat, clock_wall_s()) - clock_wall_s();
		next = least(next, now + least(at * 1000, WALL_LOOK_MS));
	}
	if (next == INT64_MAX)
		loop_timer_cancel(s->timer);
	else
		loop_timer_set(s->timer, next > now ? next - now : 0);
}

static void tick(void *arg)
{
	struct sync *s = arg;
	int64_t now = clock_mono_ms();

	if (s->stopping || !s->started)
		return;
	serve_at(s);
	send_what_is_due(s, now);
	if (!under_way(s, now)) {
		serve_daemon(s, now);
		if (every_due(s, now) <= now)
			want_full(s, "schedule", false);
		if (s->waiting == NULL)
			collect_own(s, now);
	}
	start_next(s);
	rearm(s);
}

/* ---- from outside ---- */

static bool same_times(const struct config *a, const struct config *b)
{
	if (a->nat != b->nat)
		return false;
	for (size_t i = 0; i < a->nat; i++)
		if (a->at[i].hour != b->at[i].hour || a->at[i].minute != b->at[i].minute)
			return false;
	return true;
}

void sync_configure(struct sync *s, const struct config *c)
{
	/* A time that was added to the past was not missed. */
	if (s->config != NULL && !same_times(s->config, c))
		s->at_served = clock_wall_s();
	config_unref(&s->config);
	s->config = config_ref(c);
	if (s->started && !s->stopping)
		loop_timer_set(s->timer, 0);
}

struct memory { /* what the database remembers of the last life */
	struct sync *sync;
	int64_t started_at;
	char *wanted, *line;
};

static int read_memory(struct db_conn *c, void *arg, struct err *e)
{
	struct memory *m = arg;
	sqlite3_stmt *st = db_stmt(c, "SELECT started_at FROM sync_run WHERE kind = 'full'", e);

	if (st == NULL)
		return -1;
	if (sqlite3_step(st) == SQLITE_ROW)
		m->started_at = sqlite3_column_int64(st, 0);
	sqlite3_reset(st);
	if (fact_get(c, "sync_wanted", &m->wanted, e) != 0)
		return -1;
	return fact_get(c, SYNC_LINE_FACT, &m->line, e);
}

static void on_memory(void *arg, int rc, const struct err *e)
{
	struct memory *m = arg;
	struct sync *s = m->sync;

	if (rc != 0)
		log_error("sync.memory", kv_s("error", e->text));
	/* Before its first sync a new gateway has missed nothing. */
	s->at_served = m->started_at > 0 ? m->started_at : clock_wall_s();
	s->started = true;
	if (m->wanted != NULL && !s->wanted)
		sync_daemon_called(s, m->wanted);
	if (m->line != NULL && s->config->link_command)
		append(s, sync_run_new(s, RUN_LOWER, "line left up"));
	if (!s->stopping)
		loop_timer_set(s->timer, 0);
	free(m->wanted);
	free(m->line);
	free(m);
}

void sync_start(struct sync *s)
{
	struct memory *m = xcalloc(1, sizeof *m);

	m->sync = s;
	database_read(s->deps.database, read_memory, on_memory, m);
}

void sync_mail_queued(struct sync *s)
{
	if (s->stopping || !sends_soon(s) || s->send_at != INT64_MAX)
		return;
	/* To the sender fresh mail is due at once, like a retry. */
	s->send_at = s->send_from = clock_mono_ms() + BATCH_MS;
	if (s->started)
		rearm(s);
}

void sync_daemon_called(struct sync *s, const char *user)
{
	log_info("sync.wanted", kv_s("user", user));
	/* Committed before the mark of the run that is about to start: that run serves it. */
	for (struct run *r = s->active; r != NULL; r = r->next) {
		if (r->kind == RUN_FULL && r->state == RUN_MARKING) {
			r->by_hand = true;
			sync_reply_watch(r, &(const struct strlist){(char *[]){(char *)user}, 1});
			return;
		}
	}
	if (user[0] != '\0' && s->callers.n < SYNC_CALLERS_MAX && !strlist_has_nocase(&s->callers, user))
		strlist_add(&s->callers, user);
	if (!s->wanted)
		snprintf(s->wanted_by, sizeof s->wanted_by, "%s", user);
	s->wanted = true;
	if (s->started && !s->stopping)
		loop_timer_set(s->timer, 0);
}

void sync_by_hand(struct sync *s, const struct strlist *accounts, const struct sync_watcher *w)
{
	struct run *r = accounts == NULL ? want_full(s, "by hand", true) : want_accounts(s, accounts);

	sync_run_watch(r, w);
	if (s->stopping)
		drop_waiting(s);
	else
		loop_timer_set(s->timer, 0);
}

void sync_forget_watcher(struct sync *s, const void *arg)
{
	for (struct run *r = s->active; r != NULL; r = r->next)
		sync_run_forget_watcher(r, arg);
	for (struct run *r = s->waiting; r != NULL; r = r->next)
		sync_run_forget_watcher(r, arg);
}

bool sync_running(const struct sync *s)
{
	return s->active != NULL;
}

const char *sync_reason(const struct sync *s)
{
	return s->active != NULL ? s->active->reason : "";
}

int64_t sync_next_at(const struct sync *s)
{
	int64_t now = clock_mono_ms(), wall = clock_wall_s();
	int64_t every = under_way(s, now) ? SCHEDULE_NEVER : every_due(s, now);
	int64_t at = schedule_at_next(s->config->at, s->config->nat, wall);

	if (every != SCHEDULE_NEVER)
		at = least(at, wall + (every > now ? every - now : 0) / 1000);
	return at == SCHEDULE_NEVER ? 0 : at;
}

static void on_stop_timer(void *arg)
{
	finish_stop(arg);
}

void sync_stop(struct sync *s, int64_t ms, void (*done)(void *arg), void *arg)
{
	s->stopping = true;
	s->stopped = done;
	s->stopped_arg = arg;
	loop_timer_cancel(s->timer);
	drop_waiting(s);
	if (s->stop_timer == NULL)
		s->stop_timer = loop_timer_new(s->deps.loop, on_stop_timer, s);
	loop_timer_set(s->stop_timer, s->active != NULL ? ms : 0);
}
