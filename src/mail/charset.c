#include "mail/charset.h"

#include "base/text.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

static const char replacement[] = "\xef\xbf\xbd";

/* Of the bytes 0x80 to 0xff. */
static const uint16_t koi8_r[128] = {
    0x2500, 0x2502, 0x250c, 0x2510, 0x2514, 0x2518, 0x251c, 0x2524, 0x252c, 0x2534, 0x253c, 0x2580, 0x2584,
    0x2588, 0x258c, 0x2590, 0x2591, 0x2592, 0x2593, 0x2320, 0x25a0, 0x2219, 0x221a, 0x2248, 0x2264, 0x2265,
    0x00a0, 0x2321, 0x00b0, 0x00b2, 0x00b7, 0x00f7, 0x2550, 0x2551, 0x2552, 0x0451, 0x2553, 0x2554, 0x2555,
    0x2556, 0x2557, 0x2558, 0x2559, 0x255a, 0x255b, 0x255c, 0x255d, 0x255e, 0x255f, 0x2560, 0x2561, 0x0401,
    0x2562, 0x2563, 0x2564, 0x2565, 0x2566, 0x2567, 0x2568, 0x2569, 0x256a, 0x256b, 0x256c, 0x00a9, 0x044e,
    0x0430, 0x0431, 0x0446, 0x0434, 0x0435, 0x0444, 0x0433, 0x0445, 0x0438, 0x0439, 0x043a, 0x043b, 0x043c,
    0x043d, 0x043e, 0x043f, 0x044f, 0x0440, 0x0441, 0x0442, 0x0443, 0x0436, 0x0432, 0x044c, 0x044b, 0x0437,
    0x0448, 0x044d, 0x0449, 0x0447, 0x044a, 0x042e, 0x0410, 0x0411, 0x0426, 0x0414, 0x0415, 0x0424, 0x0413,
    0x0425, 0x0418, 0x0419, 0x041a, 0x041b, 0x041c, 0x041d, 0x041e, 0x041f, 0x042f, 0x0420, 0x0421, 0x0422,
    0x0423, 0x0416, 0x0412, 0x042c, 0x042b, 0x0417, 0x0428, 0x042d, 0x0429, 0x0427, 0x042a};
static const uint16_t windows_1251[128] = {
    0x0402, 0x0403, 0x201a, 0x0453, 0x201e, 0x2026, 0x2020, 0x2021, 0x20ac, 0x2030, 0x0409, 0x2039, 0x040a,
    0x040c, 0x040b, 0x040f, 0x0452, 0x2018, 0x2019, 0x201c, 0x201d, 0x2022, 0x2013, 0x2014, 0xfffd, 0x2122,
    0x0459, 0x203a, 0x045a, 0x045c, 0x045b, 0x045f, 0x00a0, 0x040e, 0x045e, 0x0408, 0x00a4, 0x0490, 0x00a6,
    0x00a7, 0x0401, 0x00a9, 0x0404, 0x00ab, 0x00ac, 0x00ad, 0x00ae, 0x0407, 0x00b0, 0x00b1, 0x0406, 0x0456,
    0x0491, 0x00b5, 0x00b6, 0x00b7, 0x0451, 0x2116, 0x0454, 0x00bb, 0x0458, 0x0405, 0x0455, 0x0457, 0x0410,
    0x0411, 0x0412, 0x0413, 0x0414, 0x0415, 0x0416, 0x0417, 0x0418, 0x0419, 0x041a, 0x041b, 0x041c, 0x041d,
    0x041e, 0x041f, 0x0420, 0x0421, 0x0422, 0x0423, 0x0424, 0x0425, 0x0426, 0x0427, 0x0428, 0x0429, 0x042a,
    0x042b, 0x042c, 0x042d, 0x042e, 0x042f, 0x0430, 0x0431, 0x0432, 0x0433, 0x0434, 0x0435, 0x0436, 0x0437,
    0x0438, 0x0439, 0x043a, 0x043b, 0x043c, 0x043d, 0x043e, 0x043f, 0x0440, 0x0441, 0x0442, 0x0443, 0x0444,
    0x0445, 0x0446, 0x0447, 0x0448, 0x0449, 0x044a, 0x044b, 0x044c, 0x044d, 0x044e, 0x044f};

/* How common the letters of U+0430 to U+044F are in Russian: 10 ln(32 * share). */
static const signed char letter_weight[32] = {9, -7, 4, -6, 0,   10,  -12, -6, 9,   -9,  1,   4,  0,  8,   13,  -1,
                                              4, 6,  7, -2, -25, -12, -19, -8, -14, -22, -40, -5, -6, -23, -16, -4};
enum { YO_WEIGHT = -20 };

static size_t put_char(char to[static 4], uint32_t cp)
{
	if (cp < 0x80) {
		to[0] = (char)cp;
		return 1;
	}
	if (cp < 0x800) {
		to[0] = (char)(0xc0 | cp >> 6);
		to[1] = (char)(0x80 | (cp & 0x3f));
		return 2;
	}
	to[0] = (char)(0xe0 | cp >> 12);
	to[1] = (char)(0x80 | (cp >> 6 & 0x3f));
	to[2] = (char)(0x80 | (cp & 0x3f));
	return 3;
}

static bool ends_line(char c)
{
	return c == '\0' || c == '\r' || c == '\n';
}

/* Length of the longest beginning of s at `at` that may stay as it is. */
static size_t clean_run(struct slice s, size_t at)
{
	size_t start = at, n;
	uint32_t cp;

	for (; at < s.n && !ends_line(s.p[at]); at += n) {
		n = (unsigned char)s.p[at] < 0x80 ? 1 : utf8_next(s, at, &cp);
		if (n == 0)
			break;
	}
	return at - start;
}

/* Appends what fits of valid UTF-8; false where that was not all. Nothing comes behind a cut, though it might fit. */
static bool put_cut(struct buf *out, struct slice s)
{
	size_t room = out->max - out->n;

	if (s.n <= room)
		return buf_add_slice(out, s);
	while (room > 0 && ((unsigned char)s.p[room] & 0xc0) == 0x80)
		room--;
	buf_add(out, s.p, room);
	out->max = out->n;
	return false;
}

void charset_put(struct buf *out, struct slice utf8)
{
	for (size_t at = 0; at < utf8.n; at++) {
		size_t n = clean_run(utf8, at);
		if (!put_cut(out, slice_sub(utf8, at, n)))
			return;
		at += n;
		if (at < utf8.n && !put_cut(out, slice_of(ends_line(utf8.p[at]) ? " " : replacement)))
			return;
	}
}

static void put_single_byte(struct buf *out, struct slice s, const uint16_t table[static 128])
{
	char text[768];
	size_t n = 0;

	for (size_t i = 0; i < s.n; i++) {
		unsigned char c = (unsigned char)s.p[i];
		n += put_char(text + n, c < 0x80 ? c : table[c - 0x80]);
		if (n > sizeof text - 4 || i + 1 == s.n) {
			charset_put(out, slice_make(text, n));
			n = 0;
		}
	}
}

/* How much the bytes read like Russian: common letters, no capital behind a small letter, no line drawings. */
static long plausibility(struct slice s, const uint16_t table[static 128])
{
	bool after_small = false;
	long score = 0;

	for (size_t i = 0; i < s.n; i++) {
		unsigned char c = (unsigned char)s.p[i];
		uint32_t cp = c < 0x80 ? c : table[c - 0x80];
		bool capital = (cp >= 0x410 && cp < 0x430) || cp == 0x401;
		bool small = (cp >= 0x430 && cp < 0x450) || cp == 0x451;
		if (cp == 0x401 || cp == 0x451)
			score += YO_WEIGHT;
		else if (capital || small)
			score += letter_weight[(cp - 0x410) % 32];
		else if ((cp >= 0x2320 && cp < 0x25b0) || cp == 0xfffd)
			score -= 40;
		if (capital && after_small)
			score -= 20;
		after_small = small;
	}
	return score;
}

/* A koi8-r or windows-1251 text hardly holds any valid sequence of UTF-8; a UTF-8 text that was cut off or
 * meddled with holds few invalid ones. */
static bool looks_like_utf8(struct slice s)
{
	size_t valid = 0, invalid = 0;
	uint32_t cp;

	for (size_t at = 0, n; at < s.n; at += n != 0 ? n : 1) {
		n = utf8_next(s, at, &cp);
		valid += n > 1;
		invalid += n == 0;
	}
	return invalid == 0 || valid > invalid;
}

void charset_guess(struct buf *out, struct slice bytes)
{
	if (looks_like_utf8(bytes))
		charset_put(out, bytes);
	else if (plausibility(bytes, windows_1251) >= plausibility(bytes, koi8_r))
		put_single_byte(out, bytes, windows_1251);
	else
		put_single_byte(out, bytes, koi8_r);
}

enum known { FOREIGN, UTF8, KOI8_R, WINDOWS_1251, UNNAMED };

struct alias {
	const char *name;
	enum known known;
	const char *iconv; /* for FOREIGN */
};

/* Names that iconv does not know, or reads too narrowly. */
static const struct alias aliases[] = {
    {"utf-8", UTF8, NULL},
    {"utf8", UTF8, NULL},
    {"koi8-r", KOI8_R, NULL},
    {"koi8r", KOI8_R, NULL},
    {"koi8", KOI8_R, NULL},
    {"windows-1251", WINDOWS_1251, NULL},
    {"cp1251", WINDOWS_1251, NULL},
    {"us-ascii", UNNAMED, NULL},
    {"ascii", UNNAMED, NULL},
    {"unknown-8bit", UNNAMED, NULL},
    {"iso-8859-1", FOREIGN, "CP1252"},
    {"latin1", FOREIGN, "CP1252"},
    {"gb2312", FOREIGN, "GB18030"},
    {"gbk", FOREIGN, "GB18030"},
    {"ks_c_5601-1987", FOREIGN, "CP949"},
    {"ksc5601", FOREIGN, "CP949"},
    {"euc-kr", FOREIGN, "CP949"},
    {"shift_jis", FOREIGN, "CP932"},
    {"x-sjis", FOREIGN, "CP932"},
    {"iso-8859-8-i", FOREIGN, "ISO-8859-8"},
    {"iso-8859-8-e", FOREIGN, "ISO-8859-8"},
    {"x-mac-cyrillic", FOREIGN, "MAC-CYRILLIC"},
    {"unicode-1-1-utf-7", FOREIGN, "UTF-7"},
};

/* "win-1251", "windows1251", "x-cp-1251", "cp_1251": the code page's digits, or NULL. */
static const char *code_page(const char *name)
{
	static const char *const prefixes[] = {"x-", "windows", "win", "cp", "ibm", "dos"};
	const char *p = name;

	for (size_t i = 0; i < sizeof prefixes / sizeof *prefixes; i++)
		if (strncmp(p, prefixes[i], strlen(prefixes[i])) == 0)
			p += strlen(prefixes[i]);
	if (*p == '-' || *p == '_')
		p++;
	size_t n = strspn(p, "0123456789");
	return p > name && n >= 3 && n <= 5 && p[n] == '\0' ? p : NULL;
}

/* Sets name to what iconv shall be asked for. The peer's text goes no further unless it is made of harmless
 * characters: iconv gives others, "/" above all, a meaning. */
static enum known identify(struct slice charset, char name[static CHARSET_NAME_MAX + 1])
{
	size_t n = slice_find(charset, '*'); /* RFC 2231: a language follows */

	if (n == 0 || n > CHARSET_NAME_MAX)
		return UNNAMED;
	for (size_t i = 0; i < n; i++) {
		name[i] = ascii_lower(charset.p[i]);
		if (name[i] == '\0' || strchr("abcdefghijklmnopqrstuvwxyz0123456789-_.:+", name[i]) == NULL)
			return UNNAMED;
	}
	name[n] = '\0';
	for (size_t i = 0; i < sizeof aliases / sizeof *aliases; i++) {
		if (strcmp(name, aliases[i].name) != 0)
			continue;
		if (aliases[i].iconv != NULL)
			snprintf(name, CHARSET_NAME_MAX + 1, "%s", aliases[i].iconv);
		return aliases[i].known;
	}
	const char *digits = code_page(name);
	if (digits == NULL)
		return FOREIGN;
	if (strcmp(digits, "1251") == 0)
		return WINDOWS_1251;
	char page[8];
	snprintf(page, sizeof page, "%.5s", digits); /* digits point into name */
	snprintf(name, CHARSET_NAME_MAX + 1, "CP%s", page);
	return FOREIGN;
}

enum { OPEN_MAX_PER_HEADER = 64 }; /* a header that names more charsets is an attack */

static iconv_t converter(struct charsets *c, const char *name)
{
	for (unsigned i = 0; i < c->n; i++)
		if (strcmp(c->v[i].name, name) == 0)
			return c->v[i].cd;
	if (c->opened == OPEN_MAX_PER_HEADER)
		return (iconv_t)-1;
	iconv_t cd = iconv_open("UTF-8", name);
	unsigned at = c->opened++ % CHARSETS_KEPT;
	if (c->n > at && c->v[at].cd != (iconv_t)-1)
		iconv_close(c->v[at].cd);
	c->n = c->n > at ? c->n : at + 1;
	c->v[at].cd = cd;
	snprintf(c->v[at].name, sizeof c->v[at].name, "%s", name);
	return cd;
}

static void put_foreign(struct buf *out, iconv_t cd, struct slice bytes)
{
	char *in = (char *)bytes.p;
	size_t left = bytes.n;
	char text[1024];

	iconv(cd, NULL, NULL, NULL, NULL);
	while (left > 0) {
		char *to = text;
		size_t room = sizeof text;
		size_t r = iconv(cd, &in, &left, &to, &room);
		int error = r == (size_t)-1 ? errno : 0;
		charset_put(out, slice_make(text, sizeof text - room));
		if (error == 0 || error == E2BIG)
			continue;
		charset_put(out, slice_of(replacement));
		if (error != EILSEQ)
			return;
		in++;
		left--;
	}
}

void charset_convert(struct charsets *c, struct buf *out, struct slice charset, struct slice bytes)
{
	char name[CHARSET_NAME_MAX + 1];
	enum known known = identify(charset, name);

	if (known == UTF8) {
		charset_put(out, bytes);
	} else if (known == KOI8_R) {
		put_single_byte(out, bytes, koi8_r);
	} else if (known == WINDOWS_1251) {
		put_single_byte(out, bytes, windows_1251);
	} else {
		iconv_t cd = known == FOREIGN ? converter(c, name) : (iconv_t)-1;
		if (cd != (iconv_t)-1)
			put_foreign(out, cd, bytes);
		else
			charset_guess(out, bytes);
	}
}

void charset_guess_as(struct charsets *c, struct buf *out, struct slice charset, struct slice bytes)
{
	char name[CHARSET_NAME_MAX + 1];

	if (charset.n == 0 || utf8_valid(bytes) || identify(charset, name) == UTF8)
		charset_guess(out, bytes);
	else
		charset_convert(c, out, charset, bytes);
}

void charsets_close(struct charsets *c)
{
	for (unsigned i = 0; i < c->n; i++)
		if (c->v[i].cd != (iconv_t)-1)
			iconv_close(c->v[i].cd);
	c->n = 0;
}
