#include "mail/rewrite.h"

#include "base/alloc.h"
#include "base/clock.h"
#include "base/random.h"
#include "base/text.h"
#include "mail/rewrite_list.h"

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
	                                    "Read-Receipt-To",
	                                    "X-Confirm-Reading-To",
	                                    "Errors-To",
	                                    "Mail-Followup-To",
	                                    "Mail-Reply-To",
	                                    "Return-Path",
	                                    NULL};

	return name_in(name, names);
}

bool rewrite_is_blind(struct slice name)
{
	static const char *const names[] = {"Bcc", "Resent-Bcc", NULL};

	return name_in(name, names);
}

static bool add_whole(struct buf *out, struct slice field)
{
	return rewrite_lines(out, field) && (field.n == 0 || field.p[field.n - 1] == '\n' || buf_add(out, "\r\n", 2));
}

/* Whether anything but punctuation stands there. */
static bool says_something(struct slice value)
{
	for (size_t i = 0; i < value.n; i++)
		if ((unsigned char)value.p[i] > ' ' && strchr("<>()@\"", value.p[i]) == NULL)
			return true;
	return false;
}

static bool has_address(struct slice value)
{
	struct mailbox_list l;

	mailbox_list_parse(value, &l);
	bool has = l.n > 0;
	mailbox_list_free(&l);
	return has;
}

/* Whether the text of a From field without an address may stand in front of one as a name. */
static bool is_name(struct slice s)
{
	size_t quotes = 0;

	for (size_t i = 0; i < s.n; i++) {
		char c = s.p[i];
		quotes += c == '"';
		if (((unsigned char)c < ' ' && c != '\t') || c == 0x7f || strchr("<>@,;:()[]\\", c) != NULL)
			return false;
	}
	return s.n > 0 && s.n <= 200 &&
	       (quotes == 0 || (quotes == 2 && s.n > 2 && s.p[0] == '"' && s.p[s.n - 1] == '"'));
}

/* "From: "Scanner"" and the like: the name stays, the address comes behind it. */
static bool add_from(struct buf *out, struct slice value, const char *from)
{
	struct slice name = slice_trim(value);

	if (!is_name(name))
		return buf_printf(out, "From: %s\r\n", from);
	bool longish = name.n + strlen(from) > 66;
	return buf_add_str(out, "From: ") && buf_add_slice(out, name) &&
	       buf_printf(out, "%s <%s>\r\n", longish ? "\r\n" : "", from);
}

/* Of Date, Message-ID and From the first that says something stays: several, or an empty one, are refused outside. */
static bool rewrite_field(struct buf *out, struct rewrite *r, const struct header *h, const struct header_field *f)
{
	struct slice field = slice_sub(h->bytes, f->start, f->end - f->start);
	bool from = slice_is_nocase(f->name, "From");
	bool *has = from                                     ? &r->has_from
	            : slice_is_nocase(f->name, "Date")       ? &r->has_date
	            : slice_is_nocase(f->name, "Message-ID") ? &r->has_id
	                                                     : NULL;

	if (rewrite_is_blind(f->name))
		return true;
	if (r->complete && has != NULL) {
		bool says = from ? has_address(f->value) : says_something(f->value);
		if (*has)
			return true;
		if (!says) {
			if (from && r->nameless.p == NULL)
				r->nameless = f->value;
			return true;
		}
		*has = true;
	}
	return holds_addresses(f->name) ? rewrite_list(out, h->bytes, f, r->lookup, r->arg) : add_whole(out, field);
}

bool rewrite_header(struct buf *out, const struct header *h, struct rewrite *r)
{
	struct header part = *h;
	bool own = false, fits = true;

	for (;;) { /* behind HEADER_MAX_FIELDS the scanner leaves a rest; a blind field may be in there too */
		bool rest = part.n == HEADER_MAX_FIELDS && part.v[part.n - 1].name.n == 0;
		for (size_t i = 0; i < part.n - rest && fits; i++)
			fits = rewrite_field(out, r, &part, &part.v[i]);
		struct slice tail = rest ? slice_sub(part.bytes, part.v[part.n - 1].start, part.bytes.n) : slice_of("");
		if (own)
			header_free(&part);
		if (!fits || tail.n == 0)
			return fits;
		header_scan(&part, tail);
		own = true;
	}
}

bool rewrite_add_missing(struct buf *out, const struct rewrite *r, const char *from, const char *hostname)
{
	char date[40], name[RANDOM_NAME_MAX];
	bool fits = true;

	if (!r->has_date) {
		clock_rfc5322(clock_wall_s(), date);
		fits = buf_printf(out, "Date: %s\r\n", date);
	}
	if (fits && !r->has_id) {
		random_name(name);
		fits = buf_printf(out, "Message-ID: <%s@%s>\r\n", name, hostname);
	}
	if (!fits || r->has_from)
		return fits;
	return from[0] != '\0' ? add_from(out, r->nameless, from)
	                       : buf_printf(out, "From: MAILER-DAEMON@%s\r\n", hostname);
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
