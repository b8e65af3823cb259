/* One relay: what waits for it, how many connections it gets, and when it is left alone. */
#include "base/alloc.h"
#include "base/clock.h"
#include "base/log.h"
#include "send/sender_internal.h"

#include <stdlib.h>
#include <string.h>
#include <strings.h>

enum { BARREN_MAX = 3, SECRET_MS = 5 * 60 * 1000, COMMAND_MS = 60 * 1000 };

static void on_pace(void *arg)
{
	lane_pump(arg); /* what is in hand */
	lane_kick(arg);
}

struct lane *lane_get(struct sender *s, const char *label)
{
	struct lane *l;

	TAILQ_FOREACH(l, &s->lanes, entry)
	if (strcmp(l->label, label) == 0)
		return l;
	l = xcalloc(1, sizeof *l);
	l->s = s;
	l->label = xstrdup(label);
	TAILQ_INIT(&l->work);
	TAILQ_INIT(&l->conns);
	TAILQ_INIT(&l->gone);
	l->pace_timer = loop_timer_new(s->d.loop, on_pace, l);
	TAILQ_INSERT_TAIL(&s->lanes, l, entry);
	l->taken = 1;
	lane_read_pace(l);
	return l;
}

const struct config_relay *lane_relay(const struct lane *l)
{
	const struct config *c = l->s->config;

	for (size_t i = 0; i < c->nrelays; i++)
		if (strcmp(c->relays[i].label, l->label) == 0)
			return &c->relays[i];
	return NULL;
}

static const char *label_of(const struct lane *l)
{
	return l->label[0] != '\0' ? l->label : "relay";
}

/* ---- the work list ---- */

/* While the relay takes nothing for its limits: they may be those of the senders whose mail waits, and this one's goes
 * first. */
static bool goes_before_slowed(struct lane *l, struct message *m)
{
	struct message *other;

	if (!l->pace.paused || m->slowed_at != 0 || l->limit_sender == NULL ||
	    strcasecmp(l->limit_sender, m->q->entry.sender) == 0)
		return false;
	pace_hurry(&l->pace, clock_mono_ms());
	TAILQ_FOREACH(other, &l->work, work)
	{
		if (other->slowed_at == 0)
			continue;
		TAILQ_INSERT_BEFORE(other, m, work);
		return true;
	}
	return false;
}

static void add(struct sender *s, struct message *m, bool front)
{
	const struct config_relay *r = config_relay_for(s->config, slice_of(m->q->entry.sender));

	m->state = MESSAGE_TRYING;
	if (s->stopping) {
		attempt_abandon(m);
		return;
	}
	if (r == NULL) {
		int64_t wait = 1000 * retry_delay(s->config->relays[0].retry, m->q->recipients[0].attempts + 1);
		attempt_relay_failed(m, "no relay is configured", clock_mono_ms() + wait);
		return;
	}
	struct lane *l = lane_get(s, r->label);
	if (front)
		TAILQ_INSERT_HEAD(&l->work, m, work);
	else if (!goes_before_slowed(l, m))
		TAILQ_INSERT_TAIL(&l->work, m, work);
	m->in_work = true;
	m->lane = l;
	l->nwork++;
}

void lane_add(struct sender *s, struct message *m, bool front)
{
	/* A new attempt, perhaps with another relay. */
	if (!front) {
		m->by_data = m->unknown = false;
		m->dismissals = m->slowed = 0;
		m->slowed_at = 0;
	}
	add(s, m, front);
}

void lane_add_last(struct message *m)
{
	add(m->s, m, false);
}

void lane_drop(struct message *m)
{
	if (!m->in_work)
		return;
	TAILQ_REMOVE(&m->lane->work, m, work);
	m->lane->nwork--;
	m->in_work = false;
}

struct message *lane_take(struct lane *l)
{
	struct message *m = TAILQ_FIRST(&l->work);

	if (m != NULL)
		lane_drop(m);
	return m;
}

bool lane_withdraw(struct message *m)
{
	struct relay_conn *c;

	if (m->in_work) {
		lane_drop(m);
		return true;
	}
	for (c = TAILQ_FIRST(&m->lane->conns); c != NULL; c = relay_conn_next(c))
		if (relay_conn_let_go(c, m))
			return true;
	return false;
}

/* All that waits in the work list, taken out at once: what fn does may add to it again. */
static void drain_work(struct lane *l, void (*fn)(struct message *m, const char *why, int64_t next_ms), const char *why,
                       int64_t next_ms)
{
	for (size_t n = l->nwork; n > 0; n--) {
		struct message *m = lane_take(l);
		if (m == NULL)
			return;
		fn(m, why, next_ms);
	}
}

/* ---- connections ---- */

static void got_secret(void *arg, const struct runner_result *res)
{
	struct lane *l = arg;
	struct slice line = slice_trim(slice_sub(res->output, 0, slice_find(res->output, '\n')));
	struct lane_loss loss = {.trouble = MEND_COMMAND, .text = "password_command failed or printed nothing"};

	l->asking = false;
	free(l->secret);
	l->secret = NULL;
	if (!res->started || res->timed_out || res->status != 0 || line.n == 0) {
		lane_lost(l, &loss);
		sender_check_stopped(l->s);
		return;
	}
	l->secret = slice_dup(line);
	log_secret(l->secret);
	l->secret_until = clock_mono_ms() + SECRET_MS;
	lane_kick(l);
}

/* false: the password is being asked for; lane_kick comes again. */
static bool has_secret(struct lane *l, const struct config_relay *r)
{
	if (r->login.password_command[0] == '\0')
		return true;
	if (l->secret != NULL && clock_mono_ms() < l->secret_until)
		return true;
	if (!l->asking) {
		l->asking = true;
		runner_run(l->s->d.runner, r->login.password_command, COMMAND_MS, got_secret, l);
	}
	return false;
}

/* One connection for a handful of messages: opening one costs more than they do. But what hangs or is busy with a
 * large one does not count. */
static bool wants_another(const struct lane *l)
{
	size_t available = 0;
	struct relay_conn *c;

	for (c = TAILQ_FIRST(&l->conns); c != NULL; c = relay_conn_next(c))
		available += relay_conn_available(c);
	return l->nconns < lane_connections(l) && l->nwork > 4 * available;
}

void lane_pump(struct lane *l)
{
	struct relay_conn *c, *next;

	for (c = TAILQ_FIRST(&l->conns); c != NULL; c = next) {
		next = relay_conn_next(c);
		relay_conn_pump(c);
	}
}

static void kick(struct lane *l)
{
	const struct config_relay *r = lane_relay(l);

	if (l->s->stopping || l->nwork == 0 || r == NULL)
		return;
	lane_pump(l);
	int64_t wait = lane_wait_ms(l);
	if (wait > SENDER_PICK_AHEAD_MS) {
		loop_timer_set(l->pace_timer, wait);
		return;
	}
	while (wants_another(l) && has_secret(l, r))
		relay_conn_open(l, r, r->login.password_command[0] != '\0' ? l->secret : r->login.password);
}

/* Connections that end inside come back here: they must not walk the list again under our feet. */
void lane_kick(struct lane *l)
{
	if (l->kicking) {
		l->kick_again = true;
		return;
	}
	l->kicking = true;
	do {
		l->kick_again = false;
		kick(l);
	} while (l->kick_again);
	l->kicking = false;
}

/* New mail may try a failing relay, but not each message in turn. */
static void kick_or_wait(struct lane *l)
{
	int64_t now = clock_mono_ms(), pause = l->failed_ms + SENDER_RELAY_PAUSE_MS;

	if (l->next_ms > now && pause > now && !l->forced && l->nconns == 0)
		drain_work(l, attempt_postpone, "", pause < l->next_ms ? pause : l->next_ms);
	l->forced = false;
	lane_kick(l);
}

void lane_kick_all(struct sender *s, bool forced)
{
	struct lane *l, *next;

	for (l = TAILQ_FIRST(&s->lanes); l != NULL; l = next) {
		next = TAILQ_NEXT(l, entry);
		l->forced = forced;
		kick_or_wait(l);
	}
}

void lane_rest_all(struct sender *s)
{
	struct lane *l;
	struct relay_conn *c;

	TAILQ_FOREACH(l, &s->lanes, entry)
	for (c = TAILQ_FIRST(&l->conns); c != NULL; c = relay_conn_next(c))
		relay_conn_rest(c);
}

/* ---- success and failure ---- */

/* Whoever waited for the relay as a whole is due now, or as soon as that is on record. */
static void revive(struct lane *l)
{
	struct message *m = NULL;
	int64_t now = clock_mono_ms();

	TAILQ_FOREACH(m, &l->s->messages, all)
	{
		if (m->lane != l)
			continue;
		for (size_t i = 0; i < m->q->nrecipients; i++)
			if (m->t[i].by_relay && !m->t[i].wanted && m->t[i].next_ms > now)
				m->t[i].next_ms = now;
	}
	l->s->next_due = -1;
}

void lane_works(struct lane *l)
{
	bool waited = l->failures > 0 || l->unwelcome.n > 0;

	l->barren = 0;
	strlist_free(&l->unwelcome);
	if (l->told)
		outage_over(l);
	if (!waited)
		return;
	l->failures = 0;
	l->next_ms = 0;
	revive(l);
}

void lane_taken(struct lane *l, struct message *m)
{
	if (m->unsaved != NULL)
		return;
	m->unsaved = l;
	l->unsaved++;
}

void lane_saved(struct message *m)
{
	if (m->unsaved == NULL)
		return;
	m->unsaved->unsaved--;
	m->unsaved = NULL;
}

int64_t lane_wait_ms(const struct lane *l)
{
	return pace_wait_ms(&l->pace, clock_mono_ms());
}

bool lane_may_begin(struct lane *l)
{
	size_t at_risk = l->unsaved, most = 0;
	struct relay_conn *c;

	for (c = TAILQ_FIRST(&l->conns); c != NULL; c = relay_conn_next(c)) {
		at_risk += relay_conn_unfinished(c);
		most += relay_conn_at_risk(c);
	}
	if (at_risk >= most)
		return false;
	int64_t wait = lane_wait_ms(l);
	if (wait > 0)
		loop_timer_set(l->pace_timer, wait);
	return wait == 0;
}

void lane_fail(struct lane *l, const struct lane_loss *loss)
{
	const struct config_relay *r = lane_relay(l);
	int64_t now = clock_mono_ms();

	l->failures++;
	l->barren = 0;
	l->cap = 0;
	strlist_free(&l->unwelcome);
	l->failed_ms = now;
	l->next_ms = now + 1000 * retry_delay(r != NULL ? r->retry : 300, l->failures);
	log_warning("send.relay_failed", kv_s("relay", label_of(l)), kv_s("error", loss->text),
	            kv_i("next_in_s", (l->next_ms - now) / 1000));
	if (loss->trouble != MEND_NETWORK && loss->trouble != MEND_RATE)
		l->secret_until = 0;
	if (!l->told && l->failures >= mend_patience(loss->trouble))
		outage_tell(l, loss);
	drain_work(l, attempt_relay_failed, loss->text, l->next_ms);
}

/* A relay that took mail a moment ago and greets with a limit now: it counts how often it is called. */
static bool is_turned_away(const struct lane *l, const struct lane_loss *loss)
{
	bool limit = loss->topic == SMTP_TOPIC_RATE || loss->topic == SMTP_TOPIC_CONNECTIONS ||
	             loss->topic == SMTP_TOPIC_MESSAGES;

	return limit && !loss->connected && loss->trouble == MEND_BUSY && l->nwork > 0 && l->taken_ms > 0 &&
	       clock_mono_ms() - l->taken_ms < SENDER_RECENT_MS;
}

static bool is_failure(const struct lane *l, const struct lane_loss *loss)
{
	if (loss->trouble == MEND_WANTS_LOGIN)
		return true;
	return l->nwork > 0 && (!loss->connected || loss->trouble == MEND_HELLO || l->barren >= BARREN_MAX);
}

void lane_lost(struct lane *l, const struct lane_loss *loss)
{
	if (loss->progress)
		l->barren = 0;
	else if (loss->connected && !loss->slowed)
		l->barren++;
	if (l->nconns == 0)
		l->cap = 0;
	if (l->nconns > 0 && !loss->connected) {
		/* Others stand: it takes no more than these at once. */
		l->cap = l->nconns;
		if (loss->topic == SMTP_TOPIC_CONNECTIONS)
			lane_learn(l, LEARNT_CONNECTIONS, (int64_t)l->nconns);
	} else if (l->nconns == 0 && is_turned_away(l, loss)) {
		lane_slow(l, l->pace.turn, loss->text);
	} else if (l->nconns == 0 && is_failure(l, loss)) {
		lane_fail(l, loss);
	}
	lane_judge_pace(l);
	lane_kick(l);
}

/* ---- configuration ---- */

static void reroute(struct message *m, const char *why, int64_t next_ms)
{
	(void)why;
	(void)next_ms;
	lane_add(m->s, m, false);
}

static void lane_free(struct lane *l)
{
	TAILQ_REMOVE(&l->s->lanes, l, entry);
	loop_timer_free(&l->pace_timer);
	strlist_free(&l->unwelcome);
	free(l->login_reply);
	free(l->limit_reply);
	free(l->limit_sender);
	free(l->secret);
	free(l->label);
	free(l);
}

void lane_configure(struct sender *s, const struct config *before)
{
	struct lane *l = NULL;
	struct relay_conn *c, *next;

	lanes_forget_changed(s, before);
	TAILQ_FOREACH(l, &s->lanes, entry)
	{
		l->failures = l->barren = 0;
		l->next_ms = l->secret_until = 0;
		l->cap = 0;
		l->careful = l->chunking_works = false;
		l->breaks = 0;
		l->dismissed_after = 0;
		l->taken_ms = 0;
		strlist_free(&l->unwelcome);
		lane_read_pace(l);
		l->kicking = true; /* until all are retired; kicked below */
		for (c = TAILQ_FIRST(&l->conns); c != NULL; c = next) {
			next = relay_conn_next(c);
			relay_conn_retire(c);
		}
		l->kicking = false;
		drain_work(l, reroute, NULL, 0);
		revive(l);
	}
	lane_kick_all(s, true);
}

void lane_abandon_all(struct sender *s)
{
	struct lane *l;
	struct relay_conn *c;

	TAILQ_FOREACH(l, &s->lanes, entry)
	{
		while ((c = TAILQ_FIRST(&l->conns)) != NULL)
			relay_conn_abandon(c);
		relay_conn_destroy_gone(l);
	}
}

void lane_free_all(struct sender *s)
{
	for (struct lane *l = TAILQ_FIRST(&s->lanes), *next; l != NULL; l = next) {
		next = TAILQ_NEXT(l, entry);
		lane_free(l);
	}
}
