/* Labels compared without case. */
#include "base/slice.h"
#include "base/text.h"

#include <setjmp.h>
#include <stdarg.h>
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

int main(void)
{
	const struct CMUnitTest tests[] = {cmocka_unit_test(without_case)};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
