/* The dot codec: what is encoded in any pieces decodes, in any pieces, to the same bytes; the decoder agrees with one
 * that looks at lines; nothing but the end mark of the encoder looks like one. */
#include "mail/dot.h"

#include "checks.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void emit(void *arg, struct slice run)
{
	need(run.n > 0 && buf_add_slice(arg, run));
}

static bool starts(struct slice s, size_t at, const char *what)
{
	return slice_is(slice_sub(s, at, strlen(what)), what);
}

/* Returns the bytes read. A line starts at the beginning and behind CRLF. */
static size_t naive_decode(struct slice in, bool mend, struct buf *out, bool *done)
{
	bool line_start = true;

	*done = false;
	for (size_t at = 0; at < in.n;) {
		if (line_start && starts(in, at, ".\r\n")) {
			*done = true;
			return at + 3;
		}
		at += line_start && in.p[at] == '.';
		line_start = starts(in, at, "\r\n");
		if (at == in.n)
			break;
		if (line_start) {
			buf_add_str(out, "\r\n");
			at += 2;
		} else if (in.p[at] == '\n' && mend) {
			buf_add_str(out, "\r\n");
			at++;
		} else {
			buf_add_char(out, in.p[at++]);
		}
	}
	return in.n;
}

static size_t decode(struct slice in, size_t piece, bool mend, struct buf *out, bool *done)
{
	struct dot_decoder d;
	size_t at = 0, n;

	*done = false;
	dot_decoder_init(&d, mend);
	while (at < in.n && !*done) {
		struct slice part = slice_sub(in, at, piece);
		n = dot_decode(&d, part, emit, out, done);
		need(n == part.n || (n < part.n && *done));
		at += n;
	}
	return at;
}

/* What the decoder withholds at the end of input that has no end mark: a dot that might begin one. */
static bool agree(const struct buf *naive, const struct buf *got, bool done)
{
	size_t n = naive->n;

	if (!done && got->n + 1 == n && naive->p[n - 1] == '\r')
		n--;
	return got->n == n && (n == 0 || memcmp(naive->p, got->p, n) == 0);
}

static void check_decoder(struct slice in, size_t piece, bool mend)
{
	struct buf naive, whole, pieces;
	bool done[3];

	buf_init(&naive, 2 * in.n);
	buf_init(&whole, 2 * in.n);
	buf_init(&pieces, 2 * in.n);
	size_t n = naive_decode(in, mend, &naive, &done[0]);
	need(decode(in, SIZE_MAX, mend, &whole, &done[1]) == n && done[0] == done[1]);
	need(decode(in, piece, mend, &pieces, &done[2]) == n && done[0] == done[2]);
	need(agree(&naive, &whole, done[0]) && same(buf_slice(&whole), &pieces));
	buf_free(&naive);
	buf_free(&whole);
	buf_free(&pieces);
}

/* Encodes in pieces, those that may be sent as they are by dot_encode_skip. */
static void encode(struct slice in, size_t piece, struct buf *out)
{
	struct dot_encoder e;

	dot_encoder_init(&e);
	for (size_t at = 0; at < in.n; at += piece) {
		struct slice part = slice_sub(in, at, piece);
		size_t before = out->n;
		bool stuffing = dot_needs_stuffing(&e, part);
		if (!stuffing && at % 2 == 0) {
			buf_add_slice(out, part);
			dot_encode_skip(&e, part);
		} else {
			need(dot_encode(&e, part, out));
			need(stuffing == (out->n - before > part.n));
		}
		if (part.n < piece)
			break;
	}
	need(dot_encode_end(&e, out));
}

static void check_round_trip(struct slice in, size_t piece)
{
	struct buf sent, pieces, back;
	bool done;

	buf_init(&sent, 2 * in.n + 8);
	buf_init(&pieces, 2 * in.n + 8);
	buf_init(&back, 2 * in.n + 8);
	encode(in, in.n + 1, &sent);
	encode(in, piece, &pieces);
	need(same(buf_slice(&sent), &pieces));
	need(decode(buf_slice(&sent), piece, false, &back, &done) == sent.n && done);
	struct slice text = buf_slice(&back);
	if (in.n > 0 && (in.n < 2 || !starts(in, in.n - 2, "\r\n"))) {
		need(text.n == in.n + 2 && starts(text, in.n, "\r\n"));
		text.n -= 2;
	}
	need(slice_eq(text, in));
	buf_free(&sent);
	buf_free(&pieces);
	buf_free(&back);
}

static void naive_normalize(struct slice in, struct buf *out)
{
	for (size_t at = 0; at < in.n; at++) {
		if (starts(in, at, "\r\n"))
			at++;
		if (in.p[at] == '\r' || in.p[at] == '\n')
			buf_add_str(out, "\r\n");
		else
			buf_add_char(out, in.p[at]);
	}
}

static void check_normalize(struct slice in, size_t piece)
{
	struct buf naive, got;
	bool last_cr = false;

	buf_init(&naive, 2 * in.n);
	buf_init(&got, 2 * in.n);
	naive_normalize(in, &naive);
	for (size_t at = 0; at < in.n; at += piece)
		need(crlf_normalize(slice_sub(in, at, piece), &last_cr, &got));
	need(same(buf_slice(&naive), &got));
	buf_free(&naive);
	buf_free(&got);
}

static void work(struct slice in)
{
	check_decoder(in, 7, true);
	check_round_trip(in, 7);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct slice in = slice_make((const char *)data, size);
	size_t piece = 1 + take(&in) % 13;

	check_decoder(in, piece, true);
	check_decoder(in, piece, false);
	check_round_trip(in, piece);
	check_normalize(in, piece);
	need_linear(in, work);
	return 0;
}
