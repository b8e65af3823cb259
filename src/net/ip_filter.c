#include "net/ip_filter.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <stdio.h>
#include <string.h>

static const unsigned char mapped[12] = {0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xff, 0xff};

static bool is_v4(const struct ip_addr *a)
{
	return memcmp(a->b, mapped, sizeof mapped) == 0;
}

int ip_addr_parse(struct slice text, struct ip_addr *out, struct err *e)
{
	char s[INET6_ADDRSTRLEN];

	if (text.n == 0 || text.n >= sizeof s || memchr(text.p, '\0', text.n) != NULL)
		return err_set(e, 0, "this is no IP address");
	memcpy(s, text.p, text.n);
	s[text.n] = '\0';
	/* inet_pton takes neither octal nor short forms ("10.1"), which other readers take for other addresses. */
	if (inet_pton(AF_INET, s, out->b + 12) == 1) {
		memcpy(out->b, mapped, sizeof mapped);
		return 0;
	}
	if (inet_pton(AF_INET6, s, out->b) == 1)
		return 0;
	return err_set(e, 0, "this is no IP address");
}

bool ip_addr_from_sockaddr(const struct sockaddr *sa, struct ip_addr *out)
{
	if (sa->sa_family == AF_INET) {
		struct sockaddr_in in;
		memcpy(&in, sa, sizeof in);
		memcpy(out->b, mapped, sizeof mapped);
		memcpy(out->b + 12, &in.sin_addr, 4);
		return true;
	}
	if (sa->sa_family == AF_INET6) {
		struct sockaddr_in6 in;
		memcpy(&in, sa, sizeof in);
		memcpy(out->b, &in.sin6_addr, 16);
		return true;
	}
	return false;
}

void ip_addr_format(const struct ip_addr *a, char out[static 46])
{
	if (is_v4(a))
		inet_ntop(AF_INET, a->b + 12, out, 46);
	else
		inet_ntop(AF_INET6, a->b, out, 46);
}

static int compare(const struct ip_addr *a, const struct ip_addr *b)
{
	return memcmp(a->b, b->b, sizeof a->b);
}

/* Keeps the first `bits` bits (of 128) and sets all others to ones or zeros. */
static struct ip_addr fill_behind(const struct ip_addr *a, unsigned bits, bool ones)
{
	struct ip_addr r = *a;

	for (unsigned i = 0; i < 16; i++) {
		unsigned kept = bits >= 8 * (i + 1) ? 8 : bits > 8 * i ? bits - 8 * i : 0;
		unsigned char mask = (unsigned char)(0xff >> kept);
		r.b[i] = ones ? r.b[i] | mask : r.b[i] & (unsigned char)~mask;
	}
	return r;
}

static int from_prefix(const struct ip_addr *a, unsigned bits, struct ip_range *out, struct err *e)
{
	char right[46];

	out->from = fill_behind(a, bits, false);
	out->to = fill_behind(a, bits, true);
	if (compare(&out->from, a) == 0)
		return 0;
	ip_addr_format(&out->from, right);
	return err_set(e, 0, "the address goes beyond its network; %s/%u is meant, or the address alone", right,
	               is_v4(a) && bits >= 96 ? bits - 96 : bits);
}

/* The number of leading ones of an IPv4 netmask; -1 for one with holes. */
static int netmask_bits(const struct ip_addr *mask)
{
	uint32_t m =
	    (uint32_t)mask->b[12] << 24 | (uint32_t)mask->b[13] << 16 | (uint32_t)mask->b[14] << 8 | mask->b[15];
	int bits = 0;

	while (bits < 32 && (m & (1U << (31 - bits))) != 0)
		bits++;
	return bits == 32 || (m & (0xffffffffU >> bits)) == 0 ? bits : -1;
}

static int parse_network(struct slice text, size_t slash, struct ip_range *out, struct err *e)
{
	struct slice suffix = slice_sub(text, slash + 1, text.n);
	struct ip_addr a, mask = {{0}};
	uint64_t bits;
	int leading;

	if (ip_addr_parse(slice_sub(text, 0, slash), &a, e) != 0)
		return -1;
	bool four = is_v4(&a) && slice_find(text, ':') == text.n;
	if (slice_find(suffix, '.') == suffix.n) {
		if ((suffix.n > 1 && suffix.p[0] == '0') || !slice_to_u64(suffix, four ? 32 : 128, &bits))
			return err_set(e, 0, "behind the / stands a number from 0 to %d", four ? 32 : 128);
		return from_prefix(&a, (unsigned)bits + (four ? 96 : 0), out, e);
	}
	if (!four || ip_addr_parse(suffix, &mask, NULL) != 0 || !is_v4(&mask))
		return err_set(e, 0, "behind the / stands no netmask");
	if ((leading = netmask_bits(&mask)) < 0)
		return err_set(e, 0, "the netmask has holes");
	return from_prefix(&a, (unsigned)leading + 96, out, e);
}

static int parse_span(struct slice text, size_t dash, struct ip_range *out, struct err *e)
{
	if (ip_addr_parse(slice_trim(slice_sub(text, 0, dash)), &out->from, e) != 0 ||
	    ip_addr_parse(slice_trim(slice_sub(text, dash + 1, text.n)), &out->to, e) != 0)
		return -1;
	if (is_v4(&out->from) != is_v4(&out->to))
		return err_set(e, 0, "the range begins in IPv4 and ends in IPv6, or the other way round");
	if (compare(&out->from, &out->to) > 0)
		return err_set(e, 0, "the range is upside down; write the lower address first");
	return 0;
}

int ip_range_parse(struct slice text, struct ip_range *out, struct err *e)
{
	size_t slash = slice_find(text, '/'), dash = slice_find(text, '-');

	if (slash < text.n)
		return parse_network(text, slash, out, e);
	if (dash < text.n)
		return parse_span(text, dash, out, e);
	if (ip_addr_parse(text, &out->from, e) != 0)
		return -1;
	out->to = out->from;
	return 0;
}

uint32_t ip_addr_hash(const struct ip_addr *a)
{
	return slice_hash(slice_make((const char *)a->b, sizeof a->b));
}

bool ip_range_has(const struct ip_range *r, const struct ip_addr *a)
{
	/* ::/0 spans the mapped addresses too, and does not mean IPv4. */
	return is_v4(&r->from) == is_v4(a) && compare(&r->from, a) <= 0 && compare(a, &r->to) <= 0;
}

static bool any_has(const struct ip_range *r, size_t n, const struct ip_addr *a)
{
	for (size_t i = 0; i < n; i++)
		if (ip_range_has(&r[i], a))
			return true;
	return false;
}

bool ip_filter_serves(const struct ip_filter *f, const struct ip_addr *a)
{
	return !f->enabled || (any_has(f->allow, f->nallow, a) && !any_has(f->deny, f->ndeny, a));
}

bool ip_addr_is_global(const struct ip_addr *a)
{
	/* RFC 1918, 6598, 3927, 4193, 4291; whole IPv4 ranges that no host on the Internet has (RFC 6890). */
	static const struct {
		unsigned char prefix[16];
		unsigned bits;
	} apart[] = {
	    {{0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xff, 0xff, 0}, 96 + 8},
	    {{0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xff, 0xff, 127}, 96 + 8},
	    {{0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xff, 0xff, 10}, 96 + 8},
	    {{0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xff, 0xff, 172, 16}, 96 + 12},
	    {{0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xff, 0xff, 192, 168}, 96 + 16},
	    {{0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xff, 0xff, 169, 254}, 96 + 16},
	    {{0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xff, 0xff, 100, 64}, 96 + 10},
	    {{0}, 128},
	    {{0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1}, 128},
	    {{0xfe, 0x80}, 10},
	    {{0xfc}, 7},
	};

	for (size_t i = 0; i < sizeof apart / sizeof apart[0]; i++) {
		struct ip_addr p;
		memcpy(p.b, apart[i].prefix, 16);
		struct ip_range r = {p, fill_behind(&p, apart[i].bits, true)};
		if (ip_range_has(&r, a))
			return false;
	}
	return true;
}
