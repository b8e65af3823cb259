/* Header text: whatever comes in, one line of valid UTF-8 comes out, and a smaller maximum gives its beginning; text
 * that is encoded, in any charset, split anywhere, as words or as a parameter, reads as it was. */
#include "base/text.h"
#include "mail/header.h"
#include "mail/rewrite.h"
#include "mail/words.h"

#include "checks.h"

#include <iconv.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void decode(struct buf *out, struct slice value, size_t max)
{
	buf_init(out, max);
	header_decode(out, value);
}

static void need_text(struct slice text)
{
	need(utf8_valid(text));
	need(slice_find(text, '\0') == text.n && slice_find(text, '\r') == text.n && slice_find(text, '\n') == text.n);
}

static void check_any(struct slice value)
{
	struct buf all, part;

	decode(&all, value, SIZE_MAX / 2);
	need_text(buf_slice(&all));
	need(all.n <= 3 * value.n + 3 * (value.n / 4) + 16); /* a byte becomes at most U+FFFD */
	for (size_t i = 0; i < 3; i++) {
		size_t max = all.n * i / 3;
		decode(&part, value, max);
		need(part.n <= max && max - part.n < 4 && (part.n == 0 || memcmp(part.p, all.p, part.n) == 0));
		buf_free(&part);
	}
	buf_free(&all);
}

/* Both readers alone, at every place: they stay inside. */
static void check_readers(struct slice s)
{
	struct encoded_word w;
	struct encoded_param p;
	struct buf out;

	for (size_t at = 0; at < s.n && at < 2000; at++) {
		buf_init(&out, s.n + 1);
		if (encoded_word_parse(s, at, &w)) {
			need(w.end > at + 6 && w.end <= s.n && w.text.p + w.text.n + 2 == s.p + w.end);
			need(w.charset.p == s.p + at + 2 && (w.encoding == 'b' || w.encoding == 'q'));
			encoded_word_bytes(&w, &out);
			need(out.n <= w.text.n);
			buf_clear(&out);
		}
		if (s.p[at] == ';' && encoded_param_parse(s, at, &p, &out)) {
			need(p.end > at && p.end <= s.n && out.n <= s.n - at);
			need(p.name.n > 0 && p.name.p > s.p + at);
		}
		buf_free(&out);
	}
}

/* The text that these bytes can stand for, without what gets lost on the way: blanks at the ends, several in a row. */
static void clean_text(struct slice raw, struct buf *text)
{
	uint32_t cp;

	buf_init(text, SIZE_MAX / 2);
	for (size_t at = 0, n; at < raw.n; at += n != 0 ? n : 1) {
		n = utf8_next(raw, at, &cp);
		if (n == 0)
			buf_add_str(text, "\xd0\xb6"); /* makes Cyrillic frequent */
		else if (cp == ' ' ? text->n > 0 && text->p[text->n - 1] != ' ' : cp > ' ' && (cp < 0x7f || cp >= 0xa0))
			buf_add(text, raw.p + at, n);
	}
	struct slice trimmed = slice_trim(buf_slice(text));
	size_t before = trimmed.n > 0 ? (size_t)(trimmed.p - text->p) : 0;
	buf_drop(text, before);
	text->n = trimmed.n;
}

/* Our own writer. It leaves alone what only a reader of parameters takes for encoded. */
static void check_written(const struct buf *text)
{
	struct slice s = buf_slice(text);
	struct buf field, back;
	struct header h;

	if (slice_find(s, ';') < s.n && slice_find(s, '*') < s.n)
		return;
	char *value = slice_dup(s);
	buf_init(&field, SIZE_MAX / 2);
	need(rewrite_add_field(&field, "X-Any", value));
	header_scan(&h, buf_slice(&field));
	need(h.n == 1 && h.end == field.n && slice_is(h.v[0].name, "X-Any"));
	decode(&back, h.v[0].value, SIZE_MAX / 2);
	need(same(buf_slice(text), &back));
	for (size_t at = 0, lf; at < field.n; at = lf + 1) {
		lf = at + slice_find(slice_sub(buf_slice(&field), at, field.n), '\n');
		need(lf < field.n && lf - at < 998);
	}
	buf_free(&back);
	buf_free(&field);
	header_free(&h);
	free(value);
}

static const char *const charsets[] = {"utf-8", "koi8-r", "windows-1251", "iso-8859-5", "cp866"};
enum { CHARSETS = sizeof charsets / sizeof *charsets };

static bool convert(size_t charset, const struct buf *text, struct buf *bytes)
{
	static iconv_t opened[CHARSETS];
	if (opened[charset] == NULL)
		opened[charset] = iconv_open(charsets[charset], "UTF-8");
	iconv_t cd = opened[charset];
	char *in = text->p, *to = malloc(4 * text->n + 16), *at = to;
	size_t left = text->n, room = 4 * text->n + 16;

	need(cd != (iconv_t)-1 && to != NULL);
	bool ok = text->n > 0 && iconv(cd, &in, &left, &at, &room) == 0 && iconv(cd, NULL, NULL, &at, &room) == 0;
	iconv(cd, NULL, NULL, NULL, NULL);
	buf_init(bytes, SIZE_MAX / 2);
	buf_add(bytes, to, (size_t)(at - to));
	free(to);
	return ok;
}

static void add_base64(struct buf *out, struct slice s)
{
	static const char digits[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";

	for (size_t i = 0; i < s.n; i += 3) {
		unsigned v = 0;
		for (size_t k = 0; k < 3; k++)
			v = v << 8 | (i + k < s.n ? (unsigned char)s.p[i + k] : 0U);
		for (size_t k = 0; k < 4; k++)
			buf_add_char(out, i + k > s.n ? '=' : digits[v >> (18 - 6 * k) & 63]);
	}
}

static void add_escaped(struct buf *out, struct slice s, char mark)
{
	for (size_t i = 0; i < s.n; i++) {
		char c = s.p[i];
		bool plain = (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9');
		if (plain)
			buf_add_char(out, c);
		else
			buf_printf(out, "%c%02X", mark, (unsigned)(unsigned char)c);
	}
}

/* Words of a few bytes each: a character may be cut in two between them, as careless clients do. */
static void check_words(const char *charset, struct slice bytes, const struct buf *text, struct slice steps)
{
	static const char *const gaps[] = {" ", "\r\n ", "\t", "\n\t \r\n "};
	struct buf value, back;

	buf_init(&value, SIZE_MAX / 2);
	for (size_t at = 0, n; at < bytes.n; at += n) {
		unsigned char how = take(&steps);
		n = 1 + how % 48;
		if (at > 0)
			buf_add_str(&value, gaps[how / 48 % 4]);
		buf_printf(&value, "=?%s?%c?", charset, how & 1 ? 'B' : 'q');
		if (how & 1)
			add_base64(&value, slice_sub(bytes, at, n));
		else
			add_escaped(&value, slice_sub(bytes, at, n), '=');
		buf_add_str(&value, "?=");
	}
	decode(&back, buf_slice(&value), SIZE_MAX / 2);
	need(same(buf_slice(text), &back));
	buf_free(&value);
	buf_free(&back);
}

/* The same as a parameter in numbered parts. */
static void check_param(const char *charset, struct slice bytes, const struct buf *text, struct slice steps)
{
	struct buf value, back, want;
	unsigned part = 0;

	buf_init(&value, SIZE_MAX / 2);
	buf_init(&want, SIZE_MAX / 2);
	buf_add_str(&value, "attachment");
	for (size_t at = 0, n; at < bytes.n; at += n) {
		unsigned char how = take(&steps);
		n = how % 64 == 0 && part == 0 ? bytes.n : 1U + how % 64;
		buf_printf(&value, ";%sname*", how & 1 ? "\r\n " : "");
		if (n != bytes.n || part > 0)
			buf_printf(&value, "%u*", part);
		buf_printf(&value, "=%s%s", part == 0 ? charset : "", part == 0 ? "'ru'" : "");
		add_escaped(&value, slice_sub(bytes, at, n), '%');
		part++;
	}
	buf_printf(&want, "attachment; name=");
	buf_add_slice(&want, buf_slice(text));
	decode(&back, buf_slice(&value), SIZE_MAX / 2);
	need(same(buf_slice(&want), &back));
	buf_free(&value);
	buf_free(&back);
	buf_free(&want);
}

static void check_encoded(const struct buf *text, struct slice steps)
{
	for (size_t i = 0; i < CHARSETS; i++) {
		struct buf bytes;
		if (convert(i, text, &bytes)) {
			check_words(charsets[i], buf_slice(&bytes), text, steps);
			check_param(charsets[i], buf_slice(&bytes), text, steps);
		}
		buf_free(&bytes);
	}
}

static void work(struct slice large)
{
	struct buf out;

	decode(&out, large, SIZE_MAX / 2);
	buf_free(&out);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct slice all = slice_make((const char *)data, size), in = all;
	struct buf text;

	check_any(all);
	check_readers(all);
	struct slice steps = take_some(&in, 40);
	if (in.n < 4096) {
		clean_text(in, &text);
		check_written(&text);
		if (text.n > 0)
			check_encoded(&text, steps);
		buf_free(&text);
	}
	need_linear(all, work);
	return 0;
}
