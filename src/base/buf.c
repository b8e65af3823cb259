#include "base/buf.h"

#include "base/alloc.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

void buf_init(struct buf *b, size_t max)
{
	*b = (struct buf){.max = max};
}

void buf_free(struct buf *b)
{
	free(b->p);
	b->p = NULL;
	b->n = b->cap = 0;
}

static bool may_hold(const struct buf *b, size_t more)
{
	return more <= b->max && b->n <= b->max - more;
}

/* One byte more than asked for, so that a terminator always fits. */
static bool reserve(struct buf *b, size_t more)
{
	if (!may_hold(b, more))
		return false;
	size_t want = b->n + more + 1;
	if (want <= b->cap)
		return true;
	size_t cap = b->cap != 0 ? b->cap : 64;
	while (cap < want)
		cap *= 2;
	b->p = xrealloc(b->p, cap);
	b->cap = cap;
	return true;
}

bool buf_reserve(struct buf *b, size_t more)
{
	if (!may_hold(b, more))
		return false;
	if (b->n + more >= b->cap) {
		b->cap = b->n + more + 1;
		b->p = xrealloc(b->p, b->cap);
	}
	return true;
}

bool buf_add(struct buf *b, const void *p, size_t n)
{
	if (!reserve(b, n))
		return false;
	if (n > 0)
		memcpy(b->p + b->n, p, n);
	b->n += n;
	return true;
}

bool buf_add_slice(struct buf *b, struct slice s)
{
	return buf_add(b, s.p, s.n);
}

bool buf_prepend(struct buf *b, struct slice s)
{
	if (!reserve(b, s.n))
		return false;
	if (s.n > 0) {
		memmove(b->p + s.n, b->p, b->n);
		memcpy(b->p, s.p, s.n);
	}
	b->n += s.n;
	return true;
}

bool buf_add_str(struct buf *b, const char *s)
{
	return buf_add(b, s, strlen(s));
}

bool buf_add_char(struct buf *b, char c)
{
	return buf_add(b, &c, 1);
}

bool buf_printf(struct buf *b, const char *fmt, ...)
{
	size_t room = b->cap > b->n ? b->cap - b->n : 0;
	va_list ap;

	/* Into what room there is; nearly always that is enough. */
	va_start(ap, fmt);
	int n = vsnprintf(room > 0 ? b->p + b->n : NULL, room, fmt, ap);
	va_end(ap);
	if (n < 0 || !reserve(b, (size_t)n))
		return false;
	if ((size_t)n >= room) {
		va_start(ap, fmt);
		vsnprintf(b->p + b->n, (size_t)n + 1, fmt, ap);
		va_end(ap);
	}
	b->n += (size_t)n;
	return true;
}

void buf_drop(struct buf *b, size_t n)
{
	if (n >= b->n) {
		b->n = 0;
		return;
	}
	memmove(b->p, b->p + n, b->n - n);
	b->n -= n;
}

void buf_clear(struct buf *b)
{
	b->n = 0;
}

struct slice buf_slice(const struct buf *b)
{
	return (struct slice){b->p, b->n};
}

const char *buf_str(struct buf *b)
{
	if (b->p == NULL) {
		b->p = xmalloc(64);
		b->cap = 64;
	}
	b->p[b->n] = '\0';
	return b->p;
}

char *buf_steal(struct buf *b)
{
	buf_str(b);
	char *p = b->p;
	b->p = NULL;
	b->n = b->cap = 0;
	return p;
}
