#include "route/router.h"

#include "base/alloc.h"

#include <stdlib.h>
#include <string.h>

static bool in_domain(const struct config *c, const struct address *a)
{
	return a->domain[0] == '\0' || slice_is_nocase(slice_of(a->domain), c->domain);
}

/* The user of a local address. RFC 5321 4.5.1: "postmaster" is always somebody, whatever [special] calls them. */
static const struct config_user *local_user(const struct config *c, const char *local)
{
	const struct config_user *u = config_user_by_name(c, slice_of(local));

	if (u == NULL && slice_is_nocase(slice_of(local), "postmaster"))
		u = c->postmaster;
	return u;
}

static struct route to_user(const struct config_user *u)
{
	return (struct route){u->is_daemon ? ROUTE_DAEMON : ROUTE_LOCAL, u};
}

static struct route to_nobody(enum route_kind kind)
{
	return (struct route){kind, NULL};
}

/* "[10.0.0.1]" or "[IPv6:fe80::1]" against "10.0.0.1" or "fe80::1". */
static bool is_literal_of(const char *domain, const char *ip)
{
	struct slice d = slice_of(domain);

	if (ip == NULL || d.n < 2 || d.p[0] != '[' || d.p[d.n - 1] != ']')
		return false;
	d = slice_sub(d, 1, d.n - 2);
	if (slice_starts_nocase(d, "IPv6:"))
		d = slice_sub(d, 5, d.n);
	return slice_is_nocase(d, ip);
}

static const struct config_user *by_alias(const struct config *c, const struct address *a)
{
	char *text = address_format(a);
	const struct config_user *u = config_user_by_alias(c, slice_of(text));

	free(text);
	return u;
}

static bool is_alias(const struct config *c, const struct address *a)
{
	char *text = address_format(a);
	bool yes = config_is_alias(c, slice_of(text));

	free(text);
	return yes;
}

/* In our domain, and no user's name. An alias there is an address that exists outside. */
static struct route unknown_local(const struct config *c, const struct address *a)
{
	if (a->domain[0] == '\0')
		return to_nobody(ROUTE_UNKNOWN);
	return to_nobody(c->unknown_local_relay || is_alias(c, a) ? ROUTE_EXTERNAL : ROUTE_UNKNOWN);
}

struct route route_recipient(const struct config *c, const struct address *a, const char *our_ip)
{
	const struct config_user *u = in_domain(c, a) ? local_user(c, a->local) : NULL;

	if (u != NULL)
		return to_user(u);
	if (c->alias_local && (u = by_alias(c, a)) != NULL)
		return to_user(u);
	if (in_domain(c, a))
		return unknown_local(c, a);
	bool ours = is_literal_of(a->domain, our_ip);
	if ((ours || slice_is_nocase(slice_of(a->domain), c->hostname)) &&
	    slice_is_nocase(slice_of(a->local), "postmaster"))
		return to_user(local_user(c, a->local));
	if (ours)
		return to_nobody(ROUTE_UNKNOWN);
	if (a->domain[0] != '[' && strchr(a->domain, '.') == NULL)
		return to_nobody(ROUTE_NO_DOT);
	return to_nobody(ROUTE_EXTERNAL);
}

/* The first in file order: a shared alias is for sending, so any of its holders will do. */
static const struct config_user *any_holder(const struct config *c, const struct address *a)
{
	const struct config_user *found = NULL;
	char *text = address_format(a);

	if (text[0] != '\0' && config_is_alias(c, slice_of(text)))
		for (size_t i = 0; i < c->nusers && found == NULL; i++)
			if (!c->users[i]->is_daemon && slice_is_nocase(slice_of(text), c->users[i]->alias))
				found = c->users[i];
	free(text);
	return found;
}

const struct config_user *route_sender(const struct config *c, const struct address *a)
{
	if (a->local[0] == '\0')
		return NULL;
	const struct config_user *u = in_domain(c, a) ? local_user(c, a->local) : NULL;
	if (u == NULL)
		u = any_holder(c, a);
	return u != NULL && !u->is_daemon ? u : NULL;
}

const char *route_alias(const struct config *c, const struct address *a)
{
	if (a->local[0] == '\0' || !in_domain(c, a))
		return NULL;
	const struct config_user *u = local_user(c, a->local);
	return u != NULL && u->alias[0] != '\0' ? u->alias : NULL;
}

const struct config_user *route_login(const struct config *c, struct slice text)
{
	struct address a;
	char *ascii = address_to_ascii(text);
	bool parsed = address_parse(slice_of(ascii), &a);

	free(ascii);
	if (!parsed)
		return NULL;
	const struct config_user *u = in_domain(c, &a) ? config_user_by_name(c, slice_of(a.local)) : NULL;
	if (u == NULL)
		u = by_alias(c, &a);
	address_free(&a);
	return u != NULL && !u->is_daemon ? u : NULL;
}

const char *route_relay_sender(const struct config *c, const struct address *a)
{
	char *text = address_format(a);
	const struct config_relay *r = config_relay_for(c, slice_of(text));

	free(text);
	if (r == NULL || r->sender[0] == '\0')
		r = c->nrelays > 0 ? &c->relays[0] : NULL;
	return r != NULL && r->sender[0] != '\0' ? r->sender : NULL;
}

char *route_outgoing_sender(const struct config *c, const struct address *a)
{
	if (a->local[0] == '\0')
		return xstrdup("");
	const char *alias = route_alias(c, a);
	if (alias != NULL)
		return xstrdup(alias);
	const char *instead = route_relay_sender(c, a);
	char *text = address_format(a);
	bool real_domain = c->unknown_local_relay && a->domain[0] != '\0' && in_domain(c, a);
	if (config_is_alias(c, slice_of(text)) || (instead == NULL && real_domain))
		return text;
	free(text);
	return instead != NULL ? xstrdup(instead) : NULL;
}
