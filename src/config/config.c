#include "config/config.h"

#include "config/index.h"
#include "config/schema_rows.h"

#include <stdlib.h>
#include <string.h>

static void free_login(struct config_login *g)
{
	free(g->host);
	free(g->ca_file);
	free(g->user);
	free(g->password);
	free(g->password_command);
}

static void free_users(struct config *c)
{
	for (size_t i = 0; i < c->nusers; i++) {
		struct config_user *u = c->users[i];
		free(u->name);
		free(u->password);
		free(u->full_name);
		free(u->alias);
		free(u->forward_local.v);
		strlist_free(&u->forward_external);
	}
	if (c->users != NULL)
		free(c->users[0]); /* all users are one array */
	free(c->users);
}

static void free_outside(struct config *c)
{
	for (size_t i = 0; i < c->nrelays; i++) {
		free(c->relays[i].label);
		free_login(&c->relays[i].login);
		free(c->relays[i].sender);
		strlist_free(&c->relays[i].senders);
	}
	free(c->relays);
	for (size_t i = 0; i < c->naccounts; i++) {
		free(c->accounts[i].label);
		free_login(&c->accounts[i].login);
		free(c->accounts[i].deliver.v);
		strlist_free(&c->accounts[i].envelope);
		free(c->accounts[i].envelope_prefix);
		free(c->accounts[i].mailbox_host);
	}
	free(c->accounts);
}

static void free_rules(struct config *c)
{
	for (size_t i = 0; i < c->nrules; i++) {
		free(c->rules[i].label);
		strlist_free(&c->rules[i].fields);
		free(c->rules[i].contains);
		free(c->rules[i].matches);
		strlist_free(&c->rules[i].accounts);
		free(c->rules[i].deliver.v);
	}
	free(c->rules);
}

static void destroy(struct config *c)
{
	char *strings[] = {c->file,     c->home,      c->hostname, c->domain,          c->mailboxes,
	                   c->outqueue, c->state,     c->control,  c->log_path,        c->run_as,
	                   c->link_up,  c->link_down, c->proxy,    c->tls_certificate, c->tls_key};

	for (size_t i = 0; i < sizeof strings / sizeof strings[0]; i++)
		free(strings[i]);
	strlist_free(&c->pop3.bind);
	strlist_free(&c->smtp.bind);
	strlist_free(&c->files);
	free(c->ip_filter.allow);
	free(c->ip_filter.deny);
	free(c->at);
	free(c->server_lines);
	free(c->unmatched.v);
	free_rules(c);
	free_outside(c);
	free_users(c);
	index_free(c);
	free(c);
}

struct config *config_ref(const struct config *c)
{
	/* The count is the one field of a snapshot that changes. */
	struct config *counted = (struct config *)(uintptr_t)c;

	__atomic_add_fetch(&counted->refs, 1, __ATOMIC_RELAXED);
	return counted;
}

void config_unref(struct config **c)
{
	if (*c != NULL && __atomic_sub_fetch(&(*c)->refs, 1, __ATOMIC_ACQ_REL) == 0)
		destroy(*c);
	*c = NULL;
}

const char *config_needs_restart(const struct config *before, const struct config *now)
{
	for (size_t i = 0; i < schema_table_size; i++) {
		const struct schema_row *row = &schema_table[i];
		if ((row->flags & ROW_RESTART) == 0)
			continue;
		/* All such keys are strings of the snapshot itself; a test holds the table to it. */
		const char *a = *(char *const *)((const char *)before + row->offset);
		const char *b = *(char *const *)((const char *)now + row->offset);
		if (strcmp(a, b) != 0)
			return row->key;
	}
	return NULL;
}

unsigned config_server_line(const struct config *c, const char *key)
{
	size_t n;
	const struct schema_row *rows = schema_rows(SECTION_SERVER, &n);

	for (size_t i = 0; i < n; i++)
		if (strcmp(rows[i].key, key) == 0)
			return c->server_lines[i];
	return 1;
}

void config_secrets(const struct config *c, void (*fn)(void *arg, const char *secret), void *arg)
{
	for (size_t i = 0; i < c->nusers; i++)
		if (c->users[i]->password[0] != '\0')
			fn(arg, c->users[i]->password);
	for (size_t i = 0; i < c->nrelays; i++)
		if (c->relays[i].login.password[0] != '\0')
			fn(arg, c->relays[i].login.password);
	for (size_t i = 0; i < c->naccounts; i++)
		if (c->accounts[i].login.password[0] != '\0')
			fn(arg, c->accounts[i].login.password);
}
