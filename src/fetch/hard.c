#include "fetch/hard.h"

#include "base/alloc.h"
#include "base/buf.h"

#include <stdlib.h>
#include <string.h>

static struct hard *add(struct hard_list *l, struct slice name)
{
	if (l->n >= HARD_MOST)
		return NULL;
	l->v = xreallocarray(l->v, l->n + 1, sizeof *l->v);
	l->v[l->n] = (struct hard){.name = slice_dup(name)};
	return &l->v[l->n++];
}

static struct slice word(struct slice *rest)
{
	size_t n = slice_find(*rest, ' ');
	struct slice w = slice_sub(*rest, 0, n);

	*rest = slice_sub(*rest, n + 1, rest->n);
	return w;
}

static void read_line(struct hard_list *l, struct slice line)
{
	struct slice tries = word(&line), at = word(&line), marks = word(&line);
	uint64_t n, t;

	if (line.n == 0 || !slice_to_u64(tries, 1000000, &n) || !slice_to_u64(at, INT64_MAX, &t))
		return;
	struct hard *h = add(l, line);
	if (h == NULL)
		return;
	h->tries = (unsigned)n;
	h->at = (int64_t)t;
	h->proven = slice_find(marks, 'p') < marks.n;
	h->told = slice_find(marks, 't') < marks.n;
	h->by_head = slice_find(marks, 'h') < marks.n;
	h->by_dele = slice_find(marks, 'd') < marks.n;
}

void hard_read(struct hard_list *l, const char *text)
{
	struct slice rest = slice_of(text != NULL ? text : "");

	*l = (struct hard_list){0};
	while (rest.n > 0) {
		size_t n = slice_find(rest, '\n');

		read_line(l, slice_sub(rest, 0, n));
		rest = slice_sub(rest, n + 1, rest.n);
	}
}

char *hard_text(const struct hard_list *l)
{
	struct buf out;

	if (l->n == 0)
		return NULL;
	buf_init(&out, HARD_MOST * 512);
	for (size_t i = 0; i < l->n; i++) {
		const struct hard *h = &l->v[i];

		buf_printf(&out, "%u %lld -%s%s%s%s %s\n", h->tries, (long long)h->at, h->proven ? "p" : "",
		           h->told ? "t" : "", h->by_head ? "h" : "", h->by_dele ? "d" : "", h->name);
	}
	return buf_steal(&out);
}

struct hard *hard_find(const struct hard_list *l, const char *name)
{
	for (size_t i = 0; i < l->n; i++)
		if (strcmp(l->v[i].name, name) == 0)
			return &l->v[i];
	return NULL;
}

struct hard *hard_blame(struct hard_list *l, const char *name, int64_t now, bool by_head)
{
	struct hard *h = hard_find(l, name);

	if (h == NULL && (h = add(l, slice_of(name))) == NULL)
		return NULL;
	if (h->tries < 1000)
		h->tries++;
	h->at = now;
	h->by_head |= by_head;
	return h;
}

void hard_forget(struct hard_list *l, const char *name)
{
	struct hard *h = hard_find(l, name);

	if (h == NULL)
		return;
	free(h->name);
	*h = l->v[--l->n];
}

bool hard_is_left(const struct hard *h, int64_t now)
{
	return h->told && h->proven && h->tries >= HARD_TRIES && now - h->at < HARD_AGAIN_S;
}

void hard_free(struct hard_list *l)
{
	for (size_t i = 0; i < l->n; i++)
		free(l->v[i].name);
	free(l->v);
	*l = (struct hard_list){0};
}
