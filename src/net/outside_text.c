#include "net/outside_text.h"

#include "base/log.h"
#include "base/text.h"

#include <stdlib.h>
#include <string.h>

static bool plain_text(const char *s)
{
	for (; s != NULL && *s != '\0'; s++)
		if ((unsigned char)*s < ' ' || (unsigned char)*s >= 0x7f)
			return false;
	return true;
}

/* A name or a numeric address: nothing that could end the host part of a URL. */
static bool host_like(const char *s)
{
	static const char others[] = ".-_:[]";

	if (s == NULL || *s == '\0' || strlen(s) > 255)
		return false;
	for (; *s != '\0'; s++) {
		bool letter = (*s >= 'a' && *s <= 'z') || (*s >= 'A' && *s <= 'Z') || (*s >= '0' && *s <= '9');
		if (!letter && strchr(others, *s) == NULL)
			return false;
	}
	return true;
}

const char *outside_text_refuse(const struct outside_target *t)
{
	if (!host_like(t->host))
		return "the host name holds characters that no host name has";
	if (t->port == 0)
		return "the port is 0";
	if (!plain_text(t->user))
		return "the user name holds control or non-ASCII characters";
	if (!plain_text(t->password))
		return "the password holds control or non-ASCII characters";
	if (!plain_text(t->bearer))
		return "the token holds control or non-ASCII characters";
	if (!plain_text(t->login_options) || !plain_text(t->proxy) || !plain_text(t->hello))
		return "a connection setting holds control or non-ASCII characters";
	return NULL;
}

struct meaning {
	CURLcode rc;
	enum outside_failure failure;
	const char *text;
};

/* What the person at the ini file can do about it; libcurl's own words follow. */
static const struct meaning meanings[] = {
    {CURLE_COULDNT_RESOLVE_HOST, OUTSIDE_NETWORK, "the host name was not found"},
    {CURLE_COULDNT_RESOLVE_PROXY, OUTSIDE_NETWORK, "the proxy's name was not found"},
    {CURLE_COULDNT_CONNECT, OUTSIDE_NETWORK, "cannot connect"},
    {CURLE_OPERATION_TIMEDOUT, OUTSIDE_NETWORK, "no answer in time"},
    {CURLE_SEND_ERROR, OUTSIDE_NETWORK, "the connection was cut off"},
    {CURLE_RECV_ERROR, OUTSIDE_NETWORK, "the connection was cut off"},
    {CURLE_GOT_NOTHING, OUTSIDE_NETWORK, "the server closed the connection without a word"},
    {CURLE_PROXY, OUTSIDE_NETWORK, "the proxy refused the connection"},
    {CURLE_PEER_FAILED_VERIFICATION, OUTSIDE_TLS_TRUST, "the server's certificate is not trusted"},
    {CURLE_SSL_CACERT_BADFILE, OUTSIDE_TLS_TRUST, "cannot read ca_file"},
    {CURLE_SSL_ISSUER_ERROR, OUTSIDE_TLS_TRUST, "the server's certificate is not trusted"},
    {CURLE_SSL_CONNECT_ERROR, OUTSIDE_TLS_TRUST, "the TLS handshake failed"},
    {CURLE_SSL_CERTPROBLEM, OUTSIDE_TLS_TRUST, "the TLS handshake failed"},
    {CURLE_SSL_CIPHER, OUTSIDE_TLS_TRUST, "the TLS handshake failed"},
    {CURLE_USE_SSL_FAILED, OUTSIDE_NO_TLS, "TLS is required, and the server does not offer it"},
    {CURLE_LOGIN_DENIED, OUTSIDE_LOGIN, "log-in refused"},
    {CURLE_AUTH_ERROR, OUTSIDE_LOGIN, "log-in failed"},
    {CURLE_WEIRD_SERVER_REPLY, OUTSIDE_GREETING, "not the answer of such a server"},
    {CURLE_REMOTE_ACCESS_DENIED, OUTSIDE_GREETING, "the server refuses this connection"},
    {CURLE_WRITE_ERROR, OUTSIDE_GREETING, "the server's answer does not end"},
};

/* "-ERR [SYS/TEMP] too busy", "421 4.3.2 come back later": the right kind of server, and it does not want us now. */
static bool turns_us_away(const struct outside_reading *r)
{
	return !r->greeted && (slice_starts_nocase(r->reply, "-ERR") || slice_starts_nocase(r->reply, "4") ||
	                       slice_starts_nocase(r->reply, "5"));
}

static struct meaning find_meaning(const struct outside_reading *r)
{
	/* A server that talks on behind its agreement to STARTTLS, before the handshake: injected commands. */
	if (r->rc == CURLE_WEIRD_SERVER_REPLY && r->upgrades && r->greeted)
		return (struct meaning){r->rc, OUTSIDE_NO_TLS, "the server sent text between STARTTLS and TLS"};
	if (r->rc == CURLE_WEIRD_SERVER_REPLY && turns_us_away(r))
		return (struct meaning){r->rc, OUTSIDE_GREETING, "the server refuses this connection"};
	if (r->rc == CURLE_WRITE_ERROR && !r->greeted)
		return (struct meaning){r->rc, OUTSIDE_GREETING, "not the answer of such a server"};
	if (r->rc == CURLE_RECV_ERROR && strstr(r->why, "Too large") != NULL)
		return (struct meaning){r->rc, OUTSIDE_GREETING, "the server's answer does not end"};
	if (strstr(r->why, "CONNECT tunnel failed") != NULL)
		return (struct meaning){r->rc, OUTSIDE_NETWORK, "the proxy refused the connection"};
	/* The peer vanished in mid-handshake: no question of trust. */
	if (r->rc == CURLE_SSL_CONNECT_ERROR && strstr(r->why, "SSL_ERROR_SYSCALL") != NULL)
		return (struct meaning){r->rc, OUTSIDE_NETWORK, "the connection was cut off in the TLS handshake"};
	for (size_t i = 0; i < sizeof meanings / sizeof meanings[0]; i++)
		if (meanings[i].rc == r->rc)
			return meanings[i];
	return (struct meaning){r->rc, OUTSIDE_NETWORK, "the connection failed"};
}

/* libcurl also gives up without asking, say where the log-in it is to use is not offered: then the last thing the
 * server said was no refusal. */
static bool refuses(struct slice reply)
{
	return reply.n > 0 && reply.p[0] != '.' && !slice_starts_nocase(reply, "250") &&
	       !slice_starts_nocase(reply, "+OK");
}

enum outside_failure outside_text_explain(const struct outside_reading *r, struct buf *text)
{
	struct meaning m = find_meaning(r);

	if (r->rc == CURLE_LOGIN_DENIED && r->reply.n > 0 && !refuses(r->reply))
		m.text = "the server does not offer the log-in that `auth` asks for";
	bool replied = m.failure == OUTSIDE_LOGIN || m.failure == OUTSIDE_GREETING;

	buf_add_str(text, m.text);
	if (replied && refuses(r->reply)) {
		char *masked = log_masked(r->reply); /* some repeat the password that they refuse */
		buf_add_str(text, ": ");
		text_escape(text, slice_of(masked), 400);
		free(masked);
	} else {
		buf_add_str(text, " (");
		text_escape(text, slice_of(r->why[0] != '\0' ? r->why : curl_easy_strerror(r->rc)), 400);
		buf_add_char(text, ')');
	}
	return m.failure;
}
