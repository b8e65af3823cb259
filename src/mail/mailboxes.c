/* Address lists of header fields, in one pass without recursion: what is no address is passed over character by
 * character, so that one broken part hides none behind it. */
#include "mail/address.h"

#include "base/alloc.h"
#include "mail/idna.h"

#include <stdlib.h>
#include <string.h>

enum { LIST_MAX = 100000, NAMES_MAX = 1000 };

/* A run of characters that may be a local part. */
struct word {
	size_t start, end;
	bool plain; /* neither quoted nor an encoded word nor 8-bit: by itself it may be a user's bare name */
};

struct reader {
	struct slice s;
	size_t at;
	/* Once a comment or quoted string was found to have no end, later ones are not looked for: else a row of
	 * opening characters would cost a search each. */
	bool comments_broken, quotes_broken;
	struct mailbox_list *out;
	size_t firm;  /* so many of out are certain; those behind stand in this element without angle brackets */
	size_t words; /* in this element */
	size_t first; /* of out, in this element */
	size_t element_start;
	struct word last;
};

static char peek(const struct reader *r)
{
	return r->at < r->s.n ? r->s.p[r->at] : '\0';
}

static bool space(char c)
{
	return c == ' ' || c == '\t' || c == '\r' || c == '\n';
}

static bool word_char(char c)
{
	if ((unsigned char)c <= ' ' || c == 0x7f)
		return false;
	return strchr("()<>[]:;@\\,\"", c) == NULL;
}

/* Offset behind the comment or quoted string that starts at `at`; SIZE_MAX where it has no end. */
static size_t skip_delimited(struct slice s, size_t at, char open, char close)
{
	size_t depth = 1;

	for (at++; at < s.n; at++) {
		char c = s.p[at];
		if (c == '\\')
			at++;
		else if (c == close && --depth == 0)
			return at + 1;
		else if (c == open && open != close)
			depth++;
	}
	return SIZE_MAX;
}

/* Spaces, folds and comments. */
static void skip_cfws(struct reader *r)
{
	for (;;) {
		while (space(peek(r)))
			r->at++;
		if (peek(r) != '(' || r->comments_broken)
			return;
		size_t end = skip_delimited(r->s, r->at, '(', ')');
		r->comments_broken = end == SIZE_MAX;
		if (r->comments_broken)
			return;
		r->at = end;
	}
}

/* Stands at "=". Passes an RFC 2047 word, whose text may hold any punctuation when its writer was careless. */
static bool skip_encoded_word(struct reader *r)
{
	struct slice s = slice_sub(r->s, r->at, r->s.n);

	if (s.n < 8 || s.p[1] != '?')
		return false;
	size_t charset = 2 + slice_find(slice_sub(s, 2, 40), '?');
	if (charset + 3 >= s.n || s.p[charset] != '?' || s.p[charset + 2] != '?')
		return false;
	size_t text = charset + 3;
	while (text < s.n && s.p[text] != '?' && !space(s.p[text]))
		text++;
	if (text + 1 >= s.n || s.p[text] != '?' || s.p[text + 1] != '=')
		return false;
	r->at += text + 2;
	return true;
}

static bool skip_quoted(struct reader *r)
{
	if (peek(r) != '"' || r->quotes_broken)
		return false;
	size_t end = skip_delimited(r->s, r->at, '"', '"');
	r->quotes_broken = end == SIZE_MAX;
	if (!r->quotes_broken)
		r->at = end;
	return !r->quotes_broken;
}

/* Atoms, dots and quoted strings without space between; `"Anna"anna@x` is two words, `"an na".x@y` one. */
static bool read_word(struct reader *r, struct word *w)
{
	*w = (struct word){r->at, r->at, true};
	for (;;) {
		size_t before = r->at;
		bool may_join = before == w->start || r->s.p[before - 1] == '.';
		if (may_join && skip_quoted(r)) {
			w->plain = false;
			if (peek(r) != '.')
				break;
		} else if (peek(r) == '=' && skip_encoded_word(r)) {
			w->plain = false;
		} else if (word_char(peek(r))) {
			w->plain = w->plain && (unsigned char)peek(r) < 0x80;
			r->at++;
		} else {
			break;
		}
	}
	w->end = r->at;
	return w->end > w->start;
}

/* Unquotes; NULL where it holds NUL or is too long. */
static char *local_part(struct slice s)
{
	struct buf out;
	bool ok = true;

	buf_init(&out, ADDRESS_MAX);
	for (size_t i = 0; ok && i < s.n; i++) {
		char c = s.p[i];
		if (c == '\\' && i + 1 < s.n)
			c = s.p[++i];
		else if (c == '"')
			continue;
		if (c != '\r' && c != '\n') /* a fold, whatever stands before it */
			ok = c != '\0' && buf_add_char(&out, c);
	}
	if (ok && out.n > 0)
		return buf_steal(&out);
	buf_free(&out);
	return NULL;
}

static void push(struct reader *r, struct mailbox m)
{
	struct mailbox_list *l = r->out;

	if ((l->n & (l->n - 1)) == 0)
		l->v = xreallocarray(l->v, l->n != 0 ? l->n * 2 : 1, sizeof *l->v);
	l->v[l->n++] = m;
}

/* 'anna@firm.example', as Outlook writes it. No domain ends in such a quote, so nothing else is meant. */
static bool in_single_quotes(const char *local, struct slice domain)
{
	return local[0] == '\'' && local[1] != '\0' && domain.n > 1 && domain.p[domain.n - 1] == '\'';
}

static bool make_mailbox(struct reader *r, struct word local, struct slice domain, size_t end, struct mailbox *m)
{
	char *text = local_part(slice_sub(r->s, local.start, local.end - local.start));

	if (text == NULL || strlen(text) + domain.n >= ADDRESS_MAX) {
		free(text);
		return false;
	}
	*m = (struct mailbox){{text, slice_dup(domain)}, local.start, end, SIZE_MAX, 0, 0};
	if (in_single_quotes(text, domain)) {
		memmove(text, text + 1, strlen(text));
		m->address.domain[domain.n - 1] = '\0';
	}
	return true;
}

/* Stands behind "@". The domain without a dot at its end; "" where there is none. A literal holds no "[": nobody looks
 * for the end of one further than to the next. */
static struct slice read_domain(struct reader *r)
{
	size_t start;

	skip_cfws(r);
	start = r->at;
	if (peek(r) == '[') {
		r->at++;
		while (r->at < r->s.n && peek(r) != ']' && peek(r) != '[' && (unsigned char)peek(r) > ' ')
			r->at++;
		if (peek(r) != ']')
			return slice_sub(r->s, r->at, 0);
		r->at++;
	} else {
		while (word_char(peek(r)))
			r->at++;
	}
	struct slice d = slice_sub(r->s, start, r->at - start);
	while (d.n > 0 && d.p[d.n - 1] == '.')
		d.n--;
	return d;
}

/* local "@" domain, spaces and comments allowed around "@". Leaves `at` behind what was read in any case. */
static bool read_addr_spec(struct reader *r, struct word local, struct mailbox *m)
{
	r->at++;
	struct slice domain = read_domain(r);
	if (domain.n == 0)
		return false;
	size_t end = (size_t)(domain.p - r->s.p) + domain.n;
	skip_cfws(r);
	if (peek(r) != '@')
		return make_mailbox(r, local, domain, end, m);
	while (peek(r) == '@' || word_char(peek(r))) /* a@b@c may mean anything: it is no address */
		r->at++;
	return false;
}

/* Stands behind "<": @one,@two: is passed over (RFC 5322 4.4). */
static void skip_route(struct reader *r)
{
	size_t from = r->at;

	while (peek(r) == '@' || peek(r) == ',') {
		r->at++;
		if (r->s.p[r->at - 1] == '@' && read_domain(r).n == 0)
			break;
		skip_cfws(r);
	}
	if (peek(r) == ':')
		r->at++;
	else
		r->at = from;
	skip_cfws(r);
}

/* Stands at "<". A missing ">" is forgiven where there is a domain. */
static bool read_angle(struct reader *r, struct mailbox *m)
{
	size_t angle = r->at++;
	struct word local;
	bool ok;

	skip_cfws(r);
	if (peek(r) == '@')
		skip_route(r);
	if (!read_word(r, &local))
		return false;
	skip_cfws(r);
	if (peek(r) == '@')
		ok = read_addr_spec(r, local, m);
	else
		ok = peek(r) == '>' && make_mailbox(r, local, slice_of(""), local.end, m);
	if (!ok)
		return false;
	if (peek(r) == '>')
		r->at++;
	m->angle_start = angle;
	return true;
}

static void drop_unsure(struct reader *r)
{
	while (r->out->n > r->firm)
		address_free(&r->out->v[--r->out->n].address);
}

/* The next element; the one that was read ends where we stand. */
static void begin_element(struct reader *r)
{
	for (size_t i = r->first; i < r->out->n; i++) {
		r->out->v[i].element_start = r->element_start;
		r->out->v[i].element_end = r->at;
	}
	r->element_start = r->at + 1;
	r->first = r->firm = r->out->n;
	r->words = 0;
}

/* At a comma, a semicolon or the end. */
static void end_element(struct reader *r)
{
	struct mailbox m;

	if (r->words == 1 && r->last.plain && r->out->n == r->firm &&
	    make_mailbox(r, r->last, slice_of(""), r->last.end, &m))
		push(r, m);
	begin_element(r);
}

/* What stood before it in this element was a display name, even where it looks like an address. */
static void take_angle(struct reader *r)
{
	size_t from = r->at;
	struct mailbox m;

	if (!read_angle(r, &m)) {
		r->at = from + 1;
		return;
	}
	drop_unsure(r);
	push(r, m);
	r->firm = r->out->n;
	r->words = 2;
}

static void take_word(struct reader *r)
{
	struct word w;
	struct mailbox m;

	if (!read_word(r, &w)) {
		r->at++; /* a stray character: what stands with it is no bare name */
		r->words += 2;
		return;
	}
	r->words++;
	r->last = w;
	skip_cfws(r);
	if (peek(r) != '@')
		return;
	r->words++;
	if (read_addr_spec(r, w, &m))
		push(r, m);
}

void mailbox_list_parse(struct slice value, struct mailbox_list *out)
{
	struct reader r = {.s = value, .out = out};

	*out = (struct mailbox_list){NULL, 0};
	for (skip_cfws(&r); r.at < value.n && out->n < LIST_MAX; skip_cfws(&r)) {
		switch (peek(&r)) {
		case ',':
		case ';':
			end_element(&r);
			r.at++;
			break;
		case ':': /* behind a group's name */
			drop_unsure(&r);
			begin_element(&r);
			r.at++;
			break;
		case '<':
			take_angle(&r);
			break;
		default:
			take_word(&r);
		}
	}
	end_element(&r);
}

static bool is_ascii(const char *s)
{
	for (; *s != '\0'; s++)
		if ((unsigned char)*s >= 0x80)
			return false;
	return true;
}

void mailbox_list_to_ascii(struct mailbox_list *l)
{
	size_t left = NAMES_MAX;

	for (size_t i = 0; i < l->n && left > 0; i++) {
		struct address *a = &l->v[i].address;
		if (is_ascii(a->domain))
			continue;
		left--;
		char *ascii = idna_to_ascii(slice_of(a->domain));
		if (ascii == NULL)
			continue;
		free(a->domain);
		a->domain = ascii;
	}
}

void mailbox_list_free(struct mailbox_list *l)
{
	for (size_t i = 0; i < l->n; i++)
		address_free(&l->v[i].address);
	free(l->v);
	*l = (struct mailbox_list){NULL, 0};
}
