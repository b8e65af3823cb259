/* The header scanner against one that reads byte by byte: the fields lie one behind the other and cover the section;
 * names and values are where the naive reader finds them. */
#include "mail/header.h"

#include "checks.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static bool at_empty_line(struct slice s, size_t at)
{
	return slice_is(slice_sub(s, at, 1), "\n") || slice_is(slice_sub(s, at, 2), "\r\n");
}

static bool at_blank(struct slice s, size_t at)
{
	return at < s.n && (s.p[at] == ' ' || s.p[at] == '\t');
}

static size_t naive_line_end(struct slice s, size_t at)
{
	while (at < s.n && s.p[at] != '\n')
		at++;
	return at < s.n ? at + 1 : at;
}

/* Where the name ends; 0 where the line begins with none. */
static size_t naive_name(struct slice field)
{
	size_t n = 0;

	while (n < field.n && field.p[n] > 32 && field.p[n] < 127 && field.p[n] != ':')
		n++;
	size_t colon = n;
	while (at_blank(field, colon))
		colon++;
	return n > 0 && colon < field.n && field.p[colon] == ':' ? n : 0;
}

static void check_field(struct slice all, const struct header_field *f)
{
	struct slice field = slice_sub(all, f->start, f->end - f->start);
	size_t n = naive_name(field), value = n;

	need(f->start < f->end && f->end <= all.n);
	if (n > 0)
		value = slice_find(field, ':') + 1;
	while (field.n > 0 && field.p[field.n - 1] == '\n')
		field.n -= field.n > 1 && field.p[field.n - 2] == '\r' ? 2 : 1;
	need(f->name.p == all.p + f->start && f->name.n == n);
	need(f->value.p == field.p + value);
	need(f->value.p + f->value.n == field.p + field.n);
}

static void check_tiles(struct slice all, const struct header *h)
{
	size_t at = 0;

	for (size_t i = 0; i < h->n; i++) {
		need(h->v[i].start == at && !at_empty_line(all, at));
		at = naive_line_end(all, at);
		while (at_blank(all, at))
			at = naive_line_end(all, at);
		if (i + 1 < HEADER_MAX_FIELDS) {
			need(h->v[i].end == at);
			check_field(all, &h->v[i]);
		}
		at = h->v[i].end;
	}
	need(at == h->end && h->bytes.p == all.p && h->bytes.n == at);
	need(at == all.n || at_empty_line(all, at));
	need(h->body == naive_line_end(all, at));
}

static void check_find(const struct header *h)
{
	for (size_t i = 0; i < h->n && i < 20; i++) {
		char *name = slice_dup(h->v[i].name);
		size_t first = h->n, count = 0;
		for (size_t k = h->n; k-- > 0;)
			if (slice_eq_nocase(h->v[k].name, h->v[i].name)) {
				first = k;
				count++;
			}
		need(header_find(h, name, 0) == &h->v[first] && header_count(h, name) == count);
		need(header_find(h, name, i) == &h->v[i]);
		free(name);
	}
}

static void scan(struct slice all)
{
	struct header h;

	header_scan(&h, all);
	header_free(&h);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct slice all = slice_make((const char *)data, size);
	struct header h, again;

	header_scan(&h, all);
	check_tiles(all, &h);
	check_find(&h);
	header_scan(&again, h.bytes);
	need(again.n == h.n && again.end == h.end && again.body == h.end);
	header_free(&again);
	header_free(&h);
	need_linear(all, scan);
	return 0;
}
