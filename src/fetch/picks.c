#include "fetch/picks.h"

#include "base/alloc.h"
#include "fetch/picks_internal.h"

#include <search.h>
#include <stdlib.h>
#include <string.h>

enum { BRAKE_LEAST = 20, MISSED_ENOUGH = 3 };

/* ---- names ---- */

static char *name_by(const struct pick *k, const unsigned char *digest, size_t n)
{
	char hex[2 * DIGEST_SIZE + 1];

	digest_hex(digest, hex);
	return k->uidl != NULL ? xasprintf("%s#%.16s", k->uidl, hex) : xasprintf("top:%.*s", (int)(2 * n), hex);
}

/* Takes the name; returns it with a number where it was given before. */
static char *name_once_more(struct picks *p, char *text)
{
	struct picks_name *name = xcalloc(1, sizeof *name);

	name->text = text;
	struct picks_name **at = tsearch(name, &p->names, picks_name_compare);
	if (at == NULL)
		abort();
	if (*at != name) {
		free(name->text);
		free(name);
	}
	(*at)->times++;
	return (*at)->times == 1 ? xstrdup((*at)->text) : xasprintf("%s#%u", (*at)->text, (*at)->times);
}

/* The name that earlier versions gave it, where a record has that and none has today's. */
static char *name_of_old(struct picks *p, const struct pick *k)
{
	const unsigned char *digests[] = {k->digest, k->old.few, k->old.many};
	char *found = NULL;

	for (size_t i = 0; i < 3 && found == NULL; i++) {
		char *text = name_by(k, digests[i], i == 0 ? DIGEST_HALF : DIGEST_SIZE);

		if (ledger_find(p->records, slice_of(text)) != NULL)
			found = name_once_more(p, text);
		else
			free(text);
	}
	return found;
}

/* A name for a message whose UIDL is none, or another's too: by its header. Two of one header are told apart by
 * counting; which of them is which does not matter. */
void picks_name(struct picks *p, struct pick *k)
{
	const struct ledger_record *own = k->uidl != NULL ? ledger_find(p->records, slice_of(k->uidl)) : NULL;

	/* The one that was recorded when the UIDL was still its own. */
	if (own != NULL && !p->seen[own - p->records->v] && digest_same(own->digest, k->digest, &k->old)) {
		k->key = xstrdup(k->uidl);
		return;
	}
	if (p->records->n > 0)
		k->key = name_of_old(p, k);
	if (k->key == NULL)
		k->key = name_once_more(p, name_by(k, k->digest, DIGEST_HALF));
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

/* A record that the last listings still showed. Where headers can be compared, a mistake here costs a few TOPs alone,
 * so an empty listing in between does not count; where they cannot, a hold would be the price. */
bool picks_was_there(const struct picks *p, const struct ledger_record *rec)
{
	return !rec->closed && rec->missed < (p->rules.can_top ? MISSED_ENOUGH : 1);
}

static size_t unknown_ones(const struct picks *p)
{
	size_t n = 0;

	for (size_t i = 0; i < p->n; i++)
		n += p->v[i].key != NULL && p->v[i].rec == NULL;
	return n;
}

static int by_number(const void *a, const void *b)
{
	const uint64_t *x = a, *y = b;

	return *x < *y ? -1 : *x > *y;
}

/* What was never taken has no digest where there is no TOP, and must not be taken for new mail, fetched and deleted:
 * are there unknown messages of the same sizes, for nearly all that vanished? */
static bool skipped_ones_came_back(const struct picks *p)
{
	size_t gone = 0, back = 0, n = 0;
	uint64_t *sizes = xcalloc(p->n + 1, sizeof *sizes);

	for (size_t i = 0; i < p->n; i++)
		if (p->v[i].key != NULL && p->v[i].rec == NULL)
			sizes[n++] = p->v[i].size;
	qsort(sizes, n, sizeof *sizes, by_number);
	for (size_t i = 0; i < p->nopen; i++) {
		const struct ledger_record *rec = p->open[i];

		if (p->seen[rec - p->records->v] || !rec->skipped || picks_is_large(rec))
			continue;
		gone++;
		back += bsearch(&rec->size, sizes, n, sizeof *sizes, by_number) != NULL;
	}
	free(sizes);
	return gone > 0 && back * 10 >= gone * 9;
}

/* Have nearly all known messages been replaced by unknown ones? Then the server has numbered anew, and all would be
 * fetched a second time. */
static void apply_brake(struct picks *p)
{
	p->open = xcalloc(p->records->n + 1, sizeof(struct ledger_record *));
	for (size_t i = 0; i < p->records->n; i++) {
		const struct ledger_record *rec = &p->records->v[i];

		if (!picks_was_there(p, rec))
			continue;
		p->open[p->nopen++] = rec;
		p->nvanished += !p->seen[i];
		p->ncomparable += picks_comparable(rec);
	}
	p->nfree = p->nopen;
	if (p->rules.resume != PICKS_AS_USUAL || unknown_ones(p) == 0)
		return;
	p->brake = p->nopen >= BRAKE_LEAST && p->nvanished * 10 >= p->nopen * 9;
	p->hold = !p->rules.can_top && (p->brake || skipped_ones_came_back(p));
	p->brake |= p->hold;
}

bool picks_lists(const struct picks *p, const char *uidl)
{
	const struct ledger_record *rec = ledger_find(p->records, slice_of(uidl));

	return rec != NULL && p->seen[rec - p->records->v];
}

void picks_make(struct picks *p, const struct picks_rules *rules, struct listing *l,
                const struct ledger_records *records)
{
	*p = (struct picks){.rules = *rules, .records = records};
	p->seen = xcalloc(records->n + 1, sizeof *p->seen);
	p->claimed = xcalloc(records->n + 1, sizeof *p->claimed);
	p->moved = xcalloc(records->n + 1, sizeof *p->moved);
	take_listing(p, l);
	apply_brake(p);
	if (p->hold)
		return;
	/* First those with records: what they claim is no other's. */
	for (size_t i = 0; i < p->n; i++)
		if (p->v[i].rec != NULL)
			picks_decide(p, &p->v[i]);
	for (size_t i = 0; i < p->n; i++)
		if (p->v[i].rec == NULL)
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

		if (p->moved[i])
			continue;
		if (p->seen[i] && rec->missed > 0) {
			struct ledger_record now = *rec;

			now.missed = 0;
			picks_change(p, false, now);
		} else if (!p->seen[i] && !p->claimed[i] && !p->keyless) {
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
	free(p->claimed);
	free(p->moved);
	free(p->open);
	picks_index_free(&p->closed);
	picks_index_free(&p->by_header);
	picks_index_free(&p->by_author);
	picks_index_free(&p->nameless);
	picks_index_free(&p->skipped);
	picks_index_free(&p->large);
	*p = (struct picks){0};
}
