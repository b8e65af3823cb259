/* What somebody meant who mistyped a command. */
#ifndef OFM_CTL_SUGGEST_H
#define OFM_CTL_SUGGEST_H

#include <stdbool.h>
#include <stddef.h>

/* Letters to insert, remove, replace or swap to get from a to b; both are looked at up to 31 bytes. */
size_t suggest_distance(const char *a, const char *b);
/* Whether a word at that distance from a known one may have been meant for it. */
bool suggest_near(size_t distance, const char *known);
/* The nearest command's name, NULL where none is near. */
const char *suggest_command(const char *name);

#endif
