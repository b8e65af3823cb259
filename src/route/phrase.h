/* The short texts by which the program says what went wrong ("cannot connect (…)"), in the language of those who read a
 * letter or a bounce. Inside the program, in its log and its database they stay English. Pure. */
#ifndef OFM_ROUTE_PHRASE_H
#define OFM_ROUTE_PHRASE_H

#include <stdbool.h>
#include <stddef.h>

/* A copy of `english`, translated where `russian`; the caller frees. What a peer said is quoted as it is, and so is a
 * text that nobody knows. */
char *phrase_in(const char *english, bool russian);
/* Whether there is a translation, for the test that reads the sources. */
bool phrase_known(const char *english);

#endif
