/* Deletions that were promised (their tombstones are committed) and that are not done yet, or that the disk refused:
 * until they are done, scans do not show those messages. What is left at the program's end is the tombstones' affair.
 */
#include "store/maildir_internal.h"

#include "base/alloc.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static int cmp_base(const void *a, const void *b)
{
	return strcmp(*(const char *const *)a, *(const char *const *)b);
}

void maildir_sort(struct strlist *bases)
{
	if (bases->n > 1)
		qsort(bases->v, bases->n, sizeof *bases->v, cmp_base);
}

bool maildir_among(const struct strlist *sorted, const char *name)
{
	char key[MAILDIR_NAME_MAX + 1], *k = key;
	struct slice base = maildir_base(name);

	if (sorted->n == 0)
		return false;
	snprintf(key, sizeof key, "%.*s", (int)base.n, base.p);
	return bsearch(&k, sorted->v, sorted->n, sizeof *sorted->v, cmp_base) != NULL;
}

struct maildir_hidden *maildir_hide(struct maildir *m, const char *user, const struct strlist *bases)
{
	struct maildir_hidden *h = xmalloc(sizeof *h);

	pthread_mutex_lock(&m->lock);
	*h = (struct maildir_hidden){m->hidden, user, bases};
	m->hidden = h;
	pthread_mutex_unlock(&m->lock);
	return h;
}

void maildir_show(struct maildir *m, struct maildir_hidden **h)
{
	struct maildir_hidden **at = &m->hidden;

	if (*h == NULL)
		return;
	pthread_mutex_lock(&m->lock);
	while (*at != *h)
		at = &(*at)->next;
	*at = (*h)->next;
	pthread_mutex_unlock(&m->lock);
	free(*h);
	*h = NULL;
}

void maildir_hidden_of(struct maildir *m, const char *user, struct strlist *out)
{
	*out = (struct strlist){NULL, 0};
	pthread_mutex_lock(&m->lock);
	for (const struct maildir_hidden *h = m->hidden; h != NULL; h = h->next) {
		size_t n = strcmp(h->user, user) == 0 ? h->bases->n : 0;

		for (size_t i = 0; i < n; i++)
			strlist_add_slice(out, maildir_base(h->bases->v[i]));
	}
	pthread_mutex_unlock(&m->lock);
	maildir_sort(out);
}
