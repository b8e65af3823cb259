#include "config/lines.h"

#include "base/text.h"

#include <string.h>

const struct scan_section *lines_section(const struct scan *s, const char *kind, const char *label)
{
	for (size_t i = 0; i < s->n; i++) {
		struct slice name = slice_of(s->v[i].name);
		size_t word = 0;
		while (word < name.n && name.p[word] != ' ' && name.p[word] != '\t')
			word++;
		if (slice_is_nocase(slice_sub(name, 0, word), kind) &&
		    text_eq_nocase(slice_trim(slice_sub(name, word, name.n)), slice_of(label)))
			return &s->v[i];
	}
	return NULL;
}

const struct scan_entry *lines_entry(const struct scan_section *s, const char *key)
{
	for (size_t i = 0; s != NULL && i < s->n; i++)
		if (strcmp(s->v[i].key, key) == 0)
			return &s->v[i];
	return NULL;
}

/* Line nr (from 1) of the file, its end included. */
static struct slice line_of(struct slice text, unsigned nr)
{
	for (size_t at = 0; at < text.n;) {
		struct slice rest = slice_sub(text, at, text.n);
		size_t n = slice_find(rest, '\n');
		n += n < rest.n;
		if (--nr == 0)
			return slice_sub(rest, 0, n);
		at += n;
	}
	return slice_sub(text, text.n, 0);
}

static const char *line_end(struct slice line)
{
	return line.n >= 2 && line.p[line.n - 2] == '\r' ? "\r\n" : "\n";
}

/* Where in `password = "x" ; words` the comment begins, blanks before it included; its length where there is none. */
static size_t comment_at(struct slice line)
{
	size_t at = slice_find(line, '=') + 1;

	while (at < line.n && (line.p[at] == ' ' || line.p[at] == '\t'))
		at++;
	if (at < line.n && (line.p[at] == '"' || line.p[at] == '\'')) {
		char quote = line.p[at];
		for (at++; at < line.n && line.p[at] != quote;)
			at++;
	}
	while (at < line.n && line.p[at] != ';' && line.p[at] != '#')
		at++;
	if (at >= line.n)
		return line.n;
	while (line.p[at - 1] == ' ' || line.p[at - 1] == '\t')
		at--;
	return at;
}

const char *lines_end(struct slice text)
{
	return line_end(line_of(text, 1));
}

void lines_replace(struct slice text, const struct scan_entry *entry, const char *value, struct buf *out)
{
	struct slice line = line_of(text, entry->line);
	size_t before = (size_t)(line.p - text.p), eq = slice_find(line, '=');
	const char *end = line_end(line);
	bool ended = line.n > 0 && line.p[line.n - 1] == '\n';
	struct slice body = slice_sub(line, 0, line.n - (ended ? strlen(end) : 0));
	struct slice comment = slice_sub(body, comment_at(body), body.n);

	buf_add(out, text.p, before);
	buf_add(out, line.p, eq + 1);
	buf_printf(out, " %s", value);
	if (comment.n > 0 && eq + 2 + strlen(value) + 1 + comment.n <= SCAN_LINE_MAX) {
		if (comment.p[0] == ';' || comment.p[0] == '#')
			buf_add_char(out, ' ');
		buf_add_slice(out, comment);
	}
	if (ended)
		buf_add_str(out, end);
	buf_add_slice(out, slice_sub(text, before + line.n, text.n));
}

void lines_insert(struct slice text, const struct scan_section *s, const char *key, const char *value, struct buf *out)
{
	struct slice header = line_of(text, s->line);
	size_t behind = (size_t)(header.p - text.p) + header.n;
	const char *end = line_end(header);

	buf_add(out, text.p, behind);
	if (header.p[header.n - 1] != '\n')
		buf_add_str(out, end);
	buf_printf(out, "%s = %s%s", key, value, end);
	buf_add_slice(out, slice_sub(text, behind, text.n));
}
