#include "mail/blind.h"

#include "mail/rewrite.h"

#include <string.h>

/* At a line's start; in its name, which is held back; in the rest of it; behind the header section. */
enum { START, NAME, LINE, BODY };

enum { HELD_MAX = 1024 }; /* blanks may stand between name and colon */

void blind_init(struct blind_filter *f, uint64_t most)
{
	*f = (struct blind_filter){.state = START, .left = most};
	buf_init(&f->held, HELD_MAX);
}

void blind_free(struct blind_filter *f)
{
	buf_free(&f->held);
}

static bool let_go(struct blind_filter *f, struct buf *out)
{
	bool fits = buf_add_slice(out, buf_slice(&f->held));

	buf_clear(&f->held);
	return fits;
}

/* Whether what is held is the name of a blind field, up to its colon. */
static bool holds_blind(const struct blind_filter *f)
{
	return rewrite_is_blind(slice_trim(buf_slice(&f->held)));
}

/* The line is known now: its beginning is dropped or let go. */
static bool decide(struct blind_filter *f, bool blind, struct buf *out)
{
	f->state = LINE;
	f->dropping = blind;
	if (!blind)
		return let_go(f, out);
	buf_clear(&f->held);
	return true;
}

static bool take_char(struct blind_filter *f, char c, struct buf *out)
{
	if (f->state == START && (c == ' ' || c == '\t')) { /* goes on with the field before it */
		f->state = LINE;
		return f->dropping || buf_add_char(out, c);
	}
	if (c == '\n') {
		bool empty = f->held.n == 0 || (f->held.n == 1 && f->held.p[0] == '\r');
		bool fits = let_go(f, out) && buf_add_char(out, c);
		f->state = empty ? BODY : START;
		f->dropping = false;
		return fits;
	}
	f->state = NAME;
	if (c == ':')
		return holds_blind(f) ? decide(f, true, out) : decide(f, false, out) && buf_add_char(out, c);
	if (buf_add_char(&f->held, c))
		return true;
	return holds_blind(f) ? decide(f, true, out) : decide(f, false, out) && buf_add_char(out, c);
}

/* The rest of a line, as far as it is here. Returns its length. */
static size_t take_line(struct blind_filter *f, struct slice s, struct buf *out, bool *fits)
{
	const char *lf = memchr(s.p, '\n', s.n);
	size_t n = lf != NULL ? (size_t)(lf - s.p) + 1 : s.n;

	if (!f->dropping)
		*fits = buf_add(out, s.p, n);
	if (lf != NULL)
		f->state = START;
	return n;
}

bool blind_add(struct blind_filter *f, struct slice in, struct buf *out)
{
	struct slice s = slice_sub(in, 0, f->left < in.n ? (size_t)f->left : in.n);
	bool fits = true;
	size_t at = 0;

	while (at < s.n && fits && f->state != BODY) {
		if (f->state == LINE)
			at += take_line(f, slice_sub(s, at, s.n), out, &fits);
		else
			fits = take_char(f, s.p[at++], out);
	}
	f->left -= at;
	if (f->left == 0 && f->state != BODY) {
		fits = fits && let_go(f, out);
		f->state = BODY;
	}
	return fits && (f->state != BODY || buf_add_slice(out, slice_sub(in, at, in.n)));
}

bool blind_end(struct blind_filter *f, struct buf *out)
{
	return let_go(f, out);
}
