/* One try of one message: who is chosen, what each transaction's replies make of them, and how it ends. */
#include "base/alloc.h"
#include "base/clock.h"
#include "base/log.h"
#include "route/report.h"
#include "send/sender_internal.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

static bool due(const struct message *m, size_t i, bool all, int64_t now)
{
	return m->q->recipients[i].state == OUTQUEUE_WAITING && (all || m->t[i].next_ms <= now);
}

bool attempt_due(const struct message *m, bool all)
{
	int64_t now = clock_mono_ms();

	/* One that could not be committed is mended first. */
	if (m->state != MESSAGE_WAITING || m->q->held || m->mend || m->unplaced)
		return false;
	for (size_t i = 0; i < m->q->nrecipients; i++)
		if (due(m, i, all, now))
			return true;
	return false;
}

bool attempt_start(struct message *m, bool all)
{
	int64_t now = clock_mono_ms();

	if (!attempt_due(m, all))
		return false;
	for (size_t i = 0; i < m->q->nrecipients; i++) {
		m->t[i].wanted = due(m, i, all, now);
		m->t[i].deferred = m->t[i].failed = m->t[i].expired = false;
	}
	m->any_failed = false;
	m->s->next_due = -1;
	lane_add(m->s, m, false);
	return true;
}

struct smtp_transaction *attempt_next(struct message *m)
{
	size_t n = 0, most = lane_recipients(m->lane);

	free(m->tx);
	m->tx = xcalloc(SMTP_CLIENT_RECIPIENTS, sizeof *m->tx);
	for (size_t i = 0; i < m->q->nrecipients && n < most && !m->q->held; i++)
		if (m->t[i].wanted)
			m->tx[n++] = i;
	if (n == 0)
		return NULL;
	struct smtp_transaction *t = smtp_transaction_new(n);
	t->owner = m;
	t->sender = m->q->entry.sender;
	t->eight_bit = m->q->entry.eight_bit;
	t->smtputf8 = m->q->entry.smtputf8;
	for (size_t k = 0; k < n; k++) {
		t->recipients[k] = m->q->recipients[m->tx[k]].address;
		m->t[m->tx[k]].sending = true;
	}
	return t;
}

static void attempt_end(struct message *m);

/* ---- outcomes ---- */

static void set_reply(struct message *m, size_t i, const char *text)
{
	struct outqueue_recipient *r = &m->q->recipients[i];

	if (text == r->last_reply)
		return;
	free(r->last_reply);
	r->last_reply = xstrdup(text != NULL ? text : "");
}

void attempt_drop(struct message *m, size_t i)
{
	struct target *t = &m->t[i];

	m->q->recipients[i].state = OUTQUEUE_DROPPED;
	t->wanted = t->drop = t->deferred = t->failed = t->expired = false;
	t->dirty = true;
	record_note(m, JOURNAL_DROPPED, i);
}

static void fell_through(struct message *m, size_t i)
{
	m->t[i].wanted = false;
	m->any_failed = true;
	m->failed_at = i;
}

static void defer(struct message *m, size_t i, int64_t next_ms)
{
	struct target *t = &m->t[i];
	struct outqueue_recipient *r = &m->q->recipients[i];
	int64_t now = clock_mono_ms();

	r->attempts++;
	fell_through(m, i);
	t->deferred = t->dirty = true;
	t->next_ms = next_ms;
	r->next_at = clock_wall_s() + (next_ms > now ? (next_ms - now + 999) / 1000 : 0);
	if (t->drop)
		attempt_drop(m, i);
	else
		record_note(m, JOURNAL_DEFERRED, i);
}

static int64_t own_retry(const struct message *m, const struct outqueue_recipient *r)
{
	const struct config_relay *relay = config_relay_for(m->s->config, slice_of(m->q->entry.sender));

	if (relay == NULL)
		relay = &m->s->config->relays[0];
	return clock_mono_ms() + 1000 * retry_delay(relay->retry, r->refusals);
}

static void delivered(struct message *m, size_t i)
{
	m->q->recipients[i].attempts++;
	m->q->recipients[i].state = OUTQUEUE_DELIVERED;
	m->t[i].wanted = m->t[i].drop = false;
	m->t[i].dirty = true;
	record_note(m, JOURNAL_SENT, i);
}

static void deferred(struct message *m, size_t i)
{
	m->q->recipients[i].refusals++;
	m->t[i].by_relay = false;
	defer(m, i, own_retry(m, &m->q->recipients[i]));
}

/* It waits for the relay as a whole: for a log-in that works. */
static void barred(struct message *m, size_t i)
{
	m->t[i].by_relay = true;
	defer(m, i, own_retry(m, &m->q->recipients[i]));
}

static void refused(struct message *m, size_t i)
{
	m->q->recipients[i].attempts++;
	m->q->recipients[i].refusals++;
	fell_through(m, i);
	if (m->t[i].drop)
		attempt_drop(m, i);
	else
		m->t[i].failed = true;
}

static void still_wanted(struct message *m, size_t i)
{
	if (m->t[i].drop)
		attempt_drop(m, i);
}

static void log_outcome(const struct message *m, size_t i, const struct smtp_result *r)
{
	static const char *const events[] = {
	    [SMTP_PENDING] = "send.untried",   [SMTP_ACCEPTED] = "send.untried", [SMTP_DELIVERED] = "send.delivered",
	    [SMTP_DEFERRED] = "send.deferred", [SMTP_REFUSED] = "send.refused",  [SMTP_SPLIT] = "send.split",
	    [SMTP_SLOWED] = "send.slowed",     [SMTP_LOGIN] = "send.barred",     [SMTP_UNTRIED] = "send.untried",
	    [SMTP_DOUBTFUL] = "send.deferred", [SMTP_UNKNOWN] = "send.unknown"};
	enum log_level level = r->fate == SMTP_DELIVERED ? LOG_INFO : LOG_WARNING;

	if (r->fate == SMTP_UNTRIED || r->fate == SMTP_SPLIT || r->fate == SMTP_SLOWED)
		level = LOG_DEBUG;
	LOG_KV(level, events[r->fate], kv_s("sid", m->sid), kv_s("id", m->q->id), kv_s("from", m->q->entry.sender),
	       kv_s("to", m->q->recipients[i].address), kv_s("relay", m->relay), kv_s("reply", r->reply));
}

static void settle(struct message *m, size_t i, const struct smtp_result *r, bool blame)
{
	static void (*const by_fate[])(struct message *, size_t) = {
	    [SMTP_PENDING] = still_wanted, [SMTP_ACCEPTED] = still_wanted, [SMTP_DELIVERED] = delivered,
	    [SMTP_DEFERRED] = deferred,    [SMTP_REFUSED] = refused,       [SMTP_SPLIT] = still_wanted,
	    [SMTP_SLOWED] = still_wanted,  [SMTP_LOGIN] = barred,          [SMTP_UNTRIED] = still_wanted,
	    [SMTP_DOUBTFUL] = deferred,    [SMTP_UNKNOWN] = deferred,
	};
	struct target *t = &m->t[i];

	t->sending = false;
	t->code = r->code;
	memcpy(t->status, r->status, sizeof t->status);
	if (r->fate != SMTP_SPLIT && (r->fate != SMTP_UNTRIED || blame))
		set_reply(m, i, r->reply);
	log_outcome(m, i, r);
	/* A connection that is lost at the same message each time must not keep the others waiting. */
	if (blame && r->fate == SMTP_UNTRIED)
		deferred(m, i);
	else
		by_fate[r->fate](m, i);
}

static bool wants_more(const struct message *m)
{
	for (size_t i = 0; i < m->q->nrecipients; i++)
		if (m->t[i].wanted)
			return true;
	return false;
}

static void want_nobody(struct message *m)
{
	for (size_t i = 0; i < m->q->nrecipients; i++)
		m->t[i].wanted = false;
}

void attempt_transaction(struct message *m, struct smtp_transaction *t, bool blame)
{
	bool slowed = false;

	for (size_t k = 0; k < t->n; k++) {
		slowed = slowed || t->results[k].fate == SMTP_SLOWED;
		if (t->results[k].fate == SMTP_DELIVERED)
			lane_taken(m->lane, m);
		settle(m, m->tx[k], &t->results[k], blame);
	}
	smtp_transaction_free(&t);
	if (!wants_more(m) || m->q->held) {
		attempt_idle(m);
		return;
	}
	/* What is known by now is committed now, not with the last recipient. Bounces wait to be one message. */
	attempt_settle(m);
	/* One that met the relay's limit lets the others go first: it may be this sender's alone. */
	if (slowed)
		lane_add_last(m);
	else
		lane_add(m->s, m, true);
}

void attempt_relay_failed(struct message *m, const char *why, int64_t next_ms)
{
	for (size_t i = 0; i < m->q->nrecipients; i++) {
		struct target *t = &m->t[i];
		if (!t->wanted)
			continue;
		t->code = 0;
		t->status[0] = '\0';
		t->by_relay = true;
		set_reply(m, i, why);
		defer(m, i, next_ms);
	}
	attempt_end(m);
}

void attempt_postpone(struct message *m, const char *why, int64_t next_ms)
{
	m->any_failed = true;
	for (size_t i = 0; i < m->q->nrecipients; i++) {
		if (!m->t[i].wanted)
			continue;
		if (why[0] != '\0')
			set_reply(m, i, why);
		m->failed_at = i;
		m->t[i].wanted = false;
		m->t[i].by_relay = true;
		m->t[i].next_ms = next_ms;
	}
	attempt_end(m);
}

void attempt_gone(struct message *m)
{
	log_warning("send.dropped", kv_s("id", m->q->id), kv_s("why", "its .eml was removed"));
	for (size_t i = 0; i < m->q->nrecipients; i++) {
		if (m->q->recipients[i].state != OUTQUEUE_WAITING)
			continue;
		set_reply(m, i, "dropped: its file was removed");
		attempt_drop(m, i);
	}
	attempt_end(m);
}

void attempt_unreadable(struct message *m, int error)
{
	log_error("send.unreadable", kv_s("id", m->q->id), kv_s("error", strerror(error)));
	for (size_t i = 0; i < m->q->nrecipients; i++) {
		if (!m->t[i].wanted)
			continue;
		set_reply(m, i, "its file cannot be read on this gateway");
		m->t[i].code = 0;
		m->t[i].status[0] = '\0';
		deferred(m, i);
	}
	attempt_end(m);
}

/* ---- the end ---- */

static int64_t max_age(const struct message *m)
{
	const struct config_relay *relay = config_relay_for(m->s->config, slice_of(m->q->entry.sender));

	return relay != NULL ? relay->max_age : m->s->config->relays[0].max_age;
}

/* Gives up what is too old, and sees whether the sender is to be warned. */
static void judge_age(struct message *m)
{
	int64_t age = message_age(m);
	bool expired = retry_expired(age, max_age(m)), tell = false, waits = false;

	for (size_t i = 0; i < m->q->nrecipients; i++) {
		struct target *t = &m->t[i];
		if (t->deferred && expired && m->q->recipients[i].state == OUTQUEUE_WAITING) {
			t->expired = t->failed = true;
			t->deferred = false;
		}
		tell = tell || t->failed;
		waits = waits || t->deferred;
	}
	m->warning = !tell && waits && retry_warns(age, m->q->warned) && m->q->entry.sender[0] != '\0' &&
	             m->q->entry.local_sender[0] != '\0';
}

static void attempt_end(struct message *m)
{
	m->state = MESSAGE_CLOSING;
	m->s->next_due = -1;
	judge_age(m);
	attempt_settle(m);
}

void attempt_idle(struct message *m)
{
	want_nobody(m);
	attempt_end(m);
}

void attempt_abandon(struct message *m)
{
	m->any_failed = true;
	attempt_idle(m);
}

bool attempt_wants(const struct message *m)
{
	for (size_t i = 0; i < m->q->nrecipients; i++)
		if (m->t[i].wanted || m->t[i].sending)
			return true;
	return false;
}

bool attempt_withdraw(struct message *m)
{
	if (m->state != MESSAGE_TRYING || !lane_withdraw(m))
		return false;
	attempt_idle(m);
	return true;
}

/* All is committed: the message waits again, or is done with. */
static void rest(struct message *m)
{
	struct sender *s = m->s;

	lane_saved(m);
	if (m->state == MESSAGE_CLOSING) {
		for (size_t i = 0; i < m->q->nrecipients; i++)
			m->t[i].deferred = false;
		m->state = MESSAGE_WAITING;
		s->next_due = -1;
		run_attempt_over(m, m->any_failed, m->any_failed ? m->q->recipients[m->failed_at].last_reply : "");
	}
	if (!message_waits(m)) {
		char *id = xstrdup(m->q->id);
		message_remove(&m);
		grave_dig(s, id);
		free(id);
	} else if (m->eager) {
		m->eager = false;
		sender_run_soon(s);
	}
	sender_check_stopped(s);
}

void attempt_settle(struct message *m)
{
	/* A commit under way comes here again when it has ended, and the timer one that failed. */
	if (m->committing || m->mend)
		return;
	if (m->state == MESSAGE_CLOSING && record_tells(m))
		bounce_send(m);
	else if (record_is_due(m))
		record_commit(m);
	else if (m->state != MESSAGE_TRYING)
		rest(m);
}

void attempt_committed(struct message *m)
{
	struct lane *waiting = m->unsaved;

	if (!record_is_due(m))
		lane_saved(m);
	attempt_settle(m);
	if (waiting != NULL)
		lane_pump(waiting);
}
