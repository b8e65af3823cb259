#include "mail/dot.h"

#include <string.h>

/* Where the codec stands in the line. A CR in AFTER_CR has already been passed on as data; the dot in DOT and the
 * dot and CR in DOT_CR are withheld, since they may be the end mark. */
enum { LINE_START, IN_LINE, AFTER_CR, DOT, DOT_CR };

static const char crlf[] = "\r\n";

/* One call of dot_decode: [run, at) of `in` is decoded and not yet emitted. */
struct decoding {
	struct dot_decoder *d;
	struct slice in;
	size_t run, at;
	void (*emit)(void *arg, struct slice run);
	void *arg;
};

static void flush(struct decoding *c)
{
	if (c->at > c->run)
		c->emit(c->arg, (struct slice){c->in.p + c->run, c->at - c->run});
	c->run = c->at;
}

static void emit_constant(struct decoding *c, const char *p, size_t n)
{
	c->emit(c->arg, (struct slice){p, n});
}

static void decode_line_start(struct decoding *c)
{
	c->d->state = IN_LINE;
	if (c->in.p[c->at] != '.')
		return;
	flush(c);
	c->run = ++c->at;
	c->d->state = DOT;
}

/* The dot was stuffing unless CRLF follows. */
static void decode_dot(struct decoding *c)
{
	c->d->state = IN_LINE;
	if (c->in.p[c->at] != '\r')
		return;
	c->run = ++c->at;
	c->d->state = DOT_CR;
}

static bool decode_dot_cr(struct decoding *c)
{
	if (c->in.p[c->at] == '\n') {
		c->run = ++c->at;
		c->d->state = LINE_START;
		return true;
	}
	emit_constant(c, crlf, 1);
	c->d->state = AFTER_CR;
	return false;
}

static void decode_after_cr(struct decoding *c)
{
	c->d->state = IN_LINE;
	if (c->in.p[c->at] != '\n')
		return;
	c->at++;
	c->d->state = LINE_START;
}

/* The byte before `at` is no CR. */
static void decode_in_line(struct decoding *c)
{
	const char *p = c->in.p;
	const char *lf = memchr(p + c->at, '\n', c->in.n - c->at);

	if (lf == NULL) {
		c->at = c->in.n;
		c->d->state = p[c->at - 1] == '\r' ? AFTER_CR : IN_LINE;
		return;
	}
	bool bare = lf == p + c->at || lf[-1] != '\r';
	c->at = (size_t)(lf - p);
	if (bare && c->d->bare_lf_to_crlf) {
		flush(c);
		emit_constant(c, crlf, 2);
		c->run++;
	}
	c->at++;
	c->d->state = bare ? IN_LINE : LINE_START;
}

void dot_decoder_init(struct dot_decoder *d, bool bare_lf_to_crlf)
{
	*d = (struct dot_decoder){LINE_START, bare_lf_to_crlf};
}

size_t dot_decode(struct dot_decoder *d, struct slice in, void (*emit)(void *arg, struct slice run), void *arg,
                  bool *done)
{
	struct decoding c = {d, in, 0, 0, emit, arg};

	*done = false;
	while (c.at < in.n && !*done) {
		switch (d->state) {
		case LINE_START:
			decode_line_start(&c);
			break;
		case DOT:
			decode_dot(&c);
			break;
		case DOT_CR:
			*done = decode_dot_cr(&c);
			break;
		case AFTER_CR:
			decode_after_cr(&c);
			break;
		default:
			decode_in_line(&c);
		}
	}
	flush(&c);
	return c.at;
}

void dot_encoder_init(struct dot_encoder *e)
{
	e->state = LINE_START;
}

/* Index of the next dot at a line start, at or behind `from`; in.n where there is none. Dots are rarer than line
 * ends, and base64 has none at all. */
static size_t next_leading_dot(const struct dot_encoder *e, struct slice in, size_t from)
{
	while (from < in.n) {
		const char *dot = memchr(in.p + from, '.', in.n - from);
		if (dot == NULL)
			return in.n;
		size_t at = (size_t)(dot - in.p);
		if (at == 0 ? e->state == LINE_START
		            : dot[-1] == '\n' && (at == 1 ? e->state == AFTER_CR : dot[-2] == '\r'))
			return at;
		from = at + 1;
	}
	return in.n;
}

void dot_encode_skip(struct dot_encoder *e, struct slice in)
{
	if (in.n == 0)
		return;
	char last = in.p[in.n - 1];
	bool cr_before = in.n == 1 ? e->state == AFTER_CR : in.p[in.n - 2] == '\r';
	e->state = last == '\r' ? AFTER_CR : last == '\n' && cr_before ? LINE_START : IN_LINE;
}

bool dot_encode(struct dot_encoder *e, struct slice in, struct buf *out)
{
	for (size_t from = 0, dot = 0; from < in.n; from = dot) {
		dot = next_leading_dot(e, in, dot);
		if (!buf_add(out, in.p + from, dot - from))
			return false;
		if (dot == in.n)
			break;
		if (!buf_add(out, "..", 2))
			return false;
		dot++;
	}
	dot_encode_skip(e, in);
	return true;
}

bool dot_encode_end(struct dot_encoder *e, struct buf *out)
{
	bool fits = e->state == LINE_START ? buf_add(out, ".\r\n", 3) : buf_add(out, "\r\n.\r\n", 5);

	e->state = LINE_START;
	return fits;
}

bool dot_needs_stuffing(const struct dot_encoder *e, struct slice in)
{
	return next_leading_dot(e, in, 0) < in.n;
}

/* Index of c at or behind `from`, or s.n. */
static size_t find_from(struct slice s, char c, size_t from)
{
	const char *hit = from < s.n ? memchr(s.p + from, c, s.n - from) : NULL;

	return hit != NULL ? (size_t)(hit - s.p) : s.n;
}

bool crlf_normalize(struct slice in, bool *last_cr, struct buf *out)
{
	size_t at = *last_cr && in.n > 0 && in.p[0] == '\n' ? 1 : 0;
	size_t run = at;
	size_t cr = find_from(in, '\r', at), lf = find_from(in, '\n', at);

	while (cr < in.n || lf < in.n) {
		size_t end = cr < lf ? cr : lf;
		size_t next = lf < in.n && lf == cr + 1 ? lf + 1 : end + 1;
		if (next - end == 1) { /* bare, or a CR as the last byte, whose LF is then dropped */
			if (!buf_add(out, in.p + run, end - run) || !buf_add(out, crlf, 2))
				return false;
			run = next;
		}
		if (cr < next)
			cr = find_from(in, '\r', next);
		if (lf < next)
			lf = find_from(in, '\n', next);
	}
	if (in.n > 0)
		*last_cr = in.p[in.n - 1] == '\r';
	return buf_add(out, in.p + run, in.n - run);
}
