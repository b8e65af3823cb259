#include "smtp/core_internal.h"

#include "base/alloc.h"

#include <stdlib.h>
#include <string.h>

enum { OUT_MAX = 256 * 1024, OUT_ENOUGH = 16 * 1024 };

void smtp_core_set_state(struct smtp_core *c, enum smtp_state state)
{
	if (c->state != SMTP_CLOSED)
		c->state = state;
}

void smtp_core_reply(struct smtp_core *c, const char *line)
{
	buf_add_str(&c->out, line);
	buf_add_str(&c->out, "\r\n");
}

void smtp_core_end(struct smtp_core *c, const char *reply)
{
	if (c->state == SMTP_CLOSED)
		return;
	smtp_core_reply(c, reply);
	smtp_core_set_state(c, SMTP_CLOSED);
	buf_free(&c->line);
}

void smtp_core_fault(struct smtp_core *c, const char *line)
{
	smtp_core_reply(c, line);
	if (++c->errors >= SMTP_MAX_ERRORS)
		smtp_core_end(c, "421 4.7.0 too many errors, good-bye");
}

void smtp_core_reset(struct smtp_core *c)
{
	c->hooks->reset(c->arg);
	if (c->state != SMTP_START)
		smtp_core_set_state(c, SMTP_READY);
}

/* ---- small commands ---- */

/* Printable ASCII without spaces, for Received: what else there is becomes "?". */
static char *clean_helo(struct slice name)
{
	char *s = slice_dup(slice_sub(name, 0, SMTP_HELO_MAX));

	for (char *p = s; *p != '\0'; p++)
		if (*p <= ' ' || *p >= 0x7f || strchr("()<>;,\\\"", *p) != NULL)
			*p = '?';
	return s;
}

static void hello(struct smtp_core *c, struct slice name, bool extended)
{
	free(c->helo);
	c->helo = clean_helo(name.n > 0 ? name : slice_of("unknown")); /* some devices have none */
	c->extended = extended;
	smtp_core_set_state(c, SMTP_READY);
	smtp_core_reset(c);
}

static void cmd_helo(struct smtp_core *c, struct slice rest)
{
	struct smtp_options o;

	c->hooks->options(c->arg, &o);
	hello(c, rest, false);
	buf_printf(&c->out, "250 %s\r\n", o.hostname);
}

static void cmd_ehlo(struct smtp_core *c, struct slice rest)
{
	struct smtp_options o;

	c->hooks->options(c->arg, &o);
	hello(c, rest, true);
	buf_printf(&c->out,
	           "250-%s\r\n250-PIPELINING\r\n250-SIZE\r\n250-8BITMIME\r\n250-CHUNKING\r\n"
	           "250-ENHANCEDSTATUSCODES\r\n250-SMTPUTF8\r\n",
	           o.hostname);
	if (o.tls_offered && !o.secure)
		buf_add_str(&c->out, "250-STARTTLS\r\n");
	if (o.auth != AUTH_OFFER_OFF && (o.secure || !o.auth_tls))
		buf_add_str(&c->out, "250-AUTH PLAIN LOGIN\r\n");
	buf_add_str(&c->out, "250 HELP\r\n");
}

static bool takes_nothing(struct smtp_core *c, struct slice rest)
{
	if (rest.n == 0)
		return true;
	smtp_core_fault(c, "501 5.5.4 this command takes no parameters");
	return false;
}

static void cmd_rset(struct smtp_core *c, struct slice rest)
{
	if (!takes_nothing(c, rest))
		return;
	smtp_core_reset(c);
	smtp_core_reply(c, "250 2.0.0 ok");
}

static void cmd_noop(struct smtp_core *c, struct slice rest)
{
	(void)rest;
	smtp_core_reply(c, "250 2.0.0 ok");
}

static void cmd_quit(struct smtp_core *c, struct slice rest)
{
	if (takes_nothing(c, rest))
		smtp_core_end(c, "221 2.0.0 good-bye");
}

static void cmd_vrfy(struct smtp_core *c, struct slice rest)
{
	if (rest.n == 0)
		smtp_core_fault(c, "501 5.5.4 whom?");
	else
		smtp_core_reply(c, "252 2.1.5 send some mail, I will try my best");
}

static void cmd_help(struct smtp_core *c, struct slice rest)
{
	(void)rest;
	smtp_core_reply(c, "214 2.0.0 HELO EHLO MAIL RCPT DATA BDAT RSET NOOP QUIT VRFY HELP AUTH STARTTLS");
}

static void cmd_unoffered(struct smtp_core *c, struct slice rest)
{
	(void)rest;
	smtp_core_fault(c, "502 5.5.1 not offered here");
}

/* A browser that was tricked into talking to us would send its commands in the body. */
static void cmd_web(struct smtp_core *c, struct slice rest)
{
	(void)rest;
	smtp_core_end(c, "421 4.7.0 this is no web server");
}

static void cmd_starttls(struct smtp_core *c, struct slice rest)
{
	struct smtp_options o;

	c->hooks->options(c->arg, &o);
	if (!o.tls_offered) {
		smtp_core_fault(c, "502 5.5.1 not offered here");
		return;
	}
	if (o.secure) {
		smtp_core_fault(c, "503 5.5.1 TLS is on already");
		return;
	}
	if (!takes_nothing(c, rest))
		return;
	smtp_core_reply(c, "220 2.0.0 ready to start TLS");
	smtp_core_set_state(c, SMTP_HANDSHAKE);
	c->hooks->start_tls(c->arg);
}

/* RFC 3207 4.2: everything that was said in plain text is forgotten. */
void smtp_core_secured(struct smtp_core *c)
{
	c->hooks->reset(c->arg);
	c->hooks->forget_login(c->arg);
	free(c->helo);
	c->helo = NULL;
	c->extended = c->logged_in = false;
	c->seen_line = c->lf_lines = false;
	buf_free(&c->line);
	smtp_core_set_state(c, SMTP_START);
}

/* ---- the table ---- */

#define IN(state) (1u << (state))
#define IN_SESSION (IN(SMTP_READY) | IN(SMTP_MAILED) | IN(SMTP_RCPTED) | IN(SMTP_BDATED))
#define ANYWHERE (IN(SMTP_START) | IN_SESSION)

struct command {
	const char *verb;
	unsigned states;
	void (*run)(struct smtp_core *c, struct slice rest);
};

static const struct command commands[] = {
    {"HELO", ANYWHERE, cmd_helo},
    {"EHLO", ANYWHERE, cmd_ehlo},
    {"MAIL", IN(SMTP_READY), smtp_cmd_mail},
    {"RCPT", IN(SMTP_MAILED) | IN(SMTP_RCPTED), smtp_cmd_rcpt},
    {"DATA", IN(SMTP_RCPTED), smtp_cmd_data},
    {"BDAT", ANYWHERE, smtp_cmd_bdat}, /* takes its octets wherever it comes */
    {"RSET", ANYWHERE, cmd_rset},
    {"NOOP", ANYWHERE, cmd_noop},
    {"QUIT", ANYWHERE, cmd_quit},
    {"VRFY", ANYWHERE, cmd_vrfy},
    {"EXPN", ANYWHERE, cmd_unoffered},
    {"ETRN", ANYWHERE, cmd_unoffered},
    {"TURN", ANYWHERE, cmd_unoffered},
    {"HELP", ANYWHERE, cmd_help},
    {"AUTH", IN(SMTP_READY), smtp_cmd_auth},
    {"STARTTLS", IN(SMTP_START) | IN(SMTP_READY), cmd_starttls},
    {"GET", ANYWHERE, cmd_web},
    {"POST", ANYWHERE, cmd_web},
    {"PUT", ANYWHERE, cmd_web},
    {"HEAD", ANYWHERE, cmd_web},
    {"OPTIONS", ANYWHERE, cmd_web},
    {"CONNECT", ANYWHERE, cmd_web},
};

static const struct command *find_command(struct slice verb)
{
	for (size_t i = 0; i < sizeof commands / sizeof *commands; i++)
		if (slice_is_nocase(verb, commands[i].verb))
			return &commands[i];
	return NULL;
}

static bool has_controls(struct slice line)
{
	for (size_t i = 0; i < line.n; i++)
		if (((unsigned char)line.p[i] < ' ' && line.p[i] != '\t') || line.p[i] == 0x7f)
			return true;
	return false;
}

static void run_command(struct smtp_core *c, struct slice line)
{
	size_t verb = 0;

	line = slice_trim(line);
	while (verb < line.n && line.p[verb] != ' ' && line.p[verb] != '\t')
		verb++;
	const struct command *cmd = find_command(slice_sub(line, 0, verb));
	if (cmd == NULL)
		smtp_core_fault(c, "500 5.5.2 no such command");
	else if (has_controls(line))
		smtp_core_fault(c, "501 5.5.4 control characters in a command");
	else if ((cmd->states & IN(c->state)) == 0)
		smtp_core_fault(c, c->state == SMTP_START ? "503 5.5.1 say HELO or EHLO first"
		                                          : "503 5.5.1 not now: wrong order of commands");
	else
		cmd->run(c, slice_trim(slice_sub(line, verb, line.n)));
}

static void run_line(struct smtp_core *c, struct slice line)
{
	if (c->state == SMTP_SASL)
		smtp_core_sasl_line(c, line);
	else
		run_command(c, line);
}

/* ---- lines ---- */

/* The last byte before in[at]. */
static char byte_before(const struct smtp_core *c, struct slice in, size_t at)
{
	if (at > 0)
		return in.p[at - 1];
	return c->line.n > 0 ? c->line.p[c->line.n - 1] : '\0';
}

/* Offset behind the line end in `in`, or 0 where there is none yet. */
static size_t find_line_end(const struct smtp_core *c, struct slice in)
{
	for (size_t at = 0; at < in.n; at++) {
		const char *lf = memchr(in.p + at, '\n', in.n - at);
		if (lf == NULL)
			return 0;
		at = (size_t)(lf - in.p);
		if (!c->seen_line || c->lf_lines || byte_before(c, in, at) == '\r')
			return at + 1;
	}
	return 0;
}

static size_t line_limit(const struct smtp_core *c, struct slice in)
{
	struct slice start = c->line.n > 0 ? buf_slice(&c->line) : in;

	return c->state == SMTP_SASL || slice_starts_nocase(start, "AUTH ") ? SMTP_AUTH_LINE_MAX : SMTP_LINE_MAX;
}

static void line_too_long(struct smtp_core *c)
{
	c->skipping = false;
	c->skipped = 0;
	if (c->state == SMTP_SASL)
		smtp_core_sasl_forget(c);
	smtp_core_fault(c, "500 5.5.6 line too long");
}

/* Inside a line that is too long already: one byte is kept, so that a CR is known. */
static size_t skip_line(struct smtp_core *c, struct slice in)
{
	size_t end = find_line_end(c, in);
	size_t n = end > 0 ? end : in.n;

	c->skipped += (uint32_t)n;
	buf_clear(&c->line);
	if (end > 0) {
		line_too_long(c);
		buf_free(&c->line);
	} else if (c->skipped > SMTP_ENDLESS) {
		smtp_core_end(c, "500 5.5.6 line too long, good-bye");
	} else {
		buf_add(&c->line, in.p + in.n - 1, 1);
	}
	return n;
}

static void note_line_end(struct smtp_core *c, struct slice in, size_t end)
{
	if (!c->seen_line)
		c->lf_lines = byte_before(c, in, end - 1) != '\r';
	c->seen_line = true;
}

static struct slice without_end(struct slice line)
{
	line.n--;
	if (line.n > 0 && line.p[line.n - 1] == '\r')
		line.n--;
	return line;
}

static size_t take_line(struct smtp_core *c, struct slice in)
{
	if (c->skipping)
		return skip_line(c, in);
	size_t end = find_line_end(c, in);
	size_t n = end > 0 ? end : in.n;
	if (c->line.n + n > line_limit(c, in)) {
		c->skipping = true;
		c->skipped = (uint32_t)c->line.n;
		return skip_line(c, in);
	}
	if (end > 0)
		note_line_end(c, in, end);
	if (end == 0 || c->line.n > 0)
		buf_add(&c->line, in.p, n);
	if (end == 0)
		return n;
	struct buf whole = c->line;
	buf_init(&c->line, SMTP_AUTH_LINE_MAX);
	run_line(c, without_end(whole.n > 0 ? buf_slice(&whole) : slice_sub(in, 0, n)));
	if (whole.p != NULL)
		explicit_bzero(whole.p, whole.n); /* it may hold a password */
	buf_free(&whole);
	return n;
}

static size_t take(struct smtp_core *c, struct slice in)
{
	switch (c->state) {
	case SMTP_DATA:
		return smtp_core_take_data(c, in);
	case SMTP_CHUNK:
		return smtp_core_take_chunk(c, in);
	case SMTP_CHECKING:
	case SMTP_STORING:
	case SMTP_HANDSHAKE:
		return 0;
	case SMTP_CLOSED:
		return in.n;
	default:
		return take_line(c, in);
	}
}

size_t smtp_core_feed(struct smtp_core *c, struct slice in)
{
	size_t at = 0;

	while (at < in.n && c->out.n < OUT_ENOUGH) {
		size_t n = take(c, slice_sub(in, at, in.n));
		if (n == 0)
			break;
		at += n;
	}
	return at;
}

/* ---- life ---- */

struct smtp_core *smtp_core_new(const struct smtp_hooks *hooks, void *arg)
{
	struct smtp_core *c = xcalloc(1, sizeof *c);

	c->hooks = hooks;
	c->arg = arg;
	buf_init(&c->line, SMTP_AUTH_LINE_MAX);
	buf_init(&c->out, OUT_MAX);
	return c;
}

void smtp_core_free(struct smtp_core **c)
{
	if (*c == NULL)
		return;
	smtp_core_sasl_forget(*c);
	if ((*c)->line.p != NULL)
		explicit_bzero((*c)->line.p, (*c)->line.n);
	buf_free(&(*c)->line);
	buf_free(&(*c)->out);
	free((*c)->helo);
	free(*c);
	*c = NULL;
}

void smtp_core_greet(struct smtp_core *c)
{
	struct smtp_options o;

	c->hooks->options(c->arg, &o);
	buf_printf(&c->out, "220 %s ESMTP ofmsrv\r\n", o.hostname);
}

struct buf *smtp_core_out(struct smtp_core *c)
{
	return &c->out;
}

enum smtp_phase smtp_core_phase(const struct smtp_core *c)
{
	switch (c->state) {
	case SMTP_DATA:
	case SMTP_CHUNK:
		return SMTP_PHASE_CONTENT;
	case SMTP_CHECKING:
	case SMTP_STORING:
	case SMTP_HANDSHAKE:
		return SMTP_PHASE_WAIT;
	case SMTP_CLOSED:
		return SMTP_PHASE_CLOSED;
	default:
		return c->line.n > 0 || c->skipping ? SMTP_PHASE_PARTIAL : SMTP_PHASE_COMMAND;
	}
}

bool smtp_core_busy(const struct smtp_core *c)
{
	switch (c->state) {
	case SMTP_MAILED:
	case SMTP_RCPTED:
	case SMTP_BDATED:
	case SMTP_DATA:
	case SMTP_CHUNK:
	case SMTP_STORING:
		return true;
	default:
		return false;
	}
}

const char *smtp_core_helo(const struct smtp_core *c)
{
	return c->helo != NULL ? c->helo : "";
}

bool smtp_core_extended(const struct smtp_core *c)
{
	return c->extended;
}
