#include "smtp/params.h"

#include "mail/address.h"

#include <string.h>

static int hex_digit(char c)
{
	if (c >= '0' && c <= '9')
		return c - '0';
	return c >= 'A' && c <= 'F' ? c - 'A' + 10 : -1;
}

bool xtext_decode(struct slice text, struct buf *out)
{
	for (size_t i = 0; i < text.n; i++) {
		int c = (unsigned char)text.p[i];
		if (c == '+') {
			int hi = i + 1 < text.n ? hex_digit(text.p[i + 1]) : -1;
			int lo = i + 2 < text.n ? hex_digit(text.p[i + 2]) : -1;
			if (hi < 0 || lo < 0)
				return false;
			c = hi * 16 + lo;
			i += 2;
		} else if (c <= ' ' || c == '=') {
			return false;
		}
		if (c < ' ' || c > '~' || !buf_add_char(out, (char)c))
			return false;
	}
	return true;
}

struct param {
	struct slice key, value;
	bool has_value;
};

static bool is_alnum(char c)
{
	return (c >= '0' && c <= '9') || (ascii_lower(c) >= 'a' && ascii_lower(c) <= 'z');
}

static bool key_valid(struct slice key)
{
	for (size_t i = 0; i < key.n; i++)
		if (!is_alnum(key.p[i]) && (key.p[i] != '-' || i == 0))
			return false;
	return key.n > 0;
}

static bool value_valid(struct slice value)
{
	for (size_t i = 0; i < value.n; i++)
		if (value.p[i] <= ' ' || value.p[i] >= 0x7f || value.p[i] == '=')
			return false;
	return value.n > 0;
}

/* Takes the next parameter off the front of *text; false where it is malformed. */
static bool next_param(struct slice *text, struct param *out)
{
	size_t end = 0;

	while (end < text->n && text->p[end] != ' ' && text->p[end] != '\t')
		end++;
	struct slice one = slice_sub(*text, 0, end);
	size_t eq = slice_find(one, '=');

	*text = slice_trim(slice_sub(*text, end, text->n));
	out->key = slice_sub(one, 0, eq);
	out->has_value = eq < one.n;
	out->value = slice_sub(one, eq + 1, one.n);
	return key_valid(out->key) && (!out->has_value || value_valid(out->value));
}

static bool auth_valid(struct slice value)
{
	struct buf text;
	struct address a;

	if (slice_is(value, "<>"))
		return true;
	buf_init(&text, ADDRESS_MAX);
	bool ok = xtext_decode(value, &text) && address_parse(buf_slice(&text), &a);
	if (ok)
		address_free(&a);
	buf_free(&text);
	return ok;
}

static bool xtext_valid(struct slice value)
{
	struct buf text;

	buf_init(&text, 4096);
	bool ok = xtext_decode(value, &text);
	buf_free(&text);
	return ok;
}

/* What is not offered (DSN, RFC 3461) is refused as unknown where it is well formed. */
static enum param_result judge_unoffered(const struct param *p)
{
	struct slice xtext = p->value;

	if (slice_is_nocase(p->key, "ORCPT")) {
		size_t type = slice_find(p->value, ';');
		if (type == 0 || type >= p->value.n)
			return PARAM_SYNTAX;
		xtext = slice_sub(p->value, type + 1, p->value.n);
	} else if (!slice_is_nocase(p->key, "ENVID")) {
		return PARAM_UNKNOWN;
	}
	return p->has_value && xtext_valid(xtext) ? PARAM_UNKNOWN : PARAM_SYNTAX;
}

static bool set_once(bool *flag)
{
	bool first = !*flag;

	*flag = true;
	return first;
}

static enum param_result judge_mail(const struct param *p, bool auth_offered, struct mail_params *m)
{
	bool ok;

	if (slice_is_nocase(p->key, "SIZE")) {
		ok = p->value.n <= 20 && slice_to_u64(p->value, UINT64_MAX, &m->size) && set_once(&m->has_size);
	} else if (slice_is_nocase(p->key, "BODY")) {
		m->eight_bit = slice_is_nocase(p->value, "8BITMIME");
		ok = (m->eight_bit || slice_is_nocase(p->value, "7BIT")) && set_once(&m->has_body);
	} else if (slice_is_nocase(p->key, "SMTPUTF8")) {
		ok = !p->has_value && set_once(&m->utf8);
	} else if (slice_is_nocase(p->key, "AUTH")) {
		ok = p->has_value && auth_valid(p->value) && set_once(&m->has_auth);
		if (ok && !auth_offered)
			return PARAM_UNKNOWN;
	} else {
		return judge_unoffered(p);
	}
	return ok ? PARAM_OK : PARAM_SYNTAX;
}

enum param_result mail_params_parse(struct slice text, bool auth_offered, struct mail_params *out)
{
	enum param_result result = PARAM_OK;

	*out = (struct mail_params){0};
	for (text = slice_trim(text); text.n > 0 && result != PARAM_SYNTAX;) {
		struct param p;
		enum param_result one = PARAM_SYNTAX;
		if (next_param(&text, &p))
			one = judge_mail(&p, auth_offered, out);
		if (one != PARAM_OK)
			result = one;
	}
	return result;
}

enum param_result rcpt_params_parse(struct slice text)
{
	enum param_result result = PARAM_OK;

	for (text = slice_trim(text); text.n > 0 && result != PARAM_SYNTAX;) {
		struct param p;
		result = next_param(&text, &p) ? judge_unoffered(&p) : PARAM_SYNTAX;
	}
	return result;
}
