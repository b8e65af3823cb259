/* The POP3 client against any bytes a provider may send: a whole session (capabilities, log-in, listing, decisions,
 * TOP, RETR, DELE, QUIT) on its engine, its listing and its picks. The first bytes choose settings and what the ledger
 * knows; the rest is replies, cut into pieces by the bytes themselves.
 *
 * A second, simple reader of the same replies must come to the same events: so nothing counts as received before
 * CRLF.CRLF, and no byte is lost or made up. And nothing is deleted that was not received in full or on record. */
#include "fetch/picks.h"
#include "fetch/pop3_client.h"
#include "fetch/pop3_reply.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { MOST = 300, RECORDS = 25 };

struct run {
	struct pop3_client *c;
	struct slice in;
	struct pop3_caps caps;
	struct listing listing;
	struct picks picks;
	struct ledger_records records;
	struct pop3_command asked[4 * MOST]; /* in the order of their queueing */
	size_t nasked, nanswered;
	bool received[MOST];
	bool has_uidl, lied, picked;
	int stage;
	struct buf trace, body, head;
};

static void check(bool ok)
{
	if (!ok)
		abort();
}

/* ---- what is told ---- */

static void note_reply(struct buf *trace, bool ok)
{
	buf_add_char(trace, ok ? '+' : '-');
}

static void note_text(struct buf *trace, char what, struct slice text)
{
	buf_printf(trace, "%c%zu:", what, text.n);
	buf_add_slice(trace, text);
}

static void on_reply(void *arg, const struct pop3_command *cmd, bool ok, struct slice text)
{
	struct run *r = arg;

	check(cmd->verb == r->asked[r->nanswered].verb && cmd->tag == r->asked[r->nanswered].tag);
	bool more = ok && (cmd->verb == POP3_CAPA || cmd->verb == POP3_UIDL || cmd->verb == POP3_LIST ||
	                   cmd->verb == POP3_TOP || cmd->verb == POP3_RETR);
	r->nanswered += !more;
	note_reply(&r->trace, ok);
	(void)pop3_reply_refusal(text, cmd->verb == POP3_PASS);
	buf_clear(&r->body);
	if (cmd->verb == POP3_UIDL)
		r->has_uidl = ok;
	if (cmd->verb == POP3_CAPA && ok)
		r->caps = (struct pop3_caps){.known = true};
	if (cmd->verb == POP3_TOP && !ok)
		picks_no_top(&r->picks, cmd->tag);
	if (!ok && (cmd->verb == POP3_LIST || cmd->verb == POP3_PASS || cmd->verb == POP3_AUTH_PLAIN))
		r->lied = true;
}

static void on_line(void *arg, const struct pop3_command *cmd, struct slice line)
{
	struct run *r = arg;
	struct err e;

	note_text(&r->trace, 'L', line);
	if (cmd->verb == POP3_CAPA)
		pop3_caps_line(&r->caps, line);
	else if (cmd->verb == POP3_UIDL)
		r->lied |= listing_add_uidl(&r->listing, line, &e) != 0;
	else
		r->lied |= listing_add_size(&r->listing, line, &e) != 0;
}

static void on_body(void *arg, const struct pop3_command *cmd, struct slice run)
{
	(void)cmd;
	buf_add_slice(&((struct run *)arg)->body, run);
}

static void on_end(void *arg, const struct pop3_command *cmd)
{
	struct run *r = arg;

	r->nanswered++;
	if (cmd->verb == POP3_CAPA)
		pop3_client_set_pipelining(r->c, r->caps.pipelining);
	if (cmd->verb == POP3_TOP || cmd->verb == POP3_RETR)
		note_text(&r->trace, 'B', buf_slice(&r->body));
	if (cmd->verb == POP3_TOP)
		picks_top(&r->picks, cmd->tag, buf_slice(&r->body));
	if (cmd->verb == POP3_RETR && picks_retrieved(&r->picks, cmd->tag, buf_slice(&r->body)) == PICKED_STORE) {
		struct ledger_record rec = picks_record(&r->picks, cmd->tag);

		check(rec.uidl != NULL && digest_known(rec.digest) && !rec.closed && !rec.skipped);
		r->received[cmd->tag] = true;
		picks_stored(&r->picks, cmd->tag);
	}
	note_text(&r->trace, 'E', (struct slice){"", 0});
}

static const struct pop3_client_events events = {on_reply, on_line, on_body, on_end};

/* ---- the same by the simplest means ---- */

static struct slice next_line(struct slice *in)
{
	size_t lf = slice_find(*in, '\n');

	if (lf >= in->n || lf + 1 > POP3_LINE_MAX)
		return (struct slice){NULL, 0};
	struct slice line = slice_sub(*in, 0, lf + 1);
	*in = slice_sub(*in, lf + 1, in->n);
	return line;
}

static bool read_listing(struct slice *in, struct buf *trace)
{
	for (;;) {
		struct slice line = next_line(in);

		if (line.p == NULL)
			return false;
		if (slice_is(line, ".\r\n"))
			return true;
		if (line.p[0] == '.')
			line = slice_sub(line, 1, line.n);
		while (line.n > 0 && (line.p[line.n - 1] == '\r' || line.p[line.n - 1] == '\n'))
			line.n--;
		note_text(trace, 'L', line);
	}
}

static bool read_body(struct slice *in, struct buf *trace)
{
	struct buf body;
	bool start = true;
	size_t i = 0;

	buf_init(&body, 1 << 20);
	for (; i < in->n; i++) {
		if (start && in->n - i >= 3 && memcmp(in->p + i, ".\r\n", 3) == 0)
			break;
		if (!start || in->p[i] != '.')
			buf_add_char(&body, in->p[i]);
		start = i > 0 && in->p[i] == '\n' && in->p[i - 1] == '\r';
	}
	bool whole = i < in->n;
	if (whole)
		note_text(trace, 'B', buf_slice(&body));
	*in = slice_sub(*in, whole ? i + 3 : in->n, in->n);
	buf_free(&body);
	return whole;
}

/* Empty lines before a reply are passed over, within bounds. */
static struct slice next_reply(struct slice *in)
{
	for (int i = 0; i <= POP3_BLANK_MAX; i++) {
		struct slice line = next_line(in);

		if (line.p == NULL || slice_trim(line).n > 0)
			return line;
	}
	return (struct slice){NULL, 0};
}

/* false: nothing more can follow. */
static bool read_reply(struct slice *in, enum pop3_verb v, struct buf *trace)
{
	struct slice line = next_reply(in);
	bool continued =
	    v == POP3_AUTH_PLAIN && line.p != NULL && line.p[0] == '+' && !slice_starts_nocase(line, "+OK");

	if (continued)
		line = next_reply(in);
	bool ok = line.p != NULL && slice_starts_nocase(line, "+OK");
	if (!ok && (line.p == NULL || !slice_starts_nocase(line, "-ERR")))
		return false;
	note_reply(trace, ok);
	bool listing = v == POP3_CAPA || v == POP3_UIDL || v == POP3_LIST, body = v == POP3_TOP || v == POP3_RETR;
	if (!ok || (!listing && !body))
		return true;
	if (listing ? !read_listing(in, trace) : !read_body(in, trace))
		return false;
	note_text(trace, 'E', (struct slice){"", 0});
	return true;
}

static void compare(struct run *r, struct slice all)
{
	struct buf trace;

	buf_init(&trace, 1 << 22);
	for (size_t i = 0; i < r->nasked && read_reply(&all, r->asked[i].verb, &trace); i++)
		;
	check(trace.n == r->trace.n && (trace.n == 0 || memcmp(trace.p, r->trace.p, trace.n) == 0));
	buf_free(&trace);
}

/* ---- the session ---- */

static void ask(struct run *r, enum pop3_verb v, size_t tag, const char *argument)
{
	struct pop3_command cmd = {.verb = v, .tag = tag, .expect = 100};

	if (v == POP3_TOP || v == POP3_RETR || v == POP3_DELE)
		cmd.number = r->picks.v[tag].number;
	r->asked[r->nasked++] = cmd;
	pop3_client_queue(r->c, &cmd, argument);
}

static void ask_all(struct run *r, enum pick_action a, enum pop3_verb v)
{
	for (size_t i = 0; i < r->picks.n; i++)
		if (r->picks.v[i].action == a)
			ask(r, v, i, NULL);
}

static void check_deletions(const struct run *r)
{
	for (size_t i = 0; i < r->picks.n; i++) {
		const struct pick *k = &r->picks.v[i];
		bool known = k->rec != NULL && !k->rec->skipped;

		check(k->action != PICK_DELE || r->received[i] || known || k->brake ||
		      r->picks.rules.resume == PICKS_ALL_KNOWN);
		check(k->action != PICK_DELE || r->picks.rules.keep == 0 || (known && k->rec->closed));
	}
}

static void advance(struct run *r, const struct picks_rules *rules)
{
	struct err e;

	if (pop3_client_outstanding(r->c) + pop3_client_queued(r->c) > 0)
		return;
	if (r->stage == 0) {
		struct picks_rules mine = *rules;

		if (r->lied || listing_finish(&r->listing, r->has_uidl, &e) != 0 || r->listing.n > MOST) {
			r->lied = true;
			return;
		}
		mine.has_uidl = r->has_uidl;
		mine.can_top = !r->caps.known || r->caps.top;
		mine.can_title = r->caps.known && r->caps.top;
		picks_make(&r->picks, &mine, &r->listing, &r->records);
		r->picked = true;
		if (!r->picks.hold)
			ask_all(r, PICK_TOP, POP3_TOP);
	} else if (r->stage == 1 && !r->picks.hold) {
		picks_settle(&r->picks);
		ask_all(r, PICK_RETR, POP3_RETR);
	} else if (r->stage == 2 && !r->picks.hold) {
		check_deletions(r);
		ask_all(r, PICK_DELE, POP3_DELE);
		ask(r, POP3_QUIT, 0, NULL);
	}
	r->stage++;
}

static unsigned next(struct run *r)
{
	if (r->in.n == 0)
		return 0;
	unsigned char b = (unsigned char)r->in.p[0];
	r->in = slice_sub(r->in, 1, r->in.n);
	return b;
}

static void make_records(struct run *r, unsigned how)
{
	if ((how & 3) == 0)
		return;
	r->records.v = calloc(RECORDS, sizeof *r->records.v);
	check(r->records.v != NULL);
	for (size_t i = 0; i < RECORDS; i++) {
		struct ledger_record *rec = &r->records.v[r->records.n++];
		char name[16];

		snprintf(name, sizeof name, "u%02zu", i);
		*rec = (struct ledger_record){.uidl = strdup(name), .size = 10, .stored_at = 1000};
		rec->closed = (how & 4) != 0 && i % 2 == 0;
		rec->skipped = (how & 8) != 0 && i % 3 == 0;
		memset(rec->digest, how & 2 ? (int)i + 1 : 0, sizeof rec->digest);
	}
}

static struct picks_rules make_rules(unsigned a, unsigned b)
{
	static const int64_t keeps[] = {0, 86400, INT64_MAX, 0};

	return (struct picks_rules){.keep = keeps[a & 3],
	                            .first = (enum picks_first)((a >> 2) % 3),
	                            .first_age = 86400,
	                            .first_time = (a & 16) != 0,
	                            .max_bytes = a & 32 ? 1000 : 0,
	                            .resume = (enum picks_resume)((b >> 6) % 3),
	                            .now = 2000};
}

static void begin(struct run *r, unsigned how)
{
	pop3_client_set_pipelining(r->c, (how & 1) != 0);
	ask(r, POP3_CAPA, 0, NULL);
	if (how & 2) {
		ask(r, POP3_AUTH_PLAIN, 0, "AHUAcA==");
	} else {
		ask(r, POP3_USER, 0, "u");
		ask(r, POP3_PASS, 0, "p");
	}
	ask(r, POP3_CAPA, 0, NULL);
	ask(r, POP3_UIDL, 0, NULL);
	ask(r, POP3_LIST, 0, NULL);
}

static void finish(struct run *r)
{
	if (r->picked)
		picks_free(&r->picks);
	listing_free(&r->listing);
	for (size_t i = 0; i < r->records.n; i++)
		free(r->records.v[i].uidl);
	free(r->records.v);
	pop3_client_free(&r->c);
	buf_free(&r->trace);
	buf_free(&r->body);
	free(r);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct run *r = calloc(1, sizeof *r);
	struct buf all;
	struct err e;
	int rc = 0;

	check(r != NULL);
	r->in = slice_make((const char *)data, size);
	unsigned a = next(r), b = next(r);
	struct picks_rules rules = make_rules(a, b);
	make_records(r, b >> 2);
	buf_init(&r->trace, 1 << 22);
	buf_init(&r->body, 1 << 20);
	buf_init(&all, 1 << 20);
	r->c = pop3_client_new(&events, r);
	begin(r, b);
	while (rc == 0 && r->in.n > 0) {
		size_t n = 1 + 7 * (size_t)next(r);
		struct slice piece = slice_sub(r->in, 0, n);

		r->in = slice_sub(r->in, piece.n, r->in.n);
		buf_add_slice(&all, piece);
		rc = pop3_client_feed(r->c, piece, &e);
		buf_clear(pop3_client_out(r->c));
		check(pop3_client_outstanding(r->c) <= POP3_WINDOW);
		if (r->lied)
			pop3_client_halt(r->c);
		if (rc == 0 && !r->lied)
			advance(r, &rules);
		if (r->lied)
			break;
	}
	compare(r, buf_slice(&all));
	buf_free(&all);
	finish(r);
	return 0;
}
