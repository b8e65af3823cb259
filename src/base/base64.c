#include "base/base64.h"

int base64_digit(char c)
{
	if (c >= 'A' && c <= 'Z')
		return c - 'A';
	if (c >= 'a' && c <= 'z')
		return c - 'a' + 26;
	if (c >= '0' && c <= '9')
		return c - '0' + 52;
	if (c == '+')
		return 62;
	return c == '/' ? 63 : -1;
}

static size_t padding(struct slice text)
{
	if (text.n == 0 || text.p[text.n - 1] != '=')
		return 0;
	return text.p[text.n - 2] == '=' ? 2 : 1;
}

bool base64_decode(struct slice text, struct buf *out)
{
	if (text.n % 4 != 0)
		return false;
	size_t pad = padding(text), chars = text.n - pad;
	unsigned long bits = 0;

	for (size_t i = 0; i < chars; i++) {
		int v = base64_digit(text.p[i]);
		if (v < 0)
			return false;
		bits = (bits << 6 | (unsigned long)v) & 0xffffff;
		if (i % 4 != 0 && !buf_add_char(out, (char)(bits >> (6 - 2 * (i % 4)) & 0xff)))
			return false;
	}
	/* What is left over must be zeros, or two texts would mean one name. */
	return pad == 0 || (bits & (pad == 1 ? 0x3UL : 0xfUL)) == 0;
}
