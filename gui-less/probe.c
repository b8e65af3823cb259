#include "base/alloc.h"
#include "base/buf.h"
#include "control/codec.h"
#include "probe_internal.h"
#include "show.h"

#include <arpa/inet.h>
#include <netdb.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum { CONNECT_MS = 20000, PASSWORD_LENGTH = 16384 };

/* ---- telling ---- */

static void put_line(const char *step, bool ok, const char *text, const char *mend)
{
	struct buf b;

	buf_init(&b, 8192);
	show_text(&b, slice_sub(slice_of(text), 0, 1000), true);
	printf("  %-12s%-8s%s\n", step, ok ? "ok" : "FAILED", buf_str(&b));
	if (mend[0] != '\0')
		printf("%22s%s\n", "", mend);
	fflush(stdout);
	buf_free(&b);
}

bool probe_tell(struct probing *g, const char *step, bool ok, const char *text, const char *mend)
{
	if (g->list == NULL) {
		put_line(step, ok, text, mend);
		return ok;
	}
	json_t *o = json_object();
	codec_set_text(o, "step", step);
	codec_set_bool(o, "ok", ok);
	codec_set_text(o, "text", text);
	codec_set_text(o, "mend", mend);
	json_array_append_new(g->list, o);
	return ok;
}

/* ---- the name ---- */

static bool try_name(struct probing *g)
{
	const struct config_login *l = g->p->login;
	struct addrinfo hints = {.ai_socktype = SOCK_STREAM}, *found = NULL;
	struct buf text;

	if (g->p->proxy[0] != '\0')
		return probe_tell(g, "name", true, "the proxy looks it up", "");
	int rc = getaddrinfo(l->host, NULL, &hints, &found);
	if (rc != 0)
		return probe_tell(g, "name", false, gai_strerror(rc),
		                  rc == EAI_NONAME
		                      ? "There is no such name: look for a slip in `host`."
		                      : "This machine's name server does not answer: look at /etc/resolv.conf.");
	buf_init(&text, 2000);
	buf_printf(&text, "%s is", l->host);
	for (const struct addrinfo *a = found; a != NULL; a = a->ai_next) {
		char ip[INET6_ADDRSTRLEN] = "";
		if (getnameinfo(a->ai_addr, a->ai_addrlen, ip, sizeof ip, NULL, 0, NI_NUMERICHOST) == 0)
			buf_printf(&text, " %s", ip);
	}
	freeaddrinfo(found);
	probe_tell(g, "name", true, buf_str(&text), "");
	buf_free(&text);
	return true;
}

/* ---- one connection ---- */

static void on_ready(void *arg)
{
	struct probing *g = arg;

	g->ready = true;
	loop_stop(g->loop);
}

static void on_failed(void *arg, enum outside_failure f, const char *text, const char *reply)
{
	struct probing *g = arg;

	g->failed = true;
	g->failure = f;
	snprintf(g->text, sizeof g->text, "%s", text);
	snprintf(g->reply, sizeof g->reply, "%s", reply);
	loop_stop(g->loop);
}

static void on_readable(void *arg)
{
	struct probing *g = arg;
	struct evbuffer *in = outside_in(g->line);
	size_t n;

	while (!g->failed && (n = evbuffer_get_contiguous_space(in)) > 0) {
		if (g->hear == NULL || !g->hear(g, slice_make((char *)evbuffer_pullup(in, (ev_ssize_t)n), n)))
			loop_stop(g->loop);
		evbuffer_drain(in, n);
	}
}

void probe_wait(struct probing *g)
{
	if (g->failed)
		return;
	outside_set_timeout(g->line, PROBE_ANSWER_MS);
	loop_run(g->loop);
}

static const char *login_options(const struct probe *p)
{
	static const char *const names[] = {
	    [AUTH_PLAIN] = "AUTH=PLAIN",       [AUTH_LOGIN] = "AUTH=LOGIN", [AUTH_APOP] = "AUTH=+APOP",
	    [AUTH_CRAM_MD5] = "AUTH=CRAM-MD5", [AUTH_NTLM] = "AUTH=NTLM",   [AUTH_XOAUTH2] = "AUTH=XOAUTH2"};
	enum config_auth a = p->login->auth;

	return (size_t)a < sizeof names / sizeof names[0] && names[a] != NULL ? names[a] : "";
}

/* Opens a connection, with or without libcurl's log-in; what became of it stands in g. */
void probe_open(struct probing *g, bool login)
{
	static const enum outside_security security[] = {[SECURITY_NONE] = OUTSIDE_PLAIN,
	                                                 [SECURITY_OPPORTUNISTIC] = OUTSIDE_OPPORTUNISTIC,
	                                                 [SECURITY_STARTTLS] = OUTSIDE_STARTTLS,
	                                                 [SECURITY_TLS] = OUTSIDE_TLS};
	static const struct outside_callbacks cb = {.ready = on_ready, .readable = on_readable, .failed = on_failed};
	const struct config_login *l = g->p->login;
	bool token = l->auth == AUTH_XOAUTH2;
	struct outside_target t = {.protocol = g->p->protocol,
	                           .host = l->host,
	                           .port = l->port,
	                           .security = security[l->security],
	                           .tls_verify = l->tls_verify,
	                           .ca_file = l->ca_file,
	                           .login_options = login ? login_options(g->p) : "",
	                           .user = login ? l->user : "",
	                           .password = login && !token ? g->password : "",
	                           .bearer = login && token ? g->password : "",
	                           .proxy = g->p->proxy,
	                           .hello = g->p->hello,
	                           .connect_timeout_ms = CONNECT_MS};

	outside_close(&g->line);
	g->ready = g->failed = false;
	g->hear = NULL;
	g->line = outside_open(g->loop, &t, &cb, g);
	loop_run(g->loop);
}

/* ---- connecting ---- */

static const char *connection_mend(const struct probing *g)
{
	const struct config_login *l = g->p->login;
	bool pop3 = g->p->protocol == OUTSIDE_POP3;

	switch (g->failure) {
	case OUTSIDE_NETWORK:
		return pop3
		           ? "Usual are port 995 with security = tls, and 110 with starttls. A firewall may be in the "
		             "way."
		           : "Usual are port 587 with security = starttls, and 465 with tls. Many lines block port 25.";
	case OUTSIDE_TLS_TRUST:
		if (l->security == SECURITY_TLS && strstr(g->text, "certificate") == NULL)
			return pop3
			           ? "Perhaps this port speaks no TLS at once: port 995 with tls, or 110 with starttls."
			           : "Perhaps this port speaks no TLS at once: port 465 with tls, or 587 with "
			             "starttls.";
		return "Is `host` the name that stands in the certificate? A server of your own: put its certificate "
		       "into ca_file.";
	case OUTSIDE_NO_TLS:
		return "security = tls on the other port, if the provider has one; none only inside a VPN or a LAN.";
	case OUTSIDE_GREETING:
		if (!pop3 && strncmp(g->reply, "504", 3) == 0)
			return PROBE_HOSTNAME_HINT;
		return pop3 ? "Is this the POP3 server, and does it allow this machine's address?"
		            : "Is this the SMTP server, and does it allow this machine's address?";
	case OUTSIDE_LOGIN:
	case OUTSIDE_REFUSED:
		break;
	}
	return "";
}

static const char *step_of(enum outside_failure f)
{
	return f == OUTSIDE_TLS_TRUST  ? "certificate"
	       : f == OUTSIDE_NO_TLS   ? "TLS"
	       : f == OUTSIDE_GREETING ? "greeting"
	                               : "connection";
}

static bool try_connection(struct probing *g)
{
	const struct config_login *l = g->p->login;
	char text[400];

	probe_open(g, false);
	if (g->failed)
		return probe_tell(g, step_of(g->failure), false, g->text, connection_mend(g));
	snprintf(text, sizeof text, "port %u answers as %s server", l->port,
	         g->p->protocol == OUTSIDE_POP3 ? "a POP3" : "an SMTP");
	probe_tell(g, "connection", true, text, "");
	if (l->security == SECURITY_NONE || l->security == SECURITY_OPPORTUNISTIC)
		return probe_tell(g, "TLS", true, "not demanded: what is sent can be read on the way", "");
	return probe_tell(g, "certificate", true,
	                  l->tls_verify ? "trusted, and made out to this name" : "not looked at (tls_verify = no)", "");
}

/* ---- the end of it ---- */

static bool hear_goodbye(struct probing *g, struct slice in)
{
	(void)g;
	return slice_find(in, '\n') == in.n; /* one line is enough */
}

static void probe_say_quit(struct probing *g)
{
	evbuffer_add_printf(outside_out(g->line), "QUIT\r\n");
	g->hear = hear_goodbye;
	probe_wait(g);
}

/* ---- all of it ---- */

/* The first line that the command prints. */
static bool ask_command(struct probing *g)
{
	const char *command = g->p->login->password_command;
	char *line = xcalloc(1, PASSWORD_LENGTH);
	char *in_home = xasprintf("cd '%s' && %s", g->p->home, command);
	FILE *f = popen(in_home, "re");
	bool got = f != NULL && fgets(line, PASSWORD_LENGTH, f) != NULL;
	int status = f != NULL ? pclose(f) : -1;

	free(in_home);
	line[strcspn(line, "\r\n")] = '\0';
	free(g->password);
	g->password = line;
	if (got && status == 0)
		return probe_tell(g, "password", true, "password_command printed one", "");
	return probe_tell(g, "password", false, "password_command failed, or printed nothing",
	                  "Run it by hand, as the user of ofmsrv.");
}

static bool all_steps(struct probing *g)
{
	if (g->p->login->password_command[0] != '\0' && !ask_command(g))
		return false;
	if (!try_name(g) || !try_connection(g))
		return false;
	return g->p->protocol == OUTSIDE_POP3 ? probe_pop3(g) : probe_smtp(g);
}

bool probe_run(const struct probe *p, json_t *list)
{
	struct probing g = {.p = p, .list = list, .loop = loop_new(), .password = xstrdup(p->login->password)};

	if (g.loop == NULL)
		return false;
	bool ok = all_steps(&g);
	if (g.line != NULL && !g.failed)
		probe_say_quit(&g);
	outside_close(&g.line);
	loop_drain(g.loop);
	loop_free(&g.loop);
	explicit_bzero(g.password, strlen(g.password));
	free(g.password);
	return ok;
}
