#include "fetch/listing.h"

#include "base/alloc.h"

#include <stdlib.h>
#include <string.h>

/* Some servers write a TAB where RFC 1939 has a space. */
static size_t find_blank(struct slice s)
{
	size_t n = 0;

	while (n < s.n && s.p[n] != ' ' && s.p[n] != '\t')
		n++;
	return n;
}

static int read_number(struct slice *line, uint32_t *number, struct err *e)
{
	struct slice rest = slice_trim(*line);
	size_t n = find_blank(rest);
	uint64_t v;

	if (!slice_to_u64(slice_sub(rest, 0, n), LISTING_NUMBER_MAX, &v) || v == 0)
		return err_set(e, 0, "the server lists a message whose number is none");
	*number = (uint32_t)v;
	*line = slice_trim(slice_sub(rest, n, rest.n));
	return 0;
}

static int append(struct listed **v, size_t *n, size_t *cap, struct listed item, struct err *e)
{
	if (*n >= LISTING_MAX) {
		free(item.uidl);
		return err_set(e, 0, "the server lists more than %d messages", LISTING_MAX);
	}
	if (*n == *cap) {
		*cap = *cap != 0 ? *cap * 2 : 64;
		*v = xreallocarray(*v, *cap, sizeof **v);
	}
	(*v)[(*n)++] = item;
	return 0;
}

int listing_add_size(struct listing *l, struct slice line, struct err *e)
{
	struct listed item = {0};

	if (slice_trim(line).n == 0)
		return 0;
	if (read_number(&line, &item.number, e) != 0)
		return -1;
	/* Some servers add words behind the size. */
	if (!slice_to_u64(slice_sub(line, 0, find_blank(line)), LISTING_SIZE_MAX, &item.size))
		return err_set(e, 0, "the server lists message %u with a size that is none", (unsigned)item.number);
	return append(&l->v, &l->n, &l->cap, item, e);
}

int listing_add_uidl(struct listing *l, struct slice line, struct err *e)
{
	struct listed item = {0};

	if (slice_trim(line).n == 0)
		return 0;
	if (read_number(&line, &item.number, e) != 0)
		return -1;
	if (line.n > LISTING_UIDL_MAX)
		return err_set(e, 0, "the server lists message %u with an over-long UIDL", (unsigned)item.number);
	for (size_t i = 0; i < line.n; i++)
		if (((unsigned char)line.p[i] < ' ' && line.p[i] != '\t') || line.p[i] == 0x7f)
			return err_set(e, 0, "the server lists message %u with control characters in its UIDL",
			               (unsigned)item.number);
	item.uidl = line.n > 0 ? slice_dup(line) : NULL;
	return append(&l->uidls, &l->nuidls, &l->uidls_cap, item, e);
}

static int by_number(const void *a, const void *b)
{
	const struct listed *x = a, *y = b;

	return x->number < y->number ? -1 : x->number > y->number;
}

static int by_uidl(const void *a, const void *b)
{
	const struct listed *const *x = a, *const *y = b;

	return strcmp((*x)->uidl, (*y)->uidl);
}

static int sort_by_number(struct listed *v, size_t n, struct err *e)
{
	if (n > 1)
		qsort(v, n, sizeof *v, by_number);
	for (size_t i = 1; i < n; i++)
		if (v[i].number == v[i - 1].number)
			return err_set(e, 0, "the server lists message %u twice", (unsigned)v[i].number);
	return 0;
}

static void join(struct listing *l)
{
	size_t u = 0;

	for (size_t i = 0; i < l->n; i++) {
		while (u < l->nuidls && l->uidls[u].number < l->v[i].number) {
			u++;
			l->odd++; /* a UIDL for what LIST does not know */
		}
		if (u < l->nuidls && l->uidls[u].number == l->v[i].number) {
			l->v[i].uidl = l->uidls[u].uidl;
			l->uidls[u++].uidl = NULL;
		} else {
			l->odd++;
		}
	}
	l->odd += l->nuidls - u;
}

static void mark_twins(struct listing *l)
{
	size_t n = 0;

	if (l->n < 2)
		return;
	struct listed **order = xreallocarray(NULL, l->n, sizeof(struct listed *));
	for (size_t i = 0; i < l->n; i++)
		if (l->v[i].uidl != NULL)
			order[n++] = &l->v[i];
	if (n > 1)
		qsort(order, n, sizeof(struct listed *), by_uidl);
	for (size_t i = 1; i < n; i++)
		if (strcmp(order[i]->uidl, order[i - 1]->uidl) == 0)
			order[i]->twice = order[i - 1]->twice = true;
	free(order);
}

int listing_finish(struct listing *l, bool with_uidl, struct err *e)
{
	if (sort_by_number(l->v, l->n, e) != 0)
		return -1;
	if (!with_uidl)
		return 0;
	if (sort_by_number(l->uidls, l->nuidls, e) != 0)
		return -1;
	join(l);
	mark_twins(l);
	return 0;
}

void listing_free(struct listing *l)
{
	for (size_t i = 0; i < l->n; i++)
		free(l->v[i].uidl);
	for (size_t i = 0; i < l->nuidls; i++)
		free(l->uidls[i].uidl);
	free(l->v);
	free(l->uidls);
	*l = (struct listing){0};
}
