/* Faults that concern more than one key. */
#include "config/load.h"

#include "base/alloc.h"
#include "config/itself.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/un.h>

static struct place single(const struct loader *l, enum section_kind kind, const char *key)
{
	struct place at = section_place(load_single(l, kind), key);

	if (at.section[0] == '\0')
		at.section = schema_section(kind)->name;
	return at;
}

static void check_folder(struct loader *l, const char *key, const char *path)
{
	struct stat st;

	if (stat(path, &st) != 0)
		findings_fault(l->found, single(l, SECTION_SERVER, key),
		               "the folder %s does not exist (%s); make it: mkdir %s", path, strerror(errno), path);
	else if (!S_ISDIR(st.st_mode))
		findings_fault(l->found, single(l, SECTION_SERVER, key), "%s is no folder; name one, or make it: mkdir",
		               path);
}

static void check_installation(struct loader *l)
{
	const char *key = "";
	bool fault = false;
	bool looks = l->hooks != NULL && l->hooks->folders_error != NULL;
	char *text = looks ? l->hooks->folders_error(l->c, &key, &fault) : NULL;

	if (text != NULL && fault)
		findings_fault(l->found, single(l, SECTION_SERVER, key), "%s", text);
	else if (text != NULL)
		findings_warning(l->found, single(l, SECTION_SERVER, key), "%s", text);
	free(text);
}

static void check_folders(struct loader *l)
{
	struct config *c = l->c;
	struct sockaddr_un un;

	check_folder(l, "mailboxes", c->mailboxes);
	check_folder(l, "outqueue", c->outqueue);
	if (strcmp(c->mailboxes, c->outqueue) == 0)
		findings_fault(l->found, single(l, SECTION_SERVER, "outqueue"),
		               "mailboxes is the same folder; name another");
	check_installation(l);
	if (strlen(c->control) >= sizeof un.sun_path)
		findings_fault(l->found, single(l, SECTION_SERVER, "control"),
		               "a socket's path has at most %zu bytes, and this has %zu; choose a shorter one",
		               sizeof un.sun_path - 1, strlen(c->control));
}

/* A file that is not there; what cannot be looked at from here may still be readable for the daemon. */
static void check_file(struct loader *l, struct place at, const char *path)
{
	struct stat st;

	if (path[0] == '\0')
		return;
	strlist_add(&l->c->files, path);
	if (stat(path, &st) == 0) {
		if (!S_ISREG(st.st_mode))
			findings_fault(l->found, at, "%s is no file; name a PEM file", path);
	} else if (errno != EACCES) {
		findings_fault(l->found, at, "%s: %s; correct the path or put the file there", path, strerror(errno));
	}
}

static void check_tls(struct loader *l)
{
	struct config *c = l->c;
	bool certificate = c->tls_certificate[0] != '\0', key = c->tls_key[0] != '\0';

	check_file(l, single(l, SECTION_TLS, "certificate"), c->tls_certificate);
	check_file(l, single(l, SECTION_TLS, "key"), c->tls_key);
	if (certificate != key)
		findings_fault(l->found, single(l, SECTION_TLS, certificate ? "key" : "certificate"),
		               "certificate and key belong together; write both or none");
	if (certificate && key)
		return;
	if (c->pop3.tls_port != 0)
		findings_fault(l->found, single(l, SECTION_POP3, "tls_port"), "TLS needs certificate and key in [tls]");
	if (c->smtp.tls_port != 0)
		findings_fault(l->found, single(l, SECTION_SMTP, "tls_port"), "TLS needs certificate and key in [tls]");
}

static bool bind_alike(const struct strlist *a, const struct strlist *b)
{
	if (strlist_has_nocase(a, "0.0.0.0") || strlist_has_nocase(b, "0.0.0.0") || strlist_has_nocase(a, "::") ||
	    strlist_has_nocase(b, "::"))
		return true;
	for (size_t i = 0; i < a->n; i++)
		if (strlist_has_nocase(b, a->v[i]))
			return true;
	return false;
}

static void check_ports(struct loader *l)
{
	const struct config *c = l->c;
	const struct {
		enum section_kind kind;
		const char *key;
		const struct config_server *server;
		uint16_t port;
	} p[] = {{SECTION_POP3, "port", &c->pop3, c->pop3.port},
	         {SECTION_POP3, "tls_port", &c->pop3, c->pop3.tls_port},
	         {SECTION_SMTP, "port", &c->smtp, c->smtp.port},
	         {SECTION_SMTP, "tls_port", &c->smtp, c->smtp.tls_port}};

	for (size_t i = 0; i < 4; i++)
		for (size_t k = 0; k < i; k++)
			if (p[i].port != 0 && p[i].port == p[k].port &&
			    bind_alike(&p[i].server->bind, &p[k].server->bind))
				findings_fault(l->found, single(l, p[i].kind, p[i].key),
				               "[%s] %s is %u too; choose another port",
				               schema_section(p[k].kind)->name, p[k].key, (unsigned)p[k].port);
}

static void check_relays(struct loader *l, const struct itself *self)
{
	const struct sections *all = &l->of[SECTION_RELAY];
	const struct section *base = load_single(l, SECTION_RELAY);
	size_t nr = 1;

	for (size_t i = 0; i < all->n; i++) {
		const struct section *s = all->v[i];
		const struct config_relay *r = &l->c->relays[s == base ? 0 : nr++];
		if (itself_is(self, &l->c->smtp, r->login.host, r->login.port))
			findings_fault(l->found, section_place(s, "host"),
			               "%s, port %u, is this gateway itself: mail would go round in circles; name the "
			               "upstream server",
			               r->login.host, (unsigned)r->login.port);
		if (section_entry(s, "ca_file") != NULL)
			check_file(l, section_place(s, "ca_file"), r->login.ca_file);
	}
}

static void check_accounts(struct loader *l, const struct itself *self)
{
	const struct sections *all = &l->of[SECTION_ACCOUNT];

	if (all->n > CONFIG_MAX_ACCOUNTS)
		findings_fault(l->found, section_place(all->v[CONFIG_MAX_ACCOUNTS], ""),
		               "there are %zu accounts and %d are the most, disabled ones included; remove some",
		               all->n, CONFIG_MAX_ACCOUNTS);
	for (size_t i = 0; i < all->n; i++) {
		const struct config_account *a = &l->c->accounts[i];
		if (itself_is(self, &l->c->pop3, a->login.host, a->login.port))
			findings_fault(l->found, section_place(all->v[i], "host"),
			               "%s, port %u, is this gateway itself: it would collect its own mail; name the "
			               "provider's server",
			               a->login.host, (unsigned)a->login.port);
		check_file(l, section_place(all->v[i], "ca_file"), a->login.ca_file);
	}
}

static void check_pattern(struct loader *l, const struct section *s, const char *pattern)
{
	char *why = l->hooks != NULL && l->hooks->pattern_error != NULL ? l->hooks->pattern_error(pattern) : NULL;

	if (why != NULL)
		findings_fault(l->found, section_place(s, "matches"), "this is no PCRE2 pattern: %s; correct it", why);
	free(why);
}

static bool told_bad(const struct section *s, const char *key)
{
	const struct entry *e = section_entry(s, key);

	return e != NULL && e->scan->bad;
}

static void check_rules(struct loader *l)
{
	for (size_t i = 0; i < l->c->nrules; i++) {
		const struct config_rule *r = &l->c->rules[i];
		const struct section *s = l->of[SECTION_RULE].v[i];
		bool unsure = told_bad(s, "contains") || told_bad(s, "matches");
		if (r->contains != NULL && r->matches != NULL)
			findings_fault(l->found, section_place(s, "matches"),
			               "contains stands here too; keep one of them");
		else if (r->contains == NULL && r->matches == NULL && !unsure)
			findings_fault(l->found, section_place(s, ""),
			               "the rule needs contains = TEXT or matches = PATTERN");
		if (r->matches != NULL)
			check_pattern(l, s, r->matches);
		if (r->fields.n > 1 && strlist_has_nocase(&r->fields, "*"))
			findings_fault(l->found, section_place(s, "field"), "* is every field already; write it alone");
	}
}

static void check_connection(struct loader *l)
{
	if (l->c->link_command && l->c->link_up[0] == '\0' && !told_bad(load_single(l, SECTION_CONNECTION), "up"))
		findings_warning(
		    l->found, single(l, SECTION_CONNECTION, "type"),
		    "no command raises the line, so it is taken for up; write up = COMMAND, or type = lan");
}

/* A rule or list that names only groups without members delivers to nobody. */
static void check_deliver(struct loader *l)
{
	for (size_t i = 0; i < l->c->nrules; i++) {
		const struct entry *e = section_entry(l->of[SECTION_RULE].v[i], "deliver");
		if (l->c->rules[i].deliver.n == 0 && l->found->faults == 0 && e != NULL)
			findings_fault(l->found, section_place(l->of[SECTION_RULE].v[i], "deliver"),
			               "nobody is in this list; name a user, or fill the group");
	}
}

void load_check(struct loader *l)
{
	struct itself *self = itself_new(l->c);

	check_folders(l);
	check_tls(l);
	check_ports(l);
	check_relays(l, self);
	check_accounts(l, self);
	check_rules(l);
	check_connection(l);
	check_deliver(l);
	itself_free(&self);
}
