#include "sort/texts.h"

#include "base/alloc.h"

#include <stdlib.h>
#include <string.h>

enum { LONGEST = 64 };

static size_t length_class(size_t n)
{
	return n <= LONGEST ? n : LONGEST;
}

static int by_length(const void *a, const void *b)
{
	size_t x = strlen(*(char *const *)a), y = strlen(*(char *const *)b);

	return x < y ? -1 : x > y;
}

void field_names_init(struct field_names *n, struct strlist *names, bool any)
{
	*n = (struct field_names){*names, {0}, any};
	*names = (struct strlist){NULL, 0};
	if (n->names.n > 1)
		qsort(n->names.v, n->names.n, sizeof *n->names.v, by_length);
	for (size_t len = 0, i = 0; len <= LONGEST + 1; len++) {
		while (i < n->names.n && length_class(strlen(n->names.v[i])) < len)
			i++;
		n->first[len] = i;
	}
}

void field_names_free(struct field_names *n)
{
	strlist_free(&n->names);
}

uint32_t field_names_id(const struct field_names *n, struct slice name)
{
	size_t len = length_class(name.n);

	for (size_t i = n->first[len]; i < n->first[len + 1]; i++)
		if (slice_is_nocase(name, n->names.v[i]))
			return (uint32_t)i;
	return TEXTS_NONE;
}

void texts_init(struct texts *t, const struct field_names *names, size_t candidates)
{
	*t = (struct texts){.words = (candidates + 63) / 64};
	t->first = xcalloc(names->names.n + 1, sizeof *t->first);
	t->last = xcalloc(names->names.n + 1, sizeof *t->last);
	buf_init(&t->all, TEXTS_MAX_ALL);
}

void texts_free(struct texts *t)
{
	free(t->v);
	free(t->first);
	free(t->last);
	free(t->bits);
	buf_free(&t->all);
}

static void add(struct texts *t, const struct header_field *f, uint32_t id)
{
	uint32_t at = (uint32_t)t->n;

	if (t->n == t->cap) {
		t->cap = t->cap != 0 ? t->cap * 2 : 32;
		t->v = xreallocarray(t->v, t->cap, sizeof *t->v);
	}
	t->v[t->n++] = (struct field_text){.field = f, .next = TEXTS_NONE};
	if (id == TEXTS_NONE)
		return;
	if (t->first[id] == TEXTS_NONE)
		t->first[id] = at;
	else
		t->v[t->last[id]].next = at;
	t->last[id] = at;
}

void texts_begin(struct texts *t, const struct field_names *names, const struct header *h)
{
	t->n = t->nbits = 0;
	if (t->all.cap > TEXTS_KEEP)
		buf_free(&t->all);
	buf_clear(&t->all);
	t->charset = header_charset(h);
	memset(t->first, 0xff, names->names.n * sizeof *t->first);
	for (size_t i = 0; i < h->n && t->n < TEXTS_MAX_FIELDS; i++) {
		uint32_t id = field_names_id(names, h->v[i].name);
		if (id != TEXTS_NONE || names->any)
			add(t, &h->v[i], id);
	}
}

static size_t new_bits(struct texts *t)
{
	size_t at = t->nbits;

	if (at + t->words > t->bits_cap) {
		t->bits_cap = (at + t->words) * 2;
		t->bits = xreallocarray(t->bits, t->bits_cap, sizeof *t->bits);
	}
	memset(t->bits + at, 0, t->words * sizeof *t->bits);
	t->nbits += t->words;
	return at;
}

static struct slice text_of(const struct texts *t, const struct field_text *x)
{
	return x->n > 0 ? slice_make(t->all.p + x->at, x->n) : slice_of("");
}

struct slice texts_get(struct texts *t, uint32_t i, const struct filter *f, struct filter_scratch *s)
{
	struct field_text *x = &t->v[i];

	if (!x->ready) {
		size_t room = TEXTS_MAX_ALL - t->all.n;
		x->at = t->all.n;
		t->all.max = x->at + (room < TEXTS_MAX_ONE ? room : TEXTS_MAX_ONE);
		header_decode_as(&t->all, x->field->value, t->charset);
		x->n = t->all.n - x->at;
		x->ready = true;
		if (f != NULL) {
			x->bits = new_bits(t);
			filter_run(f, s, text_of(t, x), t->bits + x->bits);
		}
	}
	return text_of(t, x);
}

bool texts_candidate(const struct texts *t, uint32_t i, size_t which)
{
	return (t->bits[t->v[i].bits + which / 64] >> which % 64 & 1) != 0;
}

void texts_candidates(const struct texts *t, uint32_t i, uint64_t *bits)
{
	for (size_t k = 0; k < t->words; k++)
		bits[k] |= t->bits[t->v[i].bits + k];
}
