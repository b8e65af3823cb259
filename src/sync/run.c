#include "base/alloc.h"
#include "base/buf.h"
#include "base/clock.h"
#include "base/log.h"
#include "base/text.h"
#include "route/phrase.h"
#include "route/report.h"
#include "store/ledger.h"
#include "sync/sync_internal.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static const char line_up_key[] = "told.line_up", line_down_key[] = "told.line_down";
static const char line_fact[] = SYNC_LINE_FACT;

struct run *sync_run_new(struct sync *s, enum run_kind kind, const char *reason)
{
	struct run *r = xcalloc(1, sizeof *r);

	r->sync = s;
	r->kind = kind;
	snprintf(r->reason, sizeof r->reason, "%s", reason);
	return r;
}

void sync_run_free(struct run **rp)
{
	struct run *r = *rp;

	if (r == NULL)
		return;
	strlist_free(&r->accounts);
	config_unref(&r->config);
	free(r->watchers);
	free(r);
	*rp = NULL;
}

/* ---- watchers: any of their calls may end in sync_run_forget_watcher, never in sync_run_watch on this run ---- */

void sync_run_watch(struct run *r, const struct sync_watcher *w)
{
	if (w == NULL)
		return;
	r->watchers = xreallocarray(r->watchers, r->nwatchers + 1, sizeof *r->watchers);
	r->watchers[r->nwatchers++] = *w;
}

void sync_run_forget_watcher(struct run *r, const void *arg)
{
	for (size_t i = 0; i < r->nwatchers; i++)
		if (r->watchers[i].arg == arg)
			r->watchers[i] = (struct sync_watcher){0};
}

static void tell_line(struct run *r, const char *state)
{
	for (size_t i = 0; i < r->nwatchers; i++)
		if (r->watchers[i].line != NULL)
			r->watchers[i].line(r->watchers[i].arg, state);
}

static void on_fetch_progress(void *arg, const struct fetch_progress *p)
{
	static const char *const ends[] = {"done", "failed", "later", "held"};
	struct run *r = arg;

	for (size_t i = 0; i < sizeof ends / sizeof ends[0]; i++)
		if (strcmp(p->state, ends[i]) == 0)
			sync_run_heard(r, i == 0);
	for (size_t i = 0; i < r->nwatchers; i++)
		if (r->watchers[i].fetch != NULL)
			r->watchers[i].fetch(r->watchers[i].arg, p);
}

static void on_send_progress(void *arg, const struct send_progress *p)
{
	struct run *r = arg;

	for (size_t i = 0; i < r->nwatchers; i++)
		if (r->watchers[i].send != NULL)
			r->watchers[i].send(r->watchers[i].arg, p);
}

void sync_run_finish(struct run *r)
{
	for (size_t i = 0; i < r->nwatchers; i++) {
		struct sync_watcher w = r->watchers[i];
		r->watchers[i] = (struct sync_watcher){0};
		if (w.done != NULL)
			w.done(w.arg, r->failed);
	}
}

/* ---- states ---- */

static const char *const state_names[] = {"waiting", "marking", "line-up", "talking", "line-down", "settling"};

static void set_state(struct run *r, enum run_state to)
{
	log_debug("sync.state", kv_s("reason", r->reason), kv_s("from", state_names[r->state]),
	          kv_s("to", state_names[to]));
	r->state = to;
}

static bool has_line(const struct run *r)
{
	return r->config->link_command && r->kind != RUN_OWN;
}

static void on_settled(void *arg)
{
	struct run *r = arg;

	log_info("sync.end", kv_s("reason", r->reason), kv_s("result", r->failed ? "failed" : "ok"));
	sync_run_ended(r);
}

/* Whoever waits for the end finds the mail in the mailboxes then. */
static void end(struct run *r)
{
	if (r->kind == RUN_FULL)
		sync_run_heard(r, !r->left_behind);
	set_state(r, RUN_SETTLING);
	delivery_settled(r->sync->deps.delivery, NULL, on_settled, r);
}

/* ---- the line ---- */

/* How a command ended, for people: the line's own last words first. */
static void describe(struct buf *out, const struct runner_result *res, int64_t timeout)
{
	struct slice words = slice_trim(res->output);

	if (!res->started)
		buf_add_str(out, "the command could not be started");
	else if (res->timed_out)
		buf_printf(out, "killed after %llds, its timeout", (long long)timeout);
	else
		buf_printf(out, "exit status %d", res->status);
	if (words.n == 0)
		return;
	buf_add_str(out, ": ");
	text_escape(out, words, 400);
}

static bool command_failed(const struct runner_result *res)
{
	return !res->started || res->timed_out || res->status != 0;
}

static void report_line(struct run *r, const char *once_key, bool up, const char *what)
{
	char *why = phrase_in(what, r->config->russian);
	const struct letter_value values[] = {{"why", why}, {NULL, NULL}};

	report_postmaster(r->sync->deps.delivery, r->config, once_key, up ? LETTER_LINE_UP : LETTER_LINE_DOWN, values);
	free(why);
}

/* True where it went well. */
static bool line_result(struct run *r, const struct runner_result *res, bool up)
{
	const char *key = up ? "up" : "down", *once_key = up ? line_up_key : line_down_key;
	struct buf what, state;

	if (!command_failed(res)) {
		log_info("sync.line", kv_s("command", key), kv_s("result", "ok"));
		report_forget(r->sync->deps.database, once_key);
		tell_line(r, key);
		return true;
	}
	buf_init(&what, 1024);
	buf_init(&state, 1200);
	describe(&what, res, r->config->link_timeout);
	buf_printf(&state, "%s failed: %s", key, buf_str(&what));
	log_error("sync.line", kv_s("command", key), kv_s("result", buf_str(&what)));
	tell_line(r, buf_str(&state));
	report_line(r, once_key, up, buf_str(&what));
	buf_free(&state);
	buf_free(&what);
	r->failed = true;
	return false;
}

static int apply_lowered(struct db_conn *c, void *arg, struct err *e)
{
	(void)arg;
	return fact_set(c, line_fact, NULL, e);
}

static void on_down(void *arg, const struct runner_result *res)
{
	struct run *r = arg;
	struct db_job job = {.apply = apply_lowered, .lane = DB_LANE_SYSTEM, .bytes = 32};

	if (line_result(r, res, false))
		database_submit(r->sync->deps.database, &job);
	end(r);
}

/* Another run talks over the same line. */
static bool line_shared(const struct run *r)
{
	for (const struct run *o = r->sync->active; o != NULL; o = o->next)
		if (o != r && o->state == RUN_TALKING && has_line(o))
			return true;
	return false;
}

static void line_down(struct run *r)
{
	if (!has_line(r) || line_shared(r) || r->config->link_down[0] == '\0') {
		end(r);
		return;
	}
	set_state(r, RUN_LINE_DOWN);
	runner_run(r->sync->deps.runner, r->config->link_down, r->config->link_timeout * 1000, on_down, r);
}

/* ---- talking ---- */

static void part_over(struct run *r, bool failed)
{
	if (failed)
		r->failed = true;
	if (--r->parts == 0)
		line_down(r);
}

static void on_fetched(void *arg, unsigned failed)
{
	part_over(arg, failed > 0);
}

static void on_sent(void *arg, bool failed)
{
	sync_run_heard(arg, !failed);
	part_over(arg, failed);
}

/* One part more than there are, so that whatever ends at once does not end the run before all have begun. */
static void talk(struct run *r)
{
	const struct sync_deps *d = &r->sync->deps;

	if (r->sync->stopping) {
		r->failed = true;
		line_down(r);
		return;
	}
	set_state(r, RUN_TALKING);
	sync_run_heard(r, true);
	r->parts = 1;
	if (r->kind == RUN_FULL) {
		r->parts++;
		sender_run(d->sender, r->by_hand, on_send_progress, on_sent, r);
	}
	r->parts++;
	fetcher_run(d->fetcher, r->kind == RUN_FULL ? NULL : &r->accounts, r->by_hand, on_fetch_progress, on_fetched,
	            r);
	part_over(r, false);
}

static void on_up(void *arg, const struct runner_result *res)
{
	struct run *r = arg;

	if (line_result(r, res, true))
		talk(r);
	else
		line_down(r);
}

static void line_up(struct run *r)
{
	if (!has_line(r) || line_shared(r) || r->config->link_up[0] == '\0') {
		talk(r);
		return;
	}
	set_state(r, RUN_LINE_UP);
	runner_run(r->sync->deps.runner, r->config->link_up, r->config->link_timeout * 1000, on_up, r);
}

/* ---- the start, as the database remembers it ---- */

static bool lowers(const struct run *r)
{
	return has_line(r) && r->config->link_down[0] != '\0';
}

static int apply_start(struct db_conn *c, void *arg, struct err *e)
{
	const struct run *r = arg;

	if (lowers(r) && fact_set(c, line_fact, "yes", e) != 0)
		return -1;
	if (r->kind != RUN_FULL)
		return 0;
	sqlite3_stmt *st = db_stmt(c, "INSERT OR REPLACE INTO sync_run(kind, started_at) VALUES('full', ?1)", e);
	if (st == NULL || fact_set(c, "sync_wanted", NULL, e) != 0)
		return -1;
	sqlite3_bind_int64(st, 1, r->started_at);
	return db_step(c, st, e);
}

/* The wish is off the books; whoever wishes after this commit gets a sync of their own. */
static void on_marked(void *arg, enum db_outcome outcome, const struct err *e)
{
	struct run *r = arg;

	if (outcome != DB_COMMITTED)
		log_error("sync.mark", kv_s("error", e->text));
	if (r->sync->stopping) {
		r->failed = true;
		end(r);
		return;
	}
	line_up(r);
}

void sync_run_start(struct run *r)
{
	struct db_job job = {.apply = apply_start, .done = on_marked, .arg = r, .lane = DB_LANE_SYSTEM, .bytes = 64};

	r->config = config_ref(r->sync->config);
	r->started_at = clock_wall_s();
	log_info("sync.start", kv_s("reason", r->reason), kv_u("accounts", r->accounts.n));
	if (r->kind == RUN_LOWER) {
		line_down(r);
		return;
	}
	if (r->kind != RUN_FULL && !lowers(r)) {
		line_up(r);
		return;
	}
	set_state(r, RUN_MARKING);
	database_submit(r->sync->deps.database, &job);
}
