#include "net/outside.h"

#include "base/alloc.h"
#include "net/outside_internal.h"
#include "net/outside_text.h"

#include <openssl/x509.h>
#include <stdlib.h>
#include <string.h>

enum { WRONG_MAX = 2048 };

void outside_enter(struct outside *o)
{
	o->depth++;
}

void outside_drop_curl(struct outside *o)
{
	if (o->multi != NULL && o->easy != NULL)
		curl_multi_remove_handle(o->multi, o->easy);
	curl_easy_cleanup(o->easy);
	curl_multi_cleanup(o->multi);
	o->easy = NULL;
	o->multi = NULL;
}

static void destroy(struct outside *o)
{
	o->state = OUTSIDE_DEAD;
	outside_line_stop(o);
	outside_drop_curl(o);
	outside_memory_unref(&o->memory);
	if (o->in != NULL)
		evbuffer_free(o->in);
	if (o->out != NULL)
		evbuffer_free(o->out);
	buf_free(&o->transcript);
	buf_free(&o->reply);
	buf_free(&o->wrong);
	free(o->ca_file);
	free(o);
}

void outside_leave(struct outside *o)
{
	if (--o->depth == 0 && o->closed)
		destroy(o);
}

void outside_fail(struct outside *o, enum outside_failure f, const char *text)
{
	if (o->state == OUTSIDE_DEAD || o->closed)
		return;
	o->state = OUTSIDE_DEAD;
	outside_line_stop(o);
	outside_drop_curl(o);
	o->cb.failed(o->arg, f, text, buf_str(&o->reply));
}

/* ---- setting up ---- */

static void set_url(CURL *easy, const struct outside_target *t)
{
	static const char *const schemes[2][2] = {{"pop3", "pop3s"}, {"smtp", "smtps"}};
	const char *scheme = schemes[t->protocol == OUTSIDE_SMTP][t->security == OUTSIDE_TLS];
	bool v6 = strchr(t->host, ':') != NULL && t->host[0] != '[';
	/* libcurl says EHLO with the URL's path. */
	char *hello = t->protocol == OUTSIDE_SMTP && t->hello != NULL ? curl_easy_escape(easy, t->hello, 0) : NULL;
	char *url = xasprintf("%s://%s%s%s:%u/%s", scheme, v6 ? "[" : "", t->host, v6 ? "]" : "", (unsigned)t->port,
	                      hello != NULL ? hello : "");

	curl_easy_setopt(easy, CURLOPT_URL, url);
	curl_free(hello);
	free(url);
}

static bool given(const char *s)
{
	return s != NULL && s[0] != '\0';
}

static const char *system_bundle(CURL *easy)
{
	char *path = NULL;

	return curl_easy_getinfo(easy, CURLINFO_CAINFO, &path) == CURLE_OK && path != NULL
	           ? path
	           : X509_get_default_cert_file();
}

static void set_tls(struct outside *o, const struct outside_target *t)
{
	static const long use[] = {
	    [OUTSIDE_PLAIN] = CURLUSESSL_NONE,
	    [OUTSIDE_OPPORTUNISTIC] = CURLUSESSL_TRY,
	    [OUTSIDE_STARTTLS] = CURLUSESSL_ALL,
	    [OUTSIDE_TLS] = CURLUSESSL_ALL,
	};

	curl_easy_setopt(o->easy, CURLOPT_USE_SSL, use[t->security]);
	curl_easy_setopt(o->easy, CURLOPT_SSLVERSION, (long)CURL_SSLVERSION_TLSv1_2);
	curl_easy_setopt(o->easy, CURLOPT_SSL_VERIFYPEER, t->tls_verify ? 1L : 0L);
	curl_easy_setopt(o->easy, CURLOPT_SSL_VERIFYHOST, t->tls_verify ? 2L : 0L);
	if (t->tls_verify)
		o->ca_file = xstrdup(given(t->ca_file) ? t->ca_file : system_bundle(o->easy));
	curl_easy_setopt(o->easy, CURLOPT_CAINFO, NULL); /* tls_begins brings them, read already */
	curl_easy_setopt(o->easy, CURLOPT_CAPATH, NULL);
}

static void set_login(CURL *easy, const struct outside_target *t)
{
	if (!given(t->user))
		return;
	curl_easy_setopt(easy, CURLOPT_USERNAME, t->user);
	curl_easy_setopt(easy, CURLOPT_PASSWORD, t->password != NULL ? t->password : "");
	if (given(t->bearer))
		curl_easy_setopt(easy, CURLOPT_XOAUTH2_BEARER, t->bearer);
	if (given(t->login_options))
		curl_easy_setopt(easy, CURLOPT_LOGIN_OPTIONS, t->login_options);
}

static void set_up(struct outside *o, const struct outside_target *t)
{
	CURL *easy = o->easy;

	set_url(easy, t);
	curl_easy_setopt(easy, CURLOPT_CONNECT_ONLY, 1L);
	curl_easy_setopt(easy, CURLOPT_PROTOCOLS_STR, "pop3,pop3s,smtp,smtps");
	curl_easy_setopt(easy, CURLOPT_NOSIGNAL, 1L);
	curl_easy_setopt(easy, CURLOPT_NETRC, (long)CURL_NETRC_IGNORED);
	curl_easy_setopt(easy, CURLOPT_QUICK_EXIT, 1L); /* a hung resolver thread is left behind, not waited for */
	curl_easy_setopt(easy, CURLOPT_CONNECTTIMEOUT_MS, (long)t->connect_timeout_ms);
	curl_easy_setopt(easy, CURLOPT_SERVER_RESPONSE_TIMEOUT, (long)(t->connect_timeout_ms / 1000 + 1));
	curl_easy_setopt(easy, CURLOPT_PROXY, t->proxy != NULL ? t->proxy : ""); /* "": not the environment's */
	curl_easy_setopt(easy, CURLOPT_HTTPPROXYTUNNEL, 1L);
	curl_easy_setopt(easy, CURLOPT_SUPPRESS_CONNECT_HEADERS, 1L); /* the proxy's words are not the server's */
	curl_easy_setopt(easy, CURLOPT_ERRORBUFFER, o->why);
	set_tls(o, t);
	set_login(easy, t);
	outside_memory_use(o->memory, easy);
}

static struct outside *outside_alloc(struct loop *l, const struct outside_target *t, const struct outside_callbacks *cb,
                                     void *arg)
{
	struct outside *o = xcalloc(1, sizeof *o);

	o->loop = l;
	o->cb = *cb;
	o->arg = arg;
	o->protocol = t->protocol;
	o->security = t->security;
	o->connect_timeout_ms = t->connect_timeout_ms;
	o->memory = outside_memory_ref(t->memory);
	buf_init(&o->transcript, OUTSIDE_TRANSCRIPT_MAX);
	buf_init(&o->reply, OUTSIDE_REPLY_MAX);
	buf_init(&o->wrong, WRONG_MAX);
	o->in = evbuffer_new();
	o->out = evbuffer_new();
	return o;
}

/* ---- life ---- */

/* Ready, or never: the opener has let go of it. */
void outside_opened(void *arg)
{
	struct outside *o = arg;

	if (o->closed) {
		if (!o->begun)
			destroy(o);
		return; /* else bury() follows */
	}
	outside_enter(o);
	if (o->wrong.n > 0)
		outside_fail(o, o->failure, buf_str(&o->wrong));
	else if (outside_line_start(o) != 0)
		outside_fail(o, OUTSIDE_NETWORK, "the connection was lost");
	else
		o->cb.ready(o->arg);
	outside_leave(o);
}

void outside_bury(void *arg)
{
	destroy(arg);
}

/* The owner hears of it from the loop, never from inside outside_open. */
static void refuse(struct outside *o, enum outside_failure as, const char *text)
{
	outside_wrong(o, as, text);
	loop_post(o->loop, outside_opened, o);
}

struct outside *outside_open(struct loop *l, const struct outside_target *t, const struct outside_callbacks *cb,
                             void *arg)
{
	struct outside *o = outside_alloc(l, t, cb, arg);
	const char *refused = outside_text_refuse(t);

	if (refused != NULL) {
		refuse(o, OUTSIDE_REFUSED, refused);
		return o;
	}
	o->multi = curl_multi_init();
	o->easy = curl_easy_init();
	if (o->multi == NULL || o->easy == NULL) {
		refuse(o, OUTSIDE_NETWORK, "libcurl has no handle to give");
		return o;
	}
	set_up(o, t);
	outside_set_opening(o);
	o->begun = true;
	o->opener = loop_helper(l);
	loop_post(o->opener, outside_begin, o);
	return o;
}

void outside_close(struct outside **op)
{
	struct outside *o = *op;

	*op = NULL;
	if (o == NULL)
		return;
	o->closed = true;
	if (o->state != OUTSIDE_OPENING) {
		if (o->depth == 0)
			destroy(o);
	} else if (o->begun) {
		loop_post(o->opener, outside_abandon, o);
	}
}

const char *outside_transcript(const struct outside *o)
{
	return o->transcript.p != NULL ? o->transcript.p : "";
}
