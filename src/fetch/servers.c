/* What sessions show about the servers themselves, which may be those of several accounts: whether pipelining works
 * there, and how many connections they allow at once. */
#include "base/alloc.h"
#include "base/clock.h"
#include "base/log.h"
#include "base/text.h"
#include "fetch/fetcher_internal.h"

#include <stdlib.h>
#include <string.h>

enum {
	LATELY_MS = 5000, /* a server may count a connection for a while after its end */
	BACK_OFF_MS = 1000,
	PROBE_MS = 10 * 60 * 1000, /* after a refusal no more are tried for so long, and doubly so the next time */
	PROBE_MOST_MS = 3600 * 1000,
	ALONE_MOST = 2, /* tries where nobody else is there any more */
	SURE = 2        /* connections closed without a word, before a limit is inferred */
};

struct server {
	char *name;
	int64_t ended_ms; /* mono: when a session that was let in ended last */
	int64_t probe_ms; /* mono: when one more than the limit may be tried */
	int64_t probe_wait;
	unsigned closed; /* connections closed without a word while others were in */
};

void servers_name(struct account *a, const struct config_account *c)
{
	free(a->server);
	a->server = xasprintf("%s:%u", c->login.host, (unsigned)c->login.port);
	ascii_lower_in_place(a->server);
}

void servers_free(struct fetcher *f)
{
	for (size_t i = 0; i < f->nservers; i++)
		free(f->servers[i].name);
	free(f->servers);
}

static struct server *server_of(const struct account *a)
{
	struct fetcher *f = a->fetcher;

	for (size_t i = 0; i < f->nservers; i++)
		if (strcmp(f->servers[i].name, a->server) == 0)
			return &f->servers[i];
	f->servers = xreallocarray(f->servers, f->nservers + 1, sizeof *f->servers);
	struct server *s = &f->servers[f->nservers++];
	*s = (struct server){.name = xstrdup(a->server),
	                     .ended_ms = INT64_MIN / 2,
	                     .probe_ms = clock_mono_ms() + PROBE_MS,
	                     .probe_wait = PROBE_MS};
	return s;
}

static int64_t known(const struct account *a, enum learnt_what what)
{
	return learnt_get(a->fetcher->deps.learnt, a->server, what);
}

static void learn(const struct account *a, enum learnt_what what, int64_t value)
{
	if (known(a, what) != value)
		log_info("fetch.learnt", kv_s("server", a->server), kv_s("what", learnt_name(what)),
		         kv_i("value", value));
	learnt_set(a->fetcher->deps.learnt, a->fetcher->deps.database, a->server, what, value);
}

void servers_forget(const struct account *a)
{
	learnt_forget(a->fetcher->deps.learnt, a->fetcher->deps.database, a->server);
}

/* ---- pipelining ---- */

bool servers_lock_step(const struct account *a)
{
	return a->config->pipelining_off || a->trial || known(a, LEARNT_NO_PIPELINING) != 0;
}

/* The session without pipelining: did it do better at the same pace? */
static void end_trial(struct account *a, const struct session_result *r)
{
	bool busy = r->outcome == SESSION_LATER || r->outcome == SESSION_STOPPED;

	if (r->slow)
		a->patient = true;
	else if (r->outcome == SESSION_WELL || r->outcome == SESSION_HELD)
		learn(a, LEARNT_NO_PIPELINING, 1);
	a->trial = !r->slow && busy; /* it showed nothing yet */
}

bool servers_try_lock_step(struct account *a, const struct session_result *r)
{
	if (a->trial) {
		end_trial(a, r);
		return false;
	}
	if (!r->blames_pipelining)
		return false;
	a->trial = true;
	a->hold_ms = clock_mono_ms() + r->login_delay * 1000;
	return true;
}

/* ---- connections at once ---- */

static bool is_at(const struct account *a, const char *server)
{
	return a->session != NULL && a->server != NULL && strcmp(a->server, server) == 0;
}

static unsigned running_at(const struct account *a, bool in)
{
	const struct fetcher *f = a->fetcher;
	unsigned n = 0;

	for (size_t i = 0; i < f->n; i++) {
		const struct account *o = f->v[i];

		n += is_at(o, a->server) && (!in || session_is_in(o->session));
	}
	return n;
}

bool servers_full(const struct account *a)
{
	int64_t limit = known(a, LEARNT_CONNECTIONS);

	if (limit == 0)
		return false;
	int64_t running = running_at(a, false);
	if (running == limit)
		return clock_mono_ms() < server_of(a)->probe_ms;
	return running > limit;
}

void servers_begin(struct account *a)
{
	struct server *s = server_of(a);
	int64_t limit = known(a, LEARNT_CONNECTIONS);

	a->company = running_at(a, false);
	a->let_in = false;
	a->accompanied = a->company > 0;
	for (size_t i = 0; i < a->fetcher->n; i++)
		if (is_at(a->fetcher->v[i], a->server))
			a->fetcher->v[i]->accompanied = true;
	if (a->company == 0)
		s->closed = 0;
	a->probing = limit != 0 && a->company >= limit;
	if (a->probing)
		s->probe_ms = clock_mono_ms() + s->probe_wait;
}

void servers_entered(struct account *a)
{
	int64_t limit = known(a, LEARNT_CONNECTIONS), in = running_at(a, true);

	a->let_in = true;
	a->crowded = 0;
	if (limit == 0 || in <= limit)
		return;
	struct server *s = server_of(a);
	learn(a, LEARNT_CONNECTIONS, in);
	s->probe_wait = PROBE_MS;
	if (a->probing) /* perhaps there is room for still more */
		s->probe_ms = clock_mono_ms();
}

static void learn_limit(struct account *a, struct server *s)
{
	int64_t limit = known(a, LEARNT_CONNECTIONS), in = running_at(a, true);
	int64_t now = clock_mono_ms();

	if (limit != 0 && a->company >= limit) { /* no more than was known */
		s->probe_wait = 2 * s->probe_wait < PROBE_MOST_MS ? 2 * s->probe_wait : PROBE_MOST_MS;
		s->probe_ms = now + s->probe_wait;
		learn(a, LEARNT_CONNECTIONS, limit);
		return;
	}
	if (limit != 0 && a->crowded == 0)
		return; /* an earlier connection may still count */
	learn(a, LEARNT_CONNECTIONS, in > 1 ? in : 1);
	s->probe_ms = now + s->probe_wait;
}

static unsigned tries(enum session_crowd c)
{
	static const unsigned most[] = {[CROWD_IN_USE] = 2, [CROWD_CLOSED] = 5, [CROWD_SAID] = 20};

	return most[c];
}

bool servers_crowded(struct account *a, const struct session_result *r)
{
	struct server *s = server_of(a);
	int64_t now = clock_mono_ms();
	bool lately = r->crowd != CROWD_IN_USE && now - s->ended_ms < LATELY_MS && a->crowded < ALONE_MOST;
	bool alone = !a->accompanied && !lately;

	if (a->let_in)
		s->ended_ms = now;
	if (r->crowd == CROWD_NONE || a->let_in || alone || a->crowded >= tries(r->crowd)) {
		a->crowded = 0;
		return false;
	}
	if (r->crowd == CROWD_CLOSED)
		s->closed++;
	if (a->accompanied && (r->crowd == CROWD_SAID || (r->crowd == CROWD_CLOSED && s->closed >= SURE)))
		learn_limit(a, s);
	a->crowded++;
	a->hold_ms = now + BACK_OFF_MS;
	log_info("fetch.crowded", kv_s("account", a->label), kv_s("server", a->server), kv_s("reply", r->text));
	return true;
}
