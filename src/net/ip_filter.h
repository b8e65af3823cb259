/* Which addresses the servers talk to. Pure; no I/O. */
#ifndef OFM_NET_IP_FILTER_H
#define OFM_NET_IP_FILTER_H

#include "base/err.h"
#include "base/slice.h"

#include <sys/socket.h>

/* An address as 16 bytes in network order; IPv4 is ::ffff:a.b.c.d. */
struct ip_addr {
	unsigned char b[16];
};

struct ip_range {
	struct ip_addr from, to; /* both inclusive */
};

struct ip_filter {
	bool enabled;
	struct ip_range *allow, *deny; /* owned by the holder */
	size_t nallow, ndeny;
};

/* "10.0.0.0/8", "10.0.0.0/255.0.0.0", "10.0.0.1-10.0.0.9", "::1", "fe80::/10", "::ffff:10.1.2.3" (= 10.1.2.3).
 * Trailing junk, a range upside down, host bits set in a CIDR and a netmask with holes are errors. */
int ip_range_parse(struct slice text, struct ip_range *out, struct err *e);
int ip_addr_parse(struct slice text, struct ip_addr *out, struct err *e);
/* IPv4, IPv6 (mapped ones included); false for any other family. */
bool ip_addr_from_sockaddr(const struct sockaddr *sa, struct ip_addr *out);
/* "10.0.0.1" or "fe80::1"; at most 46 bytes with NUL. */
void ip_addr_format(const struct ip_addr *a, char out[static 46]);
uint32_t ip_addr_hash(const struct ip_addr *a);
bool ip_range_has(const struct ip_range *r, const struct ip_addr *a);
/* OMS's three steps: off -> served; no allow matches -> refused; any deny matches -> refused; else served. */
bool ip_filter_serves(const struct ip_filter *f, const struct ip_addr *a);
/* Globally routable: not loopback, private (RFC 1918), link-local, unique-local, carrier-grade NAT or unspecified. */
bool ip_addr_is_global(const struct ip_addr *a);

#endif
