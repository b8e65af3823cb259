/* AUTH (RFC 4954), PLAIN (RFC 4616) and LOGIN. */
#include "base/base64.h"
#include "smtp/core_internal.h"

#include <stdlib.h>
#include <string.h>

void smtp_core_sasl_forget(struct smtp_core *c)
{
	free(c->login_name);
	c->login_name = NULL;
	if (c->state == SMTP_SASL)
		smtp_core_set_state(c, SMTP_READY);
}

static void ask(struct smtp_core *c, enum smtp_mechanism next, const char *prompt)
{
	c->mechanism = next;
	smtp_core_set_state(c, SMTP_SASL);
	smtp_core_reply(c, prompt);
}

static void refuse(struct smtp_core *c, const char *reply)
{
	smtp_core_sasl_forget(c);
	smtp_core_set_state(c, SMTP_READY);
	smtp_core_fault(c, reply);
	if (++c->login_failures >= SMTP_MAX_LOGIN_FAILURES)
		smtp_core_end(c, "421 4.7.0 too many failed log-ins, good-bye");
}

static void check(struct smtp_core *c, struct slice name, struct slice password)
{
	smtp_core_set_state(c, SMTP_CHECKING);
	c->hooks->login(c->arg, name, password);
}

void smtp_core_login_done(struct smtp_core *c, bool ok)
{
	if (c->state != SMTP_CHECKING)
		return;
	if (!ok) {
		refuse(c, "535 5.7.8 name or password is wrong");
		return;
	}
	smtp_core_sasl_forget(c);
	c->logged_in = true;
	smtp_core_set_state(c, SMTP_READY);
	smtp_core_reply(c, "235 2.7.0 logged in");
}

void smtp_core_login_refused(struct smtp_core *c, const char *reply)
{
	if (c->state == SMTP_CHECKING)
		refuse(c, reply);
}

/* authzid NUL authcid NUL password; the first is empty or says the same. */
static void plain(struct smtp_core *c, struct slice text)
{
	size_t first = slice_find(text, '\0');
	struct slice authzid = slice_sub(text, 0, first);
	struct slice rest = slice_sub(text, first + 1, text.n);
	size_t second = slice_find(rest, '\0');
	struct slice name = slice_sub(rest, 0, second);
	struct slice password = slice_sub(rest, second + 1, rest.n);

	if (first >= text.n || second >= rest.n || slice_find(password, '\0') < password.n)
		refuse(c, "501 5.5.2 malformed PLAIN response");
	else if (authzid.n > 0 && !slice_eq_nocase(authzid, name))
		refuse(c, "535 5.7.8 nobody logs in for somebody else here");
	else
		check(c, name, password);
}

static void login_name(struct smtp_core *c, struct slice text)
{
	if (slice_find(text, '\0') < text.n) {
		refuse(c, "501 5.5.2 malformed name");
		return;
	}
	c->login_name = slice_dup(text);
	ask(c, SMTP_LOGIN_PASSWORD, "334 UGFzc3dvcmQ6"); /* Password: */
}

static void respond(struct smtp_core *c, struct slice text)
{
	switch (c->mechanism) {
	case SMTP_PLAIN:
		plain(c, text);
		break;
	case SMTP_LOGIN_NAME:
		login_name(c, text);
		break;
	case SMTP_LOGIN_PASSWORD:
		check(c, slice_of(c->login_name), text);
		break;
	}
}

/* The reply that forbids AUTH now, or NULL. */
static const char *forbidden(const struct smtp_core *c)
{
	struct smtp_options o;

	c->hooks->options(c->arg, &o);
	if (o.auth == AUTH_OFFER_OFF)
		return "502 5.5.1 not offered here";
	if (c->logged_in)
		return "503 5.5.1 logged in already";
	if (o.auth_tls && !o.secure)
		return "538 5.7.11 log-in only under TLS";
	return NULL;
}

void smtp_core_sasl_line(struct smtp_core *c, struct slice line)
{
	const char *refusal = forbidden(c); /* a reload may have forbidden it since the AUTH command */
	struct buf text;

	if (refusal == NULL && slice_is(line, "*"))
		refusal = "501 5.7.0 cancelled";
	if (refusal != NULL) {
		refuse(c, refusal);
		return;
	}
	buf_init(&text, SMTP_AUTH_LINE_MAX);
	if (base64_decode(line, &text))
		respond(c, buf_slice(&text));
	else
		refuse(c, "501 5.5.2 bad base64");
	if (text.p != NULL)
		explicit_bzero(text.p, text.n);
	buf_free(&text);
}

static bool begin(struct smtp_core *c, struct slice mechanism, bool initial)
{
	if (slice_is_nocase(mechanism, "PLAIN")) {
		c->mechanism = SMTP_PLAIN;
		if (!initial)
			ask(c, SMTP_PLAIN, "334 ");
	} else if (slice_is_nocase(mechanism, "LOGIN")) {
		c->mechanism = SMTP_LOGIN_NAME;
		if (!initial)
			ask(c, SMTP_LOGIN_NAME, "334 VXNlcm5hbWU6"); /* Username: */
	} else {
		smtp_core_fault(c, "504 5.5.4 PLAIN and LOGIN are what is offered");
		return false;
	}
	return true;
}

void smtp_cmd_auth(struct smtp_core *c, struct slice rest)
{
	size_t end = slice_find(rest, ' ');
	struct slice initial = slice_trim(slice_sub(rest, end, rest.n));

	const char *refusal = forbidden(c);
	if (refusal == NULL && rest.n == 0)
		refusal = "501 5.5.4 which mechanism?";
	if (refusal != NULL) {
		smtp_core_fault(c, refusal);
		return;
	}
	if (!begin(c, slice_sub(rest, 0, end), initial.n > 0) || initial.n == 0)
		return;
	smtp_core_sasl_line(c, slice_is(initial, "=") ? slice_of("") : initial);
}
