#include "config/itself.h"

#include "base/alloc.h"

#include <ifaddrs.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <unistd.h>

struct itself {
	const struct config *c;
	struct ip_addr *v; /* of the interfaces */
	size_t n;
	char machine[256];
};

struct itself *itself_new(const struct config *c)
{
	struct itself *s = xcalloc(1, sizeof *s);
	struct ifaddrs *all = NULL;

	s->c = c;
	if (gethostname(s->machine, sizeof s->machine - 1) != 0)
		s->machine[0] = '\0';
	if (getifaddrs(&all) != 0)
		return s;
	for (struct ifaddrs *i = all; i != NULL; i = i->ifa_next) {
		struct ip_addr a;
		if (i->ifa_addr == NULL || !ip_addr_from_sockaddr(i->ifa_addr, &a))
			continue;
		s->v = xreallocarray(s->v, s->n + 1, sizeof *s->v);
		s->v[s->n++] = a;
	}
	freeifaddrs(all);
	return s;
}

void itself_free(struct itself **s)
{
	if (*s != NULL) {
		free((*s)->v);
		free(*s);
	}
	*s = NULL;
}

static bool same_address(const struct ip_addr *a, const struct ip_addr *b)
{
	return memcmp(a->b, b->b, sizeof a->b) == 0;
}

static bool in_range(const char *range, const struct ip_addr *a)
{
	struct ip_range r;

	return ip_range_parse(slice_of(range), &r, NULL) == 0 && ip_range_has(&r, a);
}

static bool is_loopback(const struct ip_addr *a)
{
	return in_range("127.0.0.0/8", a) || in_range("::1", a);
}

static bool is_unspecified(const struct ip_addr *a)
{
	return in_range("0.0.0.0", a) || in_range("::", a);
}

/* An address to which the machine itself answers. */
static bool is_ours(const struct itself *s, const struct ip_addr *a)
{
	if (is_loopback(a) || is_unspecified(a))
		return true;
	for (size_t i = 0; i < s->n; i++)
		if (same_address(&s->v[i], a))
			return true;
	return false;
}

static bool listens_on(const struct itself *s, const struct config_server *server, const struct ip_addr *a)
{
	for (size_t i = 0; i < server->bind.n; i++) {
		struct ip_addr b;
		if (ip_addr_parse(slice_of(server->bind.v[i]), &b, NULL) != 0)
			continue;
		if (same_address(&b, a) || (is_unspecified(&b) && is_ours(s, a)) ||
		    (is_unspecified(a) && is_loopback(&b)))
			return true;
	}
	return false;
}

static bool is_local_name(const char *host)
{
	return strcasecmp(host, "localhost") == 0 || strcasecmp(host, "localhost.localdomain") == 0 ||
	       strcasecmp(host, "ip6-localhost") == 0;
}

static bool listens_on_loopback(const struct itself *s, const struct config_server *server)
{
	struct ip_addr four, six;

	return ip_addr_parse(slice_of("127.0.0.1"), &four, NULL) == 0 &&
	       ip_addr_parse(slice_of("::1"), &six, NULL) == 0 &&
	       (listens_on(s, server, &four) || listens_on(s, server, &six));
}

bool itself_is(const struct itself *s, const struct config_server *server, const char *host, uint16_t port)
{
	struct ip_addr a;

	if (host[0] == '\0' || port == 0 || (port != server->port && port != server->tls_port))
		return false;
	if (ip_addr_parse(slice_of(host), &a, NULL) == 0)
		return listens_on(s, server, &a);
	if (is_local_name(host))
		return listens_on_loopback(s, server);
	return strcasecmp(host, s->c->hostname) == 0 || strcasecmp(host, s->machine) == 0;
}

bool host_is_distant(const char *host)
{
	static const char *const near[] = {".local", ".lan", ".internal", ".localhost", ".localdomain", ".home.arpa"};
	size_t n = strlen(host);
	struct ip_addr a;

	if (ip_addr_parse(slice_of(host), &a, NULL) == 0)
		return ip_addr_is_global(&a);
	if (strchr(host, '.') == NULL)
		return false;
	for (size_t i = 0; i < sizeof near / sizeof near[0]; i++)
		if (n > strlen(near[i]) && strcasecmp(host + n - strlen(near[i]), near[i]) == 0)
			return false;
	return true;
}
