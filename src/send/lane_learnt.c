/* What a relay's replies say of the relay itself: its pace, its limits, what it offers and cannot do. What outlasts a
 * restart stands in store/learnt.h; here is when it is believed. */
#include "base/alloc.h"
#include "base/clock.h"
#include "base/log.h"
#include "send/sender_internal.h"

#include <stdlib.h>
#include <string.h>

enum {
	BREAKS_MAX = 3,    /* early breaks with several transactions under way, until pipelining is to blame */
	SLOWED_MAX = 2,    /* times that a limit meets one message while others pass: then it is that message's */
	UNWELCOME_MAX = 20 /* senders refused for want of a log-in, until all are taken for refused */
};

static char *server_of(const struct config_relay *r)
{
	return xasprintf("%s:%u", r->login.host, (unsigned)r->login.port);
}

int64_t lane_known(const struct lane *l, enum learnt_what what)
{
	const struct config_relay *r = lane_relay(l);

	if (r == NULL || l->s->d.learnt == NULL)
		return 0;
	char *server = server_of(r);
	int64_t value = learnt_get(l->s->d.learnt, server, what);
	free(server);
	return value;
}

void lane_learn(struct lane *l, enum learnt_what what, int64_t value)
{
	const struct config_relay *r = lane_relay(l);
	int64_t before = lane_known(l, what);

	if (r == NULL || l->s->d.learnt == NULL)
		return;
	char *server = server_of(r);
	learnt_set(l->s->d.learnt, l->s->d.database, server, what, value);
	if (value != before)
		LOG_KV(what == LEARNT_RATE ? LOG_DEBUG : LOG_INFO, "send.learnt", kv_s("relay", server),
		       kv_s("what", learnt_name(what)), kv_i("value", value));
	free(server);
}

void sender_relay_learnt(const struct sender *s, const struct config_relay *r,
                         void (*fn)(void *arg, const char *name, int64_t value), void *arg)
{
	char *server = server_of(r);

	if (s->d.learnt != NULL)
		learnt_each(s->d.learnt, server, fn, arg);
	free(server);
}

void lane_read_pace(struct lane *l)
{
	const struct config_relay *r = lane_relay(l);

	l->pace = (struct pace){0};
	if (r != NULL)
		pace_set(&l->pace, r->rate, lane_known(l, LEARNT_RATE));
}

/* ---- limits ---- */

static size_t smaller(uint64_t a, int64_t b)
{
	uint64_t other = b > 0 ? (uint64_t)b : 0;

	return a == 0 || (other > 0 && other < a) ? other : a;
}

size_t lane_recipients(const struct lane *l)
{
	return smaller(SMTP_CLIENT_RECIPIENTS, lane_known(l, LEARNT_RECIPIENTS));
}

size_t lane_messages(const struct lane *l)
{
	const struct config_relay *r = lane_relay(l);

	return smaller(r != NULL ? r->messages_per_connection : 0, lane_known(l, LEARNT_MESSAGES));
}

size_t lane_connections(const struct lane *l)
{
	const struct config_relay *r = lane_relay(l);
	size_t most = r != NULL && r->connections > 0 ? r->connections : 1;

	if (l->cap > 0 && l->cap < most)
		most = l->cap;
	return smaller(most, lane_known(l, LEARNT_CONNECTIONS));
}

/* ---- one transaction ---- */

static size_t count(const struct smtp_transaction *t, enum smtp_fate fate)
{
	size_t n = 0;

	for (size_t i = 0; i < t->n; i++)
		n += t->results[i].fate == fate;
	return n;
}

static const char *reply_of(const struct smtp_transaction *t, enum smtp_fate fate)
{
	for (size_t i = 0; i < t->n; i++)
		if (t->results[i].fate == fate && t->results[i].reply != NULL)
			return t->results[i].reply;
	return "";
}

void lane_slow(struct lane *l, unsigned turn, const char *reply)
{
	char *words = xstrdup(reply);

	free(l->limit_reply);
	l->limit_reply = words;
	if (!pace_refused(&l->pace, turn, clock_mono_ms()))
		return;
	log_info("send.slowed", kv_s("relay", l->label[0] != '\0' ? l->label : "relay"), kv_s("reply", reply),
	         kv_i("pause_ms", l->pace.pause_ms), kv_i("a_minute", pace_found(&l->pace)));
	lane_learn(l, LEARNT_RATE, pace_found(&l->pace));
}

static void become(struct smtp_transaction *t, enum smtp_fate from, enum smtp_fate to)
{
	for (size_t i = 0; i < t->n; i++)
		if (t->results[i].fate == from)
			t->results[i].fate = to;
}

/* "Busy" is a limit where the relay took mail a moment ago and other mail waits, or its pace is kept to already. A
 * message refused for good in words about a limit was refused by it where the relay takes mail at all. */
static bool is_limit(const struct lane *l, const struct message *m, const struct smtp_transaction *t)
{
	bool alone = l->nwork == 0 && (l->pace.found_us == 0 || m->slowed_at == l->taken);

	if (reply_of(t, SMTP_DOUBTFUL)[0] == '5')
		return l->taken_ms > 0;
	return !alone && l->taken_ms > 0 && clock_mono_ms() - l->taken_ms < SENDER_RECENT_MS;
}

static void judge_doubtful(struct lane *l, const struct message *m, struct smtp_transaction *t)
{
	bool permanent = reply_of(t, SMTP_DOUBTFUL)[0] == '5';

	become(t, SMTP_DOUBTFUL, is_limit(l, m, t) ? SMTP_SLOWED : permanent ? SMTP_REFUSED : SMTP_DEFERRED);
}

/* A limit that meets the same message again and again, while the relay takes others, is that message's: its sender's,
 * say. Then it waits alone, or is refused for good where the whole message was. */
static void hear_limit(struct lane *l, struct message *m, struct smtp_transaction *t)
{
	bool for_good = t->priv.sent && t->priv.accepted > 0 && reply_of(t, SMTP_SLOWED)[0] == '5';
	bool left_alone = l->nwork == 0 && m->slowed_at == l->taken && (m->slowed > 0 || for_good);

	if (m->slowed_at > 0 && l->taken > m->slowed_at)
		m->slowed++;
	m->slowed_at = l->taken;
	char *sender = xstrdup(m->q->entry.sender);
	free(l->limit_sender);
	l->limit_sender = sender;
	if (m->slowed < SLOWED_MAX && !left_alone) {
		lane_slow(l, t->turn, reply_of(t, SMTP_SLOWED));
		return;
	}
	become(t, SMTP_SLOWED, for_good ? SMTP_REFUSED : SMTP_DEFERRED);
}

/* Refused for want of a log-in, before anything worked in this connection: that may be the relay's state. Where the
 * relay has taken other mail since it last said so to this message, it is this sender's: refused for good. */
static void hear_login(struct lane *l, struct message *m, struct smtp_transaction *t)
{
	bool others_pass = m->barred_at > 0 && l->taken > m->barred_at;

	m->barred_at = l->taken;
	if (others_pass) {
		become(t, SMTP_LOGIN, SMTP_REFUSED);
		return;
	}
	free(l->login_reply);
	l->login_reply = xstrdup(reply_of(t, SMTP_LOGIN));
	if (!strlist_has_nocase(&l->unwelcome, m->q->entry.sender))
		strlist_add(&l->unwelcome, m->q->entry.sender);
}

bool lane_heard(struct lane *l, struct message *m, struct smtp_transaction *t)
{
	size_t delivered = count(t, SMTP_DELIVERED);

	if (t->most > 0 && (lane_known(l, LEARNT_RECIPIENTS) == 0 || t->most < lane_recipients(l)))
		lane_learn(l, LEARNT_RECIPIENTS, (int64_t)t->most);
	if (delivered > 0 && m->by_data)
		lane_learn(l, LEARNT_NO_CHUNKING, 1);
	m->by_data = t->by_data;
	if (count(t, SMTP_LOGIN) > 0)
		hear_login(l, m, t);
	if (count(t, SMTP_DOUBTFUL) > 0)
		judge_doubtful(l, m, t);
	if (count(t, SMTP_SLOWED) > 0)
		hear_limit(l, m, t);
	bool said = delivered + count(t, SMTP_DEFERRED) + count(t, SMTP_REFUSED) > 0;
	if (!said) {
		pace_unknown(&l->pace, t->turn);
		return false;
	}
	if (delivered > 0) {
		l->taken++;
		l->taken_ms = clock_mono_ms();
	}
	if (pace_taken(&l->pace, t->turn, clock_mono_ms()))
		lane_learn(l, LEARNT_RATE, pace_found(&l->pace));
	return true;
}

bool lane_unwelcome(struct lane *l, struct message *m)
{
	const struct config_relay *r = lane_relay(l);

	if (l->unwelcome.n == 0 ||
	    (l->unwelcome.n < UNWELCOME_MAX && !strlist_has_nocase(&l->unwelcome, m->q->entry.sender)))
		return false;
	m->barred_at = l->taken;
	attempt_relay_failed(m, l->login_reply,
	                     clock_mono_ms() + 1000 * retry_delay(r != NULL ? r->retry : 300, l->failures + 1));
	return true;
}

/* ---- one connection ---- */

void lane_note_loss(struct lane *l, size_t ended, size_t unfinished, const struct smtp_client *client)
{
	bool spent = smtp_client_spent(client);
	enum smtp_topic topic = smtp_client_topic(client);

	if (smtp_client_lied_chunking(client))
		lane_learn(l, LEARNT_NO_CHUNKING, 1);
	if (topic == SMTP_TOPIC_PIPELINING)
		lane_learn(l, LEARNT_NO_PIPELINING, 1);
	if (topic == SMTP_TOPIC_CONNECTIONS && l->nconns > 0) {
		l->cap = l->nconns;
		lane_learn(l, LEARNT_CONNECTIONS, (int64_t)l->nconns);
	}
	if (unfinished > 1 && !smtp_client_dismissed(client) && !smtp_client_lied_chunking(client)) {
		l->careful = true;
		l->breaks = ended < SMTP_CLIENT_WINDOW ? l->breaks + 1 : 0;
		if (l->breaks >= BREAKS_MAX)
			lane_learn(l, LEARNT_NO_PIPELINING, 1);
	}
	if (ended == 0 || (unfinished == 0 && !spent) || topic == SMTP_TOPIC_CONNECTIONS || topic == SMTP_TOPIC_RATE)
		return;
	/* So many messages were taken, then no more: said so, or seen twice. */
	size_t known = lane_messages(l);
	if ((topic == SMTP_TOPIC_MESSAGES || l->dismissed_after == ended) && (known == 0 || ended < known))
		lane_learn(l, LEARNT_MESSAGES, (int64_t)ended);
	l->dismissed_after = ended;
}

void lane_judge_pace(struct lane *l)
{
	const struct lane_loss loss = {.connected = true,
	                               .slowed = true,
	                               .trouble = MEND_RATE,
	                               .text = l->limit_reply != NULL ? l->limit_reply : ""};

	if (pace_exhausted(&l->pace))
		lane_fail(l, &loss);
	if (l->nwork > 0 && (l->pace.found_us > 0 || l->pace.configured_us > 0))
		loop_timer_set(l->pace_timer, lane_wait_ms(l));
}

/* ---- configuration ---- */

static bool same_lists(const struct strlist *a, const struct strlist *b)
{
	bool same = a->n == b->n;

	for (size_t i = 0; same && i < a->n; i++)
		same = strcmp(a->v[i], b->v[i]) == 0;
	return same;
}

static bool same_login(const struct config_login *a, const struct config_login *b)
{
	return strcmp(a->host, b->host) == 0 && a->port == b->port && a->security == b->security &&
	       a->tls_verify == b->tls_verify && strcmp(a->ca_file, b->ca_file) == 0 && a->auth == b->auth &&
	       strcmp(a->user, b->user) == 0 && strcmp(a->password, b->password) == 0 &&
	       strcmp(a->password_command, b->password_command) == 0;
}

static bool same_section(const struct config_relay *a, const struct config_relay *b)
{
	return same_login(&a->login, &b->login) && strcmp(a->sender, b->sender) == 0 &&
	       a->null_sender_alias == b->null_sender_alias && a->connections == b->connections &&
	       a->pipelining_off == b->pipelining_off && a->chunking_off == b->chunking_off && a->rate == b->rate &&
	       a->messages_per_connection == b->messages_per_connection && a->retry == b->retry &&
	       a->max_age == b->max_age && same_lists(&a->senders, &b->senders);
}

void lanes_forget_changed(struct sender *s, const struct config *before)
{
	for (size_t i = 0; before != NULL && s->d.learnt != NULL && i < s->config->nrelays; i++) {
		const struct config_relay *now = &s->config->relays[i], *was = NULL;
		for (size_t k = 0; k < before->nrelays && was == NULL; k++)
			if (strcmp(before->relays[k].label, now->label) == 0)
				was = &before->relays[k];
		if (was == NULL || same_section(was, now))
			continue;
		char *server = server_of(now);
		learnt_forget(s->d.learnt, s->d.database, server);
		free(server);
	}
}
