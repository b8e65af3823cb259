#include "base/slice.h"

#include "base/alloc.h"

#include <string.h>

struct slice slice_of(const char *s)
{
	return (struct slice){s, s != NULL ? strlen(s) : 0};
}

struct slice slice_make(const char *p, size_t n)
{
	return (struct slice){p, n};
}

struct slice slice_sub(struct slice s, size_t from, size_t n)
{
	if (s.n == 0)
		return s; /* p may be NULL, and NULL + 0 is no C */
	if (from >= s.n)
		return (struct slice){s.p + s.n, 0};
	if (n > s.n - from)
		n = s.n - from;
	return (struct slice){s.p + from, n};
}

bool slice_eq(struct slice a, struct slice b)
{
	return a.n == b.n && (a.n == 0 || memcmp(a.p, b.p, a.n) == 0);
}

char ascii_lower(char c)
{
	return c >= 'A' && c <= 'Z' ? (char)(c + ('a' - 'A')) : c;
}

void ascii_lower_in_place(char *s)
{
	for (; *s != '\0'; s++)
		*s = ascii_lower(*s);
}

int slice_cmp_nocase(struct slice a, struct slice b)
{
	size_t n = a.n < b.n ? a.n : b.n;

	for (size_t i = 0; i < n; i++) {
		unsigned char x = (unsigned char)ascii_lower(a.p[i]);
		unsigned char y = (unsigned char)ascii_lower(b.p[i]);
		if (x != y)
			return x < y ? -1 : 1;
	}
	if (a.n == b.n)
		return 0;
	return a.n < b.n ? -1 : 1;
}

bool slice_eq_nocase(struct slice a, struct slice b)
{
	return a.n == b.n && slice_cmp_nocase(a, b) == 0;
}

bool slice_is(struct slice a, const char *literal)
{
	return slice_eq(a, slice_of(literal));
}

bool slice_is_nocase(struct slice a, const char *literal)
{
	return slice_eq_nocase(a, slice_of(literal));
}

bool slice_starts_nocase(struct slice a, const char *literal)
{
	return slice_eq_nocase(slice_sub(a, 0, strlen(literal)), slice_of(literal));
}

bool slice_in_domain(struct slice host, const char *domain)
{
	size_t d = strlen(domain);

	return host.n >= d && slice_is_nocase(slice_sub(host, host.n - d, d), domain) &&
	       (host.n == d || host.p[host.n - d - 1] == '.');
}

static bool blank(char c)
{
	return c == ' ' || c == '\t' || c == '\r' || c == '\n';
}

struct slice slice_trim(struct slice s)
{
	while (s.n > 0 && blank(s.p[0])) {
		s.p++;
		s.n--;
	}
	while (s.n > 0 && blank(s.p[s.n - 1]))
		s.n--;
	return s;
}

char *slice_dup(struct slice s)
{
	char *copy = xmalloc(s.n + 1);

	if (s.n > 0)
		memcpy(copy, s.p, s.n);
	copy[s.n] = '\0';
	return copy;
}

size_t slice_find(struct slice s, char c)
{
	const char *hit = s.n > 0 ? memchr(s.p, c, s.n) : NULL;

	return hit != NULL ? (size_t)(hit - s.p) : s.n;
}

uint32_t slice_hash(struct slice s)
{
	uint32_t h = 2166136261U;

	for (size_t i = 0; i < s.n; i++)
		h = (h ^ (unsigned char)s.p[i]) * 16777619U;
	return h ^ h >> 16;
}

bool slice_to_u64(struct slice s, uint64_t max, uint64_t *out)
{
	uint64_t v = 0;

	if (s.n == 0)
		return false;
	for (size_t i = 0; i < s.n; i++) {
		if (s.p[i] < '0' || s.p[i] > '9')
			return false;
		uint64_t digit = (uint64_t)(s.p[i] - '0');
		if (digit > max || v > (max - digit) / 10)
			return false;
		v = v * 10 + digit;
	}
	*out = v;
	return true;
}
