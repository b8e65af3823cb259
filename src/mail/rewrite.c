#include "mail/rewrite.h"

#include "base/alloc.h"
#include "base/clock.h"
#include "base/random.h"
#include "base/text.h"

#include <stdlib.h>
#include <string.h>

static bool name_in(struct slice name, const char *const *list)
{
	for (; *list != NULL; list++)
		if (slice_is_nocase(name, *list))
			return true;
	return false;
}

static bool holds_addresses(struct slice name)
{
	static const char *const names[] = {"From",
	                                    "Sender",
	                                    "Reply-To",
	                                    "To",
	                                    "Cc",
	                                    "Resent-From",
	                                    "Resent-Sender",
	                                    "Resent-Reply-To",
	                                    "Resent-To",
	                                    "Resent-Cc",
	                                    "Disposition-Notification-To",
	                                    "Return-Receipt-To",
	                                    NULL};

	return name_in(name, names);
}

static bool is_blind(struct slice name)
{
	static const char *const names[] = {"Bcc", "Resent-Bcc", NULL};

	return name_in(name, names);
}

/* Only LF ends a line here: making a line of what follows a bare CR would open a field, or end the header. */
static bool add_lines(struct buf *out, struct slice s)
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

static bool add_line_end(struct buf *out, struct slice field)
{
	return (field.n > 0 && field.p[field.n - 1] == '\n') || buf_add(out, "\r\n", 2);
}

/* `value` starts at offset `from` of the field. */
static bool rewrite_field(struct buf *out, struct slice field, struct slice value, rewrite_lookup *lookup, void *arg)
{
	size_t from = (size_t)(value.p - field.p), done = 0;
	struct mailbox_list l;
	bool fits = true;

	mailbox_list_parse(value, &l);
	for (size_t i = 0; fits && i < l.n; i++) {
		const char *other = lookup(arg, &l.v[i].address);
		if (other == NULL)
			continue;
		fits = add_lines(out, slice_sub(field, done, from + l.v[i].start - done)) && buf_add_str(out, other);
		done = from + l.v[i].end;
	}
	mailbox_list_free(&l);
	return fits && add_lines(out, slice_sub(field, done, field.n)) && add_line_end(out, field);
}

static bool rewrite_fields(struct buf *out, const struct header *h, size_t n, rewrite_lookup *lookup, void *arg)
{
	for (size_t i = 0; i < n; i++) {
		const struct header_field *f = &h->v[i];
		struct slice field = slice_sub(h->bytes, f->start, f->end - f->start);
		if (is_blind(f->name))
			continue;
		if (holds_addresses(f->name) ? !rewrite_field(out, field, f->value, lookup, arg)
		                             : !add_lines(out, field) || !add_line_end(out, field))
			return false;
	}
	return true;
}

bool rewrite_header(struct buf *out, const struct header *h, rewrite_lookup *lookup, void *arg)
{
	struct header part = *h;
	bool own = false, fits;

	for (;;) { /* behind HEADER_MAX_FIELDS the scanner leaves a rest; a blind field may be in there too */
		bool rest = part.n == HEADER_MAX_FIELDS && part.v[part.n - 1].name.n == 0;
		fits = rewrite_fields(out, &part, rest ? part.n - 1 : part.n, lookup, arg);
		struct slice tail = rest ? slice_sub(part.bytes, part.v[part.n - 1].start, part.bytes.n) : slice_of("");
		if (own)
			header_free(&part);
		if (!fits || tail.n == 0)
			return fits;
		header_scan(&part, tail);
		own = true;
	}
}

bool rewrite_add_missing(struct buf *out, const struct header *h, const char *from, const char *hostname)
{
	char date[40], name[RANDOM_NAME_MAX];
	bool fits = true;

	if (header_find(h, "Date", 0) == NULL) {
		clock_rfc5322(clock_wall_s(), date);
		fits = buf_printf(out, "Date: %s\r\n", date);
	}
	if (fits && header_find(h, "Message-ID", 0) == NULL) {
		random_name(name);
		fits = buf_printf(out, "Message-ID: <%s@%s>\r\n", name, hostname);
	}
	if (fits && header_find(h, "From", 0) == NULL) {
		fits = from[0] != '\0' ? buf_printf(out, "From: %s\r\n", from)
		                       : buf_printf(out, "From: MAILER-DAEMON@%s\r\n", hostname);
	}
	return fits;
}

/* A field being written. */
struct folder {
	struct buf *out;
	size_t column;
	size_t spaces; /* before the next piece */
	bool fits;
};

enum {
	FOLD_AT = 76,
	WORD_BYTES = 45,
	TOKEN_MAX = 800 /* a line may have 998 bytes */
};

/* Folds before the spaces where the piece would not fit behind them. */
static void add_piece(struct folder *f, struct slice piece)
{
	if (f->spaces > 0 && f->column + f->spaces + piece.n > FOLD_AT) {
		f->fits = f->fits && buf_add(f->out, "\r\n", 2);
		f->column = 0;
	}
	f->column += f->spaces + piece.n;
	for (; f->spaces > 0; f->spaces--)
		f->fits = f->fits && buf_add_char(f->out, ' ');
	f->fits = f->fits && buf_add_slice(f->out, piece);
}

static void add_base64(struct buf *out, struct slice s)
{
	static const char digits[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";

	for (size_t i = 0; i < s.n; i += 3) {
		uint32_t v = 0;
		for (size_t k = 0; k < 3; k++)
			v = v << 8 | (i + k < s.n ? (unsigned char)s.p[i + k] : 0);
		for (size_t k = 0; k < 4; k++)
			buf_add_char(out, i + k > s.n ? '=' : digits[v >> (18 - 6 * k) & 63]);
	}
}

/* Words of at most WORD_BYTES each, none of which ends inside a character. s is UTF-8. */
static void add_encoded(struct folder *f, struct slice s)
{
	for (size_t at = 0, n; at < s.n; at += n) {
		struct buf word;
		n = s.n - at < WORD_BYTES ? s.n - at : WORD_BYTES;
		while (at + n < s.n && ((unsigned char)s.p[at + n] & 0xc0) == 0x80)
			n--;
		buf_init(&word, 100);
		buf_add_str(&word, "=?utf-8?B?");
		add_base64(&word, slice_sub(s, at, n));
		buf_add_str(&word, "?=");
		if (at > 0)
			f->spaces = 1;
		add_piece(f, buf_slice(&word));
		buf_free(&word);
	}
}

/* Whether the text, up to its next space, has to be encoded: also what some readers would take for encoded. */
static bool is_special(struct slice s)
{
	if (s.n > TOKEN_MAX || (s.n > 1 && memmem(s.p, s.n, "=?", 2) != NULL))
		return true;
	for (size_t i = 0; i < s.n; i++)
		if ((unsigned char)s.p[i] >= 0x80)
			return true;
	return false;
}

static struct slice token_at(struct slice s, size_t at)
{
	struct slice rest = slice_sub(s, at, s.n);

	return slice_sub(rest, 0, slice_find(rest, ' '));
}

static size_t skip_blanks(struct slice s, size_t at)
{
	while (at < s.n && s.p[at] == ' ')
		at++;
	return at;
}

/* Special tokens in a row are encoded together with the spaces between them, which would be lost otherwise. */
static void add_tokens(struct folder *f, struct slice s)
{
	for (size_t at = 0, end; at < s.n; at = skip_blanks(s, end), f->spaces = at - end) {
		struct slice token = token_at(s, at);
		bool special = is_special(token);
		end = at + token.n;
		while (special) {
			size_t next = skip_blanks(s, end);
			struct slice more = token_at(s, next);
			if (!is_special(more))
				break;
			end = next + more.n;
		}
		if (special)
			add_encoded(f, slice_sub(s, at, end - at));
		else
			add_piece(f, token);
	}
}

/* Valid UTF-8 without controls and without spaces at both ends. */
static void clean_value(struct buf *clean, struct slice s)
{
	uint32_t cp;

	for (size_t at = 0, n; at < s.n; at += n != 0 ? n : 1) {
		n = utf8_next(s, at, &cp);
		if (n == 0)
			buf_add_str(clean, "\xef\xbf\xbd");
		else if (cp < ' ' || (cp >= 0x7f && cp < 0xa0))
			buf_add_char(clean, ' ');
		else
			buf_add(clean, s.p + at, n);
	}
}

bool rewrite_add_field(struct buf *out, const char *name, const char *value)
{
	struct folder f = {out, strlen(name) + 1, 1, true};
	struct buf clean;

	buf_init(&clean, SIZE_MAX / 2);
	clean_value(&clean, slice_of(value));
	f.fits = buf_add_str(out, name) && buf_add_char(out, ':');
	if (f.fits)
		add_tokens(&f, slice_trim(buf_slice(&clean)));
	buf_free(&clean);
	return f.fits && buf_add(out, "\r\n", 2);
}
