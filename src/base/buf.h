/* A growable byte buffer that declares its maximum. Owned by one thread at a time. */
#ifndef OFM_BASE_BUF_H
#define OFM_BASE_BUF_H

#include "base/slice.h"

struct buf {
	char *p;
	size_t n;   /* bytes in use */
	size_t cap; /* bytes allocated */
	size_t max; /* bytes that may ever be in use */
};

/* Allocates nothing until something is added. */
void buf_init(struct buf *b, size_t max);
/* Frees the bytes; b may be used again with the same maximum. */
void buf_free(struct buf *b);
/* All adders: false, and b unchanged, where the maximum would be passed. */
bool buf_add(struct buf *b, const void *p, size_t n);
bool buf_add_slice(struct buf *b, struct slice s);
bool buf_add_str(struct buf *b, const char *s);
bool buf_add_char(struct buf *b, char c);
bool buf_printf(struct buf *b, const char *fmt, ...) __attribute__((format(printf, 2, 3)));
/* Room for so many more, exactly: what is added then neither moves nor doubles it. */
bool buf_reserve(struct buf *b, size_t more);
/* Before what is there. */
bool buf_prepend(struct buf *b, struct slice s);
/* Removes n bytes from the front. */
void buf_drop(struct buf *b, size_t n);
/* Empties b but keeps its memory. */
void buf_clear(struct buf *b);
struct slice buf_slice(const struct buf *b);
/* Gives the bytes away, NUL-terminated; the caller frees. b is empty afterwards. */
char *buf_steal(struct buf *b);
/* NUL-terminated view, valid until the next change. */
const char *buf_str(struct buf *b);

#endif
