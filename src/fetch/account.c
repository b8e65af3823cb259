/* What one session teaches about an account, and what postmaster hears of it. */
#include "base/alloc.h"
#include "base/clock.h"
#include "base/log.h"
#include "fetch/facts.h"
#include "fetch/fetcher_internal.h"
#include "fetch/pop3_reply.h"
#include "net/outside.h"
#include "route/phrase.h"
#include "route/report.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

/* A provider's own limit of a listing is a round or a large number. */
enum { PATIENCE_MS = 15 * 60 * 1000 }; /* of one collection with messages that break its sessions */
enum { LARGE_LISTING = 200, ROUND_LISTING = 50 };
static const char refused_greeting[] = "the server refuses this connection";
enum {
	FAILURES_TOLD = 3,
	LATER_ENOUGH = 10,
	UNSURE_ENOUGH = 2,
	ROUNDS_MOST = 100,
	BREAKS_MOST = 20,
	FRUITLESS_MOST = 3,
	STOP_MS = 3600 * 1000
};

void account_free(struct account **ap)
{
	struct account *a = *ap;

	*ap = NULL;
	if (a == NULL)
		return;
	strlist_free(&a->avoid);
	strlist_free(&a->tried);
	free(a->broke);
	outside_memory_unref(&a->memory);
	free(a->aged_from);
	free(a->busy_host);
	free(a->busy_user);
	free(a->label);
	free(a->host);
	free(a->server);
	free(a->user);
	free(a->last_error);
	free(a->awaiting);
	free(a);
}

void account_progress(struct account *a, const char *state, uint64_t bytes, const char *error)
{
	a->state = state;
	for (size_t i = 0; i < a->nawaiting; i++)
		fetcher_tell(a->awaiting[i].run, a, state, bytes, error);
}

int64_t account_wait(const struct account *a, bool by_hand)
{
	int64_t until = a->not_before;

	if (!by_hand && a->stopped_until > until)
		until = a->stopped_until;
	if (!by_hand && a->due > until)
		until = a->due;
	return until;
}

/* ---- again in the same sync ---- */

static char *server_of(const struct account *a)
{
	return xasprintf("%s:%u", a->config->login.host, (unsigned)a->config->login.port);
}

/* Providers that are known to list a part at a time. */
static bool lists_parts(const char *host)
{
	static const char *const hosts[] = {"gmail.com", "googlemail.com"};
	size_t n = strlen(host);

	for (size_t i = 0; i < sizeof hosts / sizeof hosts[0]; i++) {
		size_t m = strlen(hosts[i]);

		if (n >= m && strcasecmp(host + n - m, hosts[i]) == 0 && (n == m || host[n - m - 1] == '.'))
			return true;
	}
	return false;
}

static bool may_be_cut_short(const struct account *a, uint64_t listed)
{
	if (listed <= a->complete_upto)
		return false;
	return lists_parts(a->config->login.host) || listed >= LARGE_LISTING ||
	       (listed > 0 && listed % ROUND_LISTING == 0);
}

/* Some providers refuse a second log-in shortly after the first. */
static bool no_second_look(const struct account *a)
{
	char *server = server_of(a);
	bool no = learnt_get(a->fetcher->deps.learnt, server, LEARNT_NO_SECOND_LOOK) != 0;

	free(server);
	return no;
}

void account_begin(struct account *a)
{
	strlist_free(&a->tried);
	free(a->broke);
	a->broke = NULL;
	a->breaks = a->fruitless = 0;
	a->began_ms = clock_mono_ms();
}

bool account_may_follow(const struct account *a)
{
	return !a->delays && clock_mono_ms() - a->began_ms < PATIENCE_MS && a->rounds < ROUNDS_MOST &&
	       a->breaks < BREAKS_MOST && a->fruitless < FRUITLESS_MOST && !no_second_look(a);
}

bool account_again(const struct account *a, const struct session_result *r)
{
	if (a->config == NULL || !a->config->enabled || a->fetcher->stopping || r->login_delay > 0 ||
	    a->refused_again || !account_may_follow(a))
		return false;
	if (r->more && (r->outcome == SESSION_WELL || r->outcome == SESSION_LATER || r->broke))
		return true;
	/* Copies of what is known are nothing new. */
	return a->went_well && r->stored > r->copies && may_be_cut_short(a, r->listed);
}

static bool refused(const struct session_result *r)
{
	switch (r->outcome) {
	case SESSION_LATER:
	case SESSION_WRONG:
	case SESSION_UNSURE:
		return true;
	case SESSION_FAILED: /* but a certificate that is another suddenly is a failure */
		return strncmp(r->text, refused_greeting, sizeof refused_greeting - 1) == 0;
	default:
		return false;
	}
}

/* The sync was not whole, though what followed went well. */
static void own_up(struct account *a, struct session_result *r)
{
	if (a->broke == NULL || r->outcome != SESSION_WELL)
		return;
	r->outcome = SESSION_LATER;
	r->text = a->broke;
}

/* A session that only looks again is none that has to succeed: what it was to find comes with the next sync. */
struct session_result account_judge(struct account *a, const struct session_result *r)
{
	struct session_result judged = *r;

	a->went_well = r->outcome == SESSION_WELL;
	a->delays = r->entered && r->login_delay > 0;
	if (r->broke) {
		a->breaks++;
		if (!r->expected)
			a->fruitless = r->stored + r->deleted > 0 ? 0 : a->fruitless + 1;
		free(a->broke);
		a->broke = xstrdup(r->text);
	} else if (r->more && r->stored + r->deleted == 0) { /* an end to what leads nowhere */
		a->fruitless++;
	}

	a->refused_again = a->rounds > 1 && !r->entered && refused(r);
	if (!a->refused_again) {
		own_up(a, &judged);
		return judged;
	}
	if (a->config != NULL && !lists_parts(a->config->login.host)) {
		char *server = server_of(a);

		learnt_set(a->fetcher->deps.learnt, a->fetcher->deps.database, server, LEARNT_NO_SECOND_LOOK, 1);
		free(server);
	}
	log_info("fetch.no_second_look", kv_s("account", a->label), kv_s("reply", r->text));
	judged.outcome = SESSION_WELL;
	judged.text = "";
	own_up(a, &judged);
	return judged;
}

/* ---- telling postmaster ---- */

static char *fact(const struct account *a, enum fact_name n)
{
	struct facts f = {.host = a->host, .user = a->user};

	return facts_name(&f, n);
}

static const char *login_mend(const struct account *a, bool russian)
{
	if (a->config != NULL && a->config->login.auth == AUTH_XOAUTH2)
		return pop3_reply_token_mend(russian);
	return pop3_reply_mend(a->config != NULL ? a->config->login.host : a->host, russian);
}

static void tell(const struct account *a, const char *once, enum letter_kind k, const char *text)
{
	const struct config *c = a->fetcher->rules->config;
	char times[16], *why = phrase_in(text, c->russian), *mend = NULL;

	snprintf(times, sizeof times, "%u", a->failures);
	if (k == LETTER_LOGIN_REFUSED || k == LETTER_LOGIN_LATER)
		mend = xasprintf("%s\n", login_mend(a, c->russian));
	const struct letter_value values[] = {{"account", a->label}, {"user", a->user},
	                                      {"host", a->host},     {"times", times},
	                                      {"why", why},          {"mend", mend != NULL ? mend : ""},
	                                      {NULL, NULL}};
	report_postmaster(a->fetcher->deps.delivery, c, once, k, values);
	free(mend);
	free(why);
}

static void tell_failure(struct account *a, enum letter_kind k, const char *text)
{
	char *once = fact(a, FACT_TOLD);

	tell(a, once, k, text);
	free(once);
	a->told = true;
}

static void tell_recovery(struct account *a)
{
	char *once = fact(a, FACT_TOLD);

	tell(a, NULL, LETTER_COLLECTED, "");
	report_forget(a->fetcher->deps.database, once);
	free(once);
	a->told = false;
}

static void tell_hold(struct account *a)
{
	char *once = fact(a, FACT_HOLD);

	tell(a, once, LETTER_HELD, "");
	free(once);
}

/* ---- learning ---- */

static void learn_success(struct account *a, const struct session_result *r)
{
	a->failures = a->unsure = a->put_off = 0;
	a->stopped_until = 0;
	a->held = false;
	/* Nothing new behind it: what the listing before this one showed was all there was. */
	uint64_t complete = a->rounds > 1 && a->listed_before > r->listed ? a->listed_before : r->listed;
	if (!a->refused_again && r->stored == 0 && complete > a->complete_upto)
		a->complete_upto = complete;
	a->listed_before = r->listed;
	if (a->told)
		tell_recovery(a);
}

static void learn_failure(struct account *a, const struct session_result *r)
{
	bool wrong = r->outcome == SESSION_WRONG;

	a->failures++;
	a->unsure = r->outcome == SESSION_UNSURE ? a->unsure + 1 : 0;
	/* A bare -ERR may be a busy server's; twice in a row it is taken for a wrong password. */
	wrong |= a->unsure >= UNSURE_ENOUGH;
	if (wrong)
		a->stopped_until = clock_mono_ms() + STOP_MS;
	a->put_off = r->login_refused && r->outcome == SESSION_LATER ? a->put_off + 1 : 0;
	if (!a->told && wrong)
		tell_failure(a, LETTER_LOGIN_REFUSED, r->text);
	else if (!a->told && r->no_password)
		tell_failure(a, LETTER_NO_PASSWORD, r->text);
	else if (!a->told && a->failures >= FAILURES_TOLD)
		tell_failure(a, LETTER_NOT_COLLECTED, r->text);
	else if (a->put_off == LATER_ENOUGH)
		tell(a, NULL, LETTER_LOGIN_LATER, r->text);
}

void account_learn(struct account *a, const struct session_result *r)
{
	int64_t now = clock_mono_ms();

	/* What was told before this start is read once: later the database may lag behind. */
	if (!a->told_known)
		a->told = r->told;
	a->told_known = true;
	a->last_at = clock_wall_s();
	a->collected += r->stored;
	free(a->last_error);
	a->last_error = xstrdup(r->text);
	if (r->login_delay > 0)
		a->not_before = now + r->login_delay * 1000;
	if (a->config != NULL && a->config->every > 0)
		a->due = now + a->config->every * 1000;
	if (r->outcome == SESSION_HELD) {
		if (!a->held)
			tell_hold(a);
		a->held = true;
	} else if (r->outcome == SESSION_WELL) {
		learn_success(a, r);
	} else if (r->broke || a->went_well) { /* a letter of its own names the message */
		a->failures = a->unsure = 0;
	} else if (r->outcome != SESSION_STOPPED) {
		learn_failure(a, r);
	}
}
