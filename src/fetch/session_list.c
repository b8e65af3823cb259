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

static void listed_all(struct session *s)
{
	struct err e;

	if (listing_finish(&s->listing, s->has_uidl, &e) != 0) {
		session_end(s, SESSION_FAILED, e.text);
		return;
	}
	s->listed = s->listing.n;
	if (s->listing.odd > 0)
		session_note(s, SESSION_FAILED,
		             "the server's UIDL and LIST do not name the same messages; the others were left alone");
	session_set_phase(s, PHASE_MATCHING);
	if (!facts_lack(&s->facts, &s->listing)) {
		make_picks(s);
		return;
	}
	session_under_way(s);
	database_read(s->setup.deps->database, match, on_matched, s);
}

void session_ask_listing(struct session *s)
{
	/* Capabilities may differ after the log-in (RFC 2449 5); asked together, they cost no time. */
	session_queue(s, POP3_CAPA, 0, 0);
	session_queue(s, POP3_UIDL, 0, 0);
	session_queue(s, POP3_LIST, 0, 0);
}

void session_list(struct session *s)
{
	if (s->capa_done && s->uidl_done && s->list_done)
		listed_all(s);
}

void session_on_listing(struct session *s, const struct pop3_command *cmd, bool ok)
{
	if (cmd->verb == POP3_CAPA) {
		s->caps = (struct pop3_caps){.known = ok, .pipelining = !ok && s->caps.pipelining};
		s->capa_done = !ok;
	} else if (cmd->verb == POP3_UIDL) {
		s->has_uidl = ok;
		s->uidl_done = !ok;
	} else if (!ok) {
		session_end(s, SESSION_LATER, "the server refuses to list the mailbox");
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
		session_end(s, SESSION_FAILED, e.text);
}

void session_on_listed_all(struct session *s, const struct pop3_command *cmd)
{
	if (cmd->verb == POP3_CAPA) {
		s->capa_done = true;
		pop3_client_set_pipelining(s->client, s->caps.pipelining);
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
			header_decode(&decoded, f->value);
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
	picks_top(&s->picks, cmd->tag, buf_slice(&s->head));
	if (k->large)
		k->title = title_of(buf_slice(&s->head));
	buf_clear(&s->head);
}
