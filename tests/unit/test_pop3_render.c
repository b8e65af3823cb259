#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "pop3/render.h"

#include <string.h>

static const struct {
	const char *in;
	bool mend;
	int64_t top;
	const char *out;
} table[] = {
    {"", false, -1, ".\r\n"},
    {"", true, -1, ".\r\n"},
    {"a\r\n", false, -1, "a\r\n.\r\n"},
    {"a", false, -1, "a\r\n.\r\n"},
    {"a\r", false, -1, "a\r\n.\r\n"},
    {".\r\n", false, -1, "..\r\n.\r\n"},
    {"a\r\n.b\r\n..\r\n", false, -1, "a\r\n..b\r\n...\r\n.\r\n"},
    {"a.b\r\n", false, -1, "a.b\r\n.\r\n"},
    /* Ours as they are, but no client may take LF.CRLF for the end, and the end is CRLF.CRLF. */
    {"a\n.\r\nb\r\n", false, -1, "a\n..\r\nb\r\n.\r\n"},
    {"a\nb", false, -1, "a\nb\r\n.\r\n"},
    {"a\n", false, -1, "a\n\r\n.\r\n"},
    {"a\rb\r\n", false, -1, "a\rb\r\n.\r\n"},
    /* Others' */
    {"a\nb\n", true, -1, "a\r\nb\r\n.\r\n"},
    {"a\n.\nb", true, -1, "a\r\n..\r\nb\r\n.\r\n"},
    {"a\r\nb\r\n", true, -1, "a\r\nb\r\n.\r\n"},
    {"\n\n", true, -1, "\r\n\r\n.\r\n"},
    {"a\r\r\n", true, -1, "a\r\r\n.\r\n"},
    /* TOP */
    {"H: x\r\n\r\n1\r\n2\r\n3\r\n", false, 0, "H: x\r\n\r\n.\r\n"},
    {"H: x\r\n\r\n1\r\n2\r\n3\r\n", false, 2, "H: x\r\n\r\n1\r\n2\r\n.\r\n"},
    {"H: x\r\n\r\n1\r\n2\r\n3\r\n", false, 9, "H: x\r\n\r\n1\r\n2\r\n3\r\n.\r\n"},
    {"H: x\n\n.\n2", true, 1, "H: x\r\n\r\n..\r\n.\r\n"},
    {"H: x\r\nno end", false, 0, "H: x\r\nno end\r\n.\r\n"},
    {"\r\nbody\r\n", false, 0, "\r\n.\r\n"},
    {"H: x\r\n\r\r\n\r\nb\r\n", false, 0, "H: x\r\n\r\r\n\r\n.\r\n"},
};

/* Piece by piece; what may go out as it stands does, where asked for. */
static void render_all(struct pop3_render *r, struct slice in, size_t step, bool as_is, struct buf *out)
{
	for (size_t at = 0; at < in.n; at += step) {
		struct slice piece = slice_sub(in, at, step);

		if (as_is && pop3_render_as_is(r, piece))
			buf_add_slice(out, piece);
		else
			pop3_render(r, piece, out);
	}
	pop3_render_end(r, out);
}

static void test_table(void **state)
{
	struct buf out;

	(void)state;
	buf_init(&out, 4096);
	for (size_t i = 0; i < sizeof table / sizeof *table; i++)
		for (size_t step = 1; step <= 2 * (strlen(table[i].in) + 1); step++) {
			struct pop3_render r;

			buf_clear(&out);
			pop3_render_init(&r, table[i].mend, table[i].top);
			render_all(&r, slice_of(table[i].in), (step + 1) / 2, step % 2 == 0, &out);
			assert_string_equal(buf_str(&out), table[i].out);
		}
	buf_free(&out);
}

static void test_nul(void **state)
{
	struct pop3_render r;
	struct buf out;

	(void)state;
	buf_init(&out, 100);
	pop3_render_init(&r, true, -1);
	pop3_render(&r, slice_make("a\0b\n\0\n", 6), &out);
	pop3_render_end(&r, &out);
	assert_int_equal(out.n, 11);
	assert_memory_equal(out.p, "a\0b\r\n\0\r\n.\r\n", 11);
	buf_free(&out);
}

static void test_as_is(void **state)
{
	static const struct {
		const char *in;
		bool as_is;
	} pieces[] = {{"a\r\nb\r\n", true},   {".\r\n", false}, {"a.\r\n", true},
	              {"x\r\n.y\r\n", false}, {"open", true},   {".z\r\n", true}};
	struct pop3_render r;
	struct buf out;

	(void)state;
	buf_init(&out, 100);
	pop3_render_init(&r, false, -1);
	for (size_t i = 0; i < sizeof pieces / sizeof *pieces; i++) {
		assert_int_equal(pop3_render_as_is(&r, slice_of(pieces[i].in)), pieces[i].as_is);
		if (!pieces[i].as_is)
			pop3_render(&r, slice_of(pieces[i].in), &out);
	}
	assert_string_equal(buf_str(&out), "..\r\nx\r\n..y\r\n");
	buf_free(&out);
}

int main(void)
{
	const struct CMUnitTest tests[] = {cmocka_unit_test(test_table), cmocka_unit_test(test_nul),
	                                   cmocka_unit_test(test_as_is)};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
