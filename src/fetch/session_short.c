/* Messages that come plainly shorter than the listing says. Some servers give less than all at the first RETR; others
 * list wrong sizes. So such a message is asked for once more, and the longer answer is taken. Until then it is neither
 * stored nor deleted. */
#include "base/alloc.h"
#include "base/log.h"
#include "fetch/session_internal.h"
#include "mail/header.h"

#include <stdlib.h>

enum {
	EQUAL_ENOUGH = 4,    /* second answers as short as the first, before the server's sizes are thought untrue */
	ROUGHLY = 256,       /* fields that the server counts and does not send, or the other way round */
	EMPTY_LINES_MOST = 4 /* bytes behind a header that are no body yet */
};

enum shortness { AS_LISTED, SHORTER, HEADER_ALONE };

struct held {                 /* of each pick */
	struct gather *first; /* its first answer, until it is decided; else NULL */
	bool again;           /* it is asked for once more */
	bool counts;          /* the second answer tells about the server's sizes */
};

static bool is_header_alone(const struct gather *g)
{
	struct header h;

	header_scan(&h, gather_head(g));
	bool alone = gather_size(g) - h.body <= EMPTY_LINES_MOST;
	header_free(&h);
	return alone;
}

static enum shortness shortness_of(const struct session *s, size_t i, const struct gather *g)
{
	uint64_t listed = s->picks.v[i].size, got = gather_size(g);

	if (listed <= got + EMPTY_LINES_MOST)
		return AS_LISTED;
	if (is_header_alone(g))
		return HEADER_ALONE;
	/* A line end counts as one byte there, and as two elsewhere. */
	return listed - got > s->lines + ROUGHLY || listed / 2 > got ? SHORTER : AS_LISTED;
}

static bool sizes_are_untrue(const struct session *s)
{
	const struct session_sizes *z = s->setup.sizes;

	return !z->cuts && z->equal >= EQUAL_ENOUGH;
}

static bool may_ask(const struct session *s)
{
	const struct session_sizes *z = s->setup.sizes;

	return z->cuts || z->equal + s->doubts.asked < EQUAL_ENOUGH;
}

static void ask_again(struct session *s, size_t i, bool counts)
{
	struct held *h = &s->doubts.v[i];

	h->again = true;
	h->counts = counts;
	s->doubts.asked += counts;
	if (s->stopping || s->no_room) /* the next session fetches it anew */
		return;
	s->picks.v[i].asked = true;
	session_queue_first(s, POP3_RETR, i, s->picks.v[i].size);
}

static void park(struct session *s, size_t i)
{
	struct doubts *d = &s->doubts;

	if (d->parked == NULL)
		d->parked = xcalloc(s->picks.n, sizeof *d->parked);
	d->parked[d->nparked++] = i;
}

static struct gather *release(struct session *s, size_t i)
{
	struct held *h = &s->doubts.v[i];
	struct gather *first = h->first;

	s->doubts.asked -= h->counts;
	s->doubts.n--;
	*h = (struct held){0};
	return first;
}

static void learn(struct session *s, size_t i, uint64_t first, uint64_t second, bool counts)
{
	struct session_sizes *z = s->setup.sizes;
	const struct pick *k = &s->picks.v[i];

	if (second > first)
		z->cuts = true;
	else if (second == first && counts && z->equal < EQUAL_ENOUGH)
		z->equal++;
	log_event(second > first ? LOG_WARNING : LOG_INFO, "fetch.short",
	          (struct kv[]){kv_s("sid", s->sid), kv_s("account", s->account->label), kv_u("number", k->number),
	                        kv_u("listed", k->size), kv_u("first", first), kv_u("second", second), KV_END});
}

/* The second answer has come. */
static void take_longer(struct session *s, size_t i, struct gather **g)
{
	bool counts = s->doubts.v[i].counts;
	struct gather *first = release(s, i);

	learn(s, i, gather_size(first), gather_size(*g), counts);
	if (gather_size(first) > gather_size(*g)) {
		struct gather *less = *g;

		*g = first;
		first = less;
	}
	gather_free(&first);
}

bool session_holds_short(struct session *s, size_t i, struct gather **g)
{
	struct doubts *d = &s->doubts;

	if (d->v != NULL && d->v[i].again) {
		take_longer(s, i, g);
		return false;
	}
	enum shortness how = shortness_of(s, i, *g);
	if (how == AS_LISTED || (how == SHORTER && sizes_are_untrue(s)))
		return false;
	if (d->v == NULL)
		d->v = xcalloc(s->picks.n, sizeof *d->v);
	d->v[i].first = *g;
	*g = NULL;
	d->n++;
	if (how == HEADER_ALONE || may_ask(s))
		ask_again(s, i, how == SHORTER);
	else
		park(s, i);
	return true;
}

struct gather *session_next_undoubted(struct session *s, size_t *i)
{
	struct doubts *d = &s->doubts;

	while (d->from < d->nparked && (sizes_are_untrue(s) || may_ask(s))) {
		*i = d->parked[d->from++];
		if (sizes_are_untrue(s))
			return release(s, *i);
		ask_again(s, *i, true);
	}
	if (d->from == d->nparked)
		d->from = d->nparked = 0;
	return NULL;
}

void session_refuses_again(struct session *s, size_t i)
{
	if (s->doubts.v == NULL || !s->doubts.v[i].again)
		return;
	struct gather *first = release(s, i);
	gather_free(&first);
}

void session_doubts_free(struct session *s)
{
	for (size_t i = 0; s->doubts.v != NULL && i < s->picks.n; i++)
		gather_free(&s->doubts.v[i].first);
	free(s->doubts.v);
	free(s->doubts.parked);
}
