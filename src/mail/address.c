#include "mail/address.h"

#include "base/alloc.h"

#include <stdlib.h>
#include <string.h>

/* A cursor over an address of the envelope. */
struct cursor {
	struct slice s;
	size_t at;
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
	while (peek(c) == ' ')
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

static bool printable(char c)
{
	return c >= ' ' && c < 0x7f;
}

static bool parse_quoted(struct cursor *c, struct buf *local)
{
	while (peek(c) != '"') {
		take(c, '\\');
		if (!printable(peek(c)) || !buf_add_char(local, peek(c)))
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
		char x = peek(c);
		if (x == '\\') {
			c->at++;
			x = peek(c);
			if (!printable(x))
				return false;
		} else if (!atext(x) && x != '.') {
			return true;
		}
		if (!buf_add_char(local, x))
			return false;
		c->at++;
	}
}

static bool parse_literal(struct cursor *c)
{
	while (peek(c) != ']') {
		char x = peek(c);
		if (!printable(x) || x == ' ' || x == '[' || x == '\\' || x == '<' || x == '>')
			return false;
		c->at++;
	}
	c->at++;
	return true;
}

/* Labels of letters, digits, "-" and, as seen in offices, "_". */
static bool parse_domain(struct cursor *c, struct buf *domain)
{
	size_t start = c->at;

	if (take(c, '[')) {
		if (!parse_literal(c))
			return false;
	} else {
		do {
			size_t label = c->at;
			while (alnum(peek(c)) || peek(c) == '-' || peek(c) == '_')
				c->at++;
			if (c->at == label)
				return false;
		} while (take(c, '.'));
	}
	return buf_add(domain, c->s.p + start, c->at - start);
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

bool address_parse_path(struct slice text, struct address *out, struct slice *rest)
{
	struct cursor c = {text, 0};

	*out = (struct address){NULL, NULL};
	skip_spaces(&c);
	if (!(take(&c, '<') ? parse_angle(&c, out) : parse_addr_spec(&c, out)))
		return false;
	if (c.at < text.n && peek(&c) != ' ') {
		address_free(out);
		return false;
	}
	skip_spaces(&c);
	*rest = slice_sub(text, c.at, text.n);
	return true;
}

bool address_parse(struct slice text, struct address *out)
{
	struct cursor c = {text, 0};

	*out = (struct address){NULL, NULL};
	if (!parse_addr_spec(&c, out))
		return false;
	if (c.at == text.n)
		return true;
	address_free(out);
	return false;
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
		if (!atext(local[i]) && local[i] != '.')
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
