/* The table of waiting messages: by id, and in order of queueing. */
#include "base/alloc.h"
#include "base/clock.h"
#include "send/sender_internal.h"

#include <stdlib.h>
#include <string.h>

static struct message **slot(const struct sender *s, const char *id)
{
	return (struct message **)&s->hash[slice_hash(slice_of(id)) % SENDER_HASH];
}

struct message *message_find(const struct sender *s, const char *id)
{
	struct message *m = *slot(s, id);

	while (m != NULL && strcmp(m->q->id, id) != 0)
		m = m->same_hash;
	return m;
}

static void schedule(struct message *m)
{
	const struct config_relay *relay = config_relay_for(m->s->config, slice_of(m->q->entry.sender));
	int64_t first = relay != NULL ? relay->retry : m->s->config->relays[0].retry;
	int64_t now = clock_mono_ms(), wall = clock_wall_s();

	m->counted_ms = now;
	m->q->waited = retry_age_after(m->q->waited, m->q->counted_at, wall);
	for (size_t i = 0; i < m->q->nrecipients; i++) {
		const struct outqueue_recipient *r = &m->q->recipients[i];
		m->t[i].next_ms = r->next_at == 0 ? now : now + 1000 * retry_left(r->next_at, wall, first, r->attempts);
	}
}

/* In the order of ids, which is that of arrival: so it almost always goes to the end. */
static void insert(struct sender *s, struct message *m)
{
	struct message *before = TAILQ_LAST(&s->messages, message_list);

	while (before != NULL && strcmp(before->q->id, m->q->id) > 0)
		before = TAILQ_PREV(before, message_list, all);
	if (before != NULL)
		TAILQ_INSERT_AFTER(&s->messages, before, m, all);
	else
		TAILQ_INSERT_HEAD(&s->messages, m, all);
}

struct message *message_add(struct sender *s, struct outqueue_message *q)
{
	struct message **at = slot(s, q->id);

	if (message_find(s, q->id) != NULL) {
		outqueue_message_free(&q);
		return NULL;
	}
	struct message *m = xcalloc(1, sizeof *m);
	m->s = s;
	m->q = q;
	m->t = xcalloc(q->nrecipients + 1, sizeof *m->t);
	m->same_hash = *at;
	*at = m;
	insert(s, m);
	s->n++;
	s->next_due = -1;
	schedule(m);
	return m;
}

void message_remove(struct message **mp)
{
	struct message *m = *mp;

	*mp = NULL;
	lane_saved(m);
	struct message **at = slot(m->s, m->q->id);
	while (*at != m)
		at = &(*at)->same_hash;
	*at = m->same_hash;
	TAILQ_REMOVE(&m->s->messages, m, all);
	m->s->n--;
	m->s->next_due = -1;
	outqueue_message_free(&m->q);
	free(m->t);
	free(m->relay);
	free(m->tx);
	free(m->runs);
	free(m);
}

bool message_waits(const struct message *m)
{
	for (size_t i = 0; i < m->q->nrecipients; i++)
		if (m->q->recipients[i].state == OUTQUEUE_WAITING)
			return true;
	return false;
}

int64_t message_age(struct message *m)
{
	int64_t now = clock_mono_ms(), s = (now - m->counted_ms) / 1000;

	if (s > 0) {
		m->q->waited += s;
		m->counted_ms += s * 1000;
	}
	m->q->counted_at = clock_wall_s();
	return m->q->waited;
}

char *message_path(const struct sender *s, const char *id, const char *suffix)
{
	return xasprintf("%s/%s%s", s->config->outqueue, id, suffix);
}
