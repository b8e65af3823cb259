/* After broken pipelining: which message a stored one was is not sure any more. */
#include "base/alloc.h"
#include "fetch/session_internal.h"

#include <stdlib.h>

struct doubt { /* one commit */
	struct session *s;
	struct facts key; /* host and user alone */
	struct ledger_record *v;
	size_t n;
};

static int apply(struct db_conn *c, void *arg, struct err *e)
{
	struct doubt *d = arg;
	struct ledger_key key = facts_key(&d->key);

	for (size_t i = 0; i < d->n; i++)
		if (ledger_put(c, &key, &d->v[i], e) != 0)
			return -1;
	return 0;
}

static void on_done(void *arg, enum db_outcome outcome, const struct err *e)
{
	struct doubt *d = arg;
	struct session *s = d->s;

	(void)outcome;
	(void)e;
	for (size_t i = 0; i < d->n; i++)
		free(d->v[i].uidl);
	free(d->v);
	facts_free(&d->key);
	free(d);
	session_came_back(s);
}

/* No message has that size, so the next session asks for the header, which is on record (picks_decide.c). */
static void add(struct doubt *d, const struct session *s, size_t i)
{
	struct ledger_record rec = picks_record(&s->picks, i);

	rec.uidl = xstrdup(rec.uidl);
	rec.size = LISTING_SIZE_MAX + 1;
	d->v[d->n++] = rec;
}

static struct doubt *doubt_new(struct session *s, size_t room)
{
	struct doubt *d = xcalloc(1, sizeof *d);

	d->s = s;
	d->v = xcalloc(room, sizeof *d->v);
	facts_init(&d->key, s->account);
	return d;
}

static void submit(struct session *s, struct doubt *d)
{
	struct db_job job = {
	    .apply = apply, .done = on_done, .arg = d, .lane = s->setup.lane, .bytes = 200 * (d->n + 1)};

	session_under_way(s);
	database_submit(s->setup.deps->database, &job);
}

void session_kept(struct session *s, size_t i)
{
	if (s->kept == NULL)
		s->kept = xcalloc(s->picks.n, sizeof *s->kept);
	s->kept[i] = true;
	if (!s->blames_pipelining)
		return;
	struct doubt *d = doubt_new(s, 1); /* its commit was under way when the session ended */
	add(d, s, i);
	submit(s, d);
}

void session_doubt(struct session *s)
{
	if (s->kept == NULL)
		return;
	struct doubt *d = doubt_new(s, s->picks.n);
	for (size_t i = 0; i < s->picks.n; i++)
		if (s->kept[i])
			add(d, s, i);
	submit(s, d);
}
