/* From a relay's section to a connection, and from its failure to what helps. */
#include "base/alloc.h"
#include "base/base64.h"
#include "base/text.h"
#include "send/sender_internal.h"

#include <string.h>

static const char *login_options(enum config_auth a)
{
	static const char *const names[] = {
	    [AUTH_PLAIN] = "AUTH=PLAIN", [AUTH_LOGIN] = "AUTH=LOGIN",     [AUTH_CRAM_MD5] = "AUTH=CRAM-MD5",
	    [AUTH_NTLM] = "AUTH=NTLM",   [AUTH_XOAUTH2] = "AUTH=XOAUTH2",
	};

	return (size_t)a < sizeof names / sizeof *names && names[a] != NULL ? names[a] : "";
}

static enum outside_security security_of(enum config_security s)
{
	static const enum outside_security to[] = {
	    [SECURITY_NONE] = OUTSIDE_PLAIN,
	    [SECURITY_OPPORTUNISTIC] = OUTSIDE_OPPORTUNISTIC,
	    [SECURITY_STARTTLS] = OUTSIDE_STARTTLS,
	    [SECURITY_TLS] = OUTSIDE_TLS,
	};

	return to[s];
}

struct outside_target relay_target(const struct config_relay *r, const struct config *c, const char *secret)
{
	bool token = r->login.auth == AUTH_XOAUTH2;

	return (struct outside_target){.protocol = OUTSIDE_SMTP,
	                               .host = r->login.host,
	                               .port = r->login.port,
	                               .security = security_of(r->login.security),
	                               .tls_verify = r->login.tls_verify,
	                               .ca_file = r->login.ca_file,
	                               .login_options = login_options(r->login.auth),
	                               .user = r->login.auth == AUTH_OFF ? "" : r->login.user,
	                               .password = token ? "" : secret,
	                               .bearer = token ? secret : "",
	                               .proxy = c->proxy,
	                               .hello = c->hostname,
	                               .connect_timeout_ms = SENDER_CONNECT_MS};
}

enum mend_trouble relay_trouble(enum outside_failure f, const char *reply)
{
	bool later = reply[0] == '4';

	switch (f) {
	case OUTSIDE_LOGIN:
		if (later)
			return MEND_BUSY;
		return MEND_LOGIN;
	case OUTSIDE_TLS_TRUST:
		return MEND_TRUST;
	case OUTSIDE_NO_TLS:
		return MEND_NO_TLS;
	case OUTSIDE_REFUSED:
		return MEND_SETTING;
	case OUTSIDE_GREETING:
		if (later)
			return MEND_BUSY;
		return smtp_topic_of_line(reply) == SMTP_TOPIC_HELLO ? MEND_HELLO : MEND_NO_SMTP;
	default:
		return MEND_NETWORK;
	}
}

/* "334 eyJ…", base64 of {"status":"401",…}: so servers refuse a token, before they say 535 (Google's XOAUTH2, RFC
 * 7628). */
static bool find_challenge(struct slice transcript, struct buf *json)
{
	bool found = false;

	while (transcript.n > 0) {
		struct slice line = slice_sub(transcript, 0, slice_find(transcript, '\n'));
		transcript = slice_sub(transcript, line.n + 1, transcript.n);
		if (!slice_starts_nocase(line, "334 "))
			continue;
		buf_clear(json);
		found = base64_decode(slice_trim(slice_sub(line, 4, line.n)), json) && json->n > 1 && json->p[0] == '{';
	}
	return found;
}

char *relay_token_refused(const struct config_relay *r, enum outside_failure f, const char *reply,
                          const char *transcript)
{
	struct buf json, shown;

	if (f != OUTSIDE_LOGIN || reply[0] == '4')
		return NULL;
	buf_init(&json, SMTP_REPLY_TEXT_MAX);
	buf_init(&shown, 2 * SMTP_REPLY_TEXT_MAX);
	bool challenge = find_challenge(slice_of(transcript), &json);
	if (challenge || (r != NULL && r->login.auth == AUTH_XOAUTH2 && reply[0] == '5')) {
		buf_add_str(&shown, "the token was refused: ");
		text_escape(&shown, slice_of(reply), SMTP_REPLY_SHOWN_MAX);
		if (challenge) {
			buf_add_char(&shown, ' ');
			text_escape(&shown, buf_slice(&json), SMTP_REPLY_SHOWN_MAX);
		}
	}
	buf_free(&json);
	char *text = shown.n > 0 ? xstrdup(buf_str(&shown)) : NULL;
	buf_free(&shown);
	return text;
}

char *relay_failure_text(const char *text, const char *reply)
{
	struct buf shown, said;

	buf_init(&shown, 2 * SMTP_REPLY_TEXT_MAX);
	buf_init(&said, SMTP_REPLY_TEXT_MAX);
	text_escape(&said, slice_of(reply), SMTP_REPLY_SHOWN_MAX);
	buf_add_str(&shown, text);
	if (said.n > 0 && strstr(text, buf_str(&said)) == NULL)
		buf_printf(&shown, " (%s)", buf_str(&said));
	buf_free(&said);
	return buf_steal(&shown);
}
