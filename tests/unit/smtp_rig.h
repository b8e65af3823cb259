/* The SMTP engine on a rig: scripts say something to it, and see what it answers and tells. */
#ifndef OFM_TESTS_SMTP_RIG_H
#define OFM_TESTS_SMTP_RIG_H

#include "base/alloc.h"
#include "smtp/core.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

struct rig {
	struct smtp_core *core;
	struct smtp_options options;
	bool later;      /* log-ins and messages are answered by hand */
	struct buf told; /* events, one a line */
	struct buf content;
	size_t contents;
};

static inline void hook_options(void *arg, struct smtp_options *out)
{
	*out = ((struct rig *)arg)->options;
}

static const char *hook_mail(void *arg, const struct smtp_mail *m)
{
	struct rig *r = arg;
	char *text = address_format(&m->from);

	buf_printf(&r->told, "mail %s", text);
	if (m->has_size)
		buf_printf(&r->told, " %llu", (unsigned long long)m->size);
	buf_printf(&r->told, "%s%s\n", m->eight_bit ? " 8" : "", m->utf8 ? " utf8" : "");
	free(text);
	return strcmp(m->from.local, "refused") == 0 ? "550 5.7.1 not you" : NULL;
}

static const char *hook_rcpt(void *arg, const struct address *to)
{
	struct rig *r = arg;
	char *text = address_format(to);

	buf_printf(&r->told, "rcpt %s\n", text);
	free(text);
	return strcmp(to->local, "nobody") == 0 ? "550 5.1.1 no such user here" : NULL;
}

static const char *hook_begin(void *arg)
{
	struct rig *r = arg;

	buf_clear(&r->content);
	buf_add_str(&r->told, "begin\n");
	return NULL;
}

static inline void hook_content(void *arg, struct slice run)
{
	buf_add_slice(&((struct rig *)arg)->content, run);
}

static inline void hook_end(void *arg)
{
	struct rig *r = arg;

	r->contents++;
	buf_printf(&r->told, "end %zu\n", r->content.n);
	if (!r->later)
		smtp_core_content_done(r->core, "250 2.0.0 kept");
}

static inline void hook_reset(void *arg)
{
	(void)arg;
}

static inline void hook_login(void *arg, struct slice name, struct slice password)
{
	struct rig *r = arg;

	buf_printf(&r->told, "login %.*s/%.*s\n", (int)name.n, name.p, (int)password.n, password.p);
	if (!r->later)
		smtp_core_login_done(r->core, slice_is(password, "secret"));
}

static inline void hook_tls(void *arg)
{
	buf_add_str(&((struct rig *)arg)->told, "tls\n");
}

static inline void hook_forget(void *arg)
{
	buf_add_str(&((struct rig *)arg)->told, "forget\n");
}

static const struct smtp_hooks hooks = {hook_options, hook_mail,  hook_rcpt,  hook_begin, hook_content,
                                        hook_end,     hook_reset, hook_login, hook_tls,   hook_forget};

static inline void set_up(struct rig *r)
{
	*r = (struct rig){.options = {.hostname = "gate", .auth = AUTH_OFFER_OPTIONAL}};
	buf_init(&r->told, 1 << 20);
	buf_init(&r->content, 1 << 20);
	r->core = smtp_core_new(&hooks, r);
}

static inline void tear_down(struct rig *r)
{
	smtp_core_free(&r->core);
	buf_free(&r->told);
	buf_free(&r->content);
}

/* Feeds in pieces, collecting the answers; returns how much was taken. */
static inline size_t feed(struct rig *r, struct slice in, size_t piece, struct buf *answers)
{
	size_t at = 0;

	while (at < in.n) {
		size_t n = smtp_core_feed(r->core, slice_sub(in, at, piece));
		struct buf *out = smtp_core_out(r->core);
		buf_add_slice(answers, buf_slice(out));
		if (n == 0 && out->n == 0)
			break;
		buf_clear(out);
		at += n;
	}
	return at;
}

/* Says text and gives the codes of the answers, as "250 250- 354". */
static const char *say(struct rig *r, struct slice in)
{
	static char codes[4096];
	struct buf answers;

	buf_init(&answers, 1 << 20);
	feed(r, in, SIZE_MAX, &answers);
	codes[0] = '\0';
	char *text = buf_steal(&answers);
	for (char *line = strtok(text, "\r\n"); line != NULL; line = strtok(NULL, "\r\n")) {
		size_t n = strlen(codes), keep = line[3] == '-' ? 4 : 3;
		if (n + keep + 2 < sizeof codes)
			snprintf(codes + n, sizeof codes - n, "%s%.*s", n > 0 ? " " : "", (int)keep, line);
	}
	free(text);
	return codes;
}

static const char *say_text(struct rig *r, const char *text)
{
	return say(r, slice_of(text));
}

static inline void expect(struct rig *r, const char *text, const char *codes)
{
	const char *got = say_text(r, text);

	if (strcmp(got, codes) != 0)
		fail_msg("%.200s -> %s, not %s", text, got, codes);
}

/* The answer to EHLO: without log-in and TLS, and with log-in. */
#define EHLO_BARE "250- 250- 250- 250- 250- 250- 250- 250"
#define EHLO_CODES "250- " EHLO_BARE

static const char ehlo_codes[] = EHLO_CODES;

#define TO_DATA "HELO pc\r\nMAIL FROM:<a@b.c>\r\nRCPT TO:<x@y.z>\r\nDATA\r\n"

#endif
