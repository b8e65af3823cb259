#include "pop3/render.h"

#include <string.h>

void pop3_render_init(struct pop3_render *r, bool mend_lf, int64_t top)
{
	*r = (struct pop3_render){
	    .mend_lf = mend_lf, .headers = top >= 0, .lines = top, .line_start = true, .empty_line = true};
}

/* Counts a line for TOP. */
static void line_ended(struct pop3_render *r, bool empty)
{
	if (r->lines < 0)
		return;
	if (r->headers)
		r->headers = !empty;
	else
		r->lines--;
	r->done = !r->headers && r->lines == 0;
}

/* A run [from, to) that begins inside a line; with_lf: its last byte is the LF. */
static void put_run(struct pop3_render *r, const char *from, const char *to, bool with_lf, struct buf *out)
{
	size_t n = (size_t)(to - from), text = with_lf ? n - 1 : n;
	bool cr = text > 0 ? from[text - 1] == '\r' : r->after_cr;
	bool empty = r->empty_line && (text == 0 || (text == 1 && cr && r->line_start));

	/* A dot behind a bare LF is stuffed too: most clients take that LF for a line end, and would else take
	 * LF.CRLF for the end of the message. */
	if (r->line_start && from[0] == '.')
		buf_add_char(out, '.');
	if (with_lf && r->mend_lf && !cr) {
		buf_add(out, from, text);
		buf_add(out, "\r\n", 2);
	} else {
		buf_add(out, from, n);
	}
	r->any = true;
	r->line_start = with_lf;
	r->empty_line = with_lf || empty;
	r->after_crlf = with_lf && (cr || r->mend_lf);
	r->after_cr = !with_lf && cr;
	if (with_lf)
		line_ended(r, empty);
}

/* Where nothing has to be changed or counted, whole runs of lines are copied at once: up to a dot at a line start. */
static const char *plain_run(const char *p, const char *end)
{
	const char *stop = memmem(p, (size_t)(end - p), "\n.", 2);

	if (stop == NULL)
		stop = memrchr(p, '\n', (size_t)(end - p));
	return stop;
}

void pop3_render(struct pop3_render *r, struct slice in, struct buf *out)
{
	const char *p = in.p, *end = in.p + in.n;
	bool fast = !r->mend_lf && r->lines < 0;

	while (p < end && !r->done) {
		const char *lf = fast ? plain_run(p, end) : memchr(p, '\n', (size_t)(end - p));
		const char *to = lf != NULL ? lf + 1 : end;

		put_run(r, p, to, lf != NULL, out);
		p = to;
	}
}

static bool changes(const char *p, size_t i, bool mend_lf)
{
	return p[i] == '\n' && (p[i + 1] == '.' || (mend_lf && p[i - 1] != '\r'));
}

/* Whether a line of p[1] … p[n - 2] would be changed. In blocks of a known size, which the compiler turns into a few
 * wide instructions: memmem takes several times as long. */
static bool any_changes(const char *p, size_t n, bool mend_lf)
{
	enum { BLOCK = 256 };
	const unsigned char mend = mend_lf;
	size_t i = 1;

	for (; i + BLOCK < n; i += BLOCK) {
		const char *before = p + i - 1, *at = p + i, *after = p + i + 1;
		unsigned char any = 0;

		for (size_t k = 0; k < BLOCK; k++)
			any |= (unsigned char)((at[k] == '\n') & ((after[k] == '.') | (mend & (before[k] != '\r'))));
		if (any != 0)
			return true;
	}
	for (; i + 1 < n; i++)
		if (changes(p, i, mend_lf))
			return true;
	return false;
}

/* The ends, of which one neighbour is in another piece. */
static bool ends_change(const struct pop3_render *r, struct slice in)
{
	const char first = in.p[0], last = in.p[in.n - 1];

	if (r->line_start && first == '.')
		return true;
	if (first == '\n' && ((r->mend_lf && !r->after_cr) || (in.n > 1 && in.p[1] == '.')))
		return true;
	return in.n > 1 && r->mend_lf && last == '\n' && in.p[in.n - 2] != '\r';
}

bool pop3_render_as_is(struct pop3_render *r, struct slice in)
{
	if (r->lines >= 0 || in.n == 0 || ends_change(r, in) || any_changes(in.p, in.n, r->mend_lf))
		return false;
	const char *lf = memrchr(in.p, '\n', in.n), *end = in.p + in.n;
	const char *rest = lf != NULL ? lf + 1 : in.p;
	struct buf none;

	/* For what the end leaves behind: all that the next piece has to know. */
	buf_init(&none, 0);
	if (lf != NULL)
		put_run(r, in.p, rest, true, &none);
	if (rest < end)
		put_run(r, rest, end, false, &none);
	buf_free(&none);
	return true;
}

void pop3_render_end(struct pop3_render *r, struct buf *out)
{
	if (r->any && !r->after_crlf)
		buf_add_str(out, r->after_cr ? "\n" : "\r\n");
	buf_add_str(out, ".\r\n");
}
