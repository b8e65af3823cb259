#include "base/text.h"

size_t utf8_next(struct slice s, size_t at, uint32_t *cp)
{
	static const uint32_t least[] = {0, 0, 0x80, 0x800, 0x10000};
	unsigned char c = (unsigned char)s.p[at];
	size_t n = c < 0x80 ? 1 : c >= 0xc2 && c < 0xe0 ? 2 : c >= 0xe0 && c < 0xf0 ? 3 : c >= 0xf0 && c < 0xf5 ? 4 : 0;

	if (n == 0 || n > s.n - at)
		return 0;
	uint32_t v = n == 1 ? c : c & (0xffU >> (n + 1));
	for (size_t i = 1; i < n; i++) {
		unsigned char x = (unsigned char)s.p[at + i];
		if ((x & 0xc0) != 0x80)
			return 0;
		v = v << 6 | (x & 0x3f);
	}
	if (v < least[n] || v > 0x10ffff || (v >= 0xd800 && v < 0xe000))
		return 0;
	*cp = v;
	return n;
}

bool utf8_valid(struct slice s)
{
	uint32_t cp;

	for (size_t at = 0; at < s.n;) {
		size_t n = utf8_next(s, at, &cp);
		if (n == 0)
			return false;
		at += n;
	}
	return true;
}

/* The small letter of a capital. */
static uint32_t small(uint32_t c)
{
	/* Letters stand in blocks, the small ones `by` behind the capitals; by 1: they take turns. */
	static const struct {
		uint32_t from, to, by;
	} capitals[] = {{'A', 'Z', 32},     {0xc0, 0xd6, 32},   {0xd8, 0xde, 32},   {0x100, 0x12f, 1},
	                {0x132, 0x137, 1},  {0x14a, 0x177, 1},  {0x391, 0x3a1, 32}, {0x3a3, 0x3ab, 32},
	                {0x400, 0x40f, 80}, {0x410, 0x42f, 32}, {0x460, 0x481, 1},  {0x48a, 0x4bf, 1},
	                {0x4d0, 0x52f, 1}};

	for (size_t i = 0; i < sizeof capitals / sizeof *capitals && c >= capitals[i].from; i++)
		if (c <= capitals[i].to)
			return capitals[i].by == 1 ? c | 1 : c + capitals[i].by;
	return c;
}

static uint32_t take_small(struct slice s, size_t *at)
{
	uint32_t c = 0;
	size_t n = utf8_next(s, *at, &c);

	/* Behind every character there is. */
	if (n == 0)
		return 0x110000 + (unsigned char)s.p[(*at)++];
	*at += n;
	return small(c);
}

int text_cmp_nocase(struct slice a, struct slice b)
{
	size_t i = 0, k = 0;

	while (i < a.n && k < b.n) {
		uint32_t x = take_small(a, &i), y = take_small(b, &k);
		if (x != y)
			return x < y ? -1 : 1;
	}
	return (i < a.n) - (k < b.n);
}

bool text_eq_nocase(struct slice a, struct slice b)
{
	return text_cmp_nocase(a, b) == 0;
}

bool text_listed_nocase(const struct strlist *l, const char *s)
{
	for (size_t i = 0; i < l->n; i++)
		if (text_eq_nocase(slice_of(l->v[i]), slice_of(s)))
			return true;
	return false;
}

/* C1 controls, zero-width and bidirectional marks, line and paragraph separators, the byte order mark. */
static bool unsafe(uint32_t cp)
{
	return (cp >= 0x80 && cp < 0xa0) || (cp >= 0x200b && cp <= 0x200f) || (cp >= 0x2028 && cp <= 0x202e) ||
	       (cp >= 0x2060 && cp <= 0x206f) || cp == 0xfeff || cp == 0x61c;
}

static void escape_ascii(struct buf *out, unsigned char c)
{
	switch (c) {
	case '\n':
		buf_add_str(out, "\\n");
		break;
	case '\r':
		buf_add_str(out, "\\r");
		break;
	case '\t':
		buf_add_str(out, "\\t");
		break;
	case '"':
	case '\\':
		buf_printf(out, "\\%c", c);
		break;
	default:
		if (c < ' ' || c == 0x7f)
			buf_printf(out, "\\x%02x", c);
		else
			buf_add_char(out, (char)c);
	}
}

/* Characters from `at` on that stand for themselves. */
static size_t plain_run(struct slice s, size_t at)
{
	size_t n = 0;

	while (at + n < s.n && s.p[at + n] >= ' ' && s.p[at + n] < 0x7f && s.p[at + n] != '"' && s.p[at + n] != '\\')
		n++;
	return n;
}

void text_escape(struct buf *out, struct slice s, size_t max)
{
	size_t start = out->n;

	for (size_t at = 0; at < s.n;) {
		uint32_t cp = 0;
		size_t run = plain_run(s, at), used = out->n - start;
		if (used + 12 <= max && run > 1) {
			run = run < max - 11 - used ? run : max - 11 - used;
			buf_add(out, s.p + at, run);
			at += run;
			continue;
		}
		size_t n = utf8_next(s, at, &cp);
		if (used + 12 > max) {
			buf_add_str(out, "…");
			return;
		}
		if (n == 0)
			buf_printf(out, "\\x%02x", (unsigned char)s.p[at]);
		else if (n == 1)
			escape_ascii(out, (unsigned char)s.p[at]);
		else if (unsafe(cp))
			buf_printf(out, "\\u{%x}", cp);
		else
			buf_add(out, s.p + at, n);
		at += n != 0 ? n : 1;
	}
}

size_t text_chars(struct slice s)
{
	size_t n = 0;

	for (size_t i = 0; i < s.n; i++)
		n += ((unsigned char)s.p[i] & 0xc0) != 0x80;
	return n;
}

void text_pad(struct buf *out, const char *s, size_t width, bool right)
{
	size_t n = text_chars(slice_of(s));

	for (size_t i = n; right && i < width; i++)
		buf_add_char(out, ' ');
	buf_add_str(out, s);
	for (size_t i = n; !right && i < width; i++)
		buf_add_char(out, ' ');
}
