#include "mail/rewrite_list.h"

#include "base/alloc.h"

#include <stdlib.h>

enum { LINE_MAX_OCTETS = 998, LINE_GOOD = 78 }; /* RFC 5322 2.1.1 */

/* The field as it becomes, and the offsets in it where a line may be folded. */
struct list {
	struct slice field; /* as it was */
	size_t value;       /* offset of the value in it */
	size_t done;        /* so much of the field is copied or left out */
	struct buf text;
	size_t *folds, nfolds;
	size_t kept, changed;
};

bool rewrite_lines(struct buf *out, struct slice s)
{
	for (size_t at = 0, lf; at < s.n; at = lf + 1) {
		struct slice rest = slice_sub(s, at, s.n);
		lf = at + slice_find(rest, '\n');
		if (lf == s.n)
			return buf_add_slice(out, rest);
		size_t end = lf > at && s.p[lf - 1] == '\r' ? lf - 1 : lf;
		if (!buf_add(out, s.p + at, end - at) || !buf_add(out, "\r\n", 2))
			return false;
	}
	return true;
}

/* Copies the field up to that offset of its value. */
static void copy_to(struct list *l, size_t offset)
{
	size_t to = l->value + offset;

	if (to > l->done) {
		rewrite_lines(&l->text, slice_sub(l->field, l->done, to - l->done));
		l->done = to;
	}
}

static void note_fold(struct list *l, size_t offset)
{
	copy_to(l, offset);
	if (l->nfolds == 0 || l->folds[l->nfolds - 1] < l->text.n)
		l->folds[l->nfolds++] = l->text.n;
}

static size_t token_start(const struct mailbox *m)
{
	return m->angle_start != SIZE_MAX ? m->angle_start : m->start;
}

static bool same_element(const struct mailbox_list *all, size_t a, size_t b)
{
	return b < all->n && all->v[a].element_start == all->v[b].element_start;
}

static struct slice value_of(const struct list *l)
{
	return slice_sub(l->field, l->value, l->field.n);
}

static bool blank(char c)
{
	return c == ' ' || c == '\t';
}

/* Leaves out all that stands between two separators, and one of them. */
static void omit_element(struct list *l, const struct mailbox *m)
{
	struct slice value = value_of(l);
	size_t start = m->element_start, end = m->element_end;

	copy_to(l, start);
	if (end < value.n && value.p[end] == ',')
		end++;
	else if (start > 0 && value.p[start - 1] == ',' && l->text.n > 0 && l->text.p[l->text.n - 1] == ',')
		l->text.n--;
	l->done = l->value + end;
}

/* Of several addresses without a comma between them. */
static void omit_address(struct list *l, const struct mailbox *m)
{
	struct slice value = value_of(l);
	size_t end = m->end;

	copy_to(l, token_start(m));
	if (m->angle_start != SIZE_MAX) {
		while (end < value.n && blank(value.p[end]))
			end++;
		end = end < value.n && value.p[end] == '>' ? end + 1 : m->end;
	}
	l->done = l->value + end;
}

static void note_folds(struct list *l, const struct mailbox_list *all, size_t i)
{
	const struct mailbox *m = &all->v[i];
	size_t token = token_start(m);
	struct slice value = value_of(l);

	if (m->element_start > 0 && (i == 0 || !same_element(all, i, i - 1)))
		note_fold(l, m->element_start);
	if (token > m->element_start && blank(value.p[token - 1]))
		note_fold(l, token - 1);
	else if (token == m->angle_start)
		note_fold(l, token);
}

static void take_mailbox(struct list *l, const struct mailbox_list *all, size_t i, const char *other)
{
	const struct mailbox *m = &all->v[i];

	if (other != NULL && other[0] == '\0') {
		l->changed++;
		if (same_element(all, i, i + 1) || (i > 0 && same_element(all, i, i - 1)))
			omit_address(l, m);
		else
			omit_element(l, m);
		return;
	}
	l->kept++;
	note_folds(l, all, i);
	if (other == NULL)
		return;
	l->changed++;
	copy_to(l, m->start);
	buf_add_str(&l->text, other);
	l->done = l->value + m->end;
}

/* Whether both lines that a fold at this offset makes hold more than blanks: else it would end the header for some. */
static bool foldable(struct slice line, size_t at)
{
	size_t before = at, behind = at;

	while (before > 0 && blank(line.p[before - 1]))
		before--;
	while (behind < line.n && blank(line.p[behind]))
		behind++;
	return before > 0 && behind < line.n;
}

/* The line, without its end, starts at offset `from` of the text; *next is the first fold at or behind it. */
static bool add_folded(struct buf *out, const struct list *l, struct slice line, size_t from, size_t *next)
{
	size_t column = 0, at = 0;
	bool fits = true;

	while (*next < l->nfolds && l->folds[*next] < from)
		++*next;
	while (at < line.n && fits) {
		size_t end = line.n;
		for (; *next < l->nfolds && l->folds[*next] <= from + line.n; ++*next) {
			end = l->folds[*next] - from;
			if (end > at && end < line.n && foldable(line, end))
				break;
			end = line.n;
		}
		if (at > 0 && column + end - at > LINE_GOOD) {
			fits = buf_add(out, "\r\n", 2) && (blank(line.p[at]) || buf_add_char(out, ' '));
			column = !blank(line.p[at]);
		}
		fits = fits && buf_add(out, line.p + at, end - at);
		column += end - at;
		at = end;
	}
	return fits;
}

static bool add_text(struct buf *out, const struct list *l)
{
	struct slice text = buf_slice(&l->text);
	size_t next = 0;
	bool fits = true;

	for (size_t at = 0, n; at < text.n && fits; at += n) {
		struct slice rest = slice_sub(text, at, text.n);
		size_t lf = slice_find(rest, '\n');
		n = lf < rest.n ? lf + 1 : rest.n;
		size_t end = lf < rest.n && lf > 0 && rest.p[lf - 1] == '\r' ? lf - 1 : lf;
		if (end > LINE_MAX_OCTETS)
			fits = add_folded(out, l, slice_sub(rest, 0, end), at, &next) &&
			       buf_add_slice(out, slice_sub(rest, end, n - end));
		else
			fits = buf_add_slice(out, slice_sub(rest, 0, n));
	}
	return fits && (text.n == 0 || text.p[text.n - 1] == '\n' || buf_add(out, "\r\n", 2));
}

bool rewrite_list(struct buf *out, struct slice bytes, const struct header_field *f, rewrite_lookup *lookup, void *arg)
{
	struct list l = {.field = slice_sub(bytes, f->start, f->end - f->start)};
	struct mailbox_list all;
	bool fits = true;

	l.value = (size_t)(f->value.p - l.field.p);
	mailbox_list_parse(f->value, &all);
	mailbox_list_to_ascii(&all);
	buf_init(&l.text, SIZE_MAX / 2);
	l.folds = xcalloc(2 * all.n + 1, sizeof *l.folds);
	for (size_t i = 0; i < all.n; i++)
		take_mailbox(&l, &all, i, lookup(arg, f->name, &all.v[i].address));
	copy_to(&l, l.field.n - l.value);
	if (l.kept > 0 || l.changed == 0)
		fits = add_text(out, &l);
	mailbox_list_free(&all);
	free(l.folds);
	buf_free(&l.text);
	return fits;
}
