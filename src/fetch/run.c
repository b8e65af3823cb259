/* Who is collected when, and who awaits it. An account is idle, waits for a place, or is busy; a run starts the idle
 * ones and awaits their ends, so that one which hangs holds back nobody but those who ask for it. */
#include "base/alloc.h"
#include "base/clock.h"
#include "base/log.h"
#include "fetch/fetcher_internal.h"
#include "net/outside.h"

#include <stdlib.h>
#include <string.h>

enum { STALL_MS = 5000, STALL_BYTES = 512, AGAIN_MS = 1000 };

void fetcher_tell(const struct fetch_run *r, const struct account *a, const char *state, uint64_t bytes,
                  const char *error)
{
	struct fetch_progress p = {
	    .account = a->label, .state = state, .done = a->done, .total = a->total, .bytes = bytes, .error = error};

	if (r->progress != NULL)
		r->progress(r->arg, &p);
}

void fetcher_runs_free(struct fetcher *f)
{
	while (f->runs != NULL) {
		struct fetch_run *r = f->runs;

		f->runs = r->next;
		free(r);
	}
}

/* From the beginning after each: whoever is told may do what he likes. */
static void end_runs(struct fetcher *f)
{
	struct fetch_run **at = &f->runs;

	while (*at != NULL) {
		struct fetch_run *r = *at;

		if (r->awaited > 0) {
			at = &r->next;
			continue;
		}
		*at = r->next;
		r->done(r->arg, r->failed);
		free(r);
		at = &f->runs;
	}
}

/* ---- a session ---- */

static void give_place_back(struct account *a)
{
	if (a->placed)
		a->fetcher->placed--;
	a->placed = false;
}

static void on_progress(void *arg, const char *state, uint64_t done, uint64_t total, uint64_t bytes)
{
	struct account *a = arg;

	a->done = done;
	a->total = total;
	account_progress(a, state, bytes, "");
}

static void on_entered(void *arg)
{
	servers_entered(arg);
}

static const char *end_state(enum session_outcome o)
{
	return o == SESSION_WELL                            ? "done"
	       : o == SESSION_HELD                          ? "held"
	       : o == SESSION_LATER || o == SESSION_STOPPED ? "later"
	                                                    : "failed";
}

static bool usable(const struct account *a)
{
	return a->config != NULL && a->config->enabled && !a->fetcher->stopping;
}

static void queue(struct account *a)
{
	if (a->turn == 0)
		a->turn = ++a->fetcher->turns;
}

void fetcher_settle(struct account *a)
{
	for (size_t i = 0; i < a->nawaiting; i++)
		a->awaiting[i].run->awaited--;
	a->nawaiting = 0;
	a->turn = 0;
	a->again_ms = a->hold_ms = 0;
}

/* The session's end is the end of those who awaited it; the others get one of their own if this one went well. */
static void settle_with(struct account *a, enum session_outcome o)
{
	bool may_follow = o == SESSION_WELL && usable(a) && account_wait(a, true) <= clock_mono_ms();
	size_t kept = 0;

	for (size_t i = 0; i < a->nawaiting; i++) {
		struct fetch_run *r = a->awaiting[i].run;

		if (may_follow && a->awaiting[i].next) {
			a->awaiting[kept++] = a->awaiting[i];
			continue;
		}
		r->failed += o != SESSION_WELL && o != SESSION_STOPPED;
		r->awaited--;
	}
	a->nawaiting = kept;
	if (kept > 0)
		queue(a);
}

/* What went wrong is the server's with too many of us or with pipelining: no news for anybody yet. */
static bool once_more(struct account *a, const struct session_result *r)
{
	/* With nobody else of ours there, a second log-in is refused for following the first. */
	bool second = a->rounds > 1 && !a->accompanied && !a->let_in;
	bool crowded = !second && servers_crowded(a, r), lock_step = !crowded && servers_try_lock_step(a, r);

	return usable(a) && (crowded || lock_step);
}

static void on_session_done(void *arg, const struct session_result *end)
{
	struct account *a = arg;
	struct fetcher *f = a->fetcher;

	a->session = NULL;
	f->running--;
	give_place_back(a);
	if (once_more(a, end)) {
		a->collected += end->stored;
		a->again_ms = a->rounds > 1 ? clock_mono_ms() : 0;
		queue(a);
		fetcher_advance(f);
		return;
	}
	const struct session_result judged = account_judge(a, end), *r = &judged;
	account_learn(a, r);
	if (account_again(a, r)) {
		a->again_ms = clock_mono_ms();
		queue(a);
		fetcher_advance(f);
		return;
	}
	outside_memory_unref(&a->memory);
	account_progress(a, end_state(r->outcome), r->bytes, r->text);
	if (r->outcome == SESSION_STOPPED && usable(a) && a->nawaiting > 0)
		queue(a); /* its settings changed: once more, with the new ones */
	else
		settle_with(a, r->outcome);
	fetcher_drop_gone(f);
	fetcher_advance(f);
	fetcher_check_stopped(f);
}

static void begin_session(struct account *a)
{
	struct fetcher *f = a->fetcher;

	if (a->again_ms == 0) /* a collection of its own: certificates are looked at anew */
		outside_memory_unref(&a->memory);
	if (a->memory == NULL)
		a->memory = outside_memory_new();
	struct session_setup setup = {
	    .deps = &f->deps,
	    .rules = f->rules,
	    .account = a->config,
	    .lane = a->lane,
	    .lock_step = servers_lock_step(a),
	    .patient = a->patient,
	    .clock = &f->clock,
	    .avoid = &a->avoid,
	    .titling = &a->titling,
	    .sizes = &a->sizes,
	    .tried = &a->tried,
	    .memory = a->memory,
	    .aged_from = &a->aged_from,
	    .entered = on_entered,
	    .progress = on_progress,
	    .done = on_session_done,
	    .arg = a,
	};

	for (size_t i = 0; i < a->nawaiting; i++)
		a->awaiting[i].next = false;
	free(a->busy_host);
	free(a->busy_user);
	a->busy_host = xstrdup(a->host);
	a->busy_user = xstrdup(a->user);
	f->running++;
	f->placed++;
	a->placed = true;
	a->looked_ms = clock_mono_ms();
	a->heard = 0;
	a->rounds = a->again_ms != 0 ? a->rounds + 1 : 1;
	a->again_ms = a->hold_ms = 0;
	servers_begin(a);
	if (a->rounds == 1)
		account_begin(a);
	setup.may_follow = account_may_follow(a);
	a->done = a->total = 0;
	a->session = session_start(&setup);
}

/* ---- places ---- */

/* A second look waits a moment until all others have had their first. */
static bool may_look_again(const struct account *a)
{
	const struct fetcher *f = a->fetcher;

	if (clock_mono_ms() - a->again_ms >= AGAIN_MS)
		return true;
	for (size_t i = 0; i < f->n; i++)
		if (f->v[i]->placed && f->v[i]->rounds == 1)
			return false;
	return true;
}

/* A section that was renamed during its session, or another one for the same mailbox: two sessions at once would fetch
 * the same messages. The other's end starts this one. */
static bool mailbox_is_busy(const struct account *a)
{
	const struct fetcher *f = a->fetcher;

	for (size_t i = 0; i < f->n; i++) {
		const struct account *b = f->v[i];

		if (b->session != NULL && strcmp(b->busy_host, a->host) == 0 && strcmp(b->busy_user, a->user) == 0)
			return true;
	}
	return false;
}

static bool must_stay(const struct account *a)
{
	return (a->again_ms != 0 && !may_look_again(a)) || a->hold_ms > clock_mono_ms() || servers_full(a);
}

static struct account *first_in_line(const struct fetcher *f, bool *later)
{
	struct account *first = NULL;

	*later = false;
	for (size_t i = 0; i < f->n; i++) {
		struct account *a = f->v[i];

		if (a->turn == 0 || a->session != NULL || mailbox_is_busy(a))
			continue;
		if (usable(a) && must_stay(a))
			*later = true;
		else if (first == NULL || a->turn < first->turn)
			first = a;
	}
	return first;
}

/* Who hears nothing, or next to nothing, needs no place: a provider that is down would otherwise hold up the others. */
static void look_for_stall(struct account *a)
{
	int64_t now = clock_mono_ms();

	if (!a->placed || now - a->looked_ms < STALL_MS)
		return;
	if (session_heard(a->session) - a->heard < STALL_BYTES)
		give_place_back(a);
	a->heard = session_heard(a->session);
	a->looked_ms = now;
}

static void on_look_timer(void *arg)
{
	struct fetcher *f = arg;

	f->look_timed = false;
	for (size_t i = 0; i < f->n; i++)
		look_for_stall(f->v[i]);
	fetcher_advance(f);
}

static void look_soon(struct fetcher *f)
{
	if (f->look_timer == NULL)
		f->look_timer = loop_timer_new(f->deps.loop, on_look_timer, f);
	if (!f->look_timed)
		loop_timer_set(f->look_timer, AGAIN_MS);
	f->look_timed = true;
}

void fetcher_advance(struct fetcher *f)
{
	struct account *a;
	bool later;

	while ((a = first_in_line(f, &later)) != NULL) {
		if (!usable(a)) {
			fetcher_settle(a);
			continue;
		}
		if (f->placed >= f->rules->config->parallel)
			break;
		a->turn = 0;
		begin_session(a);
	}
	if (a != NULL || later)
		look_soon(f);
	end_runs(f);
}

/* ---- a run ---- */

static void refuse(struct fetch_run *r, const char *label, const char *why)
{
	struct fetch_progress p = {.account = label, .state = "failed", .error = why};

	r->failed++;
	if (r->progress != NULL)
		r->progress(r->arg, &p);
}

/* An account that is left alone now: by hand that is worth a word. After a refused log-in only who names the account
 * gets it tried: letters to the daemon must not have a provider lock it. */
static bool must_wait(struct fetch_run *r, struct account *a, bool named)
{
	int64_t now = clock_mono_ms();
	char *why;

	if (r->by_hand && account_wait(a, true) > now) {
		r->failed += named;
		fetcher_tell(r, a, "later", 0, "the server allows no log-in so soon after the last (LOGIN-DELAY)");
		return true;
	}
	if (r->by_hand && !named && a->stopped_until > now) {
		r->failed++;
		why = xasprintf("not tried since its log-in was refused; `ofmctl reload` or `ofmctl sync \"%s\"` tries "
		                "it (%s)",
		                a->label, a->last_error);
		fetcher_tell(r, a, "failed", 0, why);
		free(why);
		return true;
	}
	return account_wait(a, r->by_hand) > now;
}

static bool awaited_by(const struct account *a, const struct fetch_run *r)
{
	for (size_t i = 0; i < a->nawaiting; i++)
		if (a->awaiting[i].run == r)
			return true;
	return false;
}

static void want(struct fetch_run *r, struct account *a, bool named)
{
	bool busy = a->session != NULL, begun = busy || a->turn != 0;

	if (awaited_by(a, r) || (begun && !r->by_hand) || (!begun && must_wait(r, a, named)))
		return;
	a->awaiting = xreallocarray(a->awaiting, a->nawaiting + 1, sizeof *a->awaiting);
	a->awaiting[a->nawaiting++] = (struct awaiting){r, busy && session_has_listed(a->session)};
	r->awaited++;
	if (busy)
		fetcher_tell(r, a, a->state, 0, "");
	else
		queue(a);
}

static void want_named(struct fetcher *f, struct fetch_run *r, const char *label)
{
	struct account *a = fetcher_find(f, label);

	if (a == NULL || a->config == NULL)
		refuse(r, label, "there is no such account");
	else if (!a->config->enabled)
		refuse(r, label, "the account is switched off (enabled = no)");
	else
		want(r, a, true);
}

static void advance_later(void *arg)
{
	fetcher_advance(arg);
}

void fetcher_run(struct fetcher *f, const struct strlist *accounts, bool by_hand,
                 void (*progress)(void *arg, const struct fetch_progress *p), void (*done)(void *arg, unsigned failed),
                 void *arg)
{
	struct fetch_run *r = xcalloc(1, sizeof *r), **end = &f->runs;

	*r = (struct fetch_run){.by_hand = by_hand, .progress = progress, .done = done, .arg = arg};
	while (*end != NULL)
		end = &(*end)->next;
	*end = r;
	for (size_t i = 0; accounts == NULL && i < f->n; i++)
		if (f->v[i]->config != NULL && f->v[i]->config->enabled)
			want(r, f->v[i], false);
	for (size_t i = 0; accounts != NULL && i < accounts->n; i++)
		want_named(f, r, accounts->v[i]);
	/* From the loop, so that done never comes from inside this call. */
	loop_post(f->deps.loop, advance_later, f);
}
