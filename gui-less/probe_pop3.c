/* The steps of collecting, up to the listing, by the engine that collects: log-in one command at a time, then UIDL and
 * LIST together where the server offers PIPELINING. */
#include "base/alloc.h"
#include "base/text.h"
#include "fetch/listing.h"
#include "fetch/pop3_client.h"
#include "fetch/pop3_reply.h"
#include "probe_internal.h"
#include "show.h"

#include <openssl/evp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct mailbox {
	struct probing *g;
	struct pop3_client *client;
	struct pop3_caps caps;
	struct listing listing;
	unsigned awaited; /* commands without their reply */
	bool no_uidl;     /* UIDL was refused */
	bool refused;     /* another command was */
	char words[800];  /* the server's, of a refusal; or what is wrong with its reply */
};

/* ---- the engine's events ---- */

static void on_reply(void *arg, const struct pop3_command *cmd, bool ok, struct slice text)
{
	struct mailbox *b = arg;

	if (ok) {
		if (cmd->verb != POP3_UIDL && cmd->verb != POP3_LIST)
			b->awaited--;
		return;
	}
	b->awaited--;
	if (cmd->verb == POP3_UIDL) {
		b->no_uidl = true;
		return;
	}
	b->refused = true;
	snprintf(b->words, sizeof b->words, "-ERR %.*s", (int)text.n, text.p);
	pop3_client_halt(b->client);
}

static void on_line(void *arg, const struct pop3_command *cmd, struct slice line)
{
	struct mailbox *b = arg;
	struct err e = {0, ""};
	int rc =
	    cmd->verb == POP3_LIST ? listing_add_size(&b->listing, line, &e) : listing_add_uidl(&b->listing, line, &e);

	if (rc == 0 || b->refused)
		return;
	b->refused = true;
	snprintf(b->words, sizeof b->words, "%s", e.text);
	pop3_client_halt(b->client);
}

static void on_end(void *arg, const struct pop3_command *cmd)
{
	struct mailbox *b = arg;

	(void)cmd;
	b->awaited--;
}

static const struct pop3_client_events events = {on_reply, on_line, NULL, on_end};

/* ---- saying and hearing ---- */

static void mailbox_flush(struct mailbox *b)
{
	struct buf *out = pop3_client_out(b->client);

	evbuffer_add(outside_out(b->g->line), out->p, out->n);
	explicit_bzero(out->p, out->n);
	buf_clear(out);
}

static bool mailbox_hear(struct probing *g, struct slice in)
{
	struct mailbox *b = g->hearer;
	struct err e = {0, ""};

	if (pop3_client_feed(b->client, in, &e) != 0) {
		b->refused = true;
		snprintf(b->words, sizeof b->words, "%s", e.text);
	}
	mailbox_flush(b);
	return b->awaited > 0 && !b->refused;
}

static void mailbox_queue(struct mailbox *b, enum pop3_verb v, const char *argument)
{
	const struct pop3_command cmd = {.verb = v};

	b->awaited++;
	pop3_client_queue(b->client, &cmd, argument);
}

/* Until all that was queued is answered: true where nothing was refused but UIDL. */
static bool mailbox_run(struct mailbox *b)
{
	mailbox_flush(b);
	probe_wait(b->g);
	if (b->g->failed && !b->refused)
		snprintf(b->words, sizeof b->words, "%s", b->g->text);
	return !b->g->failed && !b->refused;
}

/* ---- log-in ---- */

static bool engine_logs_in(const struct probing *g)
{
	enum config_auth a = g->p->login->auth;

	return a == AUTH_AUTO || a == AUTH_PLAIN || a == AUTH_LOGIN || a == AUTH_OFF;
}

static void queue_sasl_plain(struct mailbox *b)
{
	const char *user = b->g->p->login->user, *password = b->g->password;
	size_t u = strlen(user), n = strlen(password), all = u + n + 2;
	unsigned char *raw = xcalloc(1, all + 1);
	char *b64 = xcalloc(1, 4 * ((all + 2) / 3) + 1);

	memcpy(raw + 1, user, u + 1);
	memcpy(raw + u + 2, password, n + 1);
	EVP_EncodeBlock((unsigned char *)b64, raw, (int)all);
	mailbox_queue(b, POP3_AUTH_PLAIN, b64);
	explicit_bzero(raw, all);
	explicit_bzero(b64, strlen(b64));
	free(raw);
	free(b64);
}

/* As the collecting program logs in: USER and PASS, or SASL where that alone is there. */
static bool log_in(struct mailbox *b)
{
	const struct config_login *l = b->g->p->login;

	if (!engine_logs_in(b->g))
		return b->g->ready;
	if (b->caps.sasl_plain && (l->auth == AUTH_PLAIN || !b->caps.user)) {
		queue_sasl_plain(b);
	} else {
		mailbox_queue(b, POP3_USER, l->user);
		mailbox_queue(b, POP3_PASS, b->g->password);
	}
	return mailbox_run(b);
}

/* POP3 carries ASCII; a line end in a password would be another command. */
static bool speakable(const char *s)
{
	for (; *s != '\0'; s++)
		if ((unsigned char)*s < ' ' || (unsigned char)*s >= 0x7f)
			return false;
	return true;
}

static bool mailbox_open(struct mailbox *b, bool again)
{
	struct probing *g = b->g;

	pop3_client_free(&b->client);
	listing_free(&b->listing);
	b->listing = (struct listing){0};
	b->awaited = 0;
	b->refused = b->no_uidl = false;
	b->client = pop3_client_new(&events, b);
	if (again || !engine_logs_in(g))
		probe_open(g, !engine_logs_in(g));
	g->hear = mailbox_hear;
	g->hearer = b;
	if (g->failed) {
		snprintf(b->words, sizeof b->words, "%s", g->text);
		return false;
	}
	pop3_caps_transcript(&b->caps, outside_transcript(g->line));
	return log_in(b);
}

static bool tell_login(struct mailbox *b, bool ok)
{
	const struct config_login *l = b->g->p->login;
	char line[500];

	if (!ok)
		return probe_tell(b->g, "log-in", false, b->words[0] != '\0' ? b->words : "the connection was cut off",
		                  pop3_reply_mend(l->host, false));
	snprintf(line, sizeof line, "%s is let in", l->user);
	return probe_tell(b->g, "log-in", true, line, "");
}

/* ---- listing ---- */

static bool list(struct mailbox *b, bool pipelined)
{
	pop3_client_set_pipelining(b->client, pipelined);
	mailbox_queue(b, POP3_UIDL, NULL);
	mailbox_queue(b, POP3_LIST, NULL);
	return mailbox_run(b);
}

static const char *manner(const struct mailbox *b, bool pipelined, bool broken)
{
	if (pipelined)
		return ", asked for with several commands at once";
	if (broken)
		return "; its pipelining is broken, so commands go one at a time";
	return b->caps.pipelining ? ", asked for with one command at a time (pipelining = off)" : "";
}

static bool tell_listing(struct mailbox *b, bool pipelined, bool broken)
{
	struct err e = {0, ""};
	uint64_t bytes = 0;
	char text[300], size[SHOW_MAX];

	if (listing_finish(&b->listing, !b->no_uidl, &e) != 0)
		return probe_tell(b->g, "mailbox", false, e.text, "The server's UIDL and LIST contradict each other.");
	for (size_t i = 0; i < b->listing.n; i++)
		bytes += b->listing.v[i].size;
	show_size(bytes, size);
	snprintf(text, sizeof text, "%zu %s (%s)%s%s", b->listing.n, b->listing.n == 1 ? "message" : "messages", size,
	         manner(b, pipelined, broken),
	         b->no_uidl ? "; without UIDL, so messages are recognised by their headers" : "");
	return probe_tell(b->g, "mailbox", true, text, "");
}

/* Where the pipelined listing fails and the other works, the gateway finds that out by itself, too. */
static bool try_listing(struct mailbox *b)
{
	bool pipelined = b->caps.pipelining && !b->g->p->pipelining_off;

	if (list(b, pipelined))
		return tell_listing(b, pipelined, false);
	if (pipelined && mailbox_open(b, true) && list(b, false))
		return tell_listing(b, false, true);
	return probe_tell(b->g, "mailbox", false, b->words, "The server lets in, but lists no messages.");
}

bool probe_pop3(struct probing *g)
{
	struct mailbox b = {.g = g};

	if (!speakable(g->p->login->user) || !speakable(g->password))
		return probe_tell(g, "log-in", false,
		                  "user or password holds control or non-ASCII characters, which POP3 cannot carry",
		                  "");
	bool ok = tell_login(&b, mailbox_open(&b, false)) && try_listing(&b);
	g->hear = NULL;
	pop3_client_free(&b.client);
	listing_free(&b.listing);
	return ok;
}
