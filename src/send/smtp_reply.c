#include "send/smtp_reply.h"

#include "base/text.h"

#include <string.h>

void smtp_reader_init(struct smtp_reader *r)
{
	*r = (struct smtp_reader){.fresh = true};
	buf_init(&r->reply.text, SMTP_REPLY_TEXT_MAX);
	buf_init(&r->line, SMTP_REPLY_TEXT_MAX);
}

void smtp_reader_free(struct smtp_reader *r)
{
	buf_free(&r->reply.text);
	buf_free(&r->line);
}

static bool digit(char c)
{
	return c >= '0' && c <= '9';
}

/* Takes the number at s.p[*at], at most three digits. */
static bool number(struct slice s, size_t *at)
{
	size_t from = *at;

	while (*at < s.n && *at - from < 4 && digit(s.p[*at]))
		(*at)++;
	return *at > from && *at - from <= 3;
}

static void find_status(struct smtp_reply *r, struct slice text)
{
	size_t at = 1;

	r->status[0] = '\0';
	if (text.n < 5 || text.p[0] != (char)('0' + r->code / 100) || text.p[at++] != '.' || !number(text, &at))
		return;
	if (at >= text.n || text.p[at++] != '.' || !number(text, &at) || (at < text.n && text.p[at] != ' '))
		return;
	memcpy(r->status, text.p, at);
	r->status[at] = '\0';
}

static void add_cut(struct buf *b, struct slice s)
{
	buf_add_slice(b, slice_sub(s, 0, b->max - b->n));
}

static void start_reply(struct smtp_reader *r)
{
	buf_clear(&r->reply.text);
	r->reply.code = 0;
	r->reply.status[0] = '\0';
	r->lines = 0;
	r->fresh = false;
}

static enum smtp_reading take_line(struct smtp_reader *r)
{
	struct slice s = buf_slice(&r->line);

	if (s.n > 0 && s.p[s.n - 1] == '\r')
		s.n--;
	if (s.n < 3 || s.p[0] < '2' || s.p[0] > '5' || !digit(s.p[1]) || !digit(s.p[2]) ||
	    (s.n > 3 && s.p[3] != ' ' && s.p[3] != '-') || slice_find(s, '\0') != s.n)
		return SMTP_READ_BAD;
	int code = (s.p[0] - '0') * 100 + (s.p[1] - '0') * 10 + (s.p[2] - '0');
	struct slice text = slice_sub(s, 4, s.n);
	if (++r->lines > SMTP_REPLY_LINES_MAX || (r->lines > 1 && code != r->reply.code))
		return SMTP_READ_BAD;
	r->reply.code = code;
	if (r->lines == 1)
		find_status(&r->reply, text);
	else
		add_cut(&r->reply.text, slice_of("\n"));
	add_cut(&r->reply.text, text);
	bool more = s.n > 3 && s.p[3] == '-';
	buf_clear(&r->line);
	r->line_bytes = 0;
	return more ? SMTP_READ_MORE : SMTP_READ_DONE;
}

enum smtp_reading smtp_reader_feed(struct smtp_reader *r, struct slice in, size_t *used)
{
	*used = 0;
	if (r->fresh && in.n > 0)
		start_reply(r);
	while (*used < in.n) {
		struct slice rest = slice_sub(in, *used, in.n);
		size_t eol = slice_find(rest, '\n');

		r->line_bytes += eol;
		if (r->line_bytes > SMTP_REPLY_LINE_MAX)
			return SMTP_READ_BAD;
		add_cut(&r->line, slice_sub(rest, 0, eol));
		if (eol == rest.n) {
			*used = in.n;
			break;
		}
		*used += eol + 1;
		enum smtp_reading got = take_line(r);
		if (got == SMTP_READ_DONE)
			r->fresh = true;
		if (got != SMTP_READ_MORE)
			return got;
	}
	return SMTP_READ_MORE;
}

char *smtp_reply_show(const struct smtp_reply *r)
{
	struct buf flat, out;

	buf_init(&flat, SMTP_REPLY_TEXT_MAX);
	buf_init(&out, SMTP_REPLY_SHOWN_MAX + 64);
	buf_add_slice(&flat, buf_slice(&r->text));
	for (size_t i = 0; i < flat.n; i++)
		if (flat.p[i] == '\n' || flat.p[i] == '\t')
			flat.p[i] = ' ';
	buf_printf(&out, "%03d%s", r->code, flat.n > 0 ? " " : "");
	text_escape(&out, buf_slice(&flat), SMTP_REPLY_SHOWN_MAX);
	buf_free(&flat);
	return buf_steal(&out);
}

static void cap(struct smtp_caps *caps, struct slice line)
{
	struct slice word = slice_sub(line, 0, slice_find(line, ' '));
	struct slice value = slice_trim(slice_sub(line, word.n, line.n));

	if (slice_is_nocase(word, "PIPELINING"))
		caps->pipelining = true;
	else if (slice_is_nocase(word, "CHUNKING"))
		caps->chunking = true;
	else if (slice_is_nocase(word, "8BITMIME"))
		caps->eight_bit = true;
	else if (slice_is_nocase(word, "SMTPUTF8"))
		caps->smtputf8 = true;
	else if (slice_is_nocase(word, "SIZE")) {
		caps->size = true;
		if (!slice_to_u64(value, UINT64_MAX, &caps->size_max))
			caps->size_max = 0;
	}
}

void smtp_caps_of_ehlo(struct smtp_caps *caps, struct slice text)
{
	size_t eol = slice_find(text, '\n');

	*caps = (struct smtp_caps){0};
	/* The first line is the server's name. */
	while (eol < text.n) {
		text = slice_sub(text, eol + 1, text.n);
		eol = slice_find(text, '\n');
		cap(caps, slice_trim(slice_sub(text, 0, eol)));
	}
}

bool smtp_caps_of_transcript(struct smtp_caps *caps, struct slice transcript)
{
	struct smtp_caps now = {0};
	bool found = false, inside = false;

	*caps = (struct smtp_caps){0};
	while (transcript.n > 0) {
		size_t eol = slice_find(transcript, '\n');
		struct slice line = slice_trim(slice_sub(transcript, 0, eol));

		transcript = slice_sub(transcript, eol + 1, transcript.n);
		if (line.n < 3 || !slice_starts_nocase(line, "250")) {
			inside = false;
			continue;
		}
		if (!inside)
			now = (struct smtp_caps){0};
		else
			cap(&now, slice_sub(line, 4, line.n));
		inside = line.n > 3 && line.p[3] == '-';
		if (!inside) {
			*caps = now;
			found = true;
		}
	}
	return found;
}
