/* The decoded texts of one message's fields, each made when first asked for. */
#ifndef OFM_SORT_TEXTS_H
#define OFM_SORT_TEXTS_H

#include "base/strlist.h"
#include "mail/header.h"
#include "sort/filter.h"

enum {
	TEXTS_NONE = UINT32_MAX,
	TEXTS_MAX_FIELDS = 20000,         /* of a message that are looked at */
	TEXTS_MAX_ONE = 8 * 1024 * 1024,  /* bytes of one decoded text */
	TEXTS_MAX_ALL = 64 * 1024 * 1024, /* of all of a message's */
	TEXTS_KEEP = 1024 * 1024          /* memory kept from one message for the next */
};

/* Which field names matter: the index of a name in the list is its id. */
struct field_names {
	struct strlist names; /* distinct without case, by length */
	size_t first[66];     /* names of length n stand at [first[n], first[n + 1]); the last holds the longer ones */
	bool any;             /* all fields matter */
};

/* Takes `names`. */
void field_names_init(struct field_names *n, struct strlist *names, bool any);
void field_names_free(struct field_names *n);
/* TEXTS_NONE where the name is not in the list. */
uint32_t field_names_id(const struct field_names *n, struct slice name);

struct field_text {
	const struct header_field *field;
	uint32_t next; /* the next field of the same name, or TEXTS_NONE */
	bool ready;
	size_t at, n; /* its text within `all` */
	size_t bits;  /* offset of its candidates in `bits` */
};

struct texts {
	struct field_text *v;
	size_t n, cap;
	uint32_t *first, *last; /* by name id */
	struct buf all;
	struct slice charset; /* that the message says it has */
	uint64_t *bits;       /* candidates of all fields, `words` each */
	size_t nbits, bits_cap, words;
};

void texts_init(struct texts *t, const struct field_names *names, size_t candidates);
void texts_free(struct texts *t);
/* Begins a message. h must live until the next call. */
void texts_begin(struct texts *t, const struct field_names *names, const struct header *h);
/* The decoded text; valid until the next call. Fills the candidates by `f`, where it is not NULL. */
struct slice texts_get(struct texts *t, uint32_t i, const struct filter *f, struct filter_scratch *s);
/* Whether the filter named `which` for text i, after texts_get. */
bool texts_candidate(const struct texts *t, uint32_t i, size_t which);
/* Adds all that it named to bits. */
void texts_candidates(const struct texts *t, uint32_t i, uint64_t *bits);

#endif
