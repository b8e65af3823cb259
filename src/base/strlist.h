/* A list of owned strings. */
#ifndef OFM_BASE_STRLIST_H
#define OFM_BASE_STRLIST_H

#include "base/slice.h"

struct strlist {
	char **v;
	size_t n;
};

void strlist_add(struct strlist *l, const char *s);
void strlist_add_slice(struct strlist *l, struct slice s);
/* ASCII without case. */
bool strlist_has_nocase(const struct strlist *l, const char *s);
void strlist_copy(struct strlist *to, const struct strlist *from);
/* Frees all strings; the list is empty afterwards. */
void strlist_free(struct strlist *l);

#endif
