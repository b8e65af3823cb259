#include "fetch/fetcher.h"

#include "base/alloc.h"
#include "base/clock.h"
#include "base/log.h"
#include "base/text.h"
#include "fetch/facts.h"
#include "fetch/fetcher_internal.h"
#include "net/outside.h"

#include <stdlib.h>
#include <string.h>

struct fetcher *fetcher_new(const struct fetcher_deps *deps)
{
	struct fetcher *f = xcalloc(1, sizeof *f);

	f->deps = *deps;
	clock_watch_start(&f->clock);
	return f;
}

void fetcher_free(struct fetcher **fp)
{
	struct fetcher *f = *fp;

	*fp = NULL;
	if (f == NULL)
		return;
	for (size_t i = 0; i < f->n; i++)
		account_free(&f->v[i]);
	free(f->v);
	fetcher_runs_free(f);
	servers_free(f);
	loop_timer_free(&f->stop_timer);
	loop_timer_free(&f->look_timer);
	fetch_rules_unref(&f->rules);
	free(f);
}

/* ---- configuration ---- */

struct account *fetcher_find(const struct fetcher *f, const char *label)
{
	for (size_t i = 0; i < f->n; i++)
		if (text_eq_nocase(slice_of(f->v[i]->label), slice_of(label)))
			return f->v[i];
	return NULL;
}

static struct account *add(struct fetcher *f, const char *label)
{
	struct account *a = xcalloc(1, sizeof *a);

	a->fetcher = f;
	a->label = xstrdup(label);
	a->state = "idle";
	a->last_error = xstrdup("");
	f->v = xreallocarray(f->v, f->n + 1, sizeof *f->v);
	f->v[f->n++] = a;
	return a;
}

static bool same(const char *a, const char *b)
{
	return strcmp(a, b) == 0;
}

/* Whether a running session may go on under the new settings. */
static bool unchanged(const struct config_account *a, const struct config_account *b)
{
	const struct config_login *x = &a->login, *y = &b->login;

	return b->enabled && same(x->host, y->host) && x->port == y->port && x->security == y->security &&
	       x->tls_verify == y->tls_verify && same(x->ca_file, y->ca_file) && x->auth == y->auth &&
	       same(x->user, y->user) && same(x->password, y->password) &&
	       same(x->password_command, y->password_command) && a->keep == b->keep && a->first == b->first &&
	       a->max_message_kib == b->max_message_kib;
}

/* Whether what was learnt about the server under the old settings is good under the new ones. */
static bool same_manners(const struct config_account *a, const struct config_account *b)
{
	return unchanged(a, b) && a->pipelining_off == b->pipelining_off && a->timeout == b->timeout;
}

static void move_server(struct account *a, const struct config_account *c)
{
	bool same = a->config != NULL && same_manners(a->config, c);

	if (a->config != NULL && !same)
		servers_forget(a);
	servers_name(a, c);
	if (same)
		return;
	if (a->config != NULL)
		servers_forget(a);
	a->trial = a->patient = false;
}

/* Another mailbox under the old name: nothing that was learnt holds for it. */
static void move_mailbox(struct account *a, const struct config_account *c)
{
	if (a->host != NULL && same(a->host, c->mailbox_host) && same(a->user, c->login.user))
		return;
	free(a->host);
	free(a->user);
	a->host = xstrdup(c->mailbox_host);
	a->user = xstrdup(c->login.user);
	a->told = a->told_known = a->held = false;
	a->failures = a->unsure = a->put_off = 0;
	a->complete_upto = 0;
	free(a->aged_from);
	a->aged_from = NULL;
	a->not_before = a->due = 0;
}

/* A mailbox whose section has another name now: its session, and what is known of it, go on. */
static struct account *find_renamed(struct fetcher *f, const struct config *c, const struct config_account *to)
{
	for (size_t i = 0; i < f->n; i++) {
		struct account *a = f->v[i];
		bool still = a->listed;

		for (size_t k = 0; k < c->naccounts && !still; k++)
			still = slice_is_nocase(slice_of(a->label), c->accounts[k].label);
		if (still || a->config == NULL || !same(a->host, to->mailbox_host) || !same(a->user, to->login.user))
			continue;
		free(a->label);
		a->label = xstrdup(to->label);
		return a;
	}
	return NULL;
}

static void configure_account(struct fetcher *f, const struct config_account *c, unsigned index)
{
	struct account *a = fetcher_find(f, c->label);

	if (a == NULL)
		a = find_renamed(f, f->rules->config, c);
	if (a == NULL)
		a = add(f, c->label);
	if (a->session != NULL && (a->config == NULL || !unchanged(a->config, c)))
		session_stop(a->session);
	move_mailbox(a, c);
	move_server(a, c);
	a->config = c;
	a->listed = true;
	a->lane = DB_LANE_ACCOUNT + index;
	a->stopped_until = 0; /* a reload is a new chance */
	strlist_free(&a->avoid);
	a->titling = false;
	a->sizes = (struct session_sizes){0};
	outside_memory_unref(&a->memory);
	if (c->every == 0)
		a->due = 0;
}

void fetcher_drop_gone(struct fetcher *f)
{
	size_t kept = 0;

	for (size_t i = 0; i < f->n; i++) {
		struct account *a = f->v[i];

		if (a->config == NULL && a->session == NULL) {
			fetcher_settle(a);
			account_free(&a);
			continue;
		}
		if (a->config == NULL)
			session_stop(a->session);
		f->v[kept++] = a;
	}
	f->n = kept;
}

void fetcher_configure(struct fetcher *f, const struct config *c)
{
	struct fetch_rules *old = f->rules;

	f->rules = fetch_rules_new(c);
	for (size_t i = 0; i < f->n; i++)
		f->v[i]->listed = false;
	for (size_t i = 0; i < c->naccounts; i++)
		configure_account(f, &f->rules->config->accounts[i], (unsigned)i);
	for (size_t i = 0; i < f->n; i++)
		if (!f->v[i]->listed)
			f->v[i]->config = NULL;
	fetcher_drop_gone(f);
	fetch_rules_unref(&old);
	fetcher_advance(f);
}

int64_t fetcher_next_due(const struct fetcher *f)
{
	int64_t next = INT64_MAX;

	for (size_t i = 0; i < f->n; i++) {
		const struct account *a = f->v[i];

		if (a->config == NULL || !a->config->enabled || a->config->every == 0 || a->session != NULL ||
		    a->turn != 0 || a->held)
			continue;
		int64_t at = account_wait(a, false);
		if (at < next)
			next = at;
	}
	return next;
}

/* ---- status ---- */

static int64_t next_wall(const struct account *a)
{
	int64_t at = account_wait(a, false), now = clock_mono_ms();

	return at > now ? clock_wall_s() + (at - now) / 1000 : 0;
}

static void add_learnt(void *arg, const char *name, int64_t value)
{
	struct fetcher_account_status *s = arg;

	s->learnt[s->nlearnt].name = name;
	s->learnt[s->nlearnt++].value = value;
}

void fetcher_status(const struct fetcher *f, void (*fn)(void *arg, const struct fetcher_account_status *s), void *arg)
{
	for (size_t i = 0; i < f->n; i++) {
		const struct account *a = f->v[i];
		struct fetcher_account_status s = {
		    .label = a->label,
		    .enabled = a->config != NULL && a->config->enabled,
		    .held = a->held,
		    .running = a->session != NULL,
		    .last_at = a->last_at,
		    .next_at = next_wall(a),
		    .last_error = a->last_error,
		    .collected = a->collected,
		    .state = a->state,
		    .done = a->done,
		    .total = a->total,
		};

		if (a->server != NULL)
			learnt_each(f->deps.learnt, a->server, add_learnt, &s);
		fn(arg, &s);
	}
}

/* ---- the end of a hold ---- */

struct resume {
	struct fetcher *fetcher;
	struct facts key;
	bool known;
	bool was_held;
	char *label;
	void (*done)(void *arg, const char *error);
	void *arg;
};

static int apply_resume(struct db_conn *c, void *arg, struct err *e)
{
	struct resume *r = arg;
	char *hold = facts_name(&r->key, FACT_HOLD), *resume = facts_name(&r->key, FACT_RESUME), *value = NULL;
	int rc = fact_get(c, hold, &value, e);

	r->was_held = value != NULL;
	if (rc == 0 && r->was_held)
		rc = fact_set(c, hold, NULL, e) != 0 ? -1 : fact_set(c, resume, r->known ? "known" : "all", e);
	free(hold);
	free(resume);
	free(value);
	return rc;
}

static void on_resumed(void *arg, enum db_outcome outcome, const struct err *e)
{
	struct resume *r = arg;
	struct account *a = fetcher_find(r->fetcher, r->label);
	const char *error = outcome != DB_COMMITTED ? e->text : !r->was_held ? "the account is not held" : NULL;

	if (error == NULL && a != NULL)
		a->held = false;
	r->done(r->arg, error);
	facts_free(&r->key);
	free(r->label);
	free(r);
}

void fetcher_resume(struct fetcher *f, const char *account, bool known, void (*done)(void *arg, const char *error),
                    void *arg)
{
	struct account *a = fetcher_find(f, account);

	if (a == NULL || a->config == NULL) {
		done(arg, "there is no such account");
		return;
	}
	struct resume *r = xcalloc(1, sizeof *r);
	*r = (struct resume){.fetcher = f, .known = known, .label = xstrdup(a->label), .done = done, .arg = arg};
	facts_init(&r->key, a->config);
	struct db_job job = {.apply = apply_resume, .done = on_resumed, .arg = r, .lane = DB_LANE_SYSTEM, .bytes = 500};
	database_submit(f->deps.database, &job);
}

/* ---- stopping ---- */

void fetcher_check_stopped(struct fetcher *f)
{
	if (!f->stopping || f->running > 0 || f->stop_done == NULL)
		return;
	void (*done)(void *arg) = f->stop_done;
	f->stop_done = NULL;
	loop_timer_cancel(f->stop_timer);
	done(f->stop_arg);
}

static void on_stop_timer(void *arg)
{
	struct fetcher *f = arg;

	for (size_t i = 0; i < f->n; i++)
		if (f->v[i]->session != NULL)
			session_abort(f->v[i]->session);
}

void fetcher_stop(struct fetcher *f, int64_t ms, void (*done)(void *arg), void *arg)
{
	f->stopping = true;
	f->stop_done = done;
	f->stop_arg = arg;
	f->stop_timer = loop_timer_new(f->deps.loop, on_stop_timer, f);
	loop_timer_set(f->stop_timer, ms);
	for (size_t i = 0; i < f->n; i++)
		if (f->v[i]->session != NULL)
			session_stop(f->v[i]->session);
	fetcher_advance(f);
	fetcher_check_stopped(f);
}
