/* A quick look at a text for many wanted texts at once: which of them can be in it at all. Whoever is named must
 * still be matched; whoever is not need not be. That makes hundreds of rules on one field as cheap as one. */
#ifndef OFM_SORT_FILTER_H
#define OFM_SORT_FILTER_H

#include "base/slice.h"

struct filter;
struct filter_scratch; /* one a thread */

struct filter_wanted {
	const char *text; /* not "" */
	uint32_t who;     /* whom it names; one may have several texts */
};

/* Copies what it needs. Texts are compared as PCRE2 does without case, or more loosely. */
struct filter *filter_new(const struct filter_wanted *wanted, size_t n);
void filter_free(struct filter **f);
struct filter_scratch *filter_scratch_new(const struct filter *f);
void filter_scratch_free(struct filter_scratch **s);
/* Sets the bit of each one of whose texts may be in `text`, which must be valid UTF-8. bits has room for all, zeroed by
 * the caller. A few steps a character at most, whatever the text. */
void filter_run(const struct filter *f, struct filter_scratch *s, struct slice text, uint64_t *bits);
/* The one of 256 classes of characters that cp falls into; characters equal without case share theirs. */
unsigned char filter_class(uint32_t cp);

#endif
