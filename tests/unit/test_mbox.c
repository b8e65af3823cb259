/* mbox files in pieces: what is read does not depend on where the pieces end, and no size is too large. */
#include "../../gui-less/mbox.c"
#include "base/alloc.h"
#include "base/buf.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>

#include <cmocka.h>

struct read {
	struct buf text; /* messages, each ended by "|" */
	uint64_t bytes, messages;
	bool counts; /* only */
};

static int on_data(void *arg, struct slice piece)
{
	struct read *r = arg;

	r->bytes += piece.n;
	if (!r->counts)
		buf_add_slice(&r->text, piece);
	return 0;
}

static int on_end(void *arg)
{
	struct read *r = arg;

	r->messages++;
	if (!r->counts)
		buf_add_str(&r->text, "|");
	return 0;
}

/* The messages of a text that comes in pieces of n bytes; "!" behind them where it was cut off. */
static char *read_text(const char *text, size_t n)
{
	struct read to = {.counts = false};
	struct mbox_reader r = {.data = on_data, .end = on_end, .arg = &to};
	struct slice rest = slice_of(text);
	struct err e;

	buf_init(&to.text, 65536);
	while (rest.n > 0) {
		assert_int_equal(mbox_read(&r, slice_sub(rest, 0, n)), 0);
		rest = slice_sub(rest, n, rest.n);
	}
	if (mbox_read_end(&r, &e) != 0)
		buf_add_str(&to.text, "!");
	return buf_steal(&to.text);
}

static void test_reading(void **state)
{
	static const struct {
		const char *text, *messages;
	} cases[] = {
	    {"From x\nA: 1\n\nbody\n\nFrom y\nB: 2\n\n", "A: 1\r\n\r\nbody\r\n|B: 2\r\n|"},
	    {"From x\r\nA: 1\r\n\r\nbody\r\n\r\nFrom y\r\nB: 2\r\n\r\n", "A: 1\r\n\r\nbody\r\n|B: 2\r\n|"},
	    {"From x\nA: 1\n\n>From here\n>>From there\n> From\nFrom inside\n\n",
	     "A: 1\r\n\r\nFrom here\r\n>From there\r\n> From\r\nFrom inside\r\n|"},
	    {"From x\nFrom y\n\n", "From y\r\n|"},
	    {"From x\n\n\n\n\nFrom y\nB: 2\n\n", "\r\n\r\n\r\n|B: 2\r\n|"},
	    {"From x\n\nFrom y\nB: 2\n\n", "B: 2\r\n|"},
	    {"From x\nA: 1\n\nFro\nFrom\n>\n>>>\n>Fro\nm\r\r\nF\n\n",
	     "A: 1\r\n\r\nFro\r\nFrom\r\n>\r\n>>>\r\n>Fro\r\nm\r\r\nF\r\n|"},
	    {"From x\nA: 1\n\nbody\n", "A: 1\r\n\r\nbody\r\n|"},
	    {"From x\nA: 1\n\nbo", "!"},
	    {"From x\nA: 1\n\nFro", "!"},
	    {"A: 1\n\nbody", "A: 1\r\n\r\nbody\r\n|"},
	    {"A: 1\n\nFrom x\n\n\n", "A: 1\r\n\r\nFrom x\r\n\r\n\r\n|"},
	    {"A: 1\n\n>From x\n", "A: 1\r\n\r\n>From x\r\n|"},
	    {"\nA: 1\n", "\r\nA: 1\r\n|"},
	    {"\r\nA", "\r\nA\r\n|"},
	    {"Fro", "Fro\r\n|"},
	    {">From", ">From\r\n|"},
	    {"", ""},
	};

	(void)state;
	for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++)
		for (size_t n = 1; n < 40; n++) {
			char *got = read_text(cases[i].text, n);
			/* What had come before the cut does not count. */
			bool cut = strchr(cases[i].messages, '!') != NULL;
			if (cut ? strchr(got, '!') == NULL : strcmp(got, cases[i].messages) != 0)
				fail_msg("pieces of %zu of \"%s\": \"%s\"", n, cases[i].text, got);
			free(got);
		}
}

/* Written in pieces, and read back: the message with CRLF and a last line end. */
static void test_writing(void **state)
{
	static const char *const texts[] = {"A: 1\r\n\r\nbody\r\n", "From x\r\n>From y\r\n>>F\r\nFro\r\n\r\n",
	                                    "A: 1\r\n\r\nno end", "\r\r\n\ra\r\n", "A: 1\n\nbare\n"};
	static const char *const written[] = {"A: 1\n\nbody\n\n", ">From x\n>>From y\n>>F\nFro\n\n\n",
	                                      "A: 1\n\nno end\n\n", "\r\n\ra\n\n", "A: 1\n\nbare\n\n"};

	(void)state;
	for (size_t i = 0; i < sizeof texts / sizeof texts[0]; i++)
		for (size_t n = 1; n < 30; n++) {
			char *out = NULL;
			size_t size = 0;
			FILE *f = open_memstream(&out, &size);
			struct mbox_writer w;
			struct slice rest = slice_of(texts[i]);
			mbox_write_begin(&w, f, 0);
			while (rest.n > 0) {
				mbox_write(&w, slice_sub(rest, 0, n));
				rest = slice_sub(rest, n, rest.n);
			}
			mbox_write_end(&w);
			fclose(f);
			assert_memory_equal(out, "From MAILER-DAEMON Thu Jan  1 00:00:00 1970\n", 44);
			assert_string_equal(out + 44, written[i]);
			free(out);
		}
}

/* Five messages of 1 GiB, some of it in one line. */
static void test_five_gibibytes(void **state)
{
	static char piece[1 << 20];
	struct read to = {.counts = true};
	struct mbox_reader r = {.data = on_data, .end = on_end, .arg = &to};
	struct err e;

	(void)state;
	memset(piece, 'x', sizeof piece);
	for (int i = 0; i < 5; i++) {
		assert_int_equal(mbox_read(&r, slice_of("From x\nA: 1\n\n")), 0);
		for (int k = 0; k < 1024; k++)
			assert_int_equal(mbox_read(&r, slice_make(piece, sizeof piece)), 0);
		assert_int_equal(mbox_read(&r, slice_of("\n\n")), 0);
	}
	assert_int_equal(mbox_read_end(&r, &e), 0);
	assert_int_equal(to.messages, 5);
	assert_int_equal(to.bytes, 5 * ((1ULL << 30) + strlen("A: 1\r\n\r\n\r\n")));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(test_reading),
	    cmocka_unit_test(test_writing),
	    cmocka_unit_test(test_five_gibibytes),
	};

	return cmocka_run_group_tests_name("mbox", tests, NULL, NULL);
}
