#include "pop3/core_internal.h"

#include "base/alloc.h"

#include <openssl/crypto.h>
#include <stdlib.h>
#include <string.h>

void pop3_core_init(struct pop3_core *c, const struct pop3_offer *offer)
{
	*c = (struct pop3_core){.offer = *offer, .pending = POP3_WANTS_INPUT};
	buf_init(&c->line, POP3_AUTH_MAX);
}

void pop3_core_offer(struct pop3_core *c, const struct pop3_offer *offer)
{
	c->offer = *offer;
}

void pop3_forget_login(struct pop3_core *c)
{
	free(c->login_user);
	c->login_user = NULL;
	if (c->login_password != NULL)
		OPENSSL_cleanse(c->login_password, c->login_password_len);
	free(c->login_password);
	c->login_password = NULL;
	c->login_password_len = 0;
}

/* The line may hold a password. */
static void line_drop(struct pop3_core *c)
{
	if (c->line.p != NULL)
		OPENSSL_cleanse(c->line.p, c->line.n);
	buf_free(&c->line);
}

void pop3_core_free(struct pop3_core *c)
{
	pop3_forget_login(c);
	line_drop(c);
	free(c->marks);
	c->marks = NULL;
}

void pop3_core_greet(struct buf *out)
{
	/* No timestamp: APOP would need plain passwords here. */
	buf_add_str(out, "+OK POP3 ready\r\n");
}

bool pop3_core_in_line(const struct pop3_core *c)
{
	return c->line.n > 0 || c->skipped > 0;
}

static size_t line_limit(const struct pop3_core *c, struct slice start)
{
	return c->sasl != SASL_NONE || slice_starts_nocase(start, "AUTH ") ? POP3_AUTH_MAX : POP3_LINE_MAX;
}

static void too_long(struct pop3_core *c, struct buf *out)
{
	c->sasl = SASL_NONE;
	c->skipped = 0;
	buf_add_str(out, "-ERR Line too long\r\n");
}

/* The rest of a line that was too long; false where it never ends. */
static bool skip(struct pop3_core *c, struct slice *in, struct buf *out)
{
	size_t n = slice_find(*in, '\n');
	bool whole = n < in->n;

	c->skipped += whole ? n + 1 : n;
	*in = slice_sub(*in, whole ? n + 1 : n, in->n);
	if (c->skipped > POP3_SKIP_MAX) {
		too_long(c, out);
		return false;
	}
	if (whole)
		too_long(c, out);
	return true;
}

static void take_line(struct pop3_core *c, struct slice line, struct buf *out)
{
	if (line.n > 0 && line.p[line.n - 1] == '\r')
		line.n--;
	if (c->sasl != SASL_NONE)
		pop3_sasl_line(c, line, out);
	else
		pop3_command(c, line, out);
}

/* A whole line that lies in the input is used where it lies; else its parts gather. */
static void take(struct pop3_core *c, struct slice *in, struct buf *out)
{
	size_t n = slice_find(*in, '\n');
	bool whole = n < in->n;
	struct slice part = slice_sub(*in, 0, n);
	size_t limit = line_limit(c, c->line.n > 0 ? buf_slice(&c->line) : part);

	if (c->line.n + part.n + 1 > limit) {
		c->skipped = c->line.n + 1;
		line_drop(c);
		return; /* skip() consumes */
	}
	*in = slice_sub(*in, whole ? n + 1 : n, in->n);
	if (whole && c->line.n == 0) {
		take_line(c, part, out);
		return;
	}
	buf_add_slice(&c->line, part);
	if (whole) {
		struct buf line = c->line;

		buf_init(&c->line, POP3_AUTH_MAX);
		take_line(c, buf_slice(&line), out);
		OPENSSL_cleanse(line.p, line.n);
		buf_free(&line);
	}
}

enum pop3_step pop3_core_run(struct pop3_core *c, struct slice *in, struct buf *out)
{
	for (;;) {
		if (c->pending != POP3_WANTS_INPUT)
			return c->pending;
		if (out->n >= POP3_OUT_SOFT)
			return POP3_WANTS_OUTPUT;
		if (c->listing != LISTING_NONE)
			pop3_listing_continue(c, out);
		else if (in->n == 0)
			return POP3_WANTS_INPUT;
		else if (c->skipped == 0)
			take(c, in, out);
		else if (!skip(c, in, out))
			c->pending = POP3_WANTS_CLOSE;
	}
}

/* ---- answers to wishes ---- */

void pop3_wish_login(struct pop3_core *c, struct slice user, struct slice password)
{
	char *name = slice_dup(user), *pass = slice_dup(password);

	pop3_forget_login(c);
	c->login_user = name;
	c->login_password = pass;
	c->login_password_len = password.n;
	c->pending = POP3_WANTS_LOGIN;
}

void pop3_core_login(struct pop3_core *c, enum pop3_login r, const struct maildir_list *list, int64_t expire,
                     struct buf *out)
{
	static const char *const why[] = {
	    [POP3_LOGIN_WRONG] = "-ERR [AUTH] Wrong user name or password\r\n",
	    [POP3_LOGIN_IN_USE] = "-ERR [IN-USE] Another session has this mailbox open\r\n",
	    [POP3_LOGIN_TEMP] = "-ERR [SYS/TEMP] The mailbox cannot be opened now, try later\r\n",
	    [POP3_LOGIN_BANNED] = "-ERR [SYS/TEMP] Too many failed log-ins from your address, try in some minutes\r\n",
	};

	pop3_forget_login(c);
	c->pending = POP3_WANTS_INPUT;
	if (r != POP3_LOGIN_OK) {
		buf_add_str(out, why[r]);
		return;
	}
	c->state = POP3_TRANSACTION;
	c->list = list;
	c->user_expire = expire;
	c->left = list->n;
	c->left_octets = list->total;
	buf_printf(out, "+OK %zu messages (%llu octets)\r\n", c->left, (unsigned long long)c->left_octets);
}

void pop3_core_secured(struct pop3_core *c, const struct pop3_offer *offer)
{
	pop3_core_free(c);
	pop3_core_init(c, offer);
}

void pop3_core_sent(struct pop3_core *c)
{
	if (c->top < 0)
		c->retrieved++;
	else
		c->topped++;
	c->pending = POP3_WANTS_INPUT;
}

void pop3_core_failed(struct pop3_core *c, bool gone, struct buf *out)
{
	c->pending = POP3_WANTS_INPUT;
	buf_add_str(out, gone ? "-ERR This message was removed by another program\r\n"
	                      : "-ERR [SYS/TEMP] This message cannot be read now\r\n");
}

bool pop3_core_deleted(const struct pop3_core *c, size_t message)
{
	return c->marks != NULL && (c->marks[message / 8] >> (message % 8) & 1) != 0;
}

size_t pop3_core_deletions(const struct pop3_core *c)
{
	return c->list != NULL ? c->list->n - c->left : 0;
}

void pop3_core_committed(struct pop3_core *c, bool ok, struct buf *out)
{
	c->state = POP3_ENDED;
	c->pending = POP3_WANTS_CLOSE;
	buf_add_str(out, ok ? "+OK Bye\r\n" : "-ERR [SYS/TEMP] Not all deletions could be made\r\n");
}
