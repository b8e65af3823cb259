/* The SMTP engine under any bytes. Whatever comes: replies are well-formed lines, hooks are called in order and with
 * harmless addresses, and how the bytes are cut into pieces changes nothing. */
#include "base/alloc.h"
#include "base/text.h"
#include "smtp/core.h"

#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

enum { RECORD_MAX = 16 * 1024 * 1024 };

struct run {
	struct smtp_core *core;
	struct smtp_options options, last; /* as they are; as the engine saw them last */
	unsigned asked;
	bool vary;
	struct buf said, told;
	bool mailed, content, tls, login, ended;
};

static void check(bool ok)
{
	if (!ok)
		abort();
}

/* Reloads may come between any two commands. */
static void options(void *arg, struct smtp_options *out)
{
	struct run *r = arg;
	unsigned dice = ++r->asked * 2654435761U >> 24;

	if (r->vary) {
		r->options.tls_offered = dice & 1;
		r->options.auth = dice & 6 ? AUTH_OFFER_OPTIONAL : AUTH_OFFER_OFF;
		r->options.auth_tls = (dice & 24) == 0;
	}
	r->last = r->options;
	*out = r->options;
}

static void check_address(const struct address *a)
{
	char *text = address_format(a);

	for (const char *p = text; *p != '\0'; p++)
		check((unsigned char)*p >= ' ' && *p != 0x7f);
	check(utf8_valid(slice_of(text)));
	for (const char *p = a->domain; *p != '\0'; p++)
		check(*p > ' ' && *p < 0x7f);
	free(text);
}

static const char *mail(void *arg, const struct smtp_mail *m)
{
	struct run *r = arg;

	check(!r->mailed);
	check_address(&m->from);
	r->mailed = m->from.local[0] != 'x';
	buf_printf(&r->told, "mail %s %d %llu %d %d\n", m->from.local, m->has_size, (unsigned long long)m->size,
	           m->eight_bit, m->utf8);
	return r->mailed ? NULL : "550 5.7.1 not you";
}

static const char *rcpt(void *arg, const struct address *to)
{
	struct run *r = arg;

	check(r->mailed && to->local[0] != '\0');
	check_address(to);
	buf_printf(&r->told, "rcpt %s\n", to->local);
	return to->local[0] == 'x' ? "550 5.1.1 no such user here" : NULL;
}

static const char *content_begin(void *arg)
{
	struct run *r = arg;

	check(r->mailed && !r->content);
	r->content = true;
	buf_add_str(&r->told, "begin\n");
	return NULL;
}

static void content(void *arg, struct slice run)
{
	struct run *r = arg;

	check(r->content && !r->ended);
	buf_add_slice(&r->told, run);
}

static void content_end(void *arg)
{
	struct run *r = arg;

	check(r->content);
	r->ended = true;
	buf_add_str(&r->told, "end\n");
}

static void reset(void *arg)
{
	struct run *r = arg;

	check(!r->ended);
	r->mailed = r->content = false;
}

static void login(void *arg, struct slice name, struct slice password)
{
	struct run *r = arg;

	check(r->last.auth != AUTH_OFFER_OFF && (r->last.secure || !r->last.auth_tls));
	buf_printf(&r->told, "login %zu %zu\n", name.n, password.n);
	r->login = true;
}

static void start_tls(void *arg)
{
	struct run *r = arg;

	check(r->last.tls_offered && !r->last.secure);
	r->tls = true;
}

static void forget_login(void *arg)
{
	buf_add_str(&((struct run *)arg)->told, "forget\n");
}

static const struct smtp_hooks hooks = {options,     mail,  rcpt,  content_begin, content,
                                        content_end, reset, login, start_tls,     forget_login};

/* Gives the answers that the engine waits for. */
static void answer(struct run *r)
{
	if (r->ended) {
		r->ended = r->content = r->mailed = false;
		smtp_core_content_done(r->core, "250 2.0.0 kept");
	} else if (r->login) {
		r->login = false;
		smtp_core_login_done(r->core, true);
	} else if (r->tls) {
		r->tls = false;
		r->options.secure = true;
		smtp_core_secured(r->core);
	} else {
		abort();
	}
}

static void drain(struct run *r)
{
	struct buf *out = smtp_core_out(r->core);

	check(buf_add_slice(&r->said, buf_slice(out)));
	buf_clear(out);
}

static void feed(struct run *r, struct slice in, size_t piece)
{
	size_t at = 0;

	while (at < in.n) {
		size_t n = smtp_core_feed(r->core, slice_sub(in, at, piece));
		bool said = smtp_core_out(r->core)->n > 0;
		drain(r);
		at += n;
		if (smtp_core_phase(r->core) == SMTP_PHASE_WAIT)
			answer(r);
		else
			check(n > 0 || said);
		drain(r);
	}
}

static void check_replies(const struct buf *said)
{
	size_t at = 0;

	while (at < said->n) {
		const char *end = memmem(said->p + at, said->n - at, "\r\n", 2);
		check(end != NULL);
		const char *line = said->p + at;
		check(end - line >= 4 && line[0] >= '2' && line[0] <= '5' && (line[3] == ' ' || line[3] == '-'));
		for (const char *p = line; p < end; p++)
			check(*p >= ' ' && *p < 0x7f);
		at = (size_t)(end - said->p) + 2;
	}
}

static void start(struct run *r, uint8_t flags)
{
	*r = (struct run){.options = {.hostname = "gate.example",
	                              .tls_offered = flags & 1,
	                              .auth = flags & 2 ? AUTH_OFFER_OPTIONAL : AUTH_OFFER_OFF,
	                              .auth_tls = flags & 4},
	                  .vary = flags & 8};
	buf_init(&r->said, RECORD_MAX);
	buf_init(&r->told, RECORD_MAX);
	r->core = smtp_core_new(&hooks, r);
	smtp_core_greet(r->core);
}

static void stop(struct run *r)
{
	smtp_core_free(&r->core);
	buf_free(&r->said);
	buf_free(&r->told);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct run whole, pieces;

	if (size < 2 || size > 256 * 1024)
		return 0;
	struct slice in = slice_make((const char *)data + 2, size - 2);
	start(&whole, data[0]);
	start(&pieces, data[0]);
	feed(&whole, in, SIZE_MAX);
	feed(&pieces, in, (size_t)data[1] % 61 + 1);
	check_replies(&whole.said);
	check(slice_eq(buf_slice(&whole.said), buf_slice(&pieces.said)));
	check(slice_eq(buf_slice(&whole.told), buf_slice(&pieces.told)));
	stop(&whole);
	stop(&pieces);
	return 0;
}
