#include "base/strset.h"

#include <search.h>
#include <stdlib.h>
#include <strings.h>

static int compare(const void *a, const void *b)
{
	return strcasecmp(a, b);
}

bool strset_add(struct strset *set, const char *s)
{
	/* glibc's tree is balanced: nobody can make it a list. */
	void *node = tsearch(s, &set->root, compare);

	if (node == NULL)
		abort(); /* no memory, as in base/alloc.h */
	return *(const char *const *)node == s;
}

bool strset_has(const struct strset *set, const char *s)
{
	return tfind(s, &set->root, compare) != NULL;
}

static void keep(void *s)
{
	(void)s;
}

void strset_free(struct strset *set)
{
	tdestroy(set->root, keep);
	set->root = NULL;
}
