#include "fetch/picks.h"

#include "base/alloc.h"
#include "fetch/picks_internal.h"

#include <search.h>
#include <stdlib.h>
#include <string.h>

enum { BRAKE_LEAST = 20, MISSED_ENOUGH = 3 };

/* ---- names ---- */

/* A name for a message whose UIDL is none, or another's too: by its header. Two of one header are told apart by
 * counting; which of them is which does not matter. */
void picks_name(struct picks *p, struct pick *k)
{
	const struct ledger_record *own = k->uidl != NULL ? ledger_find(p->records, slice_of(k->uidl)) : NULL;
	char hex[2 * DIGEST_SIZE + 1];

	/* The one that was recorded when the UIDL was still its own. */
	if (own != NULL && !p->seen[own - p->records->v] && memcmp(own->digest, k->digest, DIGEST_SIZE) == 0) {
		k->key = xstrdup(k->uidl);
		return;
	}
	struct picks_name *name = xcalloc(1, sizeof *name);

	digest_hex(k->digest, hex);
	name->text = k->uidl != NULL ? xasprintf("%s#%.16s", k->uidl, hex) : xasprintf("top:%s", hex);
	struct picks_name **at = tsearch(name, &p->names, picks_name_compare);
	if (at == NULL)
		abort();
	if (*at != name) {
		free(name->text);
		free(name);
	}
	(*at)->times++;
	if ((*at)->times == 1)
		k->key = xstrdup((*at)->text);
	else
		k->key = xasprintf("%s#%u", (*at)->text, (*at)->times);
}

int picks_name_compare(const void *a, const void *b)
{
	const struct picks_name *x = a, *y = b;

	return strcmp(x->text, y->text);
}

static void free_name(void *arg)
{
	struct picks_name *name = arg;

	free(name->text);
	free(name);
}

/* A message alone under a UIDL that once stood for several: records "UIDL#…" are there. */
static bool had_twins(const struct picks *p, const char *uidl)
{
	size_t n = strlen(uidl), low = 0, high = p->records->n;
	char *prefix = xasprintf("%s#", uidl);

	while (low < high) {
		size_t mid = low + (high - low) / 2;

		if (strcmp(p->records->v[mid].uidl, prefix) < 0)
			low = mid + 1;
		else
			high = mid;
	}
	free(prefix);
	return low < p->records->n && strncmp(p->records->v[low].uidl, uidl, n) == 0 &&
	       p->records->v[low].uidl[n] == '#';
}

/* ---- making ---- */

void picks_look_up(struct picks *p, struct pick *k)
{
	k->rec = ledger_find(p->records, slice_of(k->key));
	if (k->rec != NULL)
		p->seen[k->rec - p->records->v] = true;
}

static void take_listing(struct picks *p, struct listing *l)
{
	p->n = l->n;
	p->v = xcalloc(l->n + 1, sizeof *p->v);
	for (size_t i = 0; i < l->n; i++) {
		struct pick *k = &p->v[i];

		*k = (struct pick){.number = l->v[i].number,
		                   .size = l->v[i].size,
		                   .uidl = l->v[i].uidl,
		                   .twice = l->v[i].twice,
		                   .arrived = -1};
		l->v[i].uidl = NULL;
		if (k->uidl == NULL || k->twice)
			continue;
		if (ledger_find(p->records, slice_of(k->uidl)) == NULL && had_twins(p, k->uidl))
			continue;
		k->key = xstrdup(k->uidl);
		picks_look_up(p, k);
	}
}

static int by_digest(const void *a, const void *b)
{
	const struct ledger_record *const *x = a, *const *y = b;

	return memcmp((*x)->digest, (*y)->digest, DIGEST_SIZE);
}

/* A record that the last listings still showed. Where headers can be compared, a mistake here costs a few TOPs alone,
 * so an empty listing in between does not count; where they cannot, a hold would be the price. */
static bool was_there(const struct picks *p, const struct ledger_record *rec)
{
	return !rec->closed && rec->missed < (p->rules.can_top ? MISSED_ENOUGH : 1);
}

/* Have nearly all known messages been replaced by unknown ones? Then the server has numbered anew, and all would be
 * fetched a second time. */
static void apply_brake(struct picks *p)
{
	size_t there = 0, gone = 0, unknown = 0;

	p->vanished = xcalloc(p->records->n + 1, sizeof(struct ledger_record *));
	for (size_t i = 0; i < p->records->n; i++) {
		if (!was_there(p, &p->records->v[i]))
			continue;
		there++;
		if (!p->seen[i])
			p->vanished[gone++] = &p->records->v[i];
	}
	for (size_t i = 0; i < p->n; i++)
		unknown += p->v[i].key != NULL && p->v[i].rec == NULL;
	p->nvanished = gone;
	p->brake = there >= BRAKE_LEAST && gone * 10 >= there * 9 && unknown > 0 && p->rules.resume == PICKS_AS_USUAL;
	p->hold = p->brake && !p->rules.can_top;
	if (p->brake)
		qsort(p->vanished, gone, sizeof(struct ledger_record *), by_digest);
}

const struct ledger_record *picks_find_vanished(struct picks *p, const struct pick *k)
{
	struct ledger_record probe = {0};
	const struct ledger_record *key = &probe;

	memcpy(probe.digest, k->digest, DIGEST_SIZE);
	const struct ledger_record **hit =
	    bsearch(&key, p->vanished, p->nvanished, sizeof(struct ledger_record *), by_digest);
	if (hit == NULL)
		return NULL;
	/* Equal headers stand side by side; each is taken over once. */
	while (hit > p->vanished && by_digest(hit - 1, &key) == 0)
		hit--;
	for (; hit < p->vanished + p->nvanished && by_digest(hit, &key) == 0; hit++) {
		size_t at = (size_t)(*hit - p->records->v);

		if (p->taken_over[at])
			continue;
		p->taken_over[at] = true;
		return *hit;
	}
	return NULL;
}

void picks_make(struct picks *p, const struct picks_rules *rules, struct listing *l,
                const struct ledger_records *records)
{
	*p = (struct picks){.rules = *rules, .records = records};
	p->seen = xcalloc(records->n + 1, sizeof *p->seen);
	p->taken_over = xcalloc(records->n + 1, sizeof *p->taken_over);
	take_listing(p, l);
	apply_brake(p);
	if (p->hold)
		return;
	for (size_t i = 0; i < p->n; i++)
		picks_decide(p, &p->v[i]);
}

/* ---- afterwards ---- */

void picks_change(struct picks *p, bool remove, struct ledger_record rec)
{
	if (p->nchanges == p->changes_cap) {
		p->changes_cap = p->changes_cap != 0 ? p->changes_cap * 2 : 32;
		p->changes = xreallocarray(p->changes, p->changes_cap, sizeof *p->changes);
	}
	rec.uidl = xstrdup(rec.uidl);
	p->changes[p->nchanges++] = (struct picks_change){remove, rec};
}

static void count_missing(struct picks *p, const struct ledger_record *rec)
{
	bool aged = !p->rules.clock_jumped && p->rules.now - rec->stored_at > LEDGER_AGED_S;
	struct ledger_record now = *rec;

	/* That a closed one is not listed is as it should be, and no news until it may go. */
	if (rec->closed && !aged)
		return;
	if (rec->missed + 1 >= MISSED_ENOUGH && aged) {
		picks_change(p, true, now);
	} else if (rec->missed < MISSED_ENOUGH) {
		now.missed++;
		picks_change(p, false, now);
	}
}

void picks_settle(struct picks *p)
{
	/* What has no name yet might be any of the records. */
	for (size_t i = 0; i < p->n; i++)
		p->keyless |= p->v[i].key == NULL;
	for (size_t i = 0; i < p->records->n; i++) {
		const struct ledger_record *rec = &p->records->v[i];

		if (p->seen[i] && rec->missed > 0) {
			struct ledger_record now = *rec;

			now.missed = 0;
			picks_change(p, false, now);
		} else if (!p->seen[i] && !p->taken_over[i] && !p->keyless) {
			count_missing(p, rec);
		}
	}
}

void picks_free(struct picks *p)
{
	for (size_t i = 0; i < p->n; i++) {
		free(p->v[i].uidl);
		free(p->v[i].key);
		free(p->v[i].title);
	}
	for (size_t i = 0; i < p->nchanges; i++)
		free(p->changes[i].rec.uidl);
	tdestroy(p->names, free_name);
	free(p->v);
	free(p->changes);
	free(p->seen);
	free(p->taken_over);
	free(p->vanished);
	*p = (struct picks){0};
}
