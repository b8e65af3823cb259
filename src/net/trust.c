#include "net/trust.h"

#include "base/alloc.h"

#include <openssl/err.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

struct entry {
	struct entry *next;
	char *path;
	struct stat st; /* of the file that was read */
	X509_STORE *store;
};

struct trust {
	struct entry *first;
};

struct trust *trust_new(void)
{
	return xcalloc(1, sizeof(struct trust));
}

static struct entry *find(struct trust *t, const char *path)
{
	for (struct entry *e = t->first; e != NULL; e = e->next)
		if (strcmp(e->path, path) == 0)
			return e;
	struct entry *e = xcalloc(1, sizeof *e);
	e->path = xstrdup(path);
	e->next = t->first;
	t->first = e;
	return e;
}

static bool same_file(const struct stat *a, const struct stat *b)
{
	return a->st_dev == b->st_dev && a->st_ino == b->st_ino && a->st_size == b->st_size &&
	       a->st_mtim.tv_sec == b->st_mtim.tv_sec && a->st_mtim.tv_nsec == b->st_mtim.tv_nsec &&
	       a->st_ctim.tv_sec == b->st_ctim.tv_sec && a->st_ctim.tv_nsec == b->st_ctim.tv_nsec;
}

static X509_STORE *read_store(const char *path)
{
	X509_STORE *store = X509_STORE_new();

	if (store == NULL)
		abort();
	if (X509_STORE_load_file(store, path) != 1) {
		X509_STORE_free(store);
		store = NULL;
	}
	ERR_clear_error(); /* the reader leaves the end of the file there as an error */
	return store;
}

X509_STORE *trust_store(struct trust *t, const char *path)
{
	struct entry *e = find(t, path);
	struct stat now;

	if (stat(path, &now) != 0)
		return NULL;
	if (e->store == NULL || !same_file(&e->st, &now)) {
		X509_STORE_free(e->store);
		e->store = read_store(path);
		e->st = now;
	}
	return e->store;
}

void trust_free(struct trust **tp)
{
	struct trust *t = *tp;

	*tp = NULL;
	if (t == NULL)
		return;
	while (t->first != NULL) {
		struct entry *e = t->first;

		t->first = e->next;
		X509_STORE_free(e->store);
		free(e->path);
		free(e);
	}
	free(t);
}
