/* The structs of config.h, kind by kind. */
#include "config/load.h"

#include "base/alloc.h"
#include "config/values.h"

#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static void fill_single(struct loader *l, enum section_kind kind)
{
	fill_section(l, load_single(l, kind), kind, NULL, l->c, &l->main);
}

static void name_host(struct config *c)
{
	char name[256] = "";

	if (c->hostname[0] != '\0')
		return;
	if (gethostname(name, sizeof name - 1) != 0 || !value_host(slice_of(name)))
		strcpy(name, "localhost");
	free(c->hostname);
	c->hostname = xstrdup(name);
}

static void fill_main(struct loader *l)
{
	struct config *c = l->c;

	fill_single(l, SECTION_SERVER);
	fill_single(l, SECTION_POP3);
	fill_single(l, SECTION_SMTP);
	fill_single(l, SECTION_TLS);
	fill_single(l, SECTION_IP_FILTER);
	fill_single(l, SECTION_CONNECTION);
	fill_single(l, SECTION_SYNC);
	name_host(c);
	c->ip_filter.allow = l->main.allow.v;
	c->ip_filter.nallow = l->main.allow.n;
	c->ip_filter.deny = l->main.deny.v;
	c->ip_filter.ndeny = l->main.deny.n;
	c->at = l->main.at.v;
	c->nat = l->main.at.n;
}

static const struct section *user_section(const struct loader *l, size_t i)
{
	return i < l->of[SECTION_USER].n ? l->of[SECTION_USER].v[i] : NULL;
}

static void fill_users(struct loader *l)
{
	for (size_t i = 0; i < l->c->nusers; i++)
		fill_section(l, user_section(l, i), SECTION_USER, NULL, l->c->users[i], &l->users[i]);
	for (size_t i = 0; i < l->of[SECTION_GROUP].n; i++)
		group_read(l, &l->groups[i]);
}

/* relays[0] is [relay], written or not; the others follow in file order. */
static void fill_relays(struct loader *l)
{
	const struct sections *all = &l->of[SECTION_RELAY];
	const struct section *base = load_single(l, SECTION_RELAY);
	struct config *c = l->c;

	c->relays = xcalloc(all->n + 1, sizeof *c->relays);
	l->relays = xcalloc(all->n + 1, sizeof *l->relays);
	c->relays[0].label = xstrdup("");
	c->nrelays = 1;
	fill_section(l, base, SECTION_RELAY, NULL, &c->relays[0], &l->relays[0]);
	for (size_t i = 0; i < all->n; i++) {
		if (all->v[i] == base)
			continue;
		c->relays[c->nrelays].label = xstrdup(all->v[i]->label);
		fill_section(l, all->v[i], SECTION_RELAY, base, &c->relays[c->nrelays], &l->relays[c->nrelays]);
		c->nrelays++;
	}
}

/* Two ports of one host may be tunnels to two providers, whose message numbers have nothing to do with each other. The
 * first one's records outlive a change of its port. */
static char *mailbox_host(const struct config *c, size_t i)
{
	const struct config_login *own = &c->accounts[i].login;
	bool other = false;
	char *host;

	for (size_t k = 0; k < i && k < CONFIG_MAX_ACCOUNTS && !other; k++) {
		const struct config_login *l = &c->accounts[k].login;
		other = l->port != own->port && strcasecmp(l->host, own->host) == 0 && strcmp(l->user, own->user) == 0;
	}
	host = other ? xasprintf("%s:%u", own->host, (unsigned)own->port) : xstrdup(own->host);
	ascii_lower_in_place(host);
	return host;
}

static void fill_accounts(struct loader *l)
{
	const struct sections *all = &l->of[SECTION_ACCOUNT];
	struct config *c = l->c;

	c->accounts = xcalloc(all->n + 1, sizeof *c->accounts);
	l->accounts = xcalloc(all->n + 1, sizeof *l->accounts);
	for (size_t i = 0; i < all->n; i++) {
		c->accounts[i].label = xstrdup(all->v[i]->label);
		fill_section(l, all->v[i], SECTION_ACCOUNT, NULL, &c->accounts[i], &l->accounts[i]);
		c->accounts[i].mailbox_host = mailbox_host(c, i);
	}
	c->naccounts = all->n;
}

static void fill_rules(struct loader *l)
{
	const struct sections *all = &l->of[SECTION_RULE];
	struct config *c = l->c;

	c->rules = xcalloc(all->n + 1, sizeof *c->rules);
	for (size_t i = 0; i < all->n; i++) {
		c->rules[i].label = xstrdup(all->v[i]->label);
		c->rules[i].line = all->v[i]->scan->line;
		fill_section(l, all->v[i], SECTION_RULE, NULL, &c->rules[i], NULL);
	}
	c->nrules = all->n;
}

void load_fill(struct loader *l)
{
	fill_main(l);
	fill_users(l);
	fill_relays(l);
	fill_accounts(l);
	fill_rules(l);
	fill_single(l, SECTION_SORTER);
}
