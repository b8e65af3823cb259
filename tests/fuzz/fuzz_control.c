/* The control codec: any bytes, cut anywhere, give the same lines; what parses, formats and parses again alike. */
#include "control/codec.h"

#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void need(bool holds)
{
	if (!holds)
		abort();
}

static bool same_text(const char *a, const char *b)
{
	return (a == NULL) == (b == NULL) && (a == NULL || strcmp(a, b) == 0);
}

static void check_request(struct slice line)
{
	struct control_request r, again;
	struct err e = {.text = ""};

	if (codec_request_parse(line, &r, &e) != 0) {
		need(e.text[0] != '\0');
		return;
	}
	char *text = codec_request_format(&r);
	size_t n = strlen(text);
	need(n > 0 && memchr(text, '\n', n) == text + n - 1);
	need(codec_request_parse(slice_make(text, n - 1), &again, &e) == 0);
	need(again.verb == r.verb && again.wait == r.wait && again.known == r.known);
	need(again.accounts.n == r.accounts.n && same_text(again.what, r.what) && same_text(again.after, r.after));
	for (size_t i = 0; i < r.accounts.n; i++)
		need(strcmp(again.accounts.v[i], r.accounts.v[i]) == 0);
	codec_request_free(&again);
	codec_request_free(&r);
	free(text);
}

/* Any bytes become a line that the other end reads. */
static void check_reply(struct slice bytes)
{
	struct err e;
	json_t *o = codec_ok();

	json_object_set_new(o, "text", codec_text(bytes));
	char *line = codec_line_of(o);
	json_t *back = codec_reply_parse(slice_of(line), &e);
	need(back != NULL);
	json_decref(back);
	free(line);
	back = codec_reply_parse(bytes, &e);
	json_decref(back);
}

/* Returns the number of lines; *hash depends on each of them. */
static unsigned split(struct slice bytes, size_t step, size_t max, uint64_t *hash, bool check)
{
	struct codec_lines l;
	struct slice line;
	unsigned lines = 0;
	enum codec_line got = CODEC_MORE;

	codec_lines_init(&l, max);
	for (size_t at = 0; at < bytes.n && got != CODEC_TOO_LONG; at += step) {
		need(codec_lines_feed(&l, slice_sub(bytes, at, step)));
		while ((got = codec_lines_next(&l, &line)) == CODEC_LINE) {
			need(line.n <= max && slice_find(line, '\n') == line.n);
			lines++;
			for (size_t i = 0; i < line.n; i++)
				*hash = (*hash ^ (uint8_t)line.p[i]) * 1099511628211U;
			*hash = (*hash ^ 256) * 1099511628211U;
			if (check)
				check_request(line);
		}
	}
	codec_lines_free(&l);
	return lines;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct slice bytes = slice_make((const char *)data, size);
	uint64_t a = 14695981039346656037U, b = a;

	if (size == 0)
		return 0;
	unsigned whole = split(bytes, 512, 512, &a, true);
	unsigned cut = split(bytes, 1 + data[0] % 7, 512, &b, false);
	need(whole == cut && a == b);
	check_request(bytes);
	check_reply(bytes);
	return 0;
}
