#include "base/alloc.h"
#include "base/clock.h"
#include "base/log.h"
#include "base/random.h"
#include "fetch/session_internal.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { DRIP_MS = 60000, DRIP_LEAST_BPS = 10, DRIP_STRIKES = 2 };

struct fetch_rules *fetch_rules_new(const struct config *c)
{
	struct fetch_rules *r = xcalloc(1, sizeof *r);

	r->config = config_ref(c);
	r->sorter = sorter_new(c);
	r->scratch = sorter_scratch_new(r->sorter);
	r->refs = 1;
	return r;
}

struct fetch_rules *fetch_rules_ref(struct fetch_rules *r)
{
	r->refs++;
	return r;
}

void fetch_rules_unref(struct fetch_rules **rp)
{
	struct fetch_rules *r = *rp;

	*rp = NULL;
	if (r == NULL || --r->refs > 0)
		return;
	sorter_scratch_free(&r->scratch);
	sorter_free(&r->sorter);
	config_unref(&r->config);
	free(r);
}

/* ---- the end ---- */

static void hang_up(struct session *s)
{
	session_forget_password(s);
	outside_close(&s->line);
	loop_timer_cancel(s->deadline);
	loop_timer_cancel(s->drip);
	if (s->client != NULL)
		pop3_client_halt(s->client);
}

static void log_end(const struct session *s)
{
	static const char *const outcomes[] = {
	    [SESSION_WELL] = "well",      [SESSION_LATER] = "later",   [SESSION_WRONG] = "wrong",
	    [SESSION_UNSURE] = "unsure",  [SESSION_FAILED] = "failed", [SESSION_HELD] = "held",
	    [SESSION_STOPPED] = "stopped"};
	struct kv kv[] = {
	    kv_s("sid", s->sid),
	    kv_s("account", s->account->label),
	    kv_s("outcome", outcomes[s->outcome]),
	    kv_u("listed", s->listed),
	    kv_u("stored", s->stored),
	    kv_u("deleted", s->deleted),
	    kv_u("bytes", s->heard),
	    kv_i("ms", clock_mono_ms() - s->began_ms),
	    kv_n("error", buf_slice(&s->text)),
	    KV_END,
	};

	log_event(s->outcome == SESSION_WELL ? LOG_INFO : LOG_WARNING, "fetch.end", kv);
}

static void destroy(struct session *s)
{
	pop3_client_free(&s->client);
	loop_timer_free(&s->deadline);
	loop_timer_free(&s->drip);
	gather_free(&s->gather);
	session_doubts_free(s);
	picks_free(&s->picks);
	listing_free(&s->listing);
	facts_free(&s->facts);
	buf_free(&s->head);
	buf_free(&s->text);
	buf_free(&s->refusal);
	free(s->kept);
	if (s->password != NULL)
		explicit_bzero(s->password, strlen(s->password));
	free(s->password);
	fetch_rules_unref(&s->rules);
	outside_memory_unref(&s->setup.memory);
	free(s);
}

static void report_and_free(void *arg)
{
	struct session *s = arg;
	struct session_result r = {
	    .outcome = s->outcome,
	    .text = buf_str(&s->text),
	    .listed = s->listed,
	    .stored = s->stored,
	    .deleted = s->deleted,
	    .bytes = s->heard,
	    .copies = s->copies,
	    .entered = s->entered,
	    .broke = s->broke,
	    .expected = s->expected,
	    .more = s->more,
	    .login_delay = s->caps.login_delay,
	    .told = s->facts.told,
	    .login_refused = s->login_refused,
	    .no_password = s->no_password,
	    .blames_pipelining = s->blames_pipelining && !s->stopping,
	    .slow = s->slow,
	    .crowd = s->stopping ? CROWD_NONE : s->crowd,
	};

	log_end(s);
	s->setup.done(s->setup.arg, &r);
	destroy(s);
}

static void free_when_quiet(struct session *s)
{
	if (s->phase != PHASE_ENDED || s->under_way > 0 || s->freeing)
		return;
	s->freeing = true;
	/* From the loop: whoever is on the stack may still look at s. */
	loop_post(s->setup.deps->loop, report_and_free, s);
}

void session_note(struct session *s, enum session_outcome o, const char *text)
{
	if (s->outcome != SESSION_WELL)
		return;
	s->outcome = o;
	buf_add_slice(&s->text, slice_sub(slice_of(text), 0, 1000));
}

void session_end(struct session *s, enum session_outcome o, const char *text)
{
	if (s->phase == PHASE_ENDED)
		return;
	if (o == SESSION_LATER || o == SESSION_FAILED)
		session_blame(s);
	session_note(s, o, text);
	session_set_phase(s, PHASE_ENDED);
	hang_up(s);
	free_when_quiet(s);
}

static void blame_pipelining(struct session *s)
{
	s->blames_pipelining = true;
	log_warning("fetch.pipelining_broken", kv_s("sid", s->sid), kv_s("account", s->account->label),
	            kv_s("host", s->account->login.host));
	session_doubt(s);
}

void session_end_garbled(struct session *s, enum session_outcome o, const char *text)
{
	if (s->phase != PHASE_ENDED && pop3_client_has_pipelined(s->client))
		blame_pipelining(s);
	session_end(s, o, text);
}

void session_under_way(struct session *s)
{
	s->under_way++;
}

void session_came_back(struct session *s)
{
	s->under_way--;
	free_when_quiet(s);
}

/* ---- the line ---- */

static bool awaiting(const struct session *s)
{
	return s->client != NULL && pop3_client_outstanding(s->client) > 0;
}

void session_flush(struct session *s)
{
	if (s->line == NULL || s->feeding)
		return;
	struct buf *out = pop3_client_out(s->client);
	if (out->n > 0) {
		evbuffer_add(outside_out(s->line), out->p, out->n);
		explicit_bzero(out->p, out->n);
		buf_clear(out);
	}
	s->moved_ms = clock_mono_ms();
	s->patience_ms = !awaiting(s) ? 0 : s->timeout_ms;
	if (pop3_client_in_pipeline(s->client) && !s->setup.patient && s->patience_ms > SESSION_BLAME_MS)
		s->patience_ms = SESSION_BLAME_MS;
	outside_set_timeout(s->line, s->patience_ms);
}

static struct pop3_command command(const struct session *s, enum pop3_verb v, size_t pick, uint64_t expect)
{
	return (struct pop3_command){
	    .verb = v,
	    .number = v == POP3_TOP || v == POP3_RETR || v == POP3_DELE ? s->picks.v[pick].number : 0,
	    .tag = pick,
	    .expect = expect,
	};
}

void session_queue(struct session *s, enum pop3_verb v, size_t pick, uint64_t expect)
{
	struct pop3_command cmd = command(s, v, pick, expect);

	pop3_client_queue(s->client, &cmd, NULL);
}

void session_queue_first(struct session *s, enum pop3_verb v, size_t pick, uint64_t expect)
{
	struct pop3_command cmd = command(s, v, pick, expect);

	pop3_client_queue_first(s->client, &cmd);
}

static int64_t drip_ms(const struct session *s)
{
	return s->timeout_ms > DRIP_MS ? s->timeout_ms : DRIP_MS;
}

/* A byte a second is not silence, and yet nothing comes of it. */
static void on_drip(void *arg)
{
	struct session *s = arg;
	uint64_t least = DRIP_LEAST_BPS * (uint64_t)drip_ms(s) / 1000;

	if (awaiting(s) && s->storing == 0 && s->heard - s->heard_before < least)
		s->drips++;
	else
		s->drips = 0;
	s->heard_before = s->heard;
	if (s->drips >= DRIP_STRIKES)
		session_end(s, SESSION_LATER, "the server sends too slowly");
	else
		loop_timer_set(s->drip, drip_ms(s));
}

static void on_deadline(void *arg)
{
	session_end(arg, SESSION_LATER, "the server did not answer the log-in in time");
}

void session_step(struct session *s)
{
	if (s->phase == PHASE_LISTING)
		session_list(s);
	if (s->phase == PHASE_LOOKING)
		session_look(s);
	if (s->phase == PHASE_COLLECTING)
		session_collect(s);
	if (s->phase != PHASE_ENDED)
		session_flush(s);
}

/* Where a reply to one command alone takes so long, silence after several proves nothing. */
static void mind_slowness(struct session *s)
{
	if (pop3_client_awaits_reply(s->client) && clock_mono_ms() - s->moved_ms >= SESSION_BLAME_MS)
		s->slow = true;
}

static void on_readable(void *arg)
{
	struct session *s = arg;
	struct evbuffer *in = outside_in(s->line);
	struct err e;

	mind_slowness(s);
	while (s->phase != PHASE_ENDED && evbuffer_get_length(in) > 0) {
		struct evbuffer_iovec v;

		if (evbuffer_peek(in, -1, NULL, &v, 1) < 1)
			break;
		s->heard += v.iov_len;
		s->feeding = true;
		int rc = pop3_client_feed(s->client, slice_make(v.iov_base, v.iov_len), &e);
		s->feeding = false;
		if (rc != 0)
			session_end_garbled(s, SESSION_FAILED, e.text);
		if (s->phase != PHASE_ENDED)
			evbuffer_drain(in, v.iov_len);
	}
	session_step(s);
}

static void on_ready(void *arg)
{
	struct session *s = arg;

	pop3_caps_transcript(&s->caps, outside_transcript(s->line));
	loop_timer_set(s->drip, drip_ms(s));
	session_login(s);
	session_flush(s);
}

static bool fell_silent(const struct session *s)
{
	return s->patience_ms > 0 && clock_mono_ms() - s->moved_ms >= s->patience_ms;
}

/* A connection that is cut off while mail comes is the line's fault; one that is cut off at the first commands that
 * travel together may be a server's that cannot read two at once. */
static bool pipelining_may_be_why(const struct session *s, enum outside_failure f)
{
	return f == OUTSIDE_NETWORK && pop3_client_in_pipeline(s->client) &&
	       (fell_silent(s) || s->phase == PHASE_LISTING);
}

/* Before the log-in a server says little about why it does not want us. */
static enum session_crowd crowd_behind(const struct session *s, enum outside_failure f, struct slice reply)
{
	if (f == OUTSIDE_LOGIN || f == OUTSIDE_GREETING) {
		enum session_crowd c = session_crowd_of(reply);

		return c == CROWD_NONE && f == OUTSIDE_GREETING && slice_starts_nocase(reply, "-ERR") ? CROWD_CLOSED
		                                                                                      : c;
	}
	return f == OUTSIDE_NETWORK && s->phase <= PHASE_LOGIN && !fell_silent(s) ? CROWD_CLOSED : CROWD_NONE;
}

static enum session_outcome outcome_of(enum outside_failure f, struct slice reply)
{
	switch (f) {
	case OUTSIDE_NETWORK:
		return SESSION_LATER;
	case OUTSIDE_GREETING:
		return pop3_reply_refusal(reply, true) == POP3_LATER ? SESSION_LATER : SESSION_FAILED;
	default:
		return SESSION_FAILED;
	}
}

static void on_line_failed(void *arg, enum outside_failure f, const char *text, const char *reply)
{
	struct session *s = arg;

	if (s->phase == PHASE_CLOSING) /* QUIT was confirmed: the server hangs up, as it should */
		return;
	if (s->phase == PHASE_DELETING) {
		bool only_quit = pop3_client_outstanding(s->client) == 1 && pop3_client_queued(s->client) == 0;

		if (only_quit && s->deleted == 0) { /* nothing hung on it */
			session_end(s, SESSION_WELL, "");
			return;
		}
		s->deleted = 0; /* nothing of it is confirmed */
	}
	if (pipelining_may_be_why(s, f))
		blame_pipelining(s);
	s->crowd = crowd_behind(s, f, slice_of(reply));
	if (f == OUTSIDE_LOGIN)
		session_on_login_failed(s, text, slice_of(reply));
	else
		session_end(s, outcome_of(f, slice_of(reply)), text);
}

static const struct outside_callbacks line_callbacks = {on_ready, on_readable, NULL, on_line_failed};

struct outside *session_open_line(struct session *s, const struct outside_target *t)
{
	return outside_open(s->setup.deps->loop, t, &line_callbacks, s);
}

/* ---- events of the client ---- */

static void on_reply(void *arg, const struct pop3_command *cmd, bool ok, struct slice text)
{
	struct session *s = arg;

	log_debug("fetch.reply", kv_s("sid", s->sid), kv_i("verb", cmd->verb), kv_u("number", cmd->number),
	          kv_s("ok", ok ? "yes" : "no"), kv_n("text", text));
	switch (cmd->verb) {
	case POP3_USER:
	case POP3_PASS:
	case POP3_AUTH_PLAIN:
		session_on_login(s, cmd, ok, text);
		break;
	case POP3_CAPA:
	case POP3_UIDL:
	case POP3_LIST:
		session_on_listing(s, cmd, ok, text);
		break;
	case POP3_TOP:
		session_on_top(s, cmd, ok);
		break;
	case POP3_RETR:
		session_on_retr(s, cmd, ok, text);
		break;
	case POP3_DELE:
		session_on_delete(s, cmd, ok, text);
		break;
	case POP3_QUIT:
		session_on_quit(s, cmd, ok, text);
	}
}

static void on_listed(void *arg, const struct pop3_command *cmd, struct slice line)
{
	session_on_listed(arg, cmd, line);
}

static void on_body(void *arg, const struct pop3_command *cmd, struct slice run)
{
	session_on_body(arg, cmd, run);
}

static void on_end(void *arg, const struct pop3_command *cmd)
{
	if (cmd->verb == POP3_TOP || cmd->verb == POP3_RETR)
		session_on_body_end(arg, cmd);
	else
		session_on_listed_all(arg, cmd);
}

static const struct pop3_client_events client_events = {on_reply, on_listed, on_body, on_end};

/* ---- the beginning ---- */

void session_set_phase(struct session *s, enum session_phase p)
{
	s->phase = p;
	s->entered |= p == PHASE_LISTING;
	if (p == PHASE_COLLECTING) /* what was said of headers is over */
		s->refused_at = 0;
	if (p == PHASE_LISTING) {
		loop_timer_cancel(s->deadline);
		s->setup.entered(s->setup.arg);
	}
	session_progress(s);
}

void session_progress(struct session *s)
{
	static const char *const names[] = {
	    [PHASE_PREPARING] = "connecting", [PHASE_CONNECTING] = "connecting", [PHASE_LOGIN] = "connecting",
	    [PHASE_LISTING] = "listing",      [PHASE_MATCHING] = "listing",      [PHASE_LOOKING] = "listing",
	    [PHASE_MARKING] = "listing",      [PHASE_COLLECTING] = "collecting", [PHASE_REMARKING] = "deleting",
	    [PHASE_DELETING] = "deleting",    [PHASE_CLOSING] = "deleting"};

	if (s->phase != PHASE_ENDED)
		s->setup.progress(s->setup.arg, names[s->phase], s->done, s->total, s->heard);
}

struct session *session_start(const struct session_setup *setup)
{
	struct session *s = xcalloc(1, sizeof *s);
	unsigned char id[4];

	s->setup = *setup;
	s->setup.memory = outside_memory_ref(setup->memory);
	s->rules = fetch_rules_ref(setup->rules);
	s->account = setup->account;
	s->timeout_ms = s->account->timeout * 1000;
	random_bytes(id, sizeof id);
	snprintf(s->sid, sizeof s->sid, "f%02x%02x%02x%02x", id[0], id[1], id[2], id[3]);
	s->began_ms = clock_mono_ms();
	buf_init(&s->text, 1024);
	buf_init(&s->refusal, 512);
	buf_init(&s->head, 4 * 1024 * 1024);
	s->client = pop3_client_new(&client_events, s);
	s->deadline = loop_timer_new(setup->deps->loop, on_deadline, s);
	s->drip = loop_timer_new(setup->deps->loop, on_drip, s);
	facts_init(&s->facts, s->account);
	if (*setup->aged_from != NULL) {
		free(s->facts.from);
		s->facts.from = xstrdup(*setup->aged_from);
	}
	log_info("fetch.begin", kv_s("sid", s->sid), kv_s("account", s->account->label),
	         kv_s("host", s->account->login.host), kv_u("port", s->account->login.port));
	session_set_phase(s, PHASE_PREPARING);
	session_prepare(s);
	return s;
}

bool session_has_listed(const struct session *s)
{
	return s->phase >= PHASE_LISTING;
}

bool session_is_in(const struct session *s)
{
	return s->phase >= PHASE_LISTING && s->phase != PHASE_ENDED;
}

uint64_t session_heard(const struct session *s)
{
	return s->heard;
}

void session_stop(struct session *s)
{
	s->stopping = true;
	if (s->phase < PHASE_COLLECTING)
		session_end(s, SESSION_STOPPED, "stopped");
	else if (s->phase == PHASE_COLLECTING) {
		pop3_client_forget_queued(s->client);
		session_step(s);
	}
}

void session_abort(struct session *s)
{
	session_end(s, SESSION_STOPPED, "stopped");
}
