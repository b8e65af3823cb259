#include "mail/idna.h"

#include "base/alloc.h"

#include <idn2.h>
#include <stdlib.h>
#include <string.h>

static bool is_ascii(struct slice s)
{
	for (size_t i = 0; i < s.n; i++)
		if ((unsigned char)s.p[i] >= 0x80)
			return false;
	return true;
}

/* Labels of letters, digits, "-" and "_", none of them empty: the library lets other things pass. */
static bool is_name(const char *ascii)
{
	static const char letters[] = "abcdefghijklmnopqrstuvwxyz0123456789-_";

	for (;;) {
		size_t label = strspn(ascii, letters);
		if (label == 0 || label > 63 || (ascii[label] != '.' && ascii[label] != '\0'))
			return false;
		if (ascii[label] == '\0')
			return true;
		ascii += label + 1;
	}
}

char *idna_to_ascii(struct slice domain)
{
	char *text, *out = NULL, *copy = NULL;

	if (domain.n == 0 || domain.n > 4 * IDNA_MAX || slice_find(domain, '\0') < domain.n)
		return NULL;
	text = slice_dup(domain);
	if (is_ascii(domain))
		return text;
	if (idn2_to_ascii_8z(text, &out, IDN2_NFC_INPUT | IDN2_NONTRANSITIONAL) == IDN2_OK && strlen(out) <= IDNA_MAX &&
	    is_name(out))
		copy = xstrdup(out);
	idn2_free(out);
	free(text);
	return copy;
}
