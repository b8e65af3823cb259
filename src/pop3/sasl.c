/* AUTH (RFC 5034) with PLAIN (RFC 4616) and LOGIN. */
#include "pop3/core_internal.h"

#include "base/alloc.h"
#include "base/base64.h"

#include <openssl/crypto.h>
#include <openssl/evp.h>
#include <stdlib.h>
#include <string.h>

static void malformed(struct pop3_core *c, struct buf *out)
{
	c->sasl = SASL_NONE;
	pop3_forget_login(c);
	buf_add_str(out, "-ERR Malformed authentication data\r\n");
}

static bool all_base64(struct slice s)
{
	size_t pads = 0;

	while (pads < 2 && s.n > 0 && s.p[s.n - 1] == '=') {
		s.n--;
		pads++;
	}
	for (size_t i = 0; i < s.n; i++)
		if (base64_digit(s.p[i]) < 0)
			return false;
	return (s.n + pads) % 4 == 0;
}

/* The caller wipes and frees. NULL where it is no base64. */
static char *decode(struct slice s, size_t *n)
{
	unsigned char *out;
	int got;

	if (!all_base64(s))
		return NULL;
	out = xcalloc(1, s.n / 4 * 3 + 1);
	got = s.n > 0 ? EVP_DecodeBlock(out, (const unsigned char *)s.p, (int)s.n) : 0;
	if (got < 0) {
		free(out);
		return NULL;
	}
	*n = (size_t)got;
	/* OpenSSL counts padding as bytes. */
	for (size_t pads = 0; pads < 2 && s.n > pads && s.p[s.n - 1 - pads] == '='; pads++)
		(*n)--;
	out[*n] = '\0';
	return (char *)out;
}

/* authorization id NUL user NUL password; acting for somebody else is not offered. */
static void plain(struct pop3_core *c, struct slice text, struct buf *out)
{
	size_t a = slice_find(text, '\0');
	struct slice act = slice_sub(text, 0, a), rest = slice_sub(text, a + 1, text.n);
	size_t b = slice_find(rest, '\0');
	struct slice user = slice_sub(rest, 0, b);

	if (a >= text.n || b >= rest.n || user.n == 0 || (act.n > 0 && !slice_eq_nocase(act, user))) {
		malformed(c, out);
		return;
	}
	c->sasl = SASL_NONE;
	pop3_wish_login(c, user, slice_sub(rest, b + 1, rest.n));
}

static void login_user(struct pop3_core *c, struct slice text, struct buf *out)
{
	if (text.n == 0 || slice_find(text, '\0') < text.n) {
		malformed(c, out);
		return;
	}
	pop3_forget_login(c);
	c->login_user = slice_dup(text);
	c->sasl = SASL_LOGIN_PASSWORD;
	buf_add_str(out, "+ UGFzc3dvcmQ6\r\n"); /* Password: */
}

static void login_password(struct pop3_core *c, struct slice text)
{
	char *user = c->login_user;

	c->login_user = NULL;
	c->sasl = SASL_NONE;
	pop3_wish_login(c, slice_of(user), text);
	free(user);
}

static void respond(struct pop3_core *c, struct slice coded, struct buf *out)
{
	size_t n;
	char *text = decode(coded, &n);

	if (text == NULL) {
		malformed(c, out);
		return;
	}
	if (c->sasl == SASL_PLAIN)
		plain(c, slice_make(text, n), out);
	else if (c->sasl == SASL_LOGIN_USER)
		login_user(c, slice_make(text, n), out);
	else
		login_password(c, slice_make(text, n));
	OPENSSL_cleanse(text, n);
	free(text);
}

void pop3_sasl_line(struct pop3_core *c, struct slice line, struct buf *out)
{
	if (slice_is(line, "*")) {
		c->sasl = SASL_NONE;
		pop3_forget_login(c);
		buf_add_str(out, "-ERR Authentication cancelled\r\n");
		return;
	}
	if (!c->offer.login) { /* a reload demanded TLS behind the AUTH command */
		c->sasl = SASL_NONE;
		pop3_forget_login(c);
		pop3_say_needs_tls(c, out);
		return;
	}
	respond(c, slice_trim(line), out);
}

void pop3_sasl_command(struct pop3_core *c, struct slice args, struct buf *out)
{
	size_t sp = slice_find(args, ' ');
	struct slice mechanism = slice_sub(args, 0, sp), initial = slice_trim(slice_sub(args, sp, args.n));

	if (mechanism.n == 0) { /* how old clients ask, before CAPA */
		buf_add_str(out, "+OK Mechanisms follow\r\nPLAIN\r\nLOGIN\r\n.\r\n");
		return;
	}
	pop3_forget_login(c);
	if (slice_is_nocase(mechanism, "PLAIN")) {
		c->sasl = SASL_PLAIN;
	} else if (slice_is_nocase(mechanism, "LOGIN")) {
		c->sasl = SASL_LOGIN_USER;
	} else {
		buf_add_str(out, "-ERR Unknown authentication mechanism\r\n");
		return;
	}
	if (initial.n == 0)
		buf_add_str(out, c->sasl == SASL_PLAIN ? "+ \r\n" : "+ VXNlcm5hbWU6\r\n"); /* Username: */
	else
		respond(c, slice_is(initial, "=") ? slice_of("") : initial, out);
}
