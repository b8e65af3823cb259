/* Messages whose deletion was confirmed, and that are listed again under other UIDLs. */
#include "base/alloc.h"
#include "fetch/picks_internal.h"

#include <stdlib.h>
#include <string.h>

static int compare(const struct ledger_record *a, const struct ledger_record *b)
{
	if (a->size != b->size)
		return a->size < b->size ? -1 : 1;
	return digest_compare(a->digest, b->digest);
}

static int sort(const void *a, const void *b)
{
	return compare(*(const struct ledger_record *const *)a, *(const struct ledger_record *const *)b);
}

static void build(struct picks *p)
{
	struct picks_index *x = &p->closed;

	if (x->v != NULL)
		return;
	x->v = xcalloc(p->records->n + 1, sizeof(struct ledger_record *));
	for (size_t i = 0; i < p->records->n; i++) {
		const struct ledger_record *rec = &p->records->v[i];

		if (rec->closed && !rec->skipped && picks_comparable(rec))
			x->v[x->n++] = rec;
	}
	qsort(x->v, x->n, sizeof(struct ledger_record *), sort);
}

static size_t first_from(const struct picks_index *x, const struct ledger_record *probe)
{
	size_t low = 0, high = x->n;

	while (low < high) {
		size_t mid = low + (high - low) / 2;

		if (compare(x->v[mid], probe) < 0)
			low = mid + 1;
		else
			high = mid;
	}
	return low;
}

static bool in_force(const struct picks *p)
{
	return p->rules.returned && p->rules.resume == PICKS_AS_USUAL;
}

bool picks_may_have_returned(struct picks *p, const struct pick *k)
{
	struct ledger_record probe = {.size = k->size};

	if (!in_force(p))
		return false;
	build(p);
	size_t i = first_from(&p->closed, &probe);
	return i < p->closed.n && p->closed.v[i]->size == k->size;
}

/* Size and all of the header are the same. */
static const struct ledger_record *same(const struct picks *p, const struct pick *k)
{
	const struct picks_index *x = &p->closed;
	struct ledger_record probe = {.size = k->size};

	memcpy(probe.digest, k->digest, DIGEST_SIZE);
	for (size_t i = first_from(x, &probe); i < x->n && compare(x->v[i], &probe) == 0; i++)
		if (!p->claimed[x->v[i] - p->records->v] && digest_same_author(x->v[i]->digest, k->digest))
			return x->v[i];
	return NULL;
}

/* Size and the author's part are. */
static size_t count_alike(const struct picks *p, const struct pick *k)
{
	const struct picks_index *x = &p->closed;
	struct ledger_record probe = {.size = k->size};
	size_t n = 0;

	for (size_t i = first_from(x, &probe); i < x->n && x->v[i]->size == k->size; i++)
		n += !p->claimed[x->v[i] - p->records->v] && digest_same_author(x->v[i]->digest, k->digest);
	return n;
}

/* A single one that comes again is taken for new mail; what many of them, or session after session, show is that
 * deletions do not hold. Where headers differ each time, the author's part says so, but is no proof: that is a copy
 * once, and then a person has to decide. */
bool picks_came_back(struct picks *p, struct pick *k)
{
	if (!picks_may_have_returned(p, k))
		return false;
	const struct ledger_record *rec = k->unique || k->arrived >= 0 ? same(p, k) : NULL;
	if (rec != NULL) {
		p->nback++;
		if (!p->rules.many_returned)
			return false;
		picks_claim(p, rec);
		k->again = rec;
		k->action = PICK_DELE;
		return true;
	}
	size_t alike = k->has_id ? count_alike(p, k) : 0;
	p->nback += alike > 0;
	if (alike < 2 || !p->rules.many_returned)
		return false;
	p->hold = p->copies = true;
	return true;
}
