#include "base/alloc.h"
#include "base/clock.h"
#include "base/log.h"
#include "base/text.h"
#include "fetch/session_internal.h"
#include "mail/header.h"

#include <stdlib.h>
#include <string.h>

enum { HEAD_MAX = 4 * 1024 * 1024, TOP_MAX = 64 * 1024 * 1024, TITLE_MAX = 1024 * 1024, TOP_EXPECT = 8 * 1024 };

/* ---- UIDL and LIST ---- */

static bool clock_jumped(const struct session *s)
{
	int64_t by;
	bool jumped = clock_watch_jumped(s->setup.clock, &by);

	if (by != 0)
		log_warning("fetch.clock_jumped", kv_i("seconds", by),
		            kv_s("effect", "what is kept at providers for a time stays a day longer"));
	return jumped;
}

static struct picks_rules make_rules(const struct session *s)
{
	static const enum picks_first firsts[] = {
	    [FIRST_ALL] = PICKS_FIRST_ALL, [FIRST_NEW] = PICKS_FIRST_NEW, [FIRST_AGE] = PICKS_FIRST_AGE};
	const struct config_account *a = s->account;
	const char *resume = s->facts.resume;

	return (struct picks_rules){
	    .keep = a->keep,
	    .first = firsts[a->first],
	    .first_age = a->first_age,
	    .max_bytes = a->max_message_kib * 1024,
	    .first_time = !s->facts.visited && !s->facts.any,
	    .has_uidl = s->has_uidl,
	    .can_top = !s->caps.known || s->caps.top,
	    .can_title = s->caps.known && s->caps.top && !*s->setup.titling,
	    .now = clock_wall_s(),
	    .clock_jumped = clock_jumped(s),
	    .resume = resume == NULL                 ? PICKS_AS_USUAL
	              : strcmp(resume, "known") == 0 ? PICKS_ALL_KNOWN
	                                             : PICKS_ALL_NEW,
	    .avoid = s->setup.avoid,
	    .copied = s->facts.copied,
	    .returned = s->facts.returned,
	    .many_returned = s->facts.many_returned,
	};
}

static void quit_held(struct session *s)
{
	struct pop3_command quit = {.verb = POP3_QUIT};

	session_note(s, SESSION_HELD, "nearly all known messages have been replaced by unknown ones");
	session_set_phase(s, PHASE_DELETING);
	pop3_client_queue(s->client, &quit, NULL);
}

/* Listing and ledger are both there. */
static void make_picks(struct session *s)
{
	struct picks_rules rules = make_rules(s);

	picks_make(&s->picks, &rules, &s->listing, &s->facts.records);
	listing_free(&s->listing);
	log_info("fetch.listed", kv_s("sid", s->sid), kv_s("account", s->account->label), kv_u("messages", s->listed),
	         kv_u("records", s->facts.records.n), kv_s("uidl", s->has_uidl ? "yes" : "no"),
	         kv_s("brake", s->picks.brake ? "on" : "off"));
	free(*s->setup.aged_from);
	*s->setup.aged_from = xstrdup(s->facts.from);
	if (s->picks.hold) {
		quit_held(s);
		return;
	}
	s->cursor = 0;
	session_set_phase(s, PHASE_LOOKING);
}

/* Listing and facts are this thread's as long as the phase lasts. */
static int match(struct db_conn *c, void *arg, struct err *e)
{
	struct session *s = arg;

	return facts_match(c, &s->facts, &s->listing, s->has_uidl, e);
}

static void on_matched(void *arg, int rc, const struct err *e)
{
	struct session *s = arg;

	if (rc != 0) {
		session_end(s, SESSION_LATER, e->text);
	} else if (s->phase == PHASE_MATCHING) {
		make_picks(s);
		session_step(s);
	}
	session_came_back(s);
}

/* Named by their UIDLs; "top:…" is what a message without one is called. */
static bool has_own_name(const struct ledger_record *rec)
{
	return !slice_starts_nocase(slice_of(rec->uidl), "top:");
}

static bool any_open_by_uidl(const struct session *s)
{
	for (size_t i = 0; i < s->facts.records.n; i++)
		if (!s->facts.records.v[i].closed && has_own_name(&s->facts.records.v[i]))
			return true;
	return false;
}

static int by_text(const void *a, const void *b)
{
	return strcmp(*(const char *const *)a, *(const char *const *)b);
}

static int by_size(const void *a, const void *b)
{
	const uint64_t *x = a, *y = b;

	return *x < *y ? -1 : *x > *y;
}

/* The sizes of the messages that are on record by a UIDL which is not listed now, sorted; the caller frees. */
static uint64_t *missed_sizes(const struct session *s, size_t *n)
{
	const struct ledger_records *r = &s->facts.records;
	const char **uidls = xreallocarray(NULL, s->listing.n + 1, sizeof *uidls);
	uint64_t *sizes = xreallocarray(NULL, r->n + 1, sizeof *sizes);
	size_t named = 0;

	*n = 0;
	for (size_t i = 0; i < s->listing.n; i++)
		if (s->listing.v[i].uidl != NULL)
			uidls[named++] = s->listing.v[i].uidl;
	if (named > 1)
		qsort(uidls, named, sizeof *uidls, by_text);
	for (size_t i = 0; i < r->n; i++) {
		const char *uidl = r->v[i].uidl;

		if (!r->v[i].closed && has_own_name(&r->v[i]) &&
		    (named == 0 || bsearch(&uidl, uidls, named, sizeof *uidls, by_text) == NULL))
			sizes[(*n)++] = r->v[i].size;
	}
	if (*n > 1)
		qsort(sizes, *n, sizeof *sizes, by_size);
	free(uidls);
	return sizes;
}

/* A message without a UIDL is named by its header, and is new under that name. Where it may be one that is on record
 * by a UIDL it is left for the next look: the server may know its UIDL by then. */
static void leave_doubtful(struct session *s)
{
	size_t n, kept = 0;
	uint64_t *sizes = missed_sizes(s, &n);

	for (size_t i = 0; i < s->listing.n; i++) {
		struct listed *l = &s->listing.v[i];

		if (l->uidl != NULL || n == 0 || bsearch(&l->size, sizes, n, sizeof *sizes, by_size) == NULL)
			s->listing.v[kept++] = *l;
	}
	free(sizes);
	if (kept < s->listing.n)
		session_note(s, SESSION_LATER,
		             "the server gives no UIDL for messages that may have been collected: they are left alone");
	s->listing.n = kept;
}

/* Mail that arrives between UIDL and LIST stands in one of them alone. */
static void ask_again(struct session *s)
{
	listing_free(&s->listing);
	s->asked_twice = true;
	s->uidl_done = s->list_done = false;
	session_queue(s, POP3_UIDL, 0, 0);
	session_queue(s, POP3_LIST, 0, 0);
}

static void listed_all(struct session *s)
{
	struct err e;

	if (listing_finish(&s->listing, s->has_uidl, &e) != 0) {
		session_end_garbled(s, SESSION_FAILED, e.text);
		return;
	}
	if (s->listing.odd > 0 && !s->asked_twice) {
		ask_again(s);
		return;
	}
	if (s->listing.n == 0 && s->listing.odd > 0)
		session_note(s, SESSION_LATER, "the server names messages by UIDL, and LIST shows none of them");
	if (s->has_uidl)
		leave_doubtful(s);
	s->listed = s->listing.n;
	session_set_phase(s, PHASE_MATCHING);
	if (!facts_lack(&s->facts, &s->listing)) {
		make_picks(s);
		return;
	}
	session_under_way(s);
	database_read(s->setup.deps->database, match, on_matched, s);
}

bool session_may_pipeline(const struct session *s)
{
	return s->caps.pipelining && !s->setup.lock_step;
}

void session_ask_listing(struct session *s)
{
	pop3_client_set_pipelining(s->client, session_may_pipeline(s));
	/* Capabilities may differ after the log-in (RFC 2449 5); asked together, they cost no time. */
	session_queue(s, POP3_CAPA, 0, 0);
	session_queue(s, POP3_UIDL, 0, 0);
	session_queue(s, POP3_LIST, 0, 0);
}

/* Without UIDLs messages are named by their headers. Where they have names on record, or the server says that it knows
 * UIDL and they would stay there, the same mail would come again under another name. */
static bool needs_uidl(const struct session *s)
{
	return any_open_by_uidl(s) || (s->caps.known && s->caps.uidl && s->account->keep != 0);
}

void session_list(struct session *s)
{
	if (!s->capa_done || !s->uidl_done || !s->list_done)
		return;
	if (s->uidl_refused && needs_uidl(s))
		session_end_garbled(s, SESSION_LATER, buf_str(&s->refusal));
	else
		listed_all(s);
}

static void keep_refusal(struct session *s, const char *what, struct slice text)
{
	buf_clear(&s->refusal);
	buf_add_str(&s->refusal, what);
	text_escape(&s->refusal, text, 300);
}

void session_on_listing(struct session *s, const struct pop3_command *cmd, bool ok, struct slice text)
{
	if (cmd->verb == POP3_CAPA) {
		s->caps = (struct pop3_caps){.known = ok, .pipelining = !ok && s->caps.pipelining};
		s->capa_done = !ok;
	} else if (cmd->verb == POP3_UIDL) {
		s->has_uidl = ok;
		s->uidl_done = s->uidl_refused = !ok;
		if (!ok)
			keep_refusal(s, "the server refuses to name its messages: ", text);
	} else if (!ok) {
		keep_refusal(s, "the server refuses to list the mailbox: ", text);
		session_end_garbled(s, SESSION_LATER, buf_str(&s->refusal));
	}
}

void session_on_listed(struct session *s, const struct pop3_command *cmd, struct slice line)
{
	struct err e;
	int rc = 0;

	if (cmd->verb == POP3_CAPA)
		pop3_caps_line(&s->caps, line);
	else if (cmd->verb == POP3_UIDL)
		rc = listing_add_uidl(&s->listing, line, &e);
	else
		rc = listing_add_size(&s->listing, line, &e);
	if (rc != 0)
		session_end_garbled(s, SESSION_FAILED, e.text);
}

void session_on_listed_all(struct session *s, const struct pop3_command *cmd)
{
	if (cmd->verb == POP3_CAPA) {
		s->capa_done = true;
		pop3_client_set_pipelining(s->client, session_may_pipeline(s));
	} else if (cmd->verb == POP3_UIDL) {
		s->uidl_done = true;
	} else {
		s->list_done = true;
	}
}

/* ---- TOP ---- */

static size_t next_to_look(struct session *s)
{
	while (s->cursor < s->picks.n && s->picks.v[s->cursor].action != PICK_TOP)
		s->cursor++;
	return s->cursor;
}

void session_look(struct session *s)
{
	size_t i;

	while (s->looking < POP3_WINDOW && (i = next_to_look(s)) < s->picks.n) {
		if (session_skips_top(s, i)) {
			picks_no_top(&s->picks, i);
			continue;
		}
		s->picks.v[i].asked = true;
		session_queue(s, POP3_TOP, i, TOP_EXPECT);
		*s->setup.titling |= s->picks.v[i].curious;
		s->looking++;
		s->cursor++;
	}
	if (s->looking > 0)
		return;
	if (s->picks.hold) {
		quit_held(s);
		return;
	}
	if (session_arrange(s)) {
		s->cursor = 0;
		session_look(s);
		return;
	}
	if (s->picks.ncurious > 0) /* all were answered */
		*s->setup.titling = false;
	picks_settle(&s->picks);
	s->cursor = 0;
	session_mark(s, PHASE_COLLECTING);
}

void session_on_top(struct session *s, const struct pop3_command *cmd, bool ok)
{
	buf_clear(&s->head);
	s->got = 0;
	if (ok)
		return;
	s->looking--;
	s->refused_at = cmd->tag + 1;
	s->picks.v[cmd->tag].asked = false;
	picks_no_top(&s->picks, cmd->tag);
}

void session_on_top_body(struct session *s, const struct pop3_command *cmd, struct slice run)
{
	s->got += run.n;
	if (s->picks.v[cmd->tag].curious && s->got > TITLE_MAX)
		session_end(s, SESSION_LATER, "the server sends more than the header of a large message");
	else if (s->got > TOP_MAX)
		session_end(s, SESSION_FAILED, "a header that does not end");
	else
		buf_add_slice(&s->head, slice_sub(run, 0, HEAD_MAX - s->head.n));
}

/* `FROM: "SUBJECT"` as one harmless line, for a report; the caller frees. */
static char *title_of(struct slice head)
{
	static const char *const fields[] = {"From", "Subject"};
	struct buf decoded, title;
	struct header h;

	header_scan(&h, head);
	buf_init(&title, 2000);
	for (size_t i = 0; i < 2; i++) {
		const struct header_field *f = header_find(&h, fields[i], 0);
		buf_init(&decoded, HEAD_MAX);
		if (f != NULL)
			header_decode_as(&decoded, f->value, header_charset(&h));
		buf_add_str(&title, i == 0 ? "" : ": \"");
		text_escape(&title, buf_slice(&decoded), 200);
		buf_free(&decoded);
	}
	buf_add_char(&title, '"');
	header_free(&h);
	return buf_steal(&title);
}

void session_on_top_end(struct session *s, const struct pop3_command *cmd)
{
	struct pick *k = &s->picks.v[cmd->tag];

	s->looking--;
	session_on_answered(s, cmd->tag, true);
	picks_top(&s->picks, cmd->tag, buf_slice(&s->head));
	if (k->large || k->hopeless)
		k->title = title_of(buf_slice(&s->head));
	buf_clear(&s->head);
}
