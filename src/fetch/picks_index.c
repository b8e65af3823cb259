/* Open records that no listed message has claimed yet, found by what messages show of themselves. Each index is sorted
 * when it is first asked; none is in a session that meets nothing odd. */
#include "base/alloc.h"
#include "fetch/picks_internal.h"

#include <stdlib.h>
#include <string.h>

typedef int comparing(const struct ledger_record *a, const struct ledger_record *b);

static int by_size(const struct ledger_record *a, const struct ledger_record *b)
{
	return a->size < b->size ? -1 : a->size > b->size;
}

static int by_header(const struct ledger_record *a, const struct ledger_record *b)
{
	return digest_compare(a->digest, b->digest);
}

static int by_author(const struct ledger_record *a, const struct ledger_record *b)
{
	return memcmp(a->digest + DIGEST_HALF, b->digest + DIGEST_HALF, DIGEST_HALF);
}

static int by_header_and_size(const struct ledger_record *a, const struct ledger_record *b)
{
	int c = by_header(a, b);

	return c != 0 ? c : by_size(a, b);
}

static int sort_by_size(const void *a, const void *b)
{
	return by_size(*(const struct ledger_record *const *)a, *(const struct ledger_record *const *)b);
}

static int sort_by_header(const void *a, const void *b)
{
	return by_header_and_size(*(const struct ledger_record *const *)a, *(const struct ledger_record *const *)b);
}

static int sort_by_author(const void *a, const void *b)
{
	return by_author(*(const struct ledger_record *const *)a, *(const struct ledger_record *const *)b);
}

static bool taken(const struct ledger_record *rec)
{
	return picks_comparable(rec) && !rec->skipped;
}

static bool nameless(const struct ledger_record *rec)
{
	return !digest_known(rec->digest) && !rec->skipped;
}

static bool old(const struct ledger_record *rec)
{
	return rec->skipped && !picks_is_large(rec);
}

static void build(struct picks *p, struct picks_index *x, bool (*has)(const struct ledger_record *rec),
                  int (*order)(const void *a, const void *b))
{
	if (x->v != NULL)
		return;
	x->v = xcalloc(p->nopen + 1, sizeof(struct ledger_record *));
	x->from = xcalloc(p->nopen + 1, sizeof *x->from);
	for (size_t i = 0; i < p->nopen; i++)
		if (has(p->open[i]))
			x->v[x->n++] = p->open[i];
	qsort(x->v, x->n, sizeof(struct ledger_record *), order);
}

/* Equal ones stand side by side; those in front that are claimed are passed over once for all. */
static const struct ledger_record *find(struct picks *p, struct picks_index *x, comparing *compare,
                                        const struct ledger_record *probe)
{
	size_t low = 0, high = x->n, i;

	while (low < high) {
		size_t mid = low + (high - low) / 2;

		if (compare(x->v[mid], probe) < 0)
			low = mid + 1;
		else
			high = mid;
	}
	if (low == x->n)
		return NULL;
	i = x->from[low] > low ? x->from[low] : low;
	while (i < x->n && compare(x->v[i], probe) == 0 && p->claimed[x->v[i] - p->records->v])
		i++;
	x->from[low] = i;
	if (i == x->n || compare(x->v[i], probe) != 0)
		return NULL;
	picks_claim(p, x->v[i]);
	return x->v[i];
}

static const struct ledger_record *find_header(struct picks *p, const struct pick *k, const unsigned char *digest,
                                               comparing *compare)
{
	struct ledger_record probe = {.size = k->size};

	memcpy(probe.digest, digest, DIGEST_SIZE);
	build(p, &p->by_header, picks_comparable, sort_by_header);
	return find(p, &p->by_header, compare, &probe);
}

bool picks_comparable(const struct ledger_record *rec)
{
	return digest_known(rec->digest) && !picks_is_large(rec);
}

void picks_claim(struct picks *p, const struct ledger_record *rec)
{
	size_t at = (size_t)(rec - p->records->v);

	if (!p->claimed[at] && picks_was_there(p, rec)) {
		p->nfree--;
		p->ncomparable -= picks_comparable(rec);
	}
	p->claimed[at] = true;
}

const struct ledger_record *picks_find_open(struct picks *p, const struct pick *k)
{
	comparing *compare = k->unique || p->brake ? by_header : by_header_and_size;

	if (p->nfree == 0)
		return NULL;
	const struct ledger_record *rec = find_header(p, k, k->digest, compare);
	return rec != NULL ? rec : find_header(p, k, k->old.few, compare);
}

const struct ledger_record *picks_find_alike(struct picks *p, const struct pick *k)
{
	static const unsigned char none[DIGEST_HALF];
	struct ledger_record probe = {.size = k->size};
	const struct ledger_record *rec = picks_find_open(p, k);

	if (p->nfree == 0 || rec != NULL)
		return rec;
	memcpy(probe.digest, k->digest, DIGEST_SIZE);
	if (memcmp(k->digest + DIGEST_HALF, none, DIGEST_HALF) != 0) {
		build(p, &p->by_author, taken, sort_by_author);
		rec = find(p, &p->by_author, by_author, &probe);
	}
	if (rec != NULL)
		return rec;
	build(p, &p->nameless, nameless, sort_by_size);
	return find(p, &p->nameless, by_size, &probe);
}

const struct ledger_record *picks_find_skipped(struct picks *p, const struct pick *k, bool large)
{
	struct picks_index *x = large ? &p->large : &p->skipped;
	struct ledger_record probe = {.size = k->size};

	if (p->nfree == 0)
		return NULL;
	build(p, x, large ? picks_is_large : old, sort_by_size);
	return find(p, x, by_size, &probe);
}

void picks_index_free(struct picks_index *x)
{
	free(x->v);
	free(x->from);
	*x = (struct picks_index){0};
}
