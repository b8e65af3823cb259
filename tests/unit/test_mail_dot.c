#include "mail/dot.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

static void collect(void *arg, struct slice run)
{
	assert_true(run.n > 0);
	assert_true(buf_add_slice(arg, run));
}

/* `in` up to its end mark must give `out` and leave `rest`. */
struct decode_case {
	const char *in, *out, *rest;
};

#define UNENDED NULL

static const struct decode_case smtp_cases[] = {
    {".\r\n", "", ""},
    {"a\r\n.\r\nQUIT\r\n", "a\r\n", "QUIT\r\n"},
    {"\r\n.\r\n", "\r\n", ""},
    {"..\r\n.\r\n", ".\r\n", ""},
    {"...a\r\n.b\r\n.\r\n", "..a\r\nb\r\n", ""},
    {"a.b\r\n.\r\n", "a.b\r\n", ""},
    {"a\nb\r\n.\r\n", "a\r\nb\r\n", ""},
    {"a\n.\nMAIL\r\n.\r\n", "a\r\n.\r\nMAIL\r\n", ""},
    {"a\n.\r\nMAIL\r\n.\r\n", "a\r\n.\r\nMAIL\r\n", ""},
    {"a\r.\rMAIL\r\n.\r\n", "a\r.\rMAIL\r\n", ""},
    {"a\r\n.\nMAIL\r\n.\r\n", "a\r\n\r\nMAIL\r\n", ""},
    {"a\r\n.\rMAIL\r\n.\r\n", "a\r\n\rMAIL\r\n", ""},
    {"a\r\n.\r\r\n.\r\n", "a\r\n\r\r\n", ""},
    {"a\r.\r\nb\r\n.\r\n", "a\r.\r\nb\r\n", ""},
    {"a\r\r\n.\r\n", "a\r\r\n", ""},
    {"a\n\r\n.\r\n", "a\r\n\r\n", ""},
    {"\n.\r\n.\r\n", "\r\n.\r\n", ""},
    {"a\r\n.", "a\r\n", UNENDED},
    {"a\r\n.\r", "a\r\n", UNENDED},
    {"a\r\n\n.\r\n", "a\r\n\r\n.\r\n", UNENDED},
    {"abc", "abc", UNENDED},
};

/* Feeds pieces of `step` bytes. */
static void check_decode(const struct decode_case *c, bool smtp, size_t step)
{
	struct dot_decoder d;
	struct buf out;
	bool done = false;
	size_t at = 0, n = strlen(c->in);

	buf_init(&out, 1 << 20);
	dot_decoder_init(&d, smtp);
	while (at < n && !done) {
		struct slice piece = slice_sub(slice_of(c->in), at, step);
		size_t used = dot_decode(&d, piece, collect, &out, &done);
		assert_true(done || used == piece.n);
		at += used;
	}
	assert_int_equal(done, c->rest != UNENDED);
	assert_string_equal(buf_str(&out), c->out);
	if (c->rest != UNENDED)
		assert_string_equal(c->in + at, c->rest);
	buf_free(&out);
}

static void test_decode_smtp(void **state)
{
	(void)state;
	for (size_t i = 0; i < sizeof smtp_cases / sizeof *smtp_cases; i++)
		for (size_t step = 1; step < 30; step++)
			check_decode(&smtp_cases[i], true, step);
}

static void test_decode_keeps_bare_lf(void **state)
{
	static const struct decode_case cases[] = {
	    {"a\nb\r\n.\r\n", "a\nb\r\n", ""},
	    {"a\n.\n.\r\nb\r\n.\r\n", "a\n.\n.\r\nb\r\n", ""},
	    {"\n\r\n..\r\n.\r\n", "\n\r\n.\r\n", ""},
	};

	(void)state;
	for (size_t i = 0; i < sizeof cases / sizeof *cases; i++)
		for (size_t step = 1; step < 20; step++)
			check_decode(&cases[i], false, step);
}

static void count_run(void *arg, struct slice run)
{
	(void)run;
	++*(size_t *)arg;
}

static void test_decode_hands_out_large_runs(void **state)
{
	struct buf in;
	struct dot_decoder d;
	size_t runs = 0;
	bool done;

	(void)state;
	buf_init(&in, 1 << 20);
	for (int i = 0; i < 1000; i++)
		buf_add_str(&in, "one line of an ordinary message\r\n");
	dot_decoder_init(&d, true);
	dot_decode(&d, buf_slice(&in), count_run, &runs, &done);
	assert_int_equal(runs, 1);
	buf_free(&in);
}

static void test_encode(void **state)
{
	static const char *const cases[][2] = {
	    {"", ".\r\n"},
	    {"a\r\n", "a\r\n.\r\n"},
	    {"a", "a\r\n.\r\n"},
	    {"a\r", "a\r\r\n.\r\n"},
	    {".", "..\r\n.\r\n"},
	    {".\r\n", "..\r\n.\r\n"},
	    {"a\r\n.b\r\n..\r\n", "a\r\n..b\r\n...\r\n.\r\n"},
	    {"a.b\n.c\r\n", "a.b\n.c\r\n.\r\n"},
	    {"a\r.\r\n", "a\r.\r\n.\r\n"},
	};

	(void)state;
	for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
		for (size_t step = 1; step < 12; step++) {
			struct dot_encoder e;
			struct buf out;
			struct slice in = slice_of(cases[i][0]);
			buf_init(&out, 1000);
			dot_encoder_init(&e);
			for (size_t at = 0; at < in.n; at += step)
				assert_true(dot_encode(&e, slice_sub(in, at, step), &out));
			assert_true(dot_encode_end(&e, &out));
			assert_string_equal(buf_str(&out), cases[i][1]);
			buf_free(&out);
		}
	}
}

static void test_encode_stops_at_maximum(void **state)
{
	struct dot_encoder e;
	struct buf out;

	(void)state;
	buf_init(&out, 6);
	dot_encoder_init(&e);
	assert_false(dot_encode(&e, slice_of("1234567"), &out));
	buf_clear(&out);
	dot_encoder_init(&e);
	assert_true(dot_encode(&e, slice_of("123"), &out));
	assert_false(dot_encode_end(&e, &out));
	buf_free(&out);
}

static void test_needs_stuffing(void **state)
{
	struct dot_encoder e;

	(void)state;
	dot_encoder_init(&e);
	assert_true(dot_needs_stuffing(&e, slice_of(".a")));
	assert_false(dot_needs_stuffing(&e, slice_of("a.b\n.c\r.d")));
	assert_true(dot_needs_stuffing(&e, slice_of("a\r\n.b")));
	dot_encode_skip(&e, slice_of("a\r"));
	assert_true(dot_needs_stuffing(&e, slice_of("\n.")));
	dot_encode_skip(&e, slice_of("\n"));
	assert_true(dot_needs_stuffing(&e, slice_of(".")));
	dot_encode_skip(&e, slice_of("x"));
	assert_false(dot_needs_stuffing(&e, slice_of(".")));
}

static void test_crlf_normalize(void **state)
{
	static const char *const cases[][2] = {
	    {"", ""},
	    {"a\r\nb\r\n", "a\r\nb\r\n"},
	    {"a\nb\rc", "a\r\nb\r\nc"},
	    {"\n\n\r\r", "\r\n\r\n\r\n\r\n"},
	    {"\r\r\n\n\r\n", "\r\n\r\n\r\n\r\n"},
	    {"a\n\r\nb\r", "a\r\n\r\nb\r\n"},
	};

	(void)state;
	for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
		for (size_t step = 1; step < 10; step++) {
			struct buf out;
			struct slice in = slice_of(cases[i][0]);
			bool last_cr = false;
			buf_init(&out, 1000);
			for (size_t at = 0; at < in.n; at += step)
				assert_true(crlf_normalize(slice_sub(in, at, step), &last_cr, &out));
			assert_string_equal(buf_str(&out), cases[i][1]);
			buf_free(&out);
		}
	}
}

/* What was encoded decodes to itself, and no cut inside makes an end. */
static void test_round_trip(void **state)
{
	static const char alphabet[] = "\r\n.a";
	unsigned seed = 1;

	(void)state;
	for (int round = 0; round < 3000; round++) {
		char text[16];
		size_t n = 0;
		struct dot_encoder e;
		struct dot_decoder d;
		struct buf wire, back;
		bool done;
		for (; n < 12; n++) {
			seed = seed * 1103515245U + 12345U;
			text[n] = alphabet[seed >> 16 & 3];
		}
		text[n++] = '\r';
		text[n++] = '\n';
		buf_init(&wire, 1000);
		buf_init(&back, 1000);
		dot_encoder_init(&e);
		dot_encode(&e, slice_make(text, n), &wire);
		dot_encode_end(&e, &wire);
		dot_decoder_init(&d, false);
		assert_int_equal(dot_decode(&d, buf_slice(&wire), collect, &back, &done), wire.n);
		assert_true(done);
		assert_true(slice_eq(buf_slice(&back), slice_make(text, n)));
		buf_free(&wire);
		buf_free(&back);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(test_decode_smtp),
	    cmocka_unit_test(test_decode_keeps_bare_lf),
	    cmocka_unit_test(test_decode_hands_out_large_runs),
	    cmocka_unit_test(test_encode),
	    cmocka_unit_test(test_encode_stops_at_maximum),
	    cmocka_unit_test(test_needs_stuffing),
	    cmocka_unit_test(test_crlf_normalize),
	    cmocka_unit_test(test_round_trip),
	};

	return cmocka_run_group_tests_name("mail/dot", tests, NULL, NULL);
}
