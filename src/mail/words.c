#include "mail/words.h"

#include "base/base64.h"

#include <string.h>

enum { CHARSET_MAX = 60, NAME_MAX_BYTES = 60 };

static bool blank(char c)
{
	return c == ' ' || c == '\t' || c == '\r' || c == '\n';
}

static bool is_base64(struct slice text)
{
	for (size_t i = 0; i < text.n; i++)
		if (base64_digit(text.p[i]) < 0 && text.p[i] != '=' && !blank(text.p[i]))
			return false;
	return true;
}

/* Length of the text that starts at `at` and ends in "?="; SIZE_MAX where another word begins before. */
static size_t text_length(struct slice s, size_t at)
{
	for (size_t i = at; i + 1 < s.n; i++) {
		if (s.p[i] != '?')
			continue;
		if (s.p[i + 1] == '=')
			return i - at;
		if (i > at && s.p[i - 1] == '=')
			return SIZE_MAX;
	}
	return SIZE_MAX;
}

bool encoded_word_parse(struct slice s, size_t at, struct encoded_word *w)
{
	struct slice rest = slice_sub(s, at, s.n);

	if (rest.n < 8 || rest.p[0] != '=' || rest.p[1] != '?')
		return false;
	struct slice name = slice_sub(rest, 2, CHARSET_MAX);
	name.n = slice_find(name, '?');
	size_t i = 2 + name.n;
	if (name.n == 0 || i + 3 > rest.n || rest.p[i] != '?' || rest.p[i + 2] != '?')
		return false;
	char encoding = ascii_lower(rest.p[i + 1]);
	if (encoding != 'b' && encoding != 'q')
		return false;
	size_t n = text_length(rest, i + 3);
	if (n == SIZE_MAX)
		return false;
	name.n = slice_find(name, '*');
	*w = (struct encoded_word){name, encoding, slice_sub(rest, i + 3, n), at + i + 3 + n + 2};
	return encoding == 'q' || is_base64(w->text);
}

static void base64_bytes(struct slice text, struct buf *out)
{
	uint32_t bits = 0;
	unsigned have = 0;

	for (size_t i = 0; i < text.n; i++) {
		int digit = base64_digit(text.p[i]);
		if (text.p[i] == '=')
			have = 0; /* some clients pad each piece and put them into one word */
		if (digit < 0)
			continue;
		bits = (bits << 6 | (uint32_t)digit) & 0xffffff;
		have += 6;
		if (have >= 8) {
			have -= 8;
			buf_add_char(out, (char)(bits >> have & 0xff));
		}
	}
}

static int hex_digit(char c)
{
	c = ascii_lower(c);
	return c >= '0' && c <= '9' ? c - '0' : c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

/* The byte that two hexadecimal digits behind s.p[at] make, or -1. */
static int hex_byte(struct slice s, size_t at)
{
	if (at + 2 >= s.n)
		return -1;
	int high = hex_digit(s.p[at + 1]), low = hex_digit(s.p[at + 2]);
	return high < 0 || low < 0 ? -1 : high << 4 | low;
}

/* A fold inside a word was made by somebody who knew of none; with the blanks behind it, it goes. */
static size_t skip_fold(struct slice s, size_t at)
{
	while (at + 1 < s.n && blank(s.p[at + 1]))
		at++;
	return at;
}

static void quoted_bytes(struct slice text, struct buf *out)
{
	for (size_t i = 0; i < text.n; i++) {
		char c = text.p[i];
		int byte = c == '=' ? hex_byte(text, i) : -1;
		if (byte >= 0) {
			buf_add_char(out, (char)byte);
			i += 2;
		} else if (c == '\r' || c == '\n') {
			i = skip_fold(text, i);
		} else {
			buf_add_char(out, c == '_' ? ' ' : c);
		}
	}
}

void encoded_word_bytes(const struct encoded_word *w, struct buf *out)
{
	if (w->encoding == 'b')
		base64_bytes(w->text, out);
	else
		quoted_bytes(w->text, out);
}

/* One part of a parameter: NAME*=, NAME*0=, NAME*0*=. */
struct part {
	struct slice name;
	int number; /* -1 = none */
	bool encoded;
	size_t value; /* offset of its value */
};

static bool token_char(char c)
{
	return (unsigned char)c > ' ' && c != 0x7f && strchr("()<>@,;:\\\"/[]?=*'%", c) == NULL;
}

static size_t skip_blanks(struct slice s, size_t at)
{
	while (at < s.n && blank(s.p[at]))
		at++;
	return at;
}

/* Reads ";NAME*…=". */
static bool read_part(struct slice s, size_t at, struct part *p)
{
	if (at >= s.n || s.p[at] != ';')
		return false;
	size_t i = skip_blanks(s, at + 1), start = i;
	while (i < s.n && i - start < NAME_MAX_BYTES && token_char(s.p[i]))
		i++;
	*p = (struct part){slice_sub(s, start, i - start), -1, false, 0};
	if (i == start || i + 1 >= s.n || s.p[i++] != '*')
		return false;
	if (s.p[i] >= '0' && s.p[i] <= '9') {
		p->number = 0;
		while (i < s.n && s.p[i] >= '0' && s.p[i] <= '9' && p->number < 10000)
			p->number = p->number * 10 + (s.p[i++] - '0');
		p->encoded = i < s.n && s.p[i] == '*';
		i += p->encoded;
	} else {
		p->encoded = true;
	}
	p->value = i + 1;
	return i < s.n && s.p[i] == '=';
}

static size_t quoted_value(struct slice s, size_t at, struct buf *out)
{
	for (at++; at < s.n && s.p[at] != '"'; at++) {
		if (s.p[at] == '\\' && at + 1 < s.n)
			at++;
		buf_add_char(out, s.p[at]);
	}
	return at < s.n ? at + 1 : at;
}

static size_t plain_value(struct slice s, size_t at, bool encoded, struct buf *out)
{
	for (; at < s.n && s.p[at] != ';' && !blank(s.p[at]); at++) {
		int byte = encoded && s.p[at] == '%' ? hex_byte(s, at) : -1;
		buf_add_char(out, byte >= 0 ? (char)byte : s.p[at]);
		at += byte >= 0 ? 2 : 0;
	}
	return at;
}

/* Returns the offset behind the value. */
static size_t read_value(struct slice s, const struct part *p, struct buf *out)
{
	if (!p->encoded && p->value < s.n && s.p[p->value] == '"')
		return quoted_value(s, p->value, out);
	return plain_value(s, p->value, p->encoded, out);
}

/* Takes charset'language' off the value; false where it has none. */
static bool read_charset(struct slice s, struct part *p, struct slice *charset)
{
	struct slice head = slice_sub(s, p->value, 2 * CHARSET_MAX);
	size_t n = slice_find(head, '\'');
	size_t language = slice_find(slice_sub(head, n + 1, head.n), '\'');

	if (n + 1 + language >= head.n || slice_find(slice_sub(head, 0, n + 1 + language), ';') < n + 1 + language)
		return false;
	*charset = slice_sub(head, 0, n);
	p->value += n + 1 + language + 1;
	return true;
}

bool encoded_param_parse(struct slice s, size_t at, struct encoded_param *p, struct buf *out)
{
	struct part part;

	if (!read_part(s, at, &part) || part.number > 0)
		return false;
	*p = (struct encoded_param){part.name, {s.p, 0}, 0};
	if (part.encoded && !read_charset(s, &part, &p->charset))
		return false;
	p->end = read_value(s, &part, out);
	for (int next = 1; part.number >= 0; next++) {
		struct slice name = part.name;
		size_t semicolon = skip_blanks(s, p->end);
		if (!read_part(s, semicolon, &part) || part.number != next || !slice_eq_nocase(part.name, name))
			break;
		p->end = read_value(s, &part, out);
	}
	return true;
}
