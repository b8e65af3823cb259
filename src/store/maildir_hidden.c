/* Deletions that were promised (their tombstones are committed) but that the disk refused: until they succeed, scans
 * do not show those messages. What is left at the program's end is the tombstones' affair. */
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

static void drop(struct maildir *m, const char *user)
{
	struct maildir_hidden **at = &m->hidden;

	while (*at != NULL) {
		struct maildir_hidden *h = *at;

		if (user != NULL && strcmp(h->user, user) != 0) {
			at = &h->next;
			continue;
		}
		*at = h->next;
		free(h->user);
		free(h->base);
		free(h);
	}
}

void maildir_hide(struct maildir *m, const char *user, const struct strlist *bases)
{
	pthread_mutex_lock(&m->lock);
	for (size_t i = 0; i < bases->n; i++) {
		struct maildir_hidden *h = xmalloc(sizeof *h);

		*h = (struct maildir_hidden){m->hidden, xstrdup(user), slice_dup(maildir_base(bases->v[i]))};
		m->hidden = h;
	}
	pthread_mutex_unlock(&m->lock);
}

void maildir_hidden_of(struct maildir *m, const char *user, struct strlist *out)
{
	*out = (struct strlist){NULL, 0};
	pthread_mutex_lock(&m->lock);
	for (const struct maildir_hidden *h = m->hidden; h != NULL; h = h->next)
		if (strcmp(h->user, user) == 0)
			strlist_add(out, h->base);
	pthread_mutex_unlock(&m->lock);
	if (out->n == 0)
		return;
	if (maildir_unlink_try(m, user, out, NULL) == 0) {
		pthread_mutex_lock(&m->lock);
		drop(m, user);
		pthread_mutex_unlock(&m->lock);
		strlist_free(out);
		return;
	}
	maildir_sort(out);
}

void maildir_hidden_free(struct maildir *m)
{
	drop(m, NULL);
}
