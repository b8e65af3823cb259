/* What the ledger has to learn beside the messages themselves: what a listing showed, and what QUIT confirmed. */
#include "base/alloc.h"
#include "base/clock.h"
#include "base/log.h"
#include "fetch/session_internal.h"
#include "route/phrase.h"
#include "route/report.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct marks { /* one commit */
	struct session *s;
	struct facts key; /* host and user alone */
	struct picks_change *v;
	size_t n;
	bool hard; /* the messages that are not handed out have changed */
	char *hard_text;
	char *gone_text; /* NULL: unchanged */
	bool listed;     /* from a listing: the mailbox was visited, and a resumption is over */
	enum session_phase next;
};

static int apply(struct db_conn *c, void *arg, struct err *e)
{
	struct marks *m = arg;
	struct ledger_key key = facts_key(&m->key);
	int rc = 0;

	for (size_t i = 0; i < m->n && rc == 0; i++)
		rc =
		    m->v[i].remove ? ledger_remove(c, &key, m->v[i].rec.uidl, e) : ledger_put(c, &key, &m->v[i].rec, e);
	if (rc == 0 && m->hard)
		rc = facts_set(c, &m->key, FACT_HARD, m->hard_text, e);
	if (rc == 0 && m->gone_text != NULL)
		rc = facts_set(c, &m->key, FACT_GONE, m->gone_text, e);
	if (rc != 0 || !m->listed)
		return rc;
	if (facts_set(c, &m->key, FACT_VISITED, "yes", e) != 0 || facts_set(c, &m->key, FACT_RESUME, NULL, e) != 0)
		return -1;
	return facts_set(c, &m->key, FACT_COPIES, NULL, e);
}

static void marks_free(void *arg)
{
	struct marks *m = arg;

	for (size_t i = 0; i < m->n; i++)
		free(m->v[i].rec.uidl);
	free(m->v);
	free(m->hard_text);
	free(m->gone_text);
	facts_free(&m->key);
	free(m);
}

static struct marks *marks_new(struct session *s, size_t room, enum session_phase next)
{
	struct marks *m = xcalloc(1, sizeof *m);

	m->s = s;
	m->next = next;
	m->v = xcalloc(room + 1, sizeof *m->v);
	facts_init(&m->key, s->account);
	return m;
}

static void add(struct marks *m, bool remove, struct ledger_record rec)
{
	rec.uidl = xstrdup(rec.uidl);
	m->v[m->n++] = (struct picks_change){remove, rec};
}

static void go_on(struct session *s, enum session_phase next)
{
	if (s->phase == PHASE_ENDED)
		return;
	if (next == PHASE_ENDED) {
		session_end(s, SESSION_WELL, "");
		return;
	}
	session_set_phase(s, next);
	if (next == PHASE_COLLECTING)
		session_collect(s);
	else
		session_delete(s);
	if (s->phase != PHASE_ENDED)
		session_flush(s);
}

static void on_committed(struct session *s, enum session_phase next, bool ok, const char *why)
{
	if (ok)
		go_on(s, next);
	else
		session_end(s, SESSION_LATER, why);
	session_came_back(s);
}

static void on_marked(void *arg, enum db_outcome outcome, const struct err *e)
{
	struct marks *m = arg;
	struct session *s = m->s;
	enum session_phase next = m->next;

	marks_free(m);
	on_committed(s, next, outcome == DB_COMMITTED, e != NULL ? e->text : "the database failed");
}

static void submit(struct session *s, struct marks *m)
{
	struct db_job job = {
	    .apply = apply, .done = on_marked, .arg = m, .lane = s->setup.lane, .bytes = 200 * (m->n + 1)};

	session_under_way(s);
	database_submit(s->setup.deps->database, &job);
}

/* ---- messages over max_message_kib: told in the same commit that marks them, so once ---- */

struct told { /* of an acceptance: its marks are freed by it */
	struct session *s;
	enum session_phase next;
};

static void on_told(void *arg, enum acceptance_result r)
{
	struct told t = *(struct told *)arg;

	free(arg);
	on_committed(t.s, t.next, r == ACCEPTED, "no room for a report to postmaster");
}

static void list_large(struct session *s, struct buf *list)
{
	size_t shown = 0;

	for (size_t i = 0; i < s->picks.n; i++) {
		struct pick *k = &s->picks.v[i];

		if (!k->large)
			continue;
		k->large = false;
		if (shown++ >= PICKS_TITLES)
			continue;
		char *line =
		    xasprintf("message %u: %llu KiB", (unsigned)k->number, (unsigned long long)(k->size / 1024));
		char *said = phrase_in(line, s->rules->config->russian);
		buf_printf(list, "  %s%s%s\n", said, k->title != NULL ? ", " : "", k->title != NULL ? k->title : "");
		free(said);
		free(line);
	}
}

static void report_large(struct session *s, struct acceptance *a)
{
	const struct config_account *account = s->account;
	char limit[24];
	struct buf list;

	snprintf(limit, sizeof limit, "%llu", (unsigned long long)account->max_message_kib);
	buf_init(&list, 64 * 1024);
	list_large(s, &list);
	const struct letter_value values[] = {{"account", account->label},   {"user", account->login.user},
	                                      {"host", account->login.host}, {"limit", limit},
	                                      {"list", buf_str(&list)},      {NULL, NULL}};
	report_add(a, s->rules->config, LETTER_TOO_LARGE, values);
	buf_free(&list);
}

/* Those that are not handed out, and those whose deletion breaks the session. */
static void report_hopeless(struct session *s, struct acceptance *a, bool stored)
{
	const struct config_account *account = s->account;
	struct buf list;
	size_t n = 0;

	for (size_t i = 0; i < s->picks.n; i++) {
		struct pick *k = &s->picks.v[i];

		k->large = k->hopeless && k->undeletable == stored;
		n += k->large;
	}
	if (n == 0)
		return;
	buf_init(&list, 64 * 1024);
	list_large(s, &list);
	const struct letter_value values[] = {{"account", account->label},
	                                      {"user", account->login.user},
	                                      {"host", account->login.host},
	                                      {"list", buf_str(&list)},
	                                      {NULL, NULL}};
	report_add(a, s->rules->config, stored ? LETTER_NOT_DELETED : LETTER_NOT_HANDED_OUT, values);
	buf_free(&list);
}

static void report_gone(struct session *s, struct acceptance *a, enum gone_news news)
{
	const struct config_account *account = s->account;
	const struct letter_value values[] = {
	    {"account", account->label}, {"user", account->login.user}, {"host", account->login.host}, {NULL, NULL}};

	report_add(a, s->rules->config, news == GONE_COME_BACK ? LETTER_COME_BACK : LETTER_STAY_AWAY, values);
}

static void submit_with_report(struct session *s, struct marks *m, bool large, bool hopeless, enum gone_news news)
{
	struct told *t = xmalloc(sizeof *t);
	struct acceptance *a = acceptance_new(s->setup.deps->delivery, s->setup.lane);

	*t = (struct told){s, m->next};
	if (large)
		report_large(s, a);
	if (hopeless) {
		report_hopeless(s, a, false);
		report_hopeless(s, a, true);
	}
	if (news != GONE_NO_NEWS)
		report_gone(s, a, news);
	acceptance_extra(a, apply, NULL, m, marks_free);
	session_under_way(s);
	acceptance_commit(&a, on_told, t);
}

void session_mark(struct session *s, enum session_phase next)
{
	struct picks *p = &s->picks;
	/* All that was there is listed under its name: should the names change one day, that may pass once again. */
	bool stable = s->facts.copied && p->nopen > 0 && p->nvanished == 0;
	bool listed = next == PHASE_COLLECTING && (!s->facts.visited || s->facts.resume != NULL || stable);
	bool large = p->nlarge > 0, hopeless = p->nhopeless > 0;
	bool hard = next == PHASE_COLLECTING && session_tidy_hard(s);

	if (p->ncommitted == p->nchanges && !listed && !hard) {
		go_on(s, next);
		return;
	}
	struct marks *m = marks_new(s, p->nchanges - p->ncommitted, next);
	for (size_t i = p->ncommitted; i < p->nchanges; i++)
		add(m, p->changes[i].remove, p->changes[i].rec);
	m->listed = listed;
	m->hard = hard;
	m->hard_text = hard ? hard_text(&s->facts.hard) : NULL;
	p->ncommitted = p->nchanges;
	p->nlarge = p->nhopeless = 0;
	session_set_phase(s, next == PHASE_COLLECTING ? PHASE_MARKING : PHASE_REMARKING);
	if (large || hopeless)
		submit_with_report(s, m, large, hopeless, GONE_NO_NEWS);
	else
		submit(s, m);
}

/* What is deleted is remembered by its size, and whether earlier deletions held. */
static enum gone_news remember_deleted(struct session *s, struct marks *m)
{
	uint64_t *sizes = xcalloc(s->deleted + 1, sizeof *sizes);
	size_t n = 0;

	for (size_t i = 0; i < s->picks.n && n < s->deleted; i++)
		if (s->picks.v[i].deleted)
			sizes[n++] = s->picks.v[i].size;
	enum gone_news news = gone_add(&s->facts.gone, sizes, n, s->picks.nback);
	free(sizes);
	if (s->picks.nback > 0)
		log_warning("fetch.came_back", kv_s("sid", s->sid), kv_s("account", s->account->label),
		            kv_u("messages", s->picks.nback), kv_u("sessions", s->facts.gone.back));
	m->gone_text = gone_text(&s->facts.gone);
	return news;
}

void session_close_records(struct session *s)
{
	struct marks *m = marks_new(s, 2 * s->deleted, PHASE_ENDED);

	for (size_t i = 0; i < s->picks.n; i++) {
		const struct pick *k = &s->picks.v[i];

		if (!k->deleted)
			continue;
		struct ledger_record rec = k->rec != NULL && k->again == NULL ? *k->rec : picks_record(&s->picks, i);
		if (k->again != NULL && !picks_lists(&s->picks, k->again->uidl))
			add(m, true, *k->again);
		rec.uidl = k->key;
		rec.size = k->size;
		rec.closed = true;
		rec.missed = 0;
		if (digest_known(k->digest))
			memcpy(rec.digest, k->digest, DIGEST_SIZE);
		add(m, false, rec);
	}
	enum gone_news news = remember_deleted(s, m);
	session_set_phase(s, PHASE_CLOSING);
	if (news != GONE_NO_NEWS)
		submit_with_report(s, m, false, false, news);
	else
		submit(s, m);
}
