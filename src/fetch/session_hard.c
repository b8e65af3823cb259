/* Messages that break the session, or are refused: who is to blame, what comes last, what is left and told. */
#include "base/alloc.h"
#include "base/clock.h"
#include "base/log.h"
#include "fetch/session_internal.h"

#include <stdio.h>
#include <stdlib.h>

static char *name_of(const struct session *s, size_t i)
{
	const struct pick *k = &s->picks.v[i];

	return k->key != NULL ? xstrdup(k->key)
	                      : xasprintf("at:%u:%llu", (unsigned)k->number, (unsigned long long)k->size);
}

static struct hard *hard_of(const struct session *s, size_t i)
{
	if (s->facts.hard.n == 0)
		return NULL;
	char *name = name_of(s, i);
	struct hard *h = hard_find(&s->facts.hard, name);

	free(name);
	return h;
}

static bool tried(const struct session *s, size_t i)
{
	if (s->setup.tried->n == 0)
		return false;
	char *name = name_of(s, i);
	bool yes = strlist_has_nocase(s->setup.tried, name);

	free(name);
	return yes;
}

/* ---- saving ---- */

struct saved {
	struct session *s;
	struct facts key; /* host and user alone */
	char *text;
};

static int apply(struct db_conn *c, void *arg, struct err *e)
{
	struct saved *v = arg;

	return facts_set(c, &v->key, FACT_HARD, v->text, e);
}

static void on_saved(void *arg, enum db_outcome outcome, const struct err *e)
{
	struct saved *v = arg;
	struct session *s = v->s;

	if (outcome != DB_COMMITTED) /* one try more, then */
		log_warning("fetch.hard", kv_s("sid", s->sid), kv_s("error", e != NULL ? e->text : "unknown"));
	facts_free(&v->key);
	free(v->text);
	free(v);
	session_came_back(s);
}

static void save(struct session *s)
{
	struct saved *v = xcalloc(1, sizeof *v);

	v->s = s;
	facts_init(&v->key, s->account);
	v->text = hard_text(&s->facts.hard);
	struct db_job job = {.apply = apply, .done = on_saved, .arg = v, .lane = s->setup.lane, .bytes = 500};
	session_under_way(s);
	database_submit(s->setup.deps->database, &job);
}

/* ---- blaming ---- */

static void blame(struct session *s, size_t i, bool by_head, bool by_dele)
{
	char *name = name_of(s, i);
	struct hard *h = hard_blame(&s->facts.hard, name, clock_wall_s(), by_head);

	if (h != NULL && (by_head ? s->heads_came : s->came_through))
		h->proven = true;
	if (!strlist_has_nocase(s->setup.tried, name))
		strlist_add(s->setup.tried, name);
	log_warning("fetch.hard", kv_s("sid", s->sid), kv_s("account", s->account->label), kv_s("message", name),
	            kv_u("tries", h != NULL ? h->tries : 0));
	s->expected |= h != NULL && h->tries > 1;
	/* The next session names it. */
	if (h != NULL)
		h->by_dele |= by_dele;
	s->more |= h != NULL && !by_head && !by_dele && h->tries >= HARD_TRIES && !h->told;
	free(name);
	save(s);
}

/* The oldest of those that were asked for: replies come in order. */
static size_t oldest_asked(const struct session *s)
{
	const struct pop3_command *cmd = pop3_client_oldest(s->client);
	bool numbered = cmd != NULL && (cmd->verb == POP3_TOP || cmd->verb == POP3_RETR || cmd->verb == POP3_DELE);

	return numbered && s->picks.v[cmd->tag].asked ? cmd->tag : s->picks.n;
}

/* Whom a broken session is blamed on: a server that hangs up behind a refusal does so for what it refused. */
static size_t to_blame(const struct session *s)
{
	if (s->refused_at > 0)
		return s->refused_at - 1;
	return s->phase == PHASE_COLLECTING || s->phase == PHASE_LOOKING || s->phase == PHASE_DELETING ? oldest_asked(s)
	                                                                                               : s->picks.n;
}

void session_blame(struct session *s)
{
	size_t i = to_blame(s);

	if (i == s->picks.n || s->blameless || s->blames_pipelining || s->stopping || s->picks.v[i].curious)
		return;
	s->broke = true;
	if (s->refused_at == 0 || !tried(s, i))
		blame(s, i, s->phase == PHASE_LOOKING, s->phase == PHASE_DELETING && s->picks.v[i].action == PICK_DELE);
	for (size_t n = 0; n < s->picks.n && !s->more; n++) {
		enum pick_action a = s->picks.v[n].action;

		s->more = (a == PICK_DELE && n != i) || a == PICK_TOP || (a == PICK_RETR && n != i && !tried(s, n));
	}
	s->more |= s->phase == PHASE_LOOKING && s->heads_came;
}

void session_on_refused(struct session *s, size_t i, struct slice text)
{
	s->picks.v[i].asked = false;
	s->picks.v[i].action = PICK_LEAVE;
	s->refused_at = i + 1;
	if (pop3_reply_busy(text))
		return;
	s->broke = true;
	blame(s, i, false, false);
}

/* Others come through, so it is not the line. */
static void prove(struct session *s, size_t but, bool head)
{
	const struct hard *own = hard_of(s, but);
	bool changed = false;

	for (size_t i = 0; i < s->facts.hard.n; i++) {
		struct hard *h = &s->facts.hard.v[i];

		if (h == own || h->proven || h->by_head != head)
			continue;
		h->proven = changed = true;
		if (h->tries >= HARD_TRIES) /* perhaps all were held up by what is over now */
			h->tries = HARD_TRIES - 1;
	}
	if (changed)
		save(s);
}

void session_on_answered(struct session *s, size_t i, bool head)
{
	s->picks.v[i].asked = false;
	s->refused_at = 0;
	if (head)
		s->heads_came = true;
	else
		s->came_through = true;
	if (s->facts.hard.n > 0)
		prove(s, i, head);
}

/* It came after all. */
void session_no_longer_hard(struct session *s, size_t i)
{
	if (hard_of(s, i) == NULL)
		return;
	char *name = name_of(s, i);

	hard_forget(&s->facts.hard, name);
	free(name);
	save(s);
}

bool session_skips_top(const struct session *s, size_t i)
{
	const struct hard *h = hard_of(s, i);

	return h != NULL && h->by_head && (h->proven || s->heads_came);
}

/* Deletions that broke a session before are left out of the next ones, so that those of the others are confirmed. */
bool session_may_delete(const struct session *s, size_t i)
{
	const struct hard *h = hard_of(s, i);

	if (h == NULL || !h->by_dele)
		return true;
	return !tried(s, i) && (h->tries < HARD_TRIES || s->picks.rules.now - h->at >= HARD_AGAIN_S);
}

/* ---- arranging ---- */

static bool has_others(const struct session *s)
{
	for (size_t i = 0; i < s->picks.n; i++) {
		enum pick_action a = s->picks.v[i].action;

		if (a == PICK_DELE || (a == PICK_RETR && hard_of(s, i) == NULL))
			return true;
	}
	return false;
}

/* Postmaster is told, with whose it is and what it is about where the header can be had. true: its header comes first.
 */
static bool name_it(struct session *s, struct pick *k, const struct hard *h)
{
	k->undeletable = h->by_dele;
	if (s->picks.rules.can_title && !k->curious && !h->by_head) {
		s->picks.ncurious++;
		k->curious = k->hopeless = true;
		s->picks.ncurious++;
		k->action = PICK_TOP;
		return true;
	}
	k->action = PICK_LEAVE;
	k->hopeless = true;
	s->picks.nhopeless++;
	return false;
}

bool session_arrange(struct session *s)
{
	int64_t now = s->picks.rules.now;
	bool others, look = false, alone = false;

	if (s->facts.hard.n == 0)
		return false;
	others = has_others(s);
	for (size_t i = 0; i < s->picks.n; i++) {
		struct pick *k = &s->picks.v[i];
		struct hard *h = k->action == PICK_RETR || k->action == PICK_DELE || k->hopeless ? hard_of(s, i) : NULL;

		if (h == NULL || (h->by_head && h->tries < HARD_TRIES))
			continue;
		if (h->by_dele ? k->action == PICK_RETR : k->action == PICK_DELE)
			continue; /* it broke the session by something else */
		if (h->tries >= HARD_TRIES && !h->told)
			look |= name_it(s, k, h);
		else if (h->by_dele)
			continue; /* session_may_delete */
		else if (hard_is_left(h, now) || tried(s, i) || s->picks.v[i].hopeless)
			k->action = PICK_LEAVE;
		else if (!s->setup.may_follow)
			k->last = true;
		else if (others || alone) {
			k->action = PICK_LEAVE;
			s->more = true;
		} else
			alone = true;
	}
	return look;
}

/* What is no longer listed is forgotten; what is told now is. */
bool session_tidy_hard(struct session *s)
{
	struct hard_list *l = &s->facts.hard;
	struct strlist listed = {0};
	bool changed = false;

	if (l->n == 0)
		return false;
	for (size_t i = 0; i < s->picks.n; i++) {
		struct hard *h = hard_of(s, i);

		if (h == NULL)
			continue;
		strlist_add(&listed, h->name);
		changed |= s->picks.v[i].hopeless && !h->told;
		h->told |= s->picks.v[i].hopeless;
	}
	for (size_t i = l->n; i-- > 0;)
		if (!strlist_has_nocase(&listed, l->v[i].name)) {
			changed = true;
			hard_forget(l, l->v[i].name);
		}
	strlist_free(&listed);
	return changed;
}
