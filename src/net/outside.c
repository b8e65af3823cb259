#include "net/outside.h"

#include "base/alloc.h"
#include "net/outside_internal.h"
#include "net/outside_text.h"
#include "net/trust.h"

#include <openssl/ssl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { TRANSCRIPT_MAX = 64 * 1024, REPLY_MAX = 1024 };

/* One socket that libcurl wants watched while it connects (happy eyeballs may have several). */
struct watch {
	struct outside *o;
	struct event *ev;
	struct loop_turn turn; /* a step of a handshake may be a millisecond's work */
	curl_socket_t fd;
	short what;
};

void outside_enter(struct outside *o)
{
	o->depth++;
}

/* With CONNECT_ONLY, removal closes the connection without libcurl's own (blocking) QUIT. */
static void drop_curl(struct outside *o)
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
	drop_curl(o);
	loop_timer_free(&o->curl_timer);
	loop_timer_free(&o->deadline);
	if (o->in != NULL)
		evbuffer_free(o->in);
	if (o->out != NULL)
		evbuffer_free(o->out);
	buf_free(&o->transcript);
	buf_free(&o->reply);
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
	loop_timer_cancel(o->curl_timer);
	loop_timer_cancel(o->deadline);
	outside_line_stop(o);
	drop_curl(o);
	o->cb.failed(o->arg, f, text, buf_str(&o->reply));
}

/* ---- libcurl until the connection is ready ---- */

static void become_ready(struct outside *o)
{
	loop_timer_cancel(o->deadline);
	loop_timer_cancel(o->curl_timer);
	if (outside_line_start(o) != 0) {
		outside_fail(o, OUTSIDE_NETWORK, "the connection was lost");
		return;
	}
	o->cb.ready(o->arg);
}

static void finished(struct outside *o, CURLcode rc)
{
	if (rc == CURLE_OK) {
		become_ready(o);
		return;
	}
	struct outside_reading reading = {
	    .rc = rc,
	    .why = o->why,
	    .reply = buf_slice(&o->reply),
	    .upgrades = o->security == OUTSIDE_STARTTLS || o->security == OUTSIDE_OPPORTUNISTIC,
	    .greeted = o->first_ok,
	};
	struct buf text;

	if (rc == CURLE_SSL_CACERT_BADFILE)
		snprintf(o->why, sizeof o->why, "%s", o->ca_file);
	buf_init(&text, 2048);
	enum outside_failure f = outside_text_explain(&reading, &text);
	outside_fail(o, f, buf_str(&text));
	buf_free(&text);
}

static void look_for_end(struct outside *o)
{
	CURLMsg *m;
	int left;

	while ((m = curl_multi_info_read(o->multi, &left)) != NULL) {
		if (m->msg != CURLMSG_DONE)
			continue;
		finished(o, m->data.result);
		return;
	}
}

static void act(struct outside *o, curl_socket_t fd, int flags)
{
	int running;

	if (o->state != OUTSIDE_OPENING)
		return;
	outside_enter(o);
	curl_multi_socket_action(o->multi, fd, flags, &running);
	look_for_end(o);
	outside_leave(o);
}

static void step(void *arg)
{
	struct watch *w = arg;
	short what = w->what;

	w->what = 0;
	act(w->o, w->fd, (what & EV_READ ? CURL_CSELECT_IN : 0) | (what & EV_WRITE ? CURL_CSELECT_OUT : 0));
}

static void on_socket(evutil_socket_t fd, short what, void *arg)
{
	struct watch *w = arg;

	w->fd = fd;
	w->what |= what;
	loop_turn_ask(w->o->loop, &w->turn, step, w);
}

static void on_curl_timer(void *arg)
{
	act(arg, CURL_SOCKET_TIMEOUT, 0);
}

static void drop_watch(struct outside *o, curl_socket_t fd, struct watch *w)
{
	if (w == NULL)
		return;
	event_free(w->ev);
	loop_turn_leave(o->loop, &w->turn);
	free(w);
	curl_multi_assign(o->multi, fd, NULL);
}

static int watch_socket(CURL *easy, curl_socket_t fd, int what, void *arg, void *socket_arg)
{
	struct outside *o = arg;
	struct watch *w = socket_arg;
	short events = (short)((what & CURL_POLL_IN ? EV_READ : 0) | (what & CURL_POLL_OUT ? EV_WRITE : 0));

	(void)easy;
	if (what == CURL_POLL_REMOVE) {
		drop_watch(o, fd, w);
		return 0;
	}
	if (w == NULL) {
		w = xcalloc(1, sizeof *w);
		w->o = o;
		curl_multi_assign(o->multi, fd, w);
	} else {
		event_free(w->ev);
	}
	w->ev = event_new(loop_base(o->loop), fd, (short)(events | EV_PERSIST), on_socket, w);
	event_add(w->ev, NULL);
	return 0;
}

static int set_curl_timer(CURLM *multi, long ms, void *arg)
{
	struct outside *o = arg;

	(void)multi;
	if (ms < 0)
		loop_timer_cancel(o->curl_timer);
	else
		loop_timer_set(o->curl_timer, ms);
	return 0;
}

static void on_deadline(void *arg)
{
	struct outside *o = arg;
	struct buf text;

	outside_enter(o);
	if (o->refused != NULL) {
		outside_fail(o, o->refused_as, o->refused);
	} else {
		buf_init(&text, 256);
		buf_printf(&text, "no connection and log-in within %lld seconds",
		           (long long)(o->connect_timeout_ms / 1000));
		outside_fail(o, OUTSIDE_NETWORK, buf_str(&text));
		buf_free(&text);
	}
	outside_leave(o);
}

/* Every line of the server's while libcurl speaks. Fewer bytes taken than offered end the connection. */
static size_t hear_line(char *p, size_t size, size_t n, void *arg)
{
	struct outside *o = arg;
	struct slice line = slice_trim(slice_make(p, size * n));

	bool smtp = o->protocol == OUTSIDE_SMTP;
	bool friendly = slice_starts_nocase(line, smtp ? "220" : "+OK");
	bool known = friendly ||
	             (smtp ? line.n >= 3 && line.p[0] >= '2' && line.p[0] <= '5' : slice_starts_nocase(line, "-ERR"));
	bool first = o->heard == 0;

	if (first)
		o->first_ok = friendly;
	o->heard += size * n;
	buf_clear(&o->reply);
	buf_add_slice(&o->reply, slice_sub(line, 0, REPLY_MAX));
	bool room = buf_add_slice(&o->transcript, line) && buf_add_char(&o->transcript, '\n');
	buf_str(&o->transcript);
	return room && (known || !first) && o->heard <= 2 * TRANSCRIPT_MAX ? size * n : 0;
}

/* What was said before the handshake may be anybody's: it is no capability. */
static CURLcode tls_begins(CURL *easy, void *ssl_ctx, void *arg)
{
	struct outside *o = arg;

	(void)easy;
	buf_clear(&o->transcript);
	if (o->ca_file == NULL)
		return CURLE_OK;
	X509_STORE *store = trust_store(loop_trust(o->loop), o->ca_file);
	if (store == NULL)
		return CURLE_SSL_CACERT_BADFILE;
	SSL_CTX_set1_cert_store(ssl_ctx, store);
	return CURLE_OK;
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
	curl_easy_setopt(o->easy, CURLOPT_SSL_CTX_FUNCTION, tls_begins);
	curl_easy_setopt(o->easy, CURLOPT_SSL_CTX_DATA, o);
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
	curl_easy_setopt(easy, CURLOPT_PROXY, t->proxy != NULL ? t->proxy : ""); /* "": not the environment's */
	curl_easy_setopt(easy, CURLOPT_HTTPPROXYTUNNEL, 1L);
	curl_easy_setopt(easy, CURLOPT_SUPPRESS_CONNECT_HEADERS, 1L); /* the proxy's words are not the server's */
	curl_easy_setopt(easy, CURLOPT_ERRORBUFFER, o->why);
	curl_easy_setopt(easy, CURLOPT_HEADERFUNCTION, hear_line);
	curl_easy_setopt(easy, CURLOPT_HEADERDATA, o);
	set_tls(o, t);
	set_login(easy, t);
	curl_multi_setopt(o->multi, CURLMOPT_SOCKETFUNCTION, watch_socket);
	curl_multi_setopt(o->multi, CURLMOPT_SOCKETDATA, o);
	curl_multi_setopt(o->multi, CURLMOPT_TIMERFUNCTION, set_curl_timer);
	curl_multi_setopt(o->multi, CURLMOPT_TIMERDATA, o);
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
	buf_init(&o->transcript, TRANSCRIPT_MAX);
	buf_init(&o->reply, REPLY_MAX);
	o->in = evbuffer_new();
	o->out = evbuffer_new();
	o->curl_timer = loop_timer_new(l, on_curl_timer, o);
	o->deadline = loop_timer_new(l, on_deadline, o);
	return o;
}

/* The owner hears of it from the loop, never from inside outside_open. */
static void refuse_soon(struct outside *o, enum outside_failure as, const char *text)
{
	o->refused_as = as;
	o->refused = text;
	loop_timer_cancel(o->curl_timer);
	loop_timer_set(o->deadline, 0);
}

struct outside *outside_open(struct loop *l, const struct outside_target *t, const struct outside_callbacks *cb,
                             void *arg)
{
	struct outside *o = outside_alloc(l, t, cb, arg);
	const char *refused = outside_text_refuse(t);

	if (refused != NULL) {
		refuse_soon(o, OUTSIDE_REFUSED, refused);
		return o;
	}
	o->multi = curl_multi_init();
	o->easy = curl_easy_init();
	if (o->multi == NULL || o->easy == NULL) {
		refuse_soon(o, OUTSIDE_NETWORK, "libcurl has no handle to give");
		return o;
	}
	loop_timer_set(o->deadline, t->connect_timeout_ms);
	set_up(o, t);
	if (curl_multi_add_handle(o->multi, o->easy) != CURLM_OK)
		refuse_soon(o, OUTSIDE_NETWORK, "libcurl did not take the connection");
	return o;
}

void outside_close(struct outside **op)
{
	struct outside *o = *op;

	*op = NULL;
	if (o == NULL)
		return;
	o->closed = true;
	if (o->depth == 0)
		destroy(o);
}

const char *outside_transcript(const struct outside *o)
{
	return o->transcript.p != NULL ? o->transcript.p : "";
}
