/* Strings that were seen, ASCII without case: whatever strangers choose, each costs the logarithm of their number. */
#ifndef OFM_BASE_STRSET_H
#define OFM_BASE_STRSET_H

#include <stdbool.h>

/* Zeroed to begin with. Ends with strset_free. */
struct strset {
	void *root;
};

/* True where s was not in the set. Borrows s until strset_free. */
bool strset_add(struct strset *set, const char *s);
bool strset_has(const struct strset *set, const char *s);
void strset_free(struct strset *set);

#endif
