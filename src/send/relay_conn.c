/* One connection to a relay: libcurl's line, the SMTP machine, and the files that flow into it. */
#include "base/alloc.h"
#include "base/clock.h"
#include "base/log.h"
#include "base/random.h"
#include "net/outside.h"
#include "send/sender_internal.h"
#include "send/source.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum relay_conn_state { CONN_OPENING, CONN_LIVE, CONN_QUITTING, CONN_GONE };

struct pick { /* a message in our hands whose file is open or being opened */
	struct message *m;
	struct source *src;
	struct smtp_transaction *t; /* once it began */
};

struct relay_conn {
	TAILQ_ENTRY(relay_conn) entry;
	struct lane *lane;
	char sid[12], *host;
	enum relay_conn_state state;
	bool counted; /* in lane->nconns */
	bool retiring;
	size_t begun, most; /* transactions; as many as one connection may have, 0 = any number */
	struct outside *o;
	struct smtp_client *client;
	struct pick now, next; /* being written; to be written behind it */
	unsigned answered;     /* transactions that the relay said something about */
	unsigned ended, seen;  /* all that ended; as many as the clocks know of */
	bool losing, blame;    /* inside smtp_client_lost; the next one to end is the one it was lost at */
	bool pumping, again, idle;
	int64_t silence_ms;
	struct loop_timer *timer; /* idle, QUIT's reply, or stalled: by state */
};

/* It has had all the messages that one connection may have. */
static bool is_full(const struct relay_conn *c)
{
	return smtp_client_spent(c->client) || (c->most > 0 && c->begun >= c->most);
}

/* One that is full keeps its place until it is gone: the relay may count it too. */
static bool gives_place(const struct relay_conn *c)
{
	return c->state == CONN_GONE || (c->state == CONN_LIVE && c->retiring) ||
	       (c->state == CONN_QUITTING && !is_full(c));
}

static void set_state(struct relay_conn *c, enum relay_conn_state state)
{
	c->state = state;
	if (c->counted && gives_place(c)) {
		c->counted = false;
		c->lane->nconns--;
	}
}

/* Never from inside a call that may still look at it: from the loop, or at the very end. */
static void destroy(struct relay_conn *c)
{
	TAILQ_REMOVE(&c->lane->gone, c, entry);
	loop_timer_free(&c->timer);
	smtp_client_free(&c->client);
	free(c->host);
	free(c);
}

void relay_conn_destroy_gone(struct lane *l)
{
	struct relay_conn *c, *next;

	for (c = TAILQ_FIRST(&l->gone); c != NULL; c = next) {
		next = TAILQ_NEXT(c, entry);
		destroy(c);
	}
}

struct relay_conn *relay_conn_next(struct relay_conn *c)
{
	return TAILQ_NEXT(c, entry);
}

/* ---- the end ---- */

/* What is in our hands but was not begun goes back as if never taken. */
static void put_back(struct pick *p)
{
	source_close(&p->src);
	if (p->m != NULL && p->t == NULL)
		lane_add(p->m->s, p->m, true);
	*p = (struct pick){0};
}

bool relay_conn_let_go(struct relay_conn *c, const struct message *m)
{
	if (c->next.m != m || c->next.t != NULL)
		return false;
	source_close(&c->next.src);
	c->next = (struct pick){0};
	return true;
}

/* Whether the message that the connection was lost at is to wait for it. A 421 after some work is a server that wants a
 * new connection, up to a bound; with nothing done the message may be what it cannot stand, unless it says otherwise.
 */
static bool blames(const struct relay_conn *c, struct message *m, const struct smtp_transaction *t)
{
	enum smtp_topic topic = smtp_client_topic(c->client);

	if (c->lane->s->stopping || smtp_client_lied_chunking(c->client) || topic == SMTP_TOPIC_PIPELINING ||
	    t->most > 0)
		return false;
	if (c->answered > 0)
		return ++m->dismissals >= (smtp_client_dismissed(c->client) ? SENDER_DISMISSALS : SENDER_BREAKS);
	if (!smtp_client_dismissed(c->client))
		return true;
	return topic != SMTP_TOPIC_RATE && topic != SMTP_TOPIC_MESSAGES && topic != SMTP_TOPIC_CONNECTIONS;
}

/* Before its transactions end, so that they find the lane as it is. */
static void note_loss(struct relay_conn *c, struct lane_loss *loss)
{
	enum smtp_topic topic = c->client != NULL ? smtp_client_topic(c->client) : loss->topic;

	loss->topic = topic;
	loss->progress = c->answered > 0;
	if (c->client == NULL || c->lane->s->stopping)
		return;
	lane_note_loss(c->lane, c->answered, smtp_client_unfinished(c->client), c->client);
	if (smtp_client_dismissed(c->client) && c->answered == 0 &&
	    (topic == SMTP_TOPIC_RATE || topic == SMTP_TOPIC_MESSAGES ||
	     (topic == SMTP_TOPIC_CONNECTIONS && c->lane->nconns == 0))) {
		loss->slowed = true;
		lane_slow(c->lane, c->lane->pace.turn, loss->text);
	}
}

static void lose_transactions(struct relay_conn *c, const char *why)
{
	if (c->client == NULL)
		return;
	c->losing = true;
	smtp_client_lost(c->client, why);
	c->losing = false;
}

static void end(struct relay_conn *c, const struct lane_loss *loss)
{
	struct lane *l = c->lane;
	struct lane_loss told = *loss;

	if (c->state == CONN_GONE)
		return;
	char *text = xstrdup(loss->text);
	bool quitting = c->state == CONN_QUITTING;
	told.text = text;
	set_state(c, CONN_GONE);
	TAILQ_REMOVE(&l->conns, c, entry);
	TAILQ_INSERT_TAIL(&l->gone, c, entry);
	loop_timer_set(c->timer, 0);
	outside_close(&c->o);
	source_close(&c->now.src);
	put_back(&c->next);
	if (!quitting)
		note_loss(c, &told);
	lose_transactions(c, text);
	put_back(&c->now);
	if (!quitting) {
		log_info("send.disconnect", kv_s("sid", c->sid), kv_s("relay", c->host), kv_s("why", text),
		         kv_u("messages", c->answered));
		lane_lost(l, &told);
	} else {
		lane_kick(l);
	}
	free(text);
	sender_check_stopped(l->s);
}

static void end_trouble(struct relay_conn *c)
{
	struct lane_loss loss = {.connected = true, .trouble = MEND_NETWORK, .text = smtp_client_trouble(c->client)};

	if (smtp_client_topic(c->client) == SMTP_TOPIC_LOGIN)
		loss.trouble = MEND_WANTS_LOGIN;
	else if (smtp_client_topic(c->client) == SMTP_TOPIC_HELLO)
		loss.trouble = MEND_HELLO;
	end(c, &loss);
}

static void flush(struct relay_conn *c)
{
	struct buf *b = smtp_client_out(c->client);

	if (b->n == 0 || c->o == NULL)
		return;
	evbuffer_add(outside_out(c->o), b->p, b->n);
	buf_clear(b);
}

static void quit(struct relay_conn *c)
{
	if (smtp_client_spent(c->client))
		lane_note_loss(c->lane, c->answered, 0, c->client);
	else if (c->answered > 0)
		c->lane->careful = false;
	set_state(c, CONN_QUITTING);
	smtp_client_quit(c->client);
	flush(c);
	loop_timer_set(c->timer, SENDER_QUIT_MS);
}

static void on_timer(void *arg)
{
	struct relay_conn *c = arg;
	struct lane_loss stalled = {.connected = true, .text = "the relay takes and answers nothing any more"};

	if (c->state == CONN_GONE)
		destroy(c);
	else if (c->state == CONN_LIVE && c->idle && c->lane->nwork > 0 && lane_wait_ms(c->lane) < SENDER_LINGER_MS)
		loop_timer_set(c->timer, SENDER_IDLE_MS);
	else if (c->state == CONN_LIVE && c->idle)
		quit(c);
	else
		end(c, &stalled);
}

/* ---- transactions ---- */

/* A server that closes with our bytes unread takes its last replies along (RFC 1122 4.2.2.13), a 421 too. After some
 * work that is no reason to wait: what was under way goes again at once, one by one, and each but once. */
static void try_again(const struct relay_conn *c, struct message *m, struct smtp_transaction *t)
{
	if (m->unknown || c->answered == 0 || c->lane->s->stopping)
		return;
	for (size_t i = 0; i < t->n; i++) {
		if (t->results[i].fate != SMTP_UNKNOWN)
			continue;
		t->results[i].fate = SMTP_UNTRIED;
		m->unknown = true;
		log_warning("send.unknown", kv_s("sid", c->sid), kv_s("id", m->q->id), kv_s("to", t->recipients[i]),
		            kv_s("relay", c->host), kv_s("reply", t->results[i].reply), kv_s("effect", "sent again"));
	}
}

/* The precaution after a break has been long enough. */
static void relax(struct relay_conn *c)
{
	c->lane->careful = false;
	smtp_client_be_careful(c->client, false);
}

static void finished(void *arg, struct smtp_transaction *t)
{
	struct relay_conn *c = arg;
	struct lane *l = c->lane;
	struct message *m = t->owner;
	/* The first of those under way is the one that it was lost at. */
	bool blame = c->losing && smtp_client_unfinished(c->client) == 0 && blames(c, m, t);

	if (c->now.t == t) {
		source_close(&c->now.src);
		c->now = (struct pick){0};
	}
	if (c->losing && !blame)
		try_again(c, m, t);
	if (lane_heard(l, m, t) && !c->losing) {
		c->answered++;
		l->chunking_works = l->chunking_works || smtp_client_chunking_works(c->client);
		if (c->answered >= SENDER_CAREFUL)
			relax(c);
		if (c->answered >= SMTP_CLIENT_WINDOW)
			l->breaks = 0;
		lane_works(l);
	}
	c->ended++;
	c->again = true;
	attempt_transaction(m, t, blame);
	lane_judge_pace(l);
}

static const struct smtp_client_events client_events = {finished};

/* An opened file becomes a transaction, or what is wrong with it ends the attempt. */
static void begin(struct relay_conn *c)
{
	struct message *m = c->next.m;
	int error = source_error(c->next.src);
	struct smtp_transaction *t = error == 0 ? attempt_next(m) : NULL;

	if (t == NULL) {
		source_close(&c->next.src);
		c->next = (struct pick){0};
		if (error != 0)
			missing_file(m, error);
		else
			attempt_idle(m);
		return;
	}
	missing_found(m->s);
	t->size = source_size(c->next.src);
	t->by_data = m->by_data;
	t->turn = pace_begin(&c->lane->pace, clock_mono_ms());
	c->begun++;
	free(m->relay);
	m->relay = xstrdup(c->host);
	memcpy(m->sid, c->sid, sizeof m->sid);
	log_debug("send.begin", kv_s("sid", c->sid), kv_s("id", m->q->id), kv_u("recipients", t->n));
	c->now = (struct pick){m, c->next.src, t};
	c->next = (struct pick){0};
	smtp_client_begin(c->client, t);
}

static void on_source(void *arg)
{
	relay_conn_pump(arg);
}

/* Nothing but a file's last bytes is before a message that is given to it now. */
static bool takes_more(const struct relay_conn *c)
{
	return c->next.m == NULL && !c->retiring && !is_full(c) && smtp_client_has_room(c->client) &&
	       (c->now.m == NULL || source_left(c->now.src) <= SOURCE_CHUNK);
}

size_t relay_conn_unfinished(const struct relay_conn *c)
{
	return c->state == CONN_LIVE ? smtp_client_unfinished(c->client) : 0;
}

size_t relay_conn_at_risk(const struct relay_conn *c)
{
	return c->state == CONN_LIVE ? smtp_client_at_risk(c->client) : 0;
}

bool relay_conn_available(const struct relay_conn *c)
{
	return c->state == CONN_OPENING || (c->state == CONN_LIVE && takes_more(c));
}

/* The next file is opened while the last bytes of this one are written, so that its commands travel with them. */
static bool pick(struct relay_conn *c)
{
	struct lane *l = c->lane;

	if (l->s->stopping || !takes_more(c) || lane_wait_ms(l) > SENDER_PICK_AHEAD_MS)
		return false;
	struct message *m = lane_take(l);
	if (m == NULL)
		return false;
	if (smtp_client_wants_login(c->client) && lane_unwelcome(l, m))
		return true;
	char *path = message_path(l->s, m->q->id, ".eml");
	c->next = (struct pick){m, source_open(l->s->d.workers, path, on_source, c), NULL};
	free(path);
	return true;
}

/* Writes what is at hand; true where more could follow at once. */
static bool feed(struct relay_conn *c)
{
	struct source *src = c->now.src;

	if (c->now.t == NULL || smtp_client_feeding(c->client) != c->now.t ||
	    evbuffer_get_length(outside_out(c->o)) > SENDER_HIGH_WATER)
		return false;
	if (source_error(src) != 0) {
		struct lane_loss loss = {.connected = true, .text = "the message's file could not be read to its end"};
		end(c, &loss);
		return false;
	}
	if (source_left(src) == 0) {
		source_close(&c->now.src);
		c->now = (struct pick){0};
		smtp_client_body_end(c->client);
		return true;
	}
	struct slice chunk = source_chunk(src);
	if (chunk.n == 0 || !smtp_client_body(c->client, chunk))
		return false;
	source_next(src);
	flush(c);
	return true;
}

static bool start(struct relay_conn *c)
{
	if (c->next.m == NULL || c->now.m != NULL || !source_opened(c->next.src) || !smtp_client_ready(c->client) ||
	    !lane_may_begin(c->lane))
		return false;
	begin(c);
	return true;
}

static bool is_idle(const struct relay_conn *c)
{
	return smtp_client_unfinished(c->client) == 0 && !smtp_client_awaits_reply(c->client) && c->now.m == NULL &&
	       c->next.m == NULL;
}

static int64_t silence_of(const struct relay_conn *c)
{
	if (is_idle(c))
		return 0;
	return smtp_client_awaits_final(c->client) ? SENDER_FINAL_MS : SENDER_REPLY_MS;
}

/* Nothing was accepted, one at least was refused for want of a log-in, and no other is left to try. */
static bool is_barred(const struct relay_conn *c)
{
	return is_idle(c) && smtp_client_wants_login(c->client) && c->lane->unwelcome.n > 0 && c->lane->nwork == 0;
}

/* Silence counts only where something is awaited; and whatever trickles, something must get done. */
static void set_clocks(struct relay_conn *c)
{
	int64_t silence = silence_of(c);
	const struct lane *l = c->lane;

	c->idle = is_idle(c);
	if (silence != c->silence_ms)
		outside_set_timeout(c->o, silence);
	c->silence_ms = silence;
	if (!c->idle)
		loop_timer_set(c->timer, SENDER_STALL_MS);
	else if (c->retiring || l->s->stopping || is_full(c) || (l->s->config->link_command && l->nwork == 0))
		quit(c);
	else
		loop_timer_set(c->timer, SENDER_IDLE_MS);
}

void relay_conn_pump(struct relay_conn *c)
{
	if (c->state != CONN_LIVE)
		return;
	if (c->pumping) {
		c->again = true;
		return;
	}
	c->pumping = true;
	bool moved = false;
	do {
		c->again = false;
		while (c->state == CONN_LIVE && (feed(c) || start(c) || pick(c)))
			moved = true;
	} while (c->again && c->state == CONN_LIVE);
	c->pumping = false;
	/* What cannot go from here soon is not kept in hand. */
	if (c->state == CONN_LIVE && (smtp_client_spent(c->client) || lane_wait_ms(c->lane) > SENDER_PICK_AHEAD_MS))
		put_back(&c->next);
	if (c->state == CONN_LIVE && is_barred(c)) {
		char *reply = xstrdup(c->lane->login_reply);
		end(c, &(struct lane_loss){.connected = true, .trouble = MEND_WANTS_LOGIN, .text = reply});
		free(reply);
	}
	if (c->state == CONN_LIVE) {
		flush(c);
		/* A stalled line must not look alive because others were added to the list. */
		if (moved || c->ended != c->seen || is_idle(c) != c->idle || silence_of(c) != c->silence_ms)
			set_clocks(c);
		c->seen = c->ended;
	}
}

/* ---- the line ---- */

static void set_manners(struct relay_conn *c)
{
	const struct lane *l = c->lane;
	const struct config_relay *r = lane_relay(l);

	c->most = lane_messages(l);
	smtp_client_be_careful(c->client, l->careful);
	if (lane_known(l, LEARNT_NO_CHUNKING) != 0 || (r != NULL && r->chunking_off))
		smtp_client_no_chunking(c->client);
	if (lane_known(l, LEARNT_NO_PIPELINING) != 0 || (r != NULL && r->pipelining_off))
		smtp_client_no_pipelining(c->client);
	if (l->chunking_works)
		smtp_client_trust_chunking(c->client);
}

static void on_ready(void *arg)
{
	struct relay_conn *c = arg;
	struct smtp_caps caps;

	c->client = smtp_client_new(&client_events, c);
	set_manners(c);
	if (smtp_caps_of_transcript(&caps, slice_of(outside_transcript(c->o))))
		smtp_client_start(c->client, &caps);
	else
		smtp_client_hello(c->client, c->lane->s->config->hostname);
	set_state(c, CONN_LIVE);
	log_info("send.connect", kv_s("sid", c->sid), kv_s("relay", c->host), kv_i("pipelining", caps.pipelining),
	         kv_i("chunking", caps.chunking));
	c->silence_ms = -1;
	relay_conn_pump(c);
}

static bool hear(struct relay_conn *c)
{
	struct evbuffer *in = outside_in(c->o);
	size_t n;

	while (c->state != CONN_GONE && (n = evbuffer_get_contiguous_space(in)) > 0) {
		bool fine = smtp_client_input(c->client, slice_make((char *)evbuffer_pullup(in, (ev_ssize_t)n), n));
		if (c->state == CONN_GONE)
			return false;
		evbuffer_drain(in, n);
		if (!fine)
			return false;
	}
	return true;
}

static void on_readable(void *arg)
{
	struct relay_conn *c = arg;

	if (!hear(c)) {
		if (c->state != CONN_GONE)
			end_trouble(c);
	} else if (c->state == CONN_QUITTING) {
		if (smtp_client_quit_done(c->client))
			end(c, &(struct lane_loss){.connected = true, .text = "done"});
	} else {
		relay_conn_pump(c);
	}
}

static void on_drained(void *arg)
{
	relay_conn_pump(arg);
}

static void on_failed(void *arg, enum outside_failure f, const char *text, const char *reply)
{
	struct relay_conn *c = arg;
	bool opening = c->state == CONN_OPENING;
	const struct config_relay *r = lane_relay(c->lane);
	char *token = opening ? relay_token_refused(r, f, reply, outside_transcript(c->o)) : NULL;
	char *shown =
	    opening && token == NULL ? relay_failure_text(text, reply) : xstrdup(token != NULL ? token : text);
	enum mend_trouble trouble = token != NULL ? MEND_TOKEN : opening ? relay_trouble(f, reply) : MEND_NETWORK;

	free(token);
	end(c, &(struct lane_loss){.connected = !opening,
	                           .trouble = trouble,
	                           .topic = opening ? smtp_topic_of_line(reply) : SMTP_TOPIC_COMMAND,
	                           .text = shown});
	free(shown);
}

static const struct outside_callbacks line_events = {on_ready, on_readable, on_drained, on_failed};

void relay_conn_rest(struct relay_conn *c)
{
	if (c->state == CONN_LIVE && c->idle && is_idle(c))
		quit(c);
}

void relay_conn_retire(struct relay_conn *c)
{
	c->retiring = true;
	if (c->state == CONN_OPENING) {
		end(c, &(struct lane_loss){.connected = true, .text = "no longer wanted"});
	} else if (c->state == CONN_LIVE) {
		set_state(c, CONN_LIVE);
		put_back(&c->next);
		set_clocks(c);
	}
}

void relay_conn_abandon(struct relay_conn *c)
{
	end(c, &(struct lane_loss){.connected = true, .text = "the gateway was stopped"});
}

/* ---- opening ---- */

void relay_conn_open(struct lane *l, const struct config_relay *r, const char *secret)
{
	struct relay_conn *c = xcalloc(1, sizeof *c);
	struct outside_target t = relay_target(r, l->s->config, secret);
	unsigned char bits[4];

	random_bytes(bits, sizeof bits);
	snprintf(c->sid, sizeof c->sid, "r%02x%02x%02x%02x", bits[0], bits[1], bits[2], bits[3]);
	c->lane = l;
	c->host = xstrdup(r->login.host);
	c->timer = loop_timer_new(l->s->d.loop, on_timer, c);
	c->counted = true;
	l->nconns++;
	TAILQ_INSERT_TAIL(&l->conns, c, entry);
	log_debug("send.connecting", kv_s("sid", c->sid), kv_s("relay", c->host));
	c->o = outside_open(l->s->d.loop, &t, &line_events, c);
}
