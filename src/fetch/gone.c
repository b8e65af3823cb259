#include "fetch/gone.h"

#include "base/alloc.h"
#include "base/buf.h"

#include <limits.h>
#include <stdlib.h>
#include <string.h>

static bool number(struct slice *rest, uint64_t *n)
{
	size_t at = slice_find(*rest, ' ');
	struct slice word = slice_sub(*rest, 0, at);

	*rest = slice_sub(*rest, at + 1, rest->n);
	return slice_to_u64(word, INT64_MAX, n);
}

void gone_read(struct gone *g, const char *text)
{
	struct slice rest = slice_of(text != NULL ? text : "");
	uint64_t back, good, told, last, size;

	*g = (struct gone){0};
	if (!number(&rest, &back) || !number(&rest, &good) || !number(&rest, &told) || !number(&rest, &last))
		return;
	g->back = back < GONE_MOST ? (unsigned)back : GONE_MOST;
	g->good = good < GONE_MOST ? (unsigned)good : GONE_MOST;
	g->told = told != 0;
	g->last = last;
	g->v = xcalloc(GONE_MOST, sizeof *g->v);
	while (g->n < GONE_MOST && number(&rest, &size))
		g->v[g->n++] = size;
}

char *gone_text(const struct gone *g)
{
	struct buf out;

	buf_init(&out, 64 * 1024);
	buf_printf(&out, "%u %u %u %llu", g->back, g->good, (unsigned)g->told, (unsigned long long)g->last);
	for (size_t i = 0; i < g->n; i++)
		buf_printf(&out, " %llu", (unsigned long long)g->v[i]);
	return buf_steal(&out);
}

static void remember(struct gone *g, const uint64_t *sizes, size_t n)
{
	size_t add = n < GONE_MOST ? n : GONE_MOST, drop = g->n + add > GONE_MOST ? g->n + add - GONE_MOST : 0;

	if (g->v == NULL)
		g->v = xcalloc(GONE_MOST, sizeof *g->v);
	memmove(g->v, g->v + drop, (g->n - drop) * sizeof *g->v);
	g->n -= drop;
	memcpy(g->v + g->n, sizes + (n - add), add * sizeof *g->v);
	g->n += add;
	g->last = n;
}

enum gone_news gone_add(struct gone *g, const uint64_t *sizes, size_t n, size_t came_back)
{
	if (n > 0)
		remember(g, sizes, n);
	g->good = came_back > 0 ? 0 : g->good < GONE_MOST ? g->good + 1 : GONE_MOST;
	g->back = came_back == 0 ? 0 : g->back < GONE_MOST ? g->back + 1 : GONE_MOST;
	if (!g->told && g->back >= GONE_TOLD) {
		g->told = true;
		return GONE_COME_BACK;
	}
	if (g->told && g->good >= GONE_TOLD) {
		g->told = false;
		return GONE_STAY_AWAY;
	}
	return GONE_NO_NEWS;
}

static int by_number(const void *a, const void *b)
{
	const uint64_t *x = a, *y = b;

	return *x < *y ? -1 : *x > *y;
}

size_t gone_count(const struct gone *g, const uint64_t *sizes, size_t n)
{
	uint64_t *sorted;
	size_t found = 0;

	if (g->n == 0)
		return 0;
	sorted = xcalloc(g->n, sizeof *sorted);
	memcpy(sorted, g->v, g->n * sizeof *sorted);
	qsort(sorted, g->n, sizeof *sorted, by_number);
	for (size_t i = 0; i < n; i++)
		found += bsearch(&sizes[i], sorted, g->n, sizeof *sorted, by_number) != NULL;
	free(sorted);
	return found;
}

bool gone_is_much(const struct gone *g, size_t count)
{
	uint64_t last = g->last < GONE_MOST ? g->last : GONE_MOST;

	return count > 0 && (g->back > 0 || (count >= 2 && 2 * (uint64_t)count >= last));
}

void gone_free(struct gone *g)
{
	free(g->v);
	*g = (struct gone){0};
}
