/* Labels compared without case; text in columns. */
#include "base/slice.h"
#include "base/text.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>

#include <cmocka.h>

static const struct {
	const char *a, *b;
	int order;
} rows[] = {
    {"", "", 0},
    {"Office 1", "oFFICE 1", 0},
    {"весь ОТДЕЛ", "Весь отдел", 0},
    {"СЧЁТ", "счёт", 0},
    {"ЂЃЄ ҐЃ Ѡ", "ђѓє ґѓ ѡ", 0},
    {"ÄÖÜ Ø Þ", "äöü ø þ", 0},
    {"Łódź", "łódź", -1}, /* in U+0139 to U+0148 capitals are odd; those are left alone */
    {"ĀĒ Š", "āē š", 0},
    {"ΑΩ Σ", "αω σ", 0},
    {"×", "÷", -1},
    {"İ", "ı", -1},
    {"\xc8\xed", "\xe8\xed", -1}, /* no UTF-8: bytes are themselves */
    {"\xc8", "\xc8", 0},
    {"а", "а ", -1},
    {"", "x", -1},
    {"b", "A", 1},
    {"я", "Б", 1},
    {"Б", "я", -1},
    {"z", "А", -1},
};

static void without_case(void **state)
{
	(void)state;
	for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
		struct slice a = slice_of(rows[i].a), b = slice_of(rows[i].b);
		assert_int_equal(text_cmp_nocase(a, b), rows[i].order);
		assert_int_equal(text_cmp_nocase(b, a), -rows[i].order);
		assert_int_equal(text_eq_nocase(a, b), rows[i].order == 0);
	}
}

static void columns(void **state)
{
	static const struct {
		const char *s;
		size_t width;
		bool right;
		const char *padded;
	} table[] = {{"ab", 4, false, "ab  "},       {"ab", 4, true, "  ab"}, {"счёт", 6, false, "счёт  "},
	             {"longer", 3, false, "longer"}, {"", 2, true, "  "},     {"", 0, false, ""}};

	(void)state;
	for (size_t i = 0; i < sizeof table / sizeof *table; i++) {
		struct buf b;
		buf_init(&b, 100);
		text_pad(&b, table[i].s, table[i].width, table[i].right);
		assert_string_equal(buf_str(&b), table[i].padded);
		buf_free(&b);
	}
	assert_int_equal(text_chars(slice_of("№ 17")), 4);
}

int main(void)
{
	const struct CMUnitTest tests[] = {cmocka_unit_test(without_case), cmocka_unit_test(columns)};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
