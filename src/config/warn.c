/* What may be meant so, and is worth a word. */
#include "config/load.h"

#include "config/itself.h"

#include <string.h>
#include <strings.h>

static struct place single(const struct loader *l, enum section_kind kind, const char *key)
{
	struct place at = section_place(load_single(l, kind), key);

	if (at.section[0] == '\0')
		at.section = schema_section(kind)->name;
	return at;
}

/* Where to tell of user i; those that exist only by default are told of at [special]. */
static struct place user_place(const struct loader *l, size_t i, const char *key)
{
	if (i < l->of[SECTION_USER].n)
		return section_place(l->of[SECTION_USER].v[i], key);
	return single(l, SECTION_SPECIAL, "postmaster");
}

static bool mail_can_leave(const struct config *c)
{
	for (size_t i = 0; i < c->nrelays; i++)
		if (c->relays[i].login.host[0] != '\0')
			return true;
	return false;
}

static bool told_bad(const struct section *s, const char *key)
{
	const struct entry *e = section_entry(s, key);

	return e != NULL && e->scan->bad;
}

static void warn_password(struct loader *l, size_t i)
{
	const struct config_user *u = l->c->users[i];
	const struct section *s = u->listed ? l->of[SECTION_USER].v[i] : NULL;

	if (u->password[0] != '\0' || told_bad(s, "password") || section_entry(s, "password_file") != NULL)
		return;
	if (u->is_postmaster || u->is_boss)
		findings_warning(l->found, user_place(l, i, "password"),
		                 "%s has no password, so nobody can log in as %s; set one: ofmctl passwd %s", u->name,
		                 u->name, u->name);
	else
		findings_warning(
		    l->found, user_place(l, i, "password"),
		    "the password is empty: everybody on the LAN can read this mail; set one: ofmctl passwd %s",
		    u->name);
}

static void warn_users(struct loader *l)
{
	bool leaves = mail_can_leave(l->c);

	for (size_t i = 0; i < l->c->nusers; i++) {
		const struct config_user *u = l->c->users[i];
		if (u->is_daemon)
			continue;
		warn_password(l, i);
		if (leaves && u->listed && u->alias[0] == '\0' && !told_bad(l->of[SECTION_USER].v[i], "alias"))
			findings_warning(
			    l->found, user_place(l, i, "alias"),
			    l->c->relays[0].sender[0] != '\0'
			        ? "there is no alias, so mail to the outside leaves as [relay] sender; write alias = "
			          "ADDRESS"
			        : "there is no alias, so mail to the outside is refused; write alias = ADDRESS");
	}
}

static bool at_domain(const char *address, const char *domain)
{
	const char *at = strrchr(address, '@');

	return at != NULL && strcasecmp(at + 1, domain) == 0;
}

static void warn_domain(struct loader *l)
{
	const struct config *c = l->c;
	const char *whose = NULL;

	for (size_t i = 0; i < c->nusers && whose == NULL; i++)
		if (at_domain(c->users[i]->alias, c->domain))
			whose = c->users[i]->alias;
	for (size_t i = 0; i < c->naccounts && whose == NULL; i++)
		if (at_domain(c->accounts[i].login.user, c->domain))
			whose = c->accounts[i].login.user;
	if (whose != NULL && !c->unknown_local_relay)
		findings_warning(
		    l->found, single(l, SECTION_SERVER, "domain"),
		    "%s is in this domain, which is the fictive one of the LAN: mail to others in it never leaves; "
		    "choose another, office.lan say, or write unknown_local = relay",
		    whose);
}

static void warn_security(struct loader *l, const struct section *s, const struct config_login *g, uint16_t implicit)
{
	const struct entry *verify = section_entry(s, "tls_verify");
	struct place at = section_place(s, "security");

	if (verify != NULL && !g->tls_verify)
		findings_warning(
		    l->found, section_place(s, "tls_verify"),
		    "without verification anybody on the way may pretend to be the server and take the password; "
		    "write yes, with ca_file for a certificate of your own");
	if (g->host[0] == '\0')
		return;
	if (g->security <= SECURITY_OPPORTUNISTIC && host_is_distant(g->host))
		findings_warning(l->found, at,
		                 "password and mail travel to %s %sreadable for everybody on the way; write %s",
		                 g->host, g->security == SECURITY_OPPORTUNISTIC ? "perhaps " : "",
		                 g->port == implicit ? "security = tls" : "security = starttls, or tls");
	else if (g->security == SECURITY_STARTTLS && g->port == implicit)
		findings_warning(l->found, at, "port %u speaks TLS from the first byte; write security = tls",
		                 (unsigned)g->port);
}

/* Many relays refuse such a name in EHLO, and with it every letter (Postfix: reject_non_fqdn_helo_hostname). */
static void warn_hostname(struct loader *l)
{
	const struct config *c = l->c;
	const struct section *server = load_single(l, SECTION_SERVER);

	if (!mail_can_leave(c) || strpbrk(c->hostname, ".:") != NULL || told_bad(server, "hostname"))
		return;
	findings_warning(
	    l->found, single(l, SECTION_SERVER, "hostname"),
	    "%s%s has no dot: many relays refuse all mail of a gateway without a full name; write hostname = "
	    "gate.firm.example, with your own domain",
	    section_entry(server, "hostname") != NULL ? "" : "the machine's name ", c->hostname);
}

static bool has_password(const struct config_login *g)
{
	return g->password[0] != '\0' || g->password_command[0] != '\0';
}

static void warn_relays(struct loader *l)
{
	const struct sections *all = &l->of[SECTION_RELAY];
	const struct section *base = load_single(l, SECTION_RELAY);
	size_t nr = 1;

	for (size_t i = 0; i < all->n; i++) {
		const struct section *s = all->v[i];
		const struct config_relay *r = &l->c->relays[s == base ? 0 : nr++];
		warn_security(l, s, &r->login, 465);
		if (r->login.host[0] != '\0' && r->login.user[0] != '\0' && !has_password(&r->login) &&
		    !told_bad(s, "password"))
			findings_warning(l->found, section_place(s, "password"),
			                 "the password is empty; write it, or password_file");
		if (s != base && section_entry(s, "senders") == NULL)
			findings_warning(
			    l->found, section_place(s, "senders"),
			    "no sender is served by this relay; write senders = *@DOMAIN, or remove the section");
	}
}

static void warn_twice(struct loader *l, size_t i)
{
	const struct config_account *a = l->c->accounts;

	for (size_t k = 0; k < i && i < CONFIG_MAX_ACCOUNTS; k++)
		if (a[i].login.host[0] != '\0' && strcasecmp(a[i].login.host, a[k].login.host) == 0 &&
		    strcmp(a[i].login.user, a[k].login.user) == 0) {
			findings_warning(l->found, section_place(l->of[SECTION_ACCOUNT].v[i], "user"),
			                 "[account %s] collects the same mailbox; keep one of them", a[k].label);
			return;
		}
}

static void warn_accounts(struct loader *l)
{
	for (size_t i = 0; i < l->c->naccounts; i++) {
		const struct config_account *a = &l->c->accounts[i];
		const struct section *s = l->of[SECTION_ACCOUNT].v[i];
		warn_security(l, s, &a->login, 995);
		if (section_entry(s, "keep") == NULL)
			findings_warning(
			    l->found, section_place(s, "keep"),
			    "keep is not written, so mail is deleted at the provider once it is safe here; write "
			    "keep = 0 if that is meant, or 14d, or forever");
		if (!has_password(&a->login) && !told_bad(s, "password") && section_entry(s, "password_file") == NULL)
			findings_warning(l->found, section_place(s, "password"),
			                 "the password is empty; write it, or password_file, or password_command");
		warn_twice(l, i);
	}
}

static void warn_servers(struct loader *l)
{
	const struct config *c = l->c;
	bool tls = c->tls_certificate[0] != '\0';

	if (c->pop3.auth_tls && !tls)
		findings_warning(l->found, single(l, SECTION_POP3, "auth_tls"),
		                 "without a certificate in [tls] nobody can log in; add one, or write no");
	if (c->smtp.auth_tls && !tls)
		findings_warning(l->found, single(l, SECTION_SMTP, "auth_tls"),
		                 "without a certificate in [tls] nobody can log in; add one, or write no");
	if (!c->ip_filter.enabled)
		findings_warning(l->found, single(l, SECTION_IP_FILTER, "enabled"),
		                 "both servers talk to everybody who reaches them; write yes, and widen allow instead");
	else if (c->ip_filter.nallow == 0)
		findings_warning(
		    l->found, single(l, SECTION_IP_FILTER, "allow"),
		    "nobody is allowed, so nobody is served; name the networks of the LAN, or remove the line");
	if (!c->link_command && (c->link_up[0] != '\0' || c->link_down[0] != '\0'))
		findings_warning(l->found, single(l, SECTION_CONNECTION, c->link_up[0] != '\0' ? "up" : "down"),
		                 "the command is never run with type = lan; write type = command");
}

void load_warn(struct loader *l)
{
	warn_servers(l);
	warn_users(l);
	warn_domain(l);
	warn_hostname(l);
	warn_relays(l);
	warn_accounts(l);
}
