/* A slice: bytes that somebody else owns. Not terminated; may hold NUL. */
#ifndef OFM_BASE_SLICE_H
#define OFM_BASE_SLICE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct slice {
	const char *p;
	size_t n;
};

struct slice slice_of(const char *s);
struct slice slice_make(const char *p, size_t n);
/* Bytes [from, from+n), cut at the slice's end. */
struct slice slice_sub(struct slice s, size_t from, size_t n);
bool slice_eq(struct slice a, struct slice b);
/* ASCII letters without case, all other bytes exactly. */
bool slice_eq_nocase(struct slice a, struct slice b);
bool slice_is(struct slice a, const char *literal);        /* exactly */
bool slice_is_nocase(struct slice a, const char *literal); /* ASCII without case */
bool slice_starts_nocase(struct slice a, const char *literal);
bool slice_in_domain(struct slice host, const char *domain); /* that domain itself, or a name in it */
/* Order for sorting and searching: ASCII without case. <0, 0, >0. */
int slice_cmp_nocase(struct slice a, struct slice b);
/* Without spaces, tabs, CR and LF at both ends. */
struct slice slice_trim(struct slice s);
/* The caller owns the NUL-terminated copy. */
char *slice_dup(struct slice s);
/* Index of byte c, or s.n where there is none. */
size_t slice_find(struct slice s, char c);
/* For tables of our own; not for what strangers may choose without limit (FNV-1a, no key). */
uint32_t slice_hash(struct slice s);
/* Whole slice is a decimal number within [0, max]: no sign, no space, no trailing junk. */
bool slice_to_u64(struct slice s, uint64_t max, uint64_t *out);

char ascii_lower(char c);
void ascii_lower_in_place(char *s);

#endif
