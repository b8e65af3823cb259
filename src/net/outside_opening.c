/* Opening a connection, on the opener's thread. */
#include "base/alloc.h"
#include "net/outside_internal.h"
#include "net/outside_text.h"
#include "net/trust.h"

#include <openssl/ssl.h>
#include <stdio.h>
#include <stdlib.h>

/* One socket that libcurl wants watched while it connects (happy eyeballs may have several). */
struct outside_watch {
	LIST_ENTRY(outside_watch) link;
	struct outside *o;
	struct event *ev;
	curl_socket_t fd;
};

void outside_wrong(struct outside *o, enum outside_failure f, const char *text)
{
	o->failure = f;
	buf_clear(&o->wrong);
	buf_add_slice(&o->wrong, slice_of(text));
}

static void drop_watch(struct outside_watch *w)
{
	event_free(w->ev);
	LIST_REMOVE(w, link);
	free(w);
}

/* From here on libcurl's wishes are not heard: there is nothing of the opener's left in it. */
static void let_go(struct outside *o)
{
	o->handed = true;
	loop_turn_leave(o->opener, &o->beginning);
	loop_timer_free(&o->curl_timer);
	loop_timer_free(&o->deadline);
	for (struct outside_watch *w = LIST_FIRST(&o->watches), *next; w != NULL; w = next) {
		next = LIST_NEXT(w, link);
		drop_watch(w);
	}
}

static void hand_over(struct outside *o)
{
	let_go(o);
	if (o->wrong.n > 0)
		outside_drop_curl(o);
	loop_post(o->loop, outside_opened, o);
}

static void explain(struct outside *o, CURLcode rc)
{
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
	outside_wrong(o, f, buf_str(&text));
	buf_free(&text);
}

static void look_for_end(struct outside *o)
{
	CURLMsg *m;
	int left;

	while ((m = curl_multi_info_read(o->multi, &left)) != NULL) {
		if (m->msg != CURLMSG_DONE)
			continue;
		if (m->data.result != CURLE_OK)
			explain(o, m->data.result);
		hand_over(o);
		return;
	}
}

static void act(struct outside *o, curl_socket_t fd, int flags)
{
	int running;

	curl_multi_socket_action(o->multi, fd, flags, &running);
	look_for_end(o);
}

static void on_socket(evutil_socket_t fd, short what, void *arg)
{
	struct outside_watch *w = arg;

	act(w->o, fd, (what & EV_READ ? CURL_CSELECT_IN : 0) | (what & EV_WRITE ? CURL_CSELECT_OUT : 0));
}

static void on_curl_timer(void *arg)
{
	act(arg, CURL_SOCKET_TIMEOUT, 0);
}

static void add_watch(struct outside *o, curl_socket_t fd, short events)
{
	struct outside_watch *w = xcalloc(1, sizeof *w);

	*w = (struct outside_watch){.o = o, .fd = fd};
	w->ev = event_new(loop_base(o->opener), fd, (short)(events | EV_PERSIST), on_socket, w);
	event_add(w->ev, NULL);
	LIST_INSERT_HEAD(&o->watches, w, link);
}

static int watch_socket(CURL *easy, curl_socket_t fd, int what, void *arg, void *socket_arg)
{
	struct outside *o = arg;
	struct outside_watch *w;

	(void)easy;
	(void)socket_arg;
	if (o->handed)
		return 0;
	LIST_FOREACH(w, &o->watches, link)
	{
		if (w->fd == fd)
			break;
	}
	if (w != NULL)
		drop_watch(w);
	if (what != CURL_POLL_REMOVE)
		add_watch(o, fd, (short)((what & CURL_POLL_IN ? EV_READ : 0) | (what & CURL_POLL_OUT ? EV_WRITE : 0)));
	return 0;
}

static int set_curl_timer(CURLM *multi, long ms, void *arg)
{
	struct outside *o = arg;

	(void)multi;
	if (o->handed)
		return 0;
	if (ms < 0)
		loop_timer_cancel(o->curl_timer);
	else
		loop_timer_set(o->curl_timer, ms);
	return 0;
}

static void on_deadline(void *arg)
{
	struct outside *o = arg;
	char text[100];

	snprintf(text, sizeof text, "no connection and log-in within %lld seconds",
	         (long long)(o->connect_timeout_ms / 1000));
	outside_wrong(o, OUTSIDE_NETWORK, text);
	hand_over(o);
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
	buf_add_slice(&o->reply, slice_sub(line, 0, OUTSIDE_REPLY_MAX));
	bool room = buf_add_slice(&o->transcript, line) && buf_add_char(&o->transcript, '\n');
	buf_str(&o->transcript);
	return room && (known || !first) && o->heard <= 2 * OUTSIDE_TRANSCRIPT_MAX ? size * n : 0;
}

/* What was said before the handshake may be anybody's: it is no capability. */
static CURLcode tls_begins(CURL *easy, void *ssl_ctx, void *arg)
{
	struct outside *o = arg;

	(void)easy;
	buf_clear(&o->transcript);
	SSL_CTX_set_mode(ssl_ctx, SSL_MODE_RELEASE_BUFFERS);
	if (o->ca_file == NULL)
		return CURLE_OK;
	X509_STORE *store = trust_store(loop_trust(o->opener), o->ca_file);
	if (store == NULL)
		return CURLE_SSL_CACERT_BADFILE;
	SSL_CTX_set1_cert_store(ssl_ctx, store);
	return CURLE_OK;
}

void outside_set_opening(struct outside *o)
{
	curl_easy_setopt(o->easy, CURLOPT_HEADERFUNCTION, hear_line);
	curl_easy_setopt(o->easy, CURLOPT_HEADERDATA, o);
	curl_easy_setopt(o->easy, CURLOPT_SSL_CTX_FUNCTION, tls_begins);
	curl_easy_setopt(o->easy, CURLOPT_SSL_CTX_DATA, o);
	curl_multi_setopt(o->multi, CURLMOPT_SOCKETFUNCTION, watch_socket);
	curl_multi_setopt(o->multi, CURLMOPT_SOCKETDATA, o);
	curl_multi_setopt(o->multi, CURLMOPT_TIMERFUNCTION, set_curl_timer);
	curl_multi_setopt(o->multi, CURLMOPT_TIMERDATA, o);
}

static void begin(void *arg)
{
	struct outside *o = arg;

	if (curl_multi_add_handle(o->multi, o->easy) == CURLM_OK)
		return;
	outside_wrong(o, OUTSIDE_NETWORK, "libcurl did not take the connection");
	hand_over(o);
}

/* One begins in each round of the opener's loop, behind what the others have to do: who came first is through with it
 * while the last still waits, where otherwise all hundred handshakes would end together. */
void outside_begin(void *arg)
{
	struct outside *o = arg;

	o->curl_timer = loop_timer_new(o->opener, on_curl_timer, o);
	o->deadline = loop_timer_new(o->opener, on_deadline, o);
	loop_timer_set(o->deadline, o->connect_timeout_ms);
	loop_turn_ask(o->opener, &o->beginning, begin, o);
}

void outside_abandon(void *arg)
{
	struct outside *o = arg;

	if (!o->handed) {
		let_go(o);
		outside_drop_curl(o);
	}
	loop_post(o->loop, outside_bury, o);
}
