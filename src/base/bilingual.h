/* Texts that people read, in both languages. Pure; all borrowed, for good. */
#ifndef OFM_BASE_BILINGUAL_H
#define OFM_BASE_BILINGUAL_H

#include <stdbool.h>
#include <stddef.h>

struct bilingual {
	const char *english, *russian;
};

struct bilingual_of { /* what is to be said of one provider */
	const char *domain;
	struct bilingual text;
};

const char *bilingual_in(const struct bilingual *t, bool russian);
/* The first of n whose domain the host is or lies in; NULL where none. */
const struct bilingual *bilingual_for(const struct bilingual_of *list, size_t n, const char *host);

#endif
