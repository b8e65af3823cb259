/* Sorted tables over one snapshot: every look-up is a binary search. */
#include "config/index.h"

#include "base/alloc.h"
#include "base/text.h"

#include <stdlib.h>
#include <string.h>

struct key {
	struct slice text;
	const void *to; /* user, account or relay; of equal texts the first in file order stands first */
};

struct table {
	struct key *v;
	size_t n;
};

struct config_index {
	struct table users, aliases, accounts, senders;
};

static int compare(const void *va, const void *vb)
{
	const struct key *a = va, *b = vb;
	int order = text_cmp_nocase(a->text, b->text);

	if (order != 0)
		return order;
	return a->to < b->to ? -1 : a->to > b->to;
}

static void table_make(struct table *t, size_t max)
{
	t->v = xcalloc(max + 1, sizeof *t->v);
	t->n = 0;
}

static void table_add(struct table *t, const char *text, const void *to)
{
	t->v[t->n++] = (struct key){slice_of(text), to};
}

static void table_sort(struct table *t)
{
	if (t->n > 0)
		qsort(t->v, t->n, sizeof *t->v, compare);
}

/* The first of that text, or NULL. */
static const struct key *table_find(const struct table *t, struct slice text)
{
	size_t from = 0, to = t->n;

	while (from < to) {
		size_t middle = from + (to - from) / 2;
		if (text_cmp_nocase(t->v[middle].text, text) < 0)
			from = middle + 1;
		else
			to = middle;
	}
	return from < t->n && text_eq_nocase(t->v[from].text, text) ? &t->v[from] : NULL;
}

static bool same_as_next(const struct table *t, const struct key *k)
{
	return k + 1 < t->v + t->n && text_eq_nocase(k[0].text, k[1].text);
}

static void index_users(struct config *c)
{
	struct config_index *x = c->index;

	table_make(&x->users, c->nusers);
	table_make(&x->aliases, c->nusers);
	for (size_t i = 0; i < c->nusers; i++) {
		table_add(&x->users, c->users[i]->name, c->users[i]);
		if (c->users[i]->alias[0] != '\0')
			table_add(&x->aliases, c->users[i]->alias, c->users[i]);
	}
	table_sort(&x->users);
	table_sort(&x->aliases);
	for (size_t i = 0; i < c->nusers; i++) {
		const struct key *k = table_find(&x->aliases, slice_of(c->users[i]->alias));
		c->users[i]->alias_shared = k != NULL && same_as_next(&x->aliases, k);
	}
}

void index_build(struct config *c)
{
	struct config_index *x = xcalloc(1, sizeof *x);
	size_t senders = 0;

	c->index = x;
	index_users(c);
	table_make(&x->accounts, c->naccounts);
	for (size_t i = 0; i < c->naccounts; i++)
		table_add(&x->accounts, c->accounts[i].label, &c->accounts[i]);
	table_sort(&x->accounts);
	for (size_t i = 0; i < c->nrelays; i++)
		senders += c->relays[i].senders.n;
	table_make(&x->senders, senders);
	for (size_t i = 0; i < c->nrelays; i++)
		for (size_t k = 0; k < c->relays[i].senders.n; k++)
			table_add(&x->senders, c->relays[i].senders.v[k], &c->relays[i]);
	table_sort(&x->senders);
}

void index_free(struct config *c)
{
	if (c->index == NULL)
		return;
	free(c->index->users.v);
	free(c->index->aliases.v);
	free(c->index->accounts.v);
	free(c->index->senders.v);
	free(c->index);
	c->index = NULL;
}

const struct config_user *config_user_by_name(const struct config *c, struct slice name)
{
	const struct key *k = table_find(&c->index->users, name);

	return k != NULL ? k->to : NULL;
}

const struct config_user *config_user_by_alias(const struct config *c, struct slice address)
{
	const struct key *k = table_find(&c->index->aliases, address);

	return k != NULL && !same_as_next(&c->index->aliases, k) ? k->to : NULL;
}

bool config_is_alias(const struct config *c, struct slice address)
{
	return table_find(&c->index->aliases, address) != NULL;
}

const struct config_account *config_account_by_label(const struct config *c, struct slice label)
{
	const struct key *k = table_find(&c->index->accounts, label);

	return k != NULL ? k->to : NULL;
}

const struct config_relay *config_relay_for(const struct config *c, struct slice sender)
{
	const struct key *whole = table_find(&c->index->senders, sender), *any = NULL;
	const struct config_relay *best = whole != NULL ? whole->to : NULL;
	size_t at = sender.n;
	char pattern[2 + 256];

	while (at > 0 && sender.p[at - 1] != '@')
		at--;
	if (at > 0 && sender.n - at < 256) {
		pattern[0] = '*';
		memcpy(pattern + 1, sender.p + at - 1, sender.n - at + 1);
		any = table_find(&c->index->senders, slice_make(pattern, sender.n - at + 2));
	}
	/* Relays stand in one array in file order: the lower address is the earlier section. */
	if (any != NULL && (best == NULL || (const struct config_relay *)any->to < best))
		best = any->to;
	if (best == NULL)
		best = &c->relays[0];
	return best->login.host[0] != '\0' ? best : NULL;
}
