#include "pop3/core_internal.h"

#include "base/alloc.h"

#include <stdlib.h>
#include <string.h>

enum { IN_AUTH = 1 << POP3_AUTHORIZATION, IN_TRANS = 1 << POP3_TRANSACTION };

typedef void handler(struct pop3_core *c, struct slice args, struct buf *out);

struct command {
	const char *verb;
	unsigned states;
	bool login; /* one that log-in policy may forbid */
	handler *run;
};

static void set_state(struct pop3_core *c, enum pop3_state s, enum pop3_step wish)
{
	c->state = s;
	c->pending = wish;
}

static void say(struct buf *out, const char *text)
{
	buf_add_str(out, text);
	buf_add_str(out, "\r\n");
}

static bool no_args(struct slice args, struct buf *out)
{
	if (args.n == 0)
		return true;
	say(out, "-ERR This command takes no argument");
	return false;
}

/* ---- before log-in ---- */

static void cmd_user(struct pop3_core *c, struct slice args, struct buf *out)
{
	if (args.n == 0) {
		say(out, "-ERR USER needs a name");
		return;
	}
	pop3_forget_login(c);
	c->login_user = slice_dup(args);
	say(out, "+OK Password?"); /* whether or not there is such a user */
}

static void cmd_pass(struct pop3_core *c, struct slice args, struct buf *out)
{
	char *user = c->login_user;

	if (user == NULL) {
		say(out, "-ERR USER comes first");
		return;
	}
	c->login_user = NULL;
	pop3_wish_login(c, slice_of(user), args);
	free(user);
}

static void cmd_auth(struct pop3_core *c, struct slice args, struct buf *out)
{
	pop3_sasl_command(c, args, out);
}

static void cmd_stls(struct pop3_core *c, struct slice args, struct buf *out)
{
	if (!no_args(args, out))
		return;
	if (!c->offer.stls) {
		say(out, "-ERR TLS is not available here");
		return;
	}
	set_state(c, POP3_AUTHORIZATION, POP3_WANTS_TLS);
	say(out, "+OK Begin TLS");
}

/* ---- both ---- */

static void capa_expire(const struct pop3_core *c, struct buf *out)
{
	bool in = c->state == POP3_TRANSACTION;
	int64_t days = in ? c->user_expire : c->offer.expire;

	if (days < 0)
		say(out, "EXPIRE NEVER");
	else
		buf_printf(out, "EXPIRE %lld%s\r\n", (long long)days, !in && c->offer.expire_varies ? " USER" : "");
}

static void cmd_capa(struct pop3_core *c, struct slice args, struct buf *out)
{
	if (!no_args(args, out))
		return;
	say(out, "+OK Capabilities follow\r\nTOP\r\nUIDL\r\nPIPELINING\r\nRESP-CODES\r\nAUTH-RESP-CODE");
	if (c->offer.login)
		say(out, "USER\r\nSASL PLAIN LOGIN");
	if (c->offer.stls && c->state == POP3_AUTHORIZATION)
		say(out, "STLS");
	say(out, "LOGIN-DELAY 0");
	capa_expire(c, out);
	say(out, "IMPLEMENTATION ofmsrv\r\n.");
}

static void cmd_quit(struct pop3_core *c, struct slice args, struct buf *out)
{
	if (!no_args(args, out))
		return;
	if (pop3_core_deletions(c) > 0) {
		set_state(c, POP3_ENDED, POP3_WANTS_COMMIT);
		return;
	}
	set_state(c, POP3_ENDED, POP3_WANTS_CLOSE);
	say(out, "+OK Bye");
}

/* ---- the mailbox ---- */

/* A message number that is there and not marked; says so otherwise. */
static bool number(const struct pop3_core *c, struct slice text, size_t *index, struct buf *out)
{
	uint64_t v;

	if (!slice_to_u64(text, UINT32_MAX, &v) || v == 0 || v > c->list->n) {
		say(out, "-ERR No such message");
		return false;
	}
	*index = (size_t)v - 1;
	if (pop3_core_deleted(c, *index)) {
		say(out, "-ERR This message is marked as deleted");
		return false;
	}
	return true;
}

static void cmd_stat(struct pop3_core *c, struct slice args, struct buf *out)
{
	if (no_args(args, out))
		buf_printf(out, "+OK %zu %llu\r\n", c->left, (unsigned long long)c->left_octets);
}

static void line_of(const struct pop3_core *c, unsigned char kind, size_t i, struct buf *out)
{
	char id[MAILDIR_UIDL_MAX + 1];

	if (kind == LISTING_SIZES) {
		buf_printf(out, "%zu %llu\r\n", i + 1, (unsigned long long)c->list->v[i].size);
		return;
	}
	maildir_entry_uidl(&c->list->v[i], id);
	buf_printf(out, "%zu %s\r\n", i + 1, id);
}

static void listing(struct pop3_core *c, unsigned char kind, struct slice args, struct buf *out)
{
	size_t i;

	if (args.n == 0) {
		buf_printf(out, "+OK %zu messages (%llu octets)\r\n", c->left, (unsigned long long)c->left_octets);
		c->listing = kind;
		c->listing_next = 0;
	} else if (number(c, args, &i, out)) {
		buf_add_str(out, "+OK ");
		line_of(c, kind, i, out);
	}
}

void pop3_listing_continue(struct pop3_core *c, struct buf *out)
{
	for (; c->listing_next < c->list->n; c->listing_next++) {
		if (out->n >= POP3_OUT_SOFT)
			return;
		if (!pop3_core_deleted(c, c->listing_next))
			line_of(c, c->listing, c->listing_next, out);
	}
	c->listing = LISTING_NONE;
	say(out, ".");
}

static void cmd_list(struct pop3_core *c, struct slice args, struct buf *out)
{
	listing(c, LISTING_SIZES, args, out);
}

static void cmd_uidl(struct pop3_core *c, struct slice args, struct buf *out)
{
	listing(c, LISTING_UIDLS, args, out);
}

static void cmd_retr(struct pop3_core *c, struct slice args, struct buf *out)
{
	if (!number(c, args, &c->message, out))
		return;
	c->top = -1;
	c->pending = POP3_WANTS_MESSAGE;
}

static void cmd_top(struct pop3_core *c, struct slice args, struct buf *out)
{
	size_t sp = slice_find(args, ' ');
	uint64_t lines;

	if (!slice_to_u64(slice_trim(slice_sub(args, sp, args.n)), INT64_MAX, &lines)) {
		say(out, "-ERR TOP needs a message and a number of lines");
		return;
	}
	if (!number(c, slice_sub(args, 0, sp), &c->message, out))
		return;
	c->top = (int64_t)lines;
	c->pending = POP3_WANTS_MESSAGE;
}

static void cmd_dele(struct pop3_core *c, struct slice args, struct buf *out)
{
	size_t i;

	if (!number(c, args, &i, out))
		return;
	if (c->marks == NULL)
		c->marks = xcalloc(c->list->n / 8 + 1, 1);
	c->marks[i / 8] = (unsigned char)(c->marks[i / 8] | 1u << (i % 8));
	c->left--;
	c->left_octets -= c->list->v[i].size;
	say(out, "+OK Marked as deleted");
}

static void cmd_rset(struct pop3_core *c, struct slice args, struct buf *out)
{
	if (!no_args(args, out))
		return;
	free(c->marks);
	c->marks = NULL;
	c->left = c->list->n;
	c->left_octets = c->list->total;
	buf_printf(out, "+OK %zu messages (%llu octets)\r\n", c->left, (unsigned long long)c->left_octets);
}

static void cmd_noop(struct pop3_core *c, struct slice args, struct buf *out)
{
	(void)c;
	if (no_args(args, out))
		say(out, "+OK");
}

/* ---- the table ---- */

static const struct command commands[] = {
    {"USER", IN_AUTH, true, cmd_user},
    {"PASS", IN_AUTH, true, cmd_pass},
    {"AUTH", IN_AUTH, true, cmd_auth},
    {"STLS", IN_AUTH, false, cmd_stls},
    {"CAPA", IN_AUTH | IN_TRANS, false, cmd_capa},
    {"QUIT", IN_AUTH | IN_TRANS, false, cmd_quit},
    {"STAT", IN_TRANS, false, cmd_stat},
    {"LIST", IN_TRANS, false, cmd_list},
    {"UIDL", IN_TRANS, false, cmd_uidl},
    {"RETR", IN_TRANS, false, cmd_retr},
    {"TOP", IN_TRANS, false, cmd_top},
    {"DELE", IN_TRANS, false, cmd_dele},
    {"RSET", IN_TRANS, false, cmd_rset},
    {"NOOP", IN_TRANS, false, cmd_noop},
};

static const struct command *find(struct slice verb)
{
	for (size_t i = 0; i < sizeof commands / sizeof *commands; i++)
		if (slice_is_nocase(verb, commands[i].verb))
			return &commands[i];
	return NULL;
}

static void unknown(struct pop3_core *c, struct buf *out)
{
	if (++c->bad < POP3_BAD_MAX) {
		say(out, "-ERR Unknown command");
		return;
	}
	set_state(c, POP3_ENDED, POP3_WANTS_CLOSE);
	say(out, "-ERR Too many unknown commands");
}

void pop3_say_needs_tls(const struct pop3_core *c, struct buf *out)
{
	say(out, c->offer.stls ? "-ERR Log-in needs TLS: STLS comes first" : "-ERR Log-in needs TLS");
}

void pop3_command(struct pop3_core *c, struct slice line, struct buf *out)
{
	size_t sp = slice_find(line, ' ');
	const struct command *cmd = find(slice_sub(line, 0, sp));
	struct slice args = slice_sub(line, sp + 1, line.n);

	if (cmd == NULL || slice_find(line, '\0') < line.n) {
		unknown(c, out);
		return;
	}
	c->bad = 0;
	if ((cmd->states & 1u << c->state) == 0) {
		say(out, c->state == POP3_TRANSACTION ? "-ERR Not after log-in" : "-ERR Log in first");
		return;
	}
	if (cmd->login && !c->offer.login) {
		pop3_say_needs_tls(c, out);
		return;
	}
	/* A password may begin and end in spaces. */
	cmd->run(c, cmd->run == cmd_pass ? args : slice_trim(args), out);
}
