/* Fetching: RETR, the sorter, one acceptance for each message. */
#include "base/alloc.h"
#include "base/clock.h"
#include "base/log.h"
#include "base/text.h"
#include "fetch/note.h"
#include "fetch/session_internal.h"
#include "fetch/sorting.h"
#include "fetch/stamp.h"
#include "route/report.h"
#include "route/submission.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* What may be stored and not yet committed before we stop listening. */
enum { STORING_MOST = 256, STORING_BYTES = 4 * 1024 * 1024, ROOM_SPARE = 16 * 1024 * 1024 };
enum { BODY_SURE = 64 * 1024 * 1024, AVOID_MOST = 100 };

static const char NO_ROOM[] = "no room on this machine's disk";
static const char DISK_FAILS[] = "this machine's disk fails: mail cannot be written";

static void mind_backlog(struct session *s)
{
	if (s->line != NULL)
		outside_pause(s->line, s->storing >= STORING_MOST || s->storing_bytes >= STORING_BYTES);
}

/* ---- asking ---- */

static size_t next_to_fetch(struct session *s)
{
	const struct pick *v = s->picks.v;

	while (s->cursor < s->picks.n && (v[s->cursor].action != PICK_RETR || v[s->cursor].last != s->lasts))
		s->cursor++;
	return s->cursor;
}

/* All others are stored: now those that broke a session before, one by one. */
static void turn_to_the_last(struct session *s)
{
	if (s->lasts)
		return;
	s->lasts = true;
	s->cursor = 0;
}

static size_t window(const struct session *s)
{
	return s->lasts ? 1 : POP3_WINDOW;
}

/* Nothing can be stored now. */
static void stop_asking(struct session *s, const char *why)
{
	if (!s->no_room)
		s->unable = why;
	s->no_room = true;
	session_note(s, SESSION_LATER, why);
	pop3_client_forget_queued(s->client);
}

/* There is room, but not for this one: the others are not to wait for it. */
static void leave_too_large(struct session *s, struct pick *k)
{
	char text[120];

	snprintf(text, sizeof text, "message %u (%llu KiB) does not fit on this machine's disk", (unsigned)k->number,
	         (unsigned long long)(k->size / 1024));
	session_note(s, SESSION_FAILED, text);
	k->action = PICK_LEAVE;
}

static void ask_for_more(struct session *s)
{
	size_t i;

	while (!s->stopping && !s->no_room &&
	       pop3_client_outstanding(s->client) + pop3_client_queued(s->client) < window(s) &&
	       (i = next_to_fetch(s)) < s->picks.n) {
		uint64_t size = s->picks.v[i].size;

		if (!delivery_has_room(s->setup.deps->delivery, size + s->storing_bytes)) {
			if (!delivery_has_room(s->setup.deps->delivery, s->storing_bytes + ROOM_SPARE)) {
				stop_asking(s, NO_ROOM);
				return;
			}
			leave_too_large(s, &s->picks.v[i]);
			continue;
		}
		s->picks.v[i].asked = true;
		session_queue(s, POP3_RETR, i, size);
		s->cursor++;
	}
}

static void count_total(struct session *s)
{
	if (s->total > 0)
		return;
	for (size_t i = 0; i < s->picks.n; i++)
		s->total += s->picks.v[i].action == PICK_RETR;
}

void session_collect(struct session *s)
{
	count_total(s);
	ask_for_more(s);
	if (s->phase == PHASE_COLLECTING && pop3_client_outstanding(s->client) + pop3_client_queued(s->client) == 0 &&
	    s->storing == 0) {
		turn_to_the_last(s);
		ask_for_more(s);
	}
	if (s->unstored || (s->no_room && pop3_client_outstanding(s->client) > 0)) {
		/* What is under way would only be thrown away. What was stored is deleted next time. */
		s->blameless = true;
		session_end(s, SESSION_LATER, s->unable);
		return;
	}
	if (pop3_client_outstanding(s->client) + pop3_client_queued(s->client) > 0 || s->storing > 0)
		return;
	if (s->doubts.n > 0) {
		/* Retrieved and not stored: no QUIT either. */
		s->blameless = true;
		session_end(s, SESSION_STOPPED, "stopped");
		return;
	}
	session_mark(s, PHASE_DELETING);
}

/* ---- storing ---- */

struct taken { /* one message on its way into the commit */
	struct session *s;
	size_t pick;
	struct gather *gather;
	uint64_t bytes;
};

static void on_stored(void *arg, enum acceptance_result r)
{
	struct taken t = *(struct taken *)arg;
	struct session *s = t.s;

	free(arg);
	gather_free(&t.gather);
	s->storing--;
	s->storing_bytes -= t.bytes;
	if (r == ACCEPTED) {
		s->stored++;
		s->copies += s->picks.v[t.pick].copy;
		s->done++;
		picks_stored(&s->picks, t.pick);
		session_kept(s, t.pick);
		session_no_longer_hard(s, t.pick);
		session_progress(s);
	} else if (r == ACCEPT_NO_SPACE || r == ACCEPT_DISK_ERROR) {
		s->unstored = true;
		if (s->phase != PHASE_ENDED)
			stop_asking(s, r == ACCEPT_NO_SPACE ? NO_ROOM : DISK_FAILS);
	} else {
		s->blameless = true;
		session_end(s, SESSION_LATER, "the database may have lost a message: it is fetched again");
	}
	mind_backlog(s);
	if (s->phase == PHASE_COLLECTING) {
		session_collect(s);
		if (s->phase != PHASE_ENDED)
			session_flush(s);
	}
	session_came_back(s);
}

/* The ledger's row, which commits with the message. */
struct row {
	struct facts key;
	struct ledger_record rec;
	bool copy;
};

static int put_row(struct db_conn *c, void *arg, struct err *e)
{
	struct row *row = arg;
	struct ledger_key key = facts_key(&row->key);

	if (ledger_put(c, &key, &row->rec, e) != 0)
		return -1;
	return row->copy ? facts_set(c, &row->key, FACT_COPIES, "yes", e) : 0;
}

static int drop_row(struct db_conn *c, void *arg, struct err *e)
{
	struct row *row = arg;
	struct ledger_key key = facts_key(&row->key);

	return ledger_remove(c, &key, row->rec.uidl, e);
}

static void row_free(void *arg)
{
	struct row *row = arg;

	facts_free(&row->key);
	free(row->rec.uidl);
	free(row);
}

static struct row *row_new(struct session *s, size_t i)
{
	struct row *row = xcalloc(1, sizeof *row);

	facts_init(&row->key, s->account);
	row->rec = picks_record(&s->picks, i);
	row->rec.uidl = xstrdup(row->rec.uidl);
	row->copy = s->picks.v[i].copy;
	return row;
}

static void tell_runaway(struct session *s, size_t i, const struct sorter_verdict *v)
{
	const char *uidl = s->picks.v[i].key;

	for (size_t n = 0; n < v->nrunaway; n++) {
		const struct config_rule *rule = v->runaway[n];
		const char *pattern = rule->matches != NULL ? rule->matches : "";
		char *once = xasprintf("sort.runaway.%s.%s", rule->label, pattern);
		const struct letter_value values[] = {{"rule", rule->label},
		                                      {"pattern", pattern},
		                                      {"account", s->account->label},
		                                      {"uidl", uidl != NULL ? uidl : "-"},
		                                      {NULL, NULL}};

		report_postmaster(s->setup.deps->delivery, s->rules->config, once, LETTER_RUNAWAY, values);
		free(once);
	}
}

static void log_message(const struct session *s, size_t i, const struct sorter_verdict *v, uint64_t bytes)
{
	const struct pick *k = &s->picks.v[i];
	struct buf users;

	if (!log_wants(LOG_INFO))
		return;
	buf_init(&users, 400);
	for (size_t u = 0; u < v->users.n; u++)
		buf_printf(&users, "%s%s", u > 0 ? "," : "", v->users.v[u]->name);
	log_info("fetch.message", kv_s("sid", s->sid), kv_s("account", s->account->label), kv_s("uidl", k->key),
	         kv_u("size", bytes), kv_n("users", buf_slice(&users)));
	buf_free(&users);
}

static void on_sorted(void *arg, struct sorter_verdict *v)
{
	struct taken *t = arg;
	struct session *s = t->s;
	struct acceptance *a = acceptance_new(s->setup.deps->delivery, s->setup.lane);
	struct buf prefix;

	buf_init(&prefix, 16 * 1024);
	stamp_write(&prefix, s->rules->config, s->account, s->picks.v[t->pick].key, v);
	submission_collected(a, s->rules->config, &v->users, buf_slice(&prefix), t->gather);
	buf_free(&prefix);
	struct journal_note *n = fetch_note(s->account, s->picks.v[t->pick].key, v, t->gather);
	acceptance_note(a, &n);
	acceptance_extra(a, put_row, drop_row, row_new(s, t->pick), row_free);
	log_message(s, t->pick, v, t->bytes);
	tell_runaway(s, t->pick, v);
	sorter_verdict_free(v);
	acceptance_commit(&a, on_stored, t);
}

static void store(struct session *s, size_t i, struct gather *g)
{
	struct taken *t = xmalloc(sizeof *t);

	*t = (struct taken){s, i, g, gather_size(g)};
	s->storing++;
	s->storing_bytes += t->bytes;
	session_under_way(s);
	mind_backlog(s);
	sorting_start(s->rules, s->setup.deps->workers, gather_head(g), s->account, on_sorted, t);
}

/* ---- receiving ---- */

/* A message that is here in full. */
static void keep(struct session *s, size_t i, struct gather *g)
{
	switch (picks_retrieved(&s->picks, i, gather_head(g))) {
	case PICKED_STORE:
		store(s, i, g);
		return;
	case PICKED_DELETE:
	case PICKED_LEAVE:
		s->done++;
		gather_free(&g);
		return;
	case PICKED_HOLD:
		gather_free(&g);
		session_end(s, SESSION_HELD, "the server gives known messages new names in each session");
	}
}

static void keep_undoubted(struct session *s)
{
	struct gather *g;
	size_t i;

	while (s->phase != PHASE_ENDED && (g = session_next_undoubted(s, &i)) != NULL)
		keep(s, i, g);
}

void session_on_retr(struct session *s, const struct pop3_command *cmd, bool ok, struct slice text)
{
	struct buf why;

	s->got = s->lines = 0;
	gather_free(&s->gather);
	if (ok) {
		s->gather = gather_new(s->setup.deps->delivery);
		gather_expect(s->gather, s->picks.v[cmd->tag].size);
		return;
	}
	s->refused++;
	session_refuses_again(s, cmd->tag);
	session_on_refused(s, cmd->tag, text);
	buf_init(&why, 1024);
	buf_printf(&why, "the server refuses to hand out message %u: ", (unsigned)cmd->number);
	text_escape(&why, text, 300);
	session_note(s, SESSION_LATER, buf_str(&why));
	buf_free(&why);
	keep_undoubted(s);
}

/* What a message may grow to: servers count roughly, but five gigabytes for a listed kilobyte are an attack. */
static uint64_t body_limit(const struct session *s, const struct pick *k)
{
	uint64_t limit = 2 * k->size > BODY_SURE ? 2 * k->size : BODY_SURE;
	uint64_t max = s->picks.rules.max_bytes;

	if (max != 0 && 2 * max + BODY_SURE / 64 < limit)
		limit = 2 * max + BODY_SURE / 64;
	return limit;
}

static void cut(struct session *s, const struct pick *k)
{
	struct buf why;

	if (k->key != NULL && s->setup.avoid->n < AVOID_MOST)
		strlist_add(s->setup.avoid, k->key);
	s->blameless = true;
	buf_init(&why, 256);
	buf_printf(&why, "message %u is far larger than the server said; it is left alone until the next reload",
	           (unsigned)k->number);
	session_end(s, SESSION_FAILED, buf_str(&why));
	buf_free(&why);
}

static uint64_t lines_of(struct slice run)
{
	uint64_t n = 0;

	for (size_t lf; (lf = slice_find(run, '\n')) < run.n; n++)
		run = slice_sub(run, lf + 1, run.n);
	return n;
}

void session_on_body(struct session *s, const struct pop3_command *cmd, struct slice run)
{
	const struct pick *k = &s->picks.v[cmd->tag];

	if (cmd->verb == POP3_TOP) {
		session_on_top_body(s, cmd, run);
		return;
	}
	s->got += run.n;
	if (s->got > body_limit(s, k))
		cut(s, k);
	else {
		s->lines += lines_of(run);
		gather_add(s->gather, run);
	}
}

static void take(struct session *s, size_t i)
{
	struct gather *g = s->gather;

	s->gather = NULL;
	if (gather_failed(g)) {
		bool full = gather_error(g) == ENOSPC || gather_error(g) == EDQUOT;
		gather_free(&g);
		s->unstored = true;
		stop_asking(s, full ? NO_ROOM : DISK_FAILS);
		return;
	}
	if (!session_holds_short(s, i, &g))
		keep(s, i, g);
	keep_undoubted(s);
}

void session_on_body_end(struct session *s, const struct pop3_command *cmd)
{
	if (cmd->verb == POP3_TOP)
		session_on_top_end(s, cmd);
	else if (s->gather != NULL) {
		session_on_answered(s, cmd->tag, false);
		if (s->no_room)
			s->unstored = true;
		else
			take(s, cmd->tag);
	}
}
