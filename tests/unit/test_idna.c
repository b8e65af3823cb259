/* Domain names in other alphabets become what DNS knows. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "mail/idna.h"

#include <stdlib.h>
#include <string.h>

static void names(void **state)
{
	static const struct {
		const char *domain, *ascii;
	} rows[] = {
	    {"почта.рф", "xn--80a1acny.xn--p1ai"},
	    {"ПОЧТА.РФ", "xn--80a1acny.xn--p1ai"},
	    {"bücher.example", "xn--bcher-kva.example"},
	    {"straße.example", "xn--strae-oqa.example"},
	    {"日本語。jp", "xn--wgv71a119e.jp"},
	    {"Far.Example", "Far.Example"}, /* untouched */
	    {"_dmarc.far.example", "_dmarc.far.example"},
	    {"[10.0.0.1]", "[10.0.0.1]"},
	    {"", NULL},
	    {"\xff\xfe.example", NULL},
	    {"почта..рф", NULL},
	    {"поч та.рф", NULL},
	};

	(void)state;
	for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
		char *got = idna_to_ascii(slice_of(rows[i].domain));
		if ((got == NULL) != (rows[i].ascii == NULL) || (got != NULL && strcmp(got, rows[i].ascii) != 0))
			fail_msg("%s -> %s", rows[i].domain, got != NULL ? got : "none");
		free(got);
	}
	assert_null(idna_to_ascii(slice_make("a\0b", 3)));
}

static void long_names_are_none(void **state)
{
	char text[3000];

	(void)state;
	memset(text, 'a', sizeof text);
	assert_null(idna_to_ascii(slice_make(text, sizeof text)));
	for (size_t i = 0; i + 1 < sizeof text; i += 2)
		memcpy(text + i, "я", 2);
	assert_null(idna_to_ascii(slice_make(text, 1000)));
}

int main(void)
{
	const struct CMUnitTest tests[] = {cmocka_unit_test(names), cmocka_unit_test(long_names_are_none)};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
