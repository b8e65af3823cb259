/* The POP3 server's core and its message renderer under arbitrary bytes, cut in arbitrary pieces. */
#include "base/alloc.h"
#include "pop3/core.h"
#include "pop3/render.h"

#include <stdlib.h>
#include <string.h>

enum { MESSAGES = 9 };

struct run {
	struct pop3_core core;
	struct maildir_list list;
	struct maildir_entry entries[MESSAGES];
	unsigned char seed;
	uint64_t status_lines, commands;
	bool over;
};

static void need(bool ok)
{
	if (!ok)
		abort();
}

static unsigned char dice(struct run *r)
{
	r->seed = (unsigned char)(r->seed * 61 + 7);
	return r->seed;
}

/* Everything that is said are whole lines; nothing said holds a NUL. */
static void check_out(const struct buf *out)
{
	need(out->n <= POP3_OUT_MAX);
	if (out->n > 0)
		need(out->n >= 2 && memcmp(out->p + out->n - 2, "\r\n", 2) == 0);
	need(out->n == 0 || memchr(out->p, '\0', out->n) == NULL);
}

static void check_counts(const struct pop3_core *c)
{
	size_t left = 0;
	uint64_t octets = 0;

	if (c->state != POP3_TRANSACTION)
		return;
	for (size_t i = 0; i < c->list->n; i++)
		if (!pop3_core_deleted(c, i)) {
			left++;
			octets += c->list->v[i].size;
		}
	need(left == c->left && octets == c->left_octets);
	need(pop3_core_deletions(c) == c->list->n - left);
}

static void login(struct run *r, struct buf *out)
{
	static const enum pop3_login how[] = {POP3_LOGIN_OK, POP3_LOGIN_OK, POP3_LOGIN_WRONG, POP3_LOGIN_IN_USE,
	                                      POP3_LOGIN_TEMP};
	enum pop3_login v = how[dice(r) % 5];

	need(r->core.state == POP3_AUTHORIZATION && r->core.offer.login);
	need(r->core.login_user != NULL && r->core.login_password != NULL);
	need(strlen(r->core.login_user) < POP3_AUTH_MAX);
	pop3_core_login(&r->core, v, v == POP3_LOGIN_OK ? &r->list : NULL, dice(r) % 3 - 1, out);
	need(r->core.login_password == NULL);
}

static void fulfil(struct run *r, enum pop3_step wish, struct buf *out)
{
	struct pop3_offer offer = {.login = true, .expire = 3};

	switch (wish) {
	case POP3_WANTS_LOGIN:
		login(r, out);
		break;
	case POP3_WANTS_TLS:
		need(r->core.offer.stls && r->core.state == POP3_AUTHORIZATION);
		pop3_core_secured(&r->core, &offer);
		break;
	case POP3_WANTS_MESSAGE:
		need(r->core.state == POP3_TRANSACTION && r->core.message < MESSAGES);
		need(!pop3_core_deleted(&r->core, r->core.message) && r->core.top >= -1);
		if (dice(r) % 4 == 0)
			pop3_core_failed(&r->core, dice(r) % 2 == 0, out);
		else
			pop3_core_sent(&r->core);
		break;
	case POP3_WANTS_COMMIT:
		need(pop3_core_deletions(&r->core) > 0);
		pop3_core_committed(&r->core, dice(r) % 2 == 0, out);
		break;
	case POP3_WANTS_CLOSE:
		r->over = true;
		break;
	case POP3_WANTS_INPUT:
	case POP3_WANTS_OUTPUT:
		break;
	}
}

/* As reloads do. */
static void change_offer(struct run *r)
{
	struct pop3_offer offer = r->core.offer;
	unsigned char d = dice(r);

	if (d % 16 == 0)
		offer.stls = !offer.stls;
	if (d % 16 == 1)
		offer.login = !offer.login;
	pop3_core_offer(&r->core, &offer);
}

static void feed(struct run *r, struct slice in)
{
	struct buf out;
	enum pop3_step wish;

	buf_init(&out, POP3_OUT_MAX);
	do {
		size_t before = in.n;

		change_offer(r);
		wish = pop3_core_run(&r->core, &in, &out);
		need(in.n <= before);
		need(wish != POP3_WANTS_INPUT || in.n == 0);
		check_out(&out);
		fulfil(r, wish, &out);
		check_out(&out);
		check_counts(&r->core);
		need(r->core.line.n <= POP3_AUTH_MAX);
		buf_clear(&out);
	} while (wish != POP3_WANTS_INPUT && !r->over);
	buf_free(&out);
}

/* Rendered text ends as it must, holds no dot alone on a line before, and does not depend on the pieces. */
static void render(struct run *r, struct slice text)
{
	int64_t top = dice(r) % 4 == 0 ? dice(r) % 5 : -1;
	bool mend = dice(r) % 2 == 0;
	struct pop3_render whole, pieces;
	struct buf a, b;

	buf_init(&a, 2 * text.n + 64);
	buf_init(&b, 2 * text.n + 64);
	pop3_render_init(&whole, mend, top);
	pop3_render_init(&pieces, mend, top);
	pop3_render(&whole, text, &a);
	for (size_t at = 0, n; at < text.n && !pieces.done; at += n) {
		n = 1 + dice(r) % 9;
		pop3_render(&pieces, slice_sub(text, at, n), &b);
	}
	pop3_render_end(&whole, &a);
	pop3_render_end(&pieces, &b);
	need(slice_eq(buf_slice(&a), buf_slice(&b)));
	need(a.n >= 3 && memcmp(a.p + a.n - 3, ".\r\n", 3) == 0);
	need(a.n == 3 || memcmp(a.p + a.n - 5, "\r\n", 2) == 0);
	need(a.n == 3 || memcmp(a.p, ".\r\n", 3) != 0);
	for (size_t i = 0; i + 6 < a.n; i++)
		need(a.p[i] != '\n' || a.p[i + 1] != '.' || a.p[i + 2] == '.' || i + 4 >= a.n);
	buf_free(&a);
	buf_free(&b);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static const char *const names[] = {"1700000000.00112233445566778899,S=5", "x", "with space", ""};
	struct run r = {.seed = size > 0 ? data[0] : 0};
	struct pop3_offer offer = {.stls = size % 2 == 0, .login = size % 3 != 0, .expire = -1};
	struct slice text = slice_make((const char *)data, size);

	for (size_t i = 0; i < MESSAGES; i++) {
		r.entries[i] = (struct maildir_entry){.name = (char *)(uintptr_t)names[i % 4], .size = i * 1000};
		r.list.total += i * 1000;
	}
	r.list.v = r.entries;
	r.list.n = MESSAGES;
	pop3_core_init(&r.core, &offer);
	for (size_t at = 0, n; at < size && !r.over; at += n) {
		n = 1 + (dice(&r) % 4 == 0 ? dice(&r) % 8 : (size_t)dice(&r) * 64);
		feed(&r, slice_sub(text, at, n));
	}
	pop3_core_free(&r.core);
	render(&r, text);
	return 0;
}
