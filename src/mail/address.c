#include "mail/address.h"

#include "base/alloc.h"
#include "base/text.h"
#include "mail/idna.h"

#include <stdlib.h>
#include <string.h>

/* A cursor over an address of the envelope. */
struct cursor {
	struct slice s;
	size_t at;
	bool path; /* of the envelope: UTF-8 (RFC 6531), and what devices make of it */
};

/* NUL where the text has ended; NUL itself is in no address. */
static char peek(const struct cursor *c)
{
	return c->at < c->s.n ? c->s.p[c->at] : '\0';
}

static bool take(struct cursor *c, char what)
{
	if (peek(c) != what)
		return false;
	c->at++;
	return true;
}

static void skip_spaces(struct cursor *c)
{
	while (peek(c) == ' ' || (c->path && peek(c) == '\t'))
		c->at++;
}

static bool alnum(char c)
{
	return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9');
}

/* RFC 5322 3.2.3 */
static bool atext(char c)
{
	return alnum(c) || (c != '\0' && strchr("!#$%&'*+-/=?^_`{|}~", c) != NULL);
}

static bool eight_bit(char c)
{
	return (unsigned char)c >= 0x80;
}

/* What the cursor is at, of a local part's word or quoted string. */
static bool at_atext(const struct cursor *c)
{
	return atext(peek(c)) || (c->path && eight_bit(peek(c)));
}

static bool at_printable(const struct cursor *c)
{
	char x = peek(c);

	return (x >= ' ' && x < 0x7f) || (c->path && eight_bit(x));
}

static bool parse_quoted(struct cursor *c, struct buf *local)
{
	while (peek(c) != '"') {
		take(c, '\\');
		if (!at_printable(c) || !buf_add_char(local, peek(c)))
			return false;
		c->at++;
	}
	c->at++;
	return true;
}

/* Dots may stand anywhere: there are telephone firms that gave out such names. */
static bool parse_dotted(struct cursor *c, struct buf *local)
{
	for (;;) {
		if (take(c, '\\')) {
			if (!at_printable(c))
				return false;
		} else if (!at_atext(c) && peek(c) != '.') {
			return true;
		}
		if (!buf_add_char(local, peek(c)))
			return false;
		c->at++;
	}
}

static bool parse_literal(struct cursor *c)
{
	while (peek(c) != ']') {
		char x = peek(c);
		if (x <= ' ' || x >= 0x7f || x == '[' || x == '\\' || x == '<' || x == '>')
			return false;
		c->at++;
	}
	c->at++;
	return true;
}

static bool add_domain(struct buf *domain, struct slice name)
{
	char *ascii = idna_to_ascii(name);
	bool ok = ascii != NULL && buf_add_str(domain, ascii);

	free(ascii);
	return ok;
}

/* Labels of letters, digits, "-" and, as seen in offices, "_"; in a path a dot may stand behind the last one. */
static bool parse_domain(struct cursor *c, struct buf *domain)
{
	size_t start = c->at, end;

	if (take(c, '['))
		return parse_literal(c) && buf_add(domain, c->s.p + start, c->at - start);
	do {
		size_t label = c->at;
		while (alnum(peek(c)) || peek(c) == '-' || peek(c) == '_' || (c->path && eight_bit(peek(c))))
			c->at++;
		end = c->at;
		if (end == label && (!c->path || label == start))
			return false;
		if (end == label) {
			end--;
			break;
		}
	} while (take(c, '.'));
	return add_domain(domain, slice_sub(c->s, start, end - start));
}

/* local ["@" domain]; the empty local part is none, quoted or not: "" is the null sender alone. */
static bool parse_addr_spec(struct cursor *c, struct address *out)
{
	struct buf local, domain;

	buf_init(&local, ADDRESS_MAX);
	buf_init(&domain, 255);
	bool ok = take(c, '"') ? parse_quoted(c, &local) : parse_dotted(c, &local);
	ok = ok && local.n > 0 && (!take(c, '@') || parse_domain(c, &domain)) && local.n + domain.n < ADDRESS_MAX;
	if (ok)
		*out = (struct address){buf_steal(&local), buf_steal(&domain)};
	buf_free(&local);
	buf_free(&domain);
	return ok;
}

/* @one,@two: is dropped (RFC 5321, appendix C). */
static bool parse_route(struct cursor *c)
{
	struct buf ignored;
	bool ok = true;

	buf_init(&ignored, 1024);
	while (ok && take(c, '@'))
		ok = parse_domain(c, &ignored) && (take(c, ',') || peek(c) == ':');
	buf_free(&ignored);
	return ok && take(c, ':');
}

static bool parse_angle(struct cursor *c, struct address *out)
{
	skip_spaces(c);
	if (take(c, '>')) {
		*out = (struct address){xstrdup(""), xstrdup("")};
		return true;
	}
	if (slice_starts_nocase(slice_sub(c->s, c->at, c->s.n), "mailto:"))
		c->at += strlen("mailto:");
	if (peek(c) == '@' && !parse_route(c))
		return false;
	if (!parse_addr_spec(c, out))
		return false;
	skip_spaces(c);
	if (take(c, '>'))
		return true;
	address_free(out);
	return false;
}

/* Whether it is UTF-8 without the controls that are only in there. */
static bool fit_for_path(struct slice text)
{
	uint32_t cp;
	size_t n;

	for (size_t at = 0; at < text.n; at += n) {
		n = utf8_next(text, at, &cp);
		if (n == 0 || (cp >= 0x80 && cp < 0xa0) || cp == 0x2028 || cp == 0x2029)
			return false;
	}
	return true;
}

/* From the cursor on: the path, so many further ">", and what stands behind it. */
static bool parse_path_at(struct cursor *c, size_t closing, struct address *out, struct slice *rest)
{
	skip_spaces(c);
	if (!(take(c, '<') ? parse_angle(c, out) : parse_addr_spec(c, out)))
		return false;
	while (closing > 0 && take(c, '>'))
		closing--;
	if (closing > 0 || (c->at < c->s.n && peek(c) != ' ' && peek(c) != '\t')) {
		address_free(out);
		return false;
	}
	skip_spaces(c);
	*rest = slice_sub(c->s, c->at, c->s.n);
	return true;
}

/* Where the last "<" stands, with nothing before it that could be an address: a name, as in a header field; and how
 * many
 * "<" are before it. */
static bool find_behind_name(struct slice text, size_t *at, size_t *opened)
{
	size_t quotes = 0, last = text.n;

	*opened = 0;
	for (size_t i = 0; i < text.n; i++)
		if (text.p[i] == '<')
			last = i;
	for (size_t i = 0; i < last; i++) {
		if (text.p[i] == '@' || text.p[i] == '>')
			return false;
		quotes += text.p[i] == '"';
		*opened += text.p[i] == '<';
	}
	*at = last;
	return last < text.n && quotes % 2 == 0;
}

bool address_parse_path(struct slice text, struct address *out, struct slice *rest)
{
	struct cursor c = {text, 0, true};
	size_t opened;

	*out = (struct address){NULL, NULL};
	if (!fit_for_path(text))
		return false;
	if (parse_path_at(&c, 0, out, rest)) {
		if (rest->n == 0 || rest->p[0] != '<')
			return true;
		address_free(out); /* that was a name */
	}
	if (!find_behind_name(text, &c.at, &opened) || !parse_path_at(&c, opened, out, rest))
		return false;
	if (out->local[0] != '\0')
		return true;
	address_free(out);
	return false;
}

bool address_parse(struct slice text, struct address *out)
{
	struct cursor c = {text, 0, false};

	*out = (struct address){NULL, NULL};
	if (!parse_addr_spec(&c, out))
		return false;
	if (c.at == text.n)
		return true;
	address_free(out);
	return false;
}

char *address_to_ascii(struct slice text)
{
	size_t at = text.n;

	while (at > 0 && text.p[at - 1] != '@')
		at--;
	char *domain = at > 0 ? idna_to_ascii(slice_sub(text, at, text.n)) : NULL;
	if (domain == NULL)
		return slice_dup(text);
	char *whole = xasprintf("%.*s%s", (int)at, text.p, domain);
	free(domain);
	return whole;
}

void address_free(struct address *a)
{
	free(a->local);
	free(a->domain);
	*a = (struct address){NULL, NULL};
}

static bool needs_quotes(const char *local)
{
	size_t n = strlen(local);

	if (n == 0 || local[0] == '.' || local[n - 1] == '.' || strstr(local, "..") != NULL)
		return true;
	for (size_t i = 0; i < n; i++)
		if (!atext(local[i]) && !eight_bit(local[i]) && local[i] != '.')
			return true;
	return false;
}

static void add_quoted(struct buf *out, const char *local)
{
	buf_add_char(out, '"');
	for (; *local != '\0'; local++) {
		if (*local == '"' || *local == '\\')
			buf_add_char(out, '\\');
		buf_add_char(out, *local);
	}
	buf_add_char(out, '"');
}

char *address_format(const struct address *a)
{
	struct buf out;

	if (a->local[0] == '\0' && a->domain[0] == '\0')
		return xstrdup("");
	buf_init(&out, SIZE_MAX / 2);
	if (needs_quotes(a->local))
		add_quoted(&out, a->local);
	else
		buf_add_str(&out, a->local);
	if (a->domain[0] != '\0') {
		buf_add_char(&out, '@');
		buf_add_str(&out, a->domain);
	}
	return buf_steal(&out);
}
