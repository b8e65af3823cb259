/* A field's value to readable text: the pieces are found here, and read by words.c and charset.c. */
#include "mail/charset.h"
#include "mail/header.h"
#include "mail/words.h"

#include <string.h>

/* [plain, at) of s was passed over and is not yet appended. */
struct decoder {
	struct slice s;
	size_t at, plain;
	struct buf *out;
	struct charsets charsets;
	struct slice own; /* the message's charset */
	/* Bytes of encoded words not yet converted: a character may be cut in two between words. */
	struct buf bytes;
	struct slice charset;
	bool pending;
	struct buf unfolded; /* scratch */
};

static bool blank(char c)
{
	return c == ' ' || c == '\t' || c == '\r' || c == '\n';
}

static bool all_blank(struct slice s)
{
	return slice_trim(s).n == 0;
}

/* The line end with all blanks around it becomes one space: some clients fold by a tab, or by more. */
static void unfold(struct buf *to, struct slice s)
{
	size_t lf = slice_find(s, '\n');

	while (lf < s.n) {
		size_t end = lf;
		while (end > 0 && blank(s.p[end - 1]))
			end--;
		buf_add(to, s.p, end);
		buf_add_char(to, ' ');
		while (lf < s.n && blank(s.p[lf]))
			lf++;
		s = slice_sub(s, lf, s.n);
		lf = slice_find(s, '\n');
	}
	buf_add_slice(to, s);
}

/* Appends what the words said so far. */
static void flush_words(struct decoder *d)
{
	if (!d->pending)
		return;
	charset_convert(&d->charsets, d->out, d->charset, buf_slice(&d->bytes));
	buf_clear(&d->bytes);
	d->pending = false;
}

/* Appends the plain text before `at`. */
static void flush_plain(struct decoder *d)
{
	struct slice text = slice_sub(d->s, d->plain, d->at - d->plain);

	flush_words(d);
	buf_clear(&d->unfolded);
	unfold(&d->unfolded, text);
	charset_guess_as(&d->charsets, d->out, d->own, buf_slice(&d->unfolded));
	d->plain = d->at;
}

/* Blanks between two words are no text (RFC 2047 6.2). */
static void take_word(struct decoder *d, const struct encoded_word *w)
{
	struct slice gap = slice_sub(d->s, d->plain, d->at - d->plain);

	if (!d->pending || !all_blank(gap))
		flush_plain(d);
	else if (!slice_eq_nocase(d->charset, w->charset))
		flush_words(d);
	d->pending = true;
	d->charset = w->charset;
	encoded_word_bytes(w, &d->bytes);
	d->at = d->plain = w->end;
}

/* Shown as "; name=text". */
static void take_param(struct decoder *d)
{
	struct encoded_param p;
	struct buf text;

	buf_init(&text, d->s.n);
	if (encoded_param_parse(d->s, d->at, &p, &text)) {
		flush_plain(d);
		charset_put(d->out, slice_of("; "));
		charset_put(d->out, p.name);
		charset_put(d->out, slice_of("="));
		charset_convert(&d->charsets, d->out, p.charset, buf_slice(&text));
		d->at = d->plain = p.end;
	} else {
		d->at++;
	}
	buf_free(&text);
}

/* Whether there is anything to decode at all: most values are ASCII on one line. */
static bool is_simple(struct slice s)
{
	unsigned char odd = 0;

	for (size_t i = 0; i < s.n; i++) {
		unsigned char c = (unsigned char)s.p[i];
		odd |= (unsigned char)(c >= 0x80) | (unsigned char)(c < ' ') | (unsigned char)(c == '=');
	}
	return odd == 0;
}

/* Offset behind NAME and an equals sign, with blanks around it, at s.p[at]; 0 where they do not stand there. */
static size_t behind_equals(struct slice s, size_t at, const char *name)
{
	struct slice rest = slice_sub(s, at, s.n);

	if (!slice_starts_nocase(rest, name))
		return 0;
	for (at += strlen(name); at < s.n && blank(s.p[at]); at++)
		;
	if (at == s.n || s.p[at] != '=')
		return 0;
	for (at++; at < s.n && blank(s.p[at]); at++)
		;
	return at;
}

static bool ends_token(char c)
{
	return blank(c) || c == ';' || c == '"' || c == '(';
}

struct slice header_charset(const struct header *h)
{
	const struct header_field *f = header_find(h, "Content-Type", 0);

	for (size_t at = 0; f != NULL && at < f->value.n; at++) {
		struct slice s = f->value;
		size_t from =
		    at > 0 && (s.p[at - 1] == ';' || blank(s.p[at - 1])) ? behind_equals(s, at, "charset") : 0;
		if (from == 0)
			continue;
		from += from < s.n && s.p[from] == '"';
		size_t end = from;
		while (end < s.n && !ends_token(s.p[end]))
			end++;
		return slice_sub(s, from, end - from);
	}
	return slice_of("");
}

void header_decode(struct buf *out, struct slice value)
{
	header_decode_as(out, value, slice_of(""));
}

void header_decode_as(struct buf *out, struct slice value, struct slice charset)
{
	struct decoder d = {.s = slice_trim(value), .out = out, .own = charset};
	struct encoded_word w;
	size_t max = out->max;

	if (is_simple(d.s) && buf_add_slice(out, d.s))
		return;
	buf_init(&d.bytes, d.s.n);
	buf_init(&d.unfolded, d.s.n + 1);
	while (d.at < d.s.n) {
		char c = d.s.p[d.at];
		if (c == '=' && encoded_word_parse(d.s, d.at, &w))
			take_word(&d, &w);
		else if (c == ';')
			take_param(&d);
		else
			d.at++;
	}
	flush_plain(&d);
	out->max = max;
	charsets_close(&d.charsets);
	buf_free(&d.bytes);
	buf_free(&d.unfolded);
}
