/* The steps of sending, up to the recipient: log-in, then MAIL, RCPT and RSET, together where the relay offers
 * PIPELINING and they would be so. No message is sent. */
#include "base/alloc.h"
#include "probe_internal.h"
#include "send/smtp_reply.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { STEPS = 3 };

const char *probe_sender(const struct config *c, const struct config_relay *r)
{
	if (r->sender[0] != '\0')
		return r->sender;
	for (size_t i = 0; i < c->nusers; i++) {
		const char *alias = c->users[i]->alias;
		if (alias[0] != '\0' && config_relay_for(c, slice_of(alias)) == r)
			return alias;
	}
	return strchr(r->login.user, '@') != NULL ? r->login.user : "";
}

struct envelope {
	struct smtp_reader reader;
	char *line[STEPS]; /* MAIL, RCPT, RSET */
	size_t sent, answered;
	bool together;
	size_t bad;    /* the refused one; STEPS = none */
	int code;      /* of its reply */
	char *words;   /* likewise */
	bool nonsense; /* what came is no reply */
};

static void envelope_say(struct probing *g, struct envelope *v)
{
	while (v->sent < STEPS && (v->together || v->sent == v->answered)) {
		evbuffer_add_printf(outside_out(g->line), "%s\r\n", v->line[v->sent]);
		v->sent++;
	}
}

static void envelope_take(struct envelope *v)
{
	if (v->reader.reply.code >= 300 && v->bad == STEPS) {
		v->bad = v->answered;
		v->code = v->reader.reply.code;
		v->words = smtp_reply_show(&v->reader.reply);
	}
	v->answered++;
}

static bool envelope_hear(struct probing *g, struct slice in)
{
	struct envelope *v = g->hearer;

	while (in.n > 0 && v->answered < v->sent) {
		size_t used = 0;
		enum smtp_reading r = smtp_reader_feed(&v->reader, in, &used);
		in = slice_sub(in, used, in.n);
		v->nonsense = r == SMTP_READ_BAD;
		if (v->nonsense)
			return false;
		if (r == SMTP_READ_DONE)
			envelope_take(v);
	}
	envelope_say(g, v);
	return v->answered < STEPS && v->bad == STEPS;
}

static const char *envelope_hint(const struct envelope *v)
{
	if (v->code == 504)
		return PROBE_HOSTNAME_HINT;
	if (v->code == 530 || v->code == 534 || v->code == 538)
		return "The server wants a log-in: set user and password, or auth = auto.";
	if (v->code >= 400 && v->code < 500)
		return "The server refuses for now; the gateway would try again later.";
	return v->bad == 0
	           ? "Many providers take only mail from the address that logs in: set it as alias or as sender."
	           : "The server does not take mail for this address from here: is a log-in needed?";
}

static bool tell_envelope(struct probing *g, const struct envelope *v)
{
	static const char *const names[STEPS] = {"MAIL", "RCPT", "RSET"};
	char text[900];

	if (v->bad < STEPS)
		snprintf(text, sizeof text, "%s: %s", names[v->bad], v->words);
	else if (v->nonsense)
		snprintf(text, sizeof text, "what the server sent is no SMTP reply");
	else if (g->failed)
		snprintf(text, sizeof text, "%s: %s", v->answered < STEPS ? names[v->answered] : "", g->text);
	if (v->bad < STEPS || v->nonsense || g->failed)
		return probe_tell(g, "sending", false, text,
		                  v->bad < STEPS ? envelope_hint(v)
		                  : v->together  ? "If this lasts, try pipelining = off in this section."
		                                 : "");
	snprintf(text, sizeof text, "mail from and to %s would be taken%s", g->p->sender,
	         v->together ? ", asked with several commands at once" : "");
	return probe_tell(g, "sending", true, text, "");
}

static bool try_sending(struct probing *g)
{
	struct envelope v = {.bad = STEPS};
	struct smtp_caps caps = {0};

	if (g->p->sender == NULL || g->p->sender[0] == '\0')
		return probe_tell(g, "sending", true, "not tried: no user has an alias, and the section has no sender",
		                  "");
	smtp_caps_of_transcript(&caps, slice_of(outside_transcript(g->line)));
	v.together = caps.pipelining && !g->p->pipelining_off;
	v.line[0] = xasprintf("MAIL FROM:<%s>", g->p->sender);
	v.line[1] = xasprintf("RCPT TO:<%s>", g->p->sender);
	v.line[2] = xstrdup("RSET");
	smtp_reader_init(&v.reader);
	g->hear = envelope_hear;
	g->hearer = &v;
	envelope_say(g, &v);
	probe_wait(g);
	g->hear = NULL;
	bool ok = tell_envelope(g, &v);
	smtp_reader_free(&v.reader);
	for (size_t i = 0; i < STEPS; i++)
		free(v.line[i]);
	free(v.words);
	return ok;
}

static bool try_login(struct probing *g)
{
	const struct config_login *l = g->p->login;
	char line[500];

	if (l->user[0] == '\0' || l->auth == AUTH_OFF)
		return probe_tell(g, "log-in", true, "none is configured: the server must know this machine's address",
		                  "");
	probe_open(g, true);
	if (!g->ready)
		return probe_tell(g, "log-in", false, g->text[0] != '\0' ? g->text : "the connection was cut off",
		                  "The big providers want an app password, and the whole address as user.");
	snprintf(line, sizeof line, "%s is let in", l->user);
	return probe_tell(g, "log-in", true, line, "");
}

bool probe_smtp(struct probing *g)
{
	return try_login(g) && try_sending(g);
}
