/* What people see of the queue and do to it. */
#include "base/alloc.h"
#include "base/log.h"
#include "mail/address.h"
#include "send/sender_internal.h"

#include <stdlib.h>
#include <string.h>
#include <strings.h>

static const char *state_name(const struct message *m, size_t i)
{
	static const char *const names[] = {[OUTQUEUE_WAITING] = "waiting",
	                                    [OUTQUEUE_DELIVERED] = "delivered",
	                                    [OUTQUEUE_BOUNCED] = "bounced",
	                                    [OUTQUEUE_DROPPED] = "dropped"};

	return m->t[i].sending ? "sending" : names[m->q->recipients[i].state];
}

static void show(const struct message *m, void (*fn)(void *arg, const struct sender_entry *en), void *arg)
{
	struct sender_recipient *v = xcalloc(m->q->nrecipients + 1, sizeof *v);

	for (size_t i = 0; i < m->q->nrecipients; i++) {
		const struct outqueue_recipient *r = &m->q->recipients[i];
		v[i] = (struct sender_recipient){r->address, state_name(m, i), r->attempts, r->next_at, r->last_reply};
	}
	struct sender_entry en = {.id = m->q->id,
	                          .from = m->q->entry.sender,
	                          .size = m->q->size,
	                          .queued_at = m->q->queued_at,
	                          .held = m->q->held,
	                          .nrecipients = m->q->nrecipients,
	                          .recipients = v};
	fn(arg, &en);
	free(v);
}

void sender_list(const struct sender *s, void (*fn)(void *arg, const struct sender_entry *en), void *arg)
{
	const struct message *m = NULL;

	TAILQ_FOREACH(m, &s->messages, all)
	show(m, fn, arg);
}

/* The first behind `after`, which may have gone meanwhile. */
static const struct message *first_behind(const struct sender *s, const char *after)
{
	const struct message *m = after != NULL ? message_find(s, after) : NULL;

	if (m != NULL)
		return TAILQ_NEXT(m, all);
	m = TAILQ_FIRST(&s->messages);
	while (m != NULL && after != NULL && strcmp(m->q->id, after) <= 0)
		m = TAILQ_NEXT(m, all);
	return m;
}

bool sender_page(const struct sender *s, const char *after, size_t most,
                 void (*fn)(void *arg, const struct sender_entry *en), void *arg)
{
	const struct message *m = first_behind(s, after);

	for (; m != NULL && most > 0; m = TAILQ_NEXT(m, all), most--)
		show(m, fn, arg);
	return m != NULL;
}

size_t sender_length(const struct sender *s)
{
	return s->n;
}

int64_t sender_oldest(const struct sender *s)
{
	const struct message *m = TAILQ_FIRST(&s->messages);

	return m != NULL ? m->q->queued_at : 0;
}

/* ---- actions ---- */

struct choice { /* what an action applies to */
	const char *what;
	bool all;
};

static bool is_message(const struct choice *c, const struct message *m)
{
	return c->all || strcmp(c->what, m->q->id) == 0 || strcasecmp(c->what, m->q->entry.sender) == 0;
}

static bool is_recipient(const struct choice *c, const struct message *m, size_t i)
{
	return m->q->recipients[i].state == OUTQUEUE_WAITING &&
	       (is_message(c, m) || strcasecmp(c->what, m->q->recipients[i].address) == 0);
}

/* The relay may have it already, or its bounce be on its way into the database: what comes of that decides. */
static bool may_be_late(const struct target *t)
{
	return t->sending || t->reporting;
}

/* Each returns how many recipients (drop, retry) or messages (hold, release) it changed. */
static unsigned drop(struct message *m, const struct choice *c)
{
	unsigned n = 0;

	for (size_t i = 0; i < m->q->nrecipients; i++) {
		if (!is_recipient(c, m, i))
			continue;
		n++;
		if (may_be_late(&m->t[i])) {
			m->t[i].drop = true;
			continue;
		}
		log_info("send.dropped", kv_s("id", m->q->id), kv_s("to", m->q->recipients[i].address),
		         kv_s("why", "by hand"));
		attempt_drop(m, i);
	}
	if (n > 0 && (attempt_wants(m) || !attempt_withdraw(m)))
		attempt_settle(m);
	return n;
}

static unsigned retry(struct message *m, const struct choice *c)
{
	unsigned n = 0;

	for (size_t i = 0; i < m->q->nrecipients; i++) {
		if (!is_recipient(c, m, i))
			continue;
		m->t[i].next_ms = 0;
		m->q->recipients[i].next_at = 0;
		n++;
	}
	m->eager = n > 0 && m->state == MESSAGE_CLOSING;
	m->s->next_due = -1;
	return n;
}

static unsigned set_held(struct message *m, const struct choice *c, bool held)
{
	bool any = is_message(c, m);

	for (size_t i = 0; i < m->q->nrecipients && !any; i++)
		any = is_recipient(c, m, i);
	if (!any)
		return 0;
	if (m->q->held == held)
		return 1;
	m->q->held = held;
	m->dirty = true;
	m->s->next_due = -1;
	log_info(held ? "send.held" : "send.released", kv_s("id", m->q->id));
	journal_event(delivery_journal(m->s->d.delivery), held ? JOURNAL_HELD : JOURNAL_RELEASED, m->q->id, m->q->size,
	              "", "", "");
	/* Held is held for all that is not on the wire. */
	if (!held || !attempt_withdraw(m))
		attempt_settle(m);
	return 1;
}

static unsigned hold(struct message *m, const struct choice *c)
{
	return set_held(m, c, true);
}

static unsigned release(struct message *m, const struct choice *c)
{
	bool was_held = m->q->held;
	unsigned n = set_held(m, c, false);

	if (n > 0 && was_held) {
		for (size_t i = 0; i < m->q->nrecipients; i++) {
			m->t[i].next_ms = 0;
			m->q->recipients[i].next_at = 0;
		}
		m->eager = m->state == MESSAGE_CLOSING;
	}
	return n;
}

void sender_act(struct sender *s, enum sender_action action, const char *what,
                void (*done)(void *arg, unsigned n, const struct strlist *ids, const char *error), void *arg)
{
	static unsigned (*const actions[])(struct message *, const struct choice *) = {
	    [SENDER_DROP] = drop, [SENDER_RETRY] = retry, [SENDER_HOLD] = hold, [SENDER_RELEASE] = release};
	char *ascii = address_to_ascii(slice_of(what)); /* as addresses are kept */
	struct choice c = {ascii, strcmp(what, "all") == 0};
	struct strlist ids = {NULL, 0};
	struct message *m, *next;
	struct lane *l;
	unsigned n = 0;

	for (m = TAILQ_FIRST(&s->messages); m != NULL; m = next) {
		char *id = xstrdup(m->q->id);
		next = TAILQ_NEXT(m, all);
		unsigned changed = actions[action](m, &c); /* may free m */
		n += changed;
		if (changed > 0)
			strlist_add(&ids, id);
		free(id);
	}
	/* Connections may have lost what they had in hand. */
	TAILQ_FOREACH(l, &s->lanes, entry)
	lane_pump(l);
	done(arg, n, &ids,
	     n == 0 && !c.all ? "no waiting message has this id or address (ofmctl queue lists what waits)" : NULL);
	strlist_free(&ids);
	free(ascii);
	if (n > 0 && (action == SENDER_RETRY || action == SENDER_RELEASE))
		sender_run(s, false, NULL, NULL, NULL);
}
