#include "mail/header.h"

#include "base/alloc.h"

#include <stdlib.h>
#include <string.h>

/* Offset behind the line that starts at `at`. */
static size_t line_end(struct slice s, size_t at)
{
	const char *lf = memchr(s.p + at, '\n', s.n - at);

	return lf != NULL ? (size_t)(lf - s.p) + 1 : s.n;
}

static bool empty_line(struct slice s, size_t at)
{
	return s.p[at] == '\n' || (s.p[at] == '\r' && at + 1 < s.n && s.p[at + 1] == '\n');
}

/* Takes the line end off [start, end). */
static size_t without_line_end(struct slice s, size_t start, size_t end)
{
	if (end > start && s.p[end - 1] == '\n') {
		end--;
		if (end > start && s.p[end - 1] == '\r')
			end--;
	}
	return end;
}

/* Length of the field name at the beginning of s, and the offset behind its colon; 0 where there is no name. */
static size_t name_length(struct slice s, size_t *value)
{
	size_t n = 0, at;

	while (n < s.n && s.p[n] > ' ' && s.p[n] < 0x7f && s.p[n] != ':')
		n++;
	for (at = n; at < s.n && (s.p[at] == ' ' || s.p[at] == '\t'); at++)
		;
	if (n == 0 || at == s.n || s.p[at] != ':')
		return 0;
	*value = at + 1;
	return n;
}

static struct header_field make_field(struct slice bytes, size_t start, size_t end)
{
	struct slice text = slice_sub(bytes, start, without_line_end(bytes, start, end) - start);
	size_t value = 0;
	size_t name = name_length(text, &value);

	return (struct header_field){slice_sub(text, 0, name), slice_sub(text, value, text.n), start, end};
}

static void add_field(struct header *h, size_t *cap, struct header_field f)
{
	if (h->n == *cap) {
		*cap = *cap != 0 ? *cap * 2 : 32;
		h->v = xreallocarray(h->v, *cap, sizeof *h->v);
	}
	h->v[h->n++] = f;
}

/* Offset behind the field that starts at `at`, its continuation lines included. */
static size_t field_end(struct slice s, size_t at)
{
	at = line_end(s, at);
	while (at < s.n && (s.p[at] == ' ' || s.p[at] == '\t'))
		at = line_end(s, at);
	return at;
}

void header_scan(struct header *h, struct slice bytes)
{
	size_t at = 0, cap = 0;

	*h = (struct header){0};
	while (at < bytes.n && !empty_line(bytes, at)) {
		size_t end = field_end(bytes, at);
		if (h->n < HEADER_MAX_FIELDS - 1)
			add_field(h, &cap, make_field(bytes, at, end));
		else if (h->n < HEADER_MAX_FIELDS)
			add_field(h, &cap, (struct header_field){{bytes.p + at, 0}, {bytes.p + at, 0}, at, end});
		else
			h->v[h->n - 1].end = end;
		at = end;
	}
	if (h->n == HEADER_MAX_FIELDS) {
		struct header_field *last = &h->v[h->n - 1];
		last->value.n = without_line_end(bytes, last->start, last->end) - last->start;
	}
	h->end = at;
	h->body = at < bytes.n ? line_end(bytes, at) : at;
	h->bytes = slice_sub(bytes, 0, at);
}

void header_free(struct header *h)
{
	free(h->v);
	*h = (struct header){0};
}

const struct header_field *header_find(const struct header *h, const char *name, size_t from)
{
	struct slice want = slice_of(name);

	for (size_t i = from; i < h->n; i++)
		if (slice_eq_nocase(h->v[i].name, want))
			return &h->v[i];
	return NULL;
}

size_t header_count(const struct header *h, const char *name)
{
	struct slice want = slice_of(name);
	size_t n = 0;

	for (size_t i = 0; i < h->n; i++)
		n += slice_eq_nocase(h->v[i].name, want);
	return n;
}
