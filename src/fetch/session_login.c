#include "base/alloc.h"
#include "base/log.h"
#include "base/text.h"
#include "fetch/session_internal.h"

#include <openssl/evp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { COMMAND_TIMEOUT_MS = 30000, PASSWORD_MAX = 48 * 1024 };

/* ---- what has to be known before connecting ---- */

/* Outlives a session that is cut off meanwhile: a command cannot be called back. */
struct password_wait {
	struct session *s; /* NULL: nobody waits any more */
};

static void connect_now(struct session *s);

static void go_on(struct session *s)
{
	if (s->phase == PHASE_PREPARING && s->loaded && s->password != NULL)
		connect_now(s);
}

static int load_facts(struct db_conn *c, void *arg, struct err *e)
{
	struct session *s = arg;

	return facts_load(c, &s->facts, e);
}

static void on_loaded(void *arg, int rc, const struct err *e)
{
	struct session *s = arg;

	s->loaded = rc == 0;
	if (rc != 0)
		session_end(s, SESSION_LATER, e->text);
	else if (s->facts.hold)
		session_end(s, SESSION_HELD, "held until `ofmctl account resume`");
	else
		go_on(s);
	session_came_back(s);
}

static const char unspeakable[] = "user or password holds control or non-ASCII characters, which POP3 cannot carry";

/* Nobody was asked to let us in. */
static void end_without_password(struct session *s, const char *text)
{
	s->no_password = true;
	session_end(s, SESSION_FAILED, text);
}

/* The first line of what password_command printed. */
static void take_password(struct session *s, struct slice out)
{
	struct slice line = slice_trim(slice_sub(out, 0, slice_find(out, '\n')));

	if (line.n == 0) {
		end_without_password(s, slice_trim(out).n == 0 ? "password_command printed nothing"
		                                               : "password_command printed an empty first line");
		return;
	}
	if (slice_find(line, '\0') < line.n) { /* a C string would end here, and be another password */
		session_end(s, SESSION_FAILED, unspeakable);
		return;
	}
	s->password = slice_dup(line);
	log_secret(s->password);
	go_on(s);
}

static void on_password(void *arg, const struct runner_result *r)
{
	struct password_wait *w = arg;
	struct session *s = w->s;

	free(w);
	if (s == NULL)
		return;
	s->waiting = NULL;
	if (!r->started || r->timed_out || r->status != 0) {
		char text[200];

		snprintf(text, sizeof text, "password_command %s (status %d)",
		         !r->started    ? "could not be run"
		         : r->timed_out ? "took too long"
		                        : "failed",
		         r->status);
		end_without_password(s, text);
	} else {
		take_password(s, slice_sub(r->output, 0, PASSWORD_MAX));
	}
}

void session_forget_password(struct session *s)
{
	if (s->waiting != NULL)
		s->waiting->s = NULL;
	s->waiting = NULL;
}

void session_prepare(struct session *s)
{
	const struct config_login *l = &s->account->login;

	session_under_way(s);
	database_read(s->setup.deps->database, load_facts, on_loaded, s);
	if (l->password_command[0] == '\0') {
		s->password = xstrdup(l->password);
		if (s->password[0] == '\0')
			end_without_password(s, "the account has no password");
		return;
	}
	s->waiting = xcalloc(1, sizeof *s->waiting);
	s->waiting->s = s;
	runner_run(s->setup.deps->runner, l->password_command, COMMAND_TIMEOUT_MS, on_password, s->waiting);
}

/* ---- connecting ---- */

static bool plain_text(const char *s)
{
	for (; *s != '\0'; s++)
		if ((unsigned char)*s < ' ' || (unsigned char)*s >= 0x7f)
			return false;
	return true;
}

/* Passwords we send ourselves; libcurl cannot be told "SASL or USER and PASS, but never APOP", and keeps the server's
 * reasons to itself. Challenges and tokens are its business. */
static bool own_login(const struct session *s)
{
	enum config_auth a = s->account->login.auth;

	return a == AUTH_AUTO || a == AUTH_PLAIN || a == AUTH_OFF || a == AUTH_LOGIN;
}

static const char *login_options(const struct session *s)
{
	switch (s->account->login.auth) {
	case AUTH_APOP:
		return "AUTH=+APOP";
	case AUTH_CRAM_MD5:
		return "AUTH=CRAM-MD5";
	case AUTH_NTLM:
		return "AUTH=NTLM";
	case AUTH_XOAUTH2:
		return "AUTH=XOAUTH2";
	default:
		return "";
	}
}

static void connect_now(struct session *s)
{
	static const enum outside_security security[] = {
	    [SECURITY_NONE] = OUTSIDE_PLAIN,
	    [SECURITY_OPPORTUNISTIC] = OUTSIDE_OPPORTUNISTIC,
	    [SECURITY_STARTTLS] = OUTSIDE_STARTTLS,
	    [SECURITY_TLS] = OUTSIDE_TLS,
	};
	const struct config_login *l = &s->account->login;
	bool token = l->auth == AUTH_XOAUTH2;
	struct outside_target t = {
	    .protocol = OUTSIDE_POP3,
	    .host = l->host,
	    .port = l->port,
	    .security = security[l->security],
	    .tls_verify = l->tls_verify,
	    .ca_file = l->ca_file,
	    .login_options = login_options(s),
	    .user = own_login(s) ? "" : l->user,
	    .password = own_login(s) || token ? "" : s->password,
	    .bearer = token ? s->password : "",
	    .proxy = s->rules->config->proxy,
	    .hello = "",
	    .connect_timeout_ms = s->timeout_ms,
	    .memory = s->setup.memory,
	};

	if (!plain_text(l->user) || !plain_text(s->password)) {
		session_end(s, SESSION_FAILED, unspeakable);
		return;
	}
	session_set_phase(s, PHASE_CONNECTING);
	s->line = session_open_line(s, &t);
}

/* ---- logging in ---- */

static void queue_login(struct session *s, enum pop3_verb v, const char *argument)
{
	struct pop3_command cmd = {.verb = v};

	pop3_client_queue(s->client, &cmd, argument);
}

/* RFC 4616: an empty authorization identity, user, password. */
static void queue_sasl_plain(struct session *s)
{
	const char *user = s->account->login.user;
	size_t u = strlen(user), p = strlen(s->password), n = u + p + 2;
	unsigned char *raw = xcalloc(1, n + 1);
	char *b64 = xcalloc(1, 4 * ((n + 2) / 3) + 1);

	memcpy(raw + 1, user, u + 1);
	memcpy(raw + u + 2, s->password, p + 1);
	EVP_EncodeBlock((unsigned char *)b64, raw, (int)n);
	queue_login(s, POP3_AUTH_PLAIN, b64);
	explicit_bzero(raw, n);
	explicit_bzero(b64, strlen(b64));
	free(raw);
	free(b64);
}

void session_login(struct session *s)
{
	bool sasl = s->caps.sasl_plain && (s->account->login.auth == AUTH_PLAIN || !s->caps.user);

	if (!own_login(s)) {
		session_set_phase(s, PHASE_LISTING);
		session_ask_listing(s);
		return;
	}
	session_set_phase(s, PHASE_LOGIN);
	loop_timer_set(s->deadline, s->timeout_ms);
	if (sasl) {
		queue_sasl_plain(s);
	} else {
		queue_login(s, POP3_USER, s->account->login.user);
		queue_login(s, POP3_PASS, s->password);
	}
}

/* What a refused log-in means. */
static enum session_outcome outcome_of(struct slice reply)
{
	switch (pop3_reply_refusal(reply, true)) {
	case POP3_LATER:
		return SESSION_LATER;
	case POP3_WRONG:
		return SESSION_WRONG;
	default:
		return SESSION_UNSURE;
	}
}

enum session_crowd session_crowd_of(struct slice reply)
{
	return pop3_reply_crowded(reply) ? CROWD_SAID : pop3_reply_in_use(reply) ? CROWD_IN_USE : CROWD_NONE;
}

static void refused(struct session *s, struct slice text)
{
	struct buf why;
	char *masked = log_masked(text); /* some repeat the password that they refuse */

	buf_init(&why, 1024);
	buf_add_str(&why, "log-in refused: ");
	text_escape(&why, slice_of(masked), 400);
	free(masked);
	s->login_refused = true;
	s->crowd = session_crowd_of(text);
	session_end(s, outcome_of(text), buf_str(&why));
	buf_free(&why);
}

void session_on_login_failed(struct session *s, const char *text, struct slice reply)
{
	struct buf why;
	int status;

	s->login_refused = true;
	buf_init(&why, 1024);
	buf_add_str(&why, "the token was refused: ");
	if (s->account->login.auth == AUTH_XOAUTH2 && (status = pop3_reply_challenge(reply, &why)) >= 0)
		session_end(s, status >= 500 ? SESSION_LATER : SESSION_UNSURE, buf_str(&why));
	else
		session_end(s, outcome_of(reply), text);
	buf_free(&why);
}

void session_on_login(struct session *s, const struct pop3_command *cmd, bool ok, struct slice text)
{
	if (s->phase != PHASE_LOGIN)
		return;
	if (!ok) {
		refused(s, text);
	} else if (cmd->verb == POP3_USER) {
		loop_timer_set(s->deadline, s->timeout_ms);
	} else {
		session_set_phase(s, PHASE_LISTING);
		session_ask_listing(s);
	}
}
