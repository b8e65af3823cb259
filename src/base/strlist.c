#include "base/strlist.h"

#include "base/alloc.h"

#include <stdlib.h>
#include <strings.h>

static void append(struct strlist *l, char *owned)
{
	/* Grown by doubling: a power of two is full. */
	if ((l->n & (l->n - 1)) == 0)
		l->v = xreallocarray(l->v, l->n != 0 ? l->n * 2 : 1, sizeof *l->v);
	l->v[l->n++] = owned;
}

void strlist_add(struct strlist *l, const char *s)
{
	append(l, xstrdup(s));
}

void strlist_add_slice(struct strlist *l, struct slice s)
{
	append(l, slice_dup(s));
}

bool strlist_has_nocase(const struct strlist *l, const char *s)
{
	for (size_t i = 0; i < l->n; i++)
		if (strcasecmp(l->v[i], s) == 0)
			return true;
	return false;
}

void strlist_copy(struct strlist *to, const struct strlist *from)
{
	*to = (struct strlist){NULL, 0};
	for (size_t i = 0; i < from->n; i++)
		strlist_add(to, from->v[i]);
}

void strlist_free(struct strlist *l)
{
	for (size_t i = 0; i < l->n; i++)
		free(l->v[i]);
	free(l->v);
	*l = (struct strlist){NULL, 0};
}
