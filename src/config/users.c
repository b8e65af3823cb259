/* Users and groups by name, and lists of them. */
#include "config/load.h"

#include "base/alloc.h"
#include "base/text.h"
#include "config/values.h"

#include <stdlib.h>
#include <string.h>

enum { GROUP_DEPTH = 32 };

void users_add(struct config_users *u, const struct config_user *user)
{
	if ((u->n & (u->n - 1)) == 0)
		u->v = xreallocarray(u->v, u->n != 0 ? u->n * 2 : 1, sizeof *u->v);
	u->v[u->n++] = user;
}

/* All users stand in one array in file order, so their addresses are their order. */
static int by_place(const void *va, const void *vb)
{
	const struct config_user *a = *(const struct config_user *const *)va;
	const struct config_user *b = *(const struct config_user *const *)vb;

	return a < b ? -1 : a > b;
}

void users_settle(struct config_users *u)
{
	size_t n = 0;

	if (u->n == 0)
		return;
	qsort(u->v, u->n, sizeof *u->v, by_place);
	for (size_t i = 0; i < u->n; i++)
		if (n == 0 || u->v[n - 1] != u->v[i])
			u->v[n++] = u->v[i];
	u->n = n;
}

static int by_name(const void *va, const void *vb)
{
	const struct name *a = va, *b = vb;
	int order = text_cmp_nocase(a->name, b->name);

	return order != 0 ? order : (a->user == NULL) - (b->user == NULL); /* the user before a group of its name */
}

struct name *load_name(const struct loader *l, struct slice name)
{
	size_t from = 0, to = l->nnames;

	while (from < to) {
		size_t middle = from + (to - from) / 2;
		if (text_cmp_nocase(l->names[middle].name, name) < 0)
			from = middle + 1;
		else
			to = middle;
	}
	return from < l->nnames && text_eq_nocase(l->names[from].name, name) ? &l->names[from] : NULL;
}

static void add_everybody(struct loader *l, struct config_users *u)
{
	for (size_t i = 0; i < l->c->nusers; i++)
		if (!l->c->users[i]->is_daemon && !l->c->users[i]->is_boss)
			users_add(u, l->c->users[i]);
}

static bool add_group(struct loader *l, struct config_users *u, struct group *g, struct place at)
{
	if (g->state == GROUP_READING || l->depth >= GROUP_DEPTH) {
		findings_fault(l->found, at, "group %s %s; remove it here", g->section->label,
		               g->state == GROUP_READING ? "would be a member of itself" : "nests too deep");
		return false;
	}
	group_read(l, g);
	for (size_t i = 0; i < g->extra.members.n; i++)
		users_add(u, g->extra.members.v[i]);
	return true;
}

bool users_add_named(struct loader *l, struct config_users *u, struct slice item, struct place at)
{
	struct name *n;

	if (slice_is(item, "*")) {
		add_everybody(l, u);
		return true;
	}
	n = load_name(l, item);
	if (n == NULL) {
		findings_fault(l->found, at, "there is no user or group %.*s; add [user %.*s] or correct the name",
		               (int)item.n, item.p, (int)item.n, item.p);
		return false;
	}
	if (n->user == NULL)
		return add_group(l, u, n->group, at);
	if (n->user->is_daemon) {
		findings_fault(l->found, at, "%s is the daemon user, who owns no mailbox; remove it here",
		               n->user->name);
		return false;
	}
	users_add(u, n->user);
	return true;
}

void group_read(struct loader *l, struct group *g)
{
	bool quiet = l->quiet;

	if (g->state != GROUP_UNREAD)
		return;
	g->state = GROUP_READING;
	l->depth++;
	l->quiet = false;
	fill_section(l, g->section, SECTION_GROUP, NULL, NULL, &g->extra);
	l->quiet = quiet;
	l->depth--;
	g->state = GROUP_READ;
}

static struct config_user *find_user(const struct loader *l, const char *name)
{
	struct name *n = load_name(l, slice_of(name));

	return n != NULL ? n->user : NULL;
}

static void add_user(struct loader *l, const char *name, bool listed)
{
	struct config *c = l->c;

	c->users[c->nusers]->name = xstrdup(name);
	ascii_lower_in_place(c->users[c->nusers]->name);
	c->users[c->nusers]->listed = listed;
	c->nusers++;
}

static void sort_names(struct loader *l)
{
	l->nnames = 0;
	for (size_t i = 0; i < l->c->nusers; i++)
		l->names[l->nnames++] = (struct name){slice_of(l->c->users[i]->name), l->c->users[i], NULL};
	for (size_t i = 0; i < l->of[SECTION_GROUP].n; i++)
		l->names[l->nnames++] = (struct name){slice_of(l->groups[i].section->label), NULL, &l->groups[i]};
	qsort(l->names, l->nnames, sizeof *l->names, by_name);
}

static void check_clashes(struct loader *l)
{
	for (size_t i = 1; i < l->nnames; i++)
		if (l->names[i].user == NULL && text_eq_nocase(l->names[i - 1].name, l->names[i].name))
			findings_fault(l->found, section_place(l->names[i].group->section, ""),
			               "a user has this name; call the group otherwise");
	for (size_t i = 0; i < l->of[SECTION_GROUP].n; i++) {
		struct slice label = slice_of(l->groups[i].section->label);
		if (slice_is(label, "*") || slice_find(label, ',') < label.n)
			findings_fault(l->found, section_place(l->groups[i].section, ""),
			               "no list could name this group; choose a name without a comma, and not *");
	}
}

/* Postmaster and daemon exist even unlisted; the boss is somebody. */
static void appoint(struct loader *l)
{
	const struct section *s = load_single(l, SECTION_SPECIAL);
	struct config *c = l->c;
	struct config_user *postmaster = find_user(l, l->main.postmaster), *daemon = find_user(l, l->main.daemon);

	postmaster->is_postmaster = true;
	c->postmaster = postmaster;
	if (daemon == postmaster)
		findings_fault(l->found, section_place(s, section_entry(s, "daemon") != NULL ? "daemon" : "postmaster"),
		               "the daemon user cannot be postmaster too, for it owns no mailbox; choose another name");
	else
		daemon->is_daemon = true;
	c->daemon = daemon;
	if (l->main.boss[0] == '\0')
		return;
	struct config_user *boss = find_user(l, l->main.boss);
	if (boss == NULL) {
		findings_fault(l->found, section_place(s, "boss"),
		               "there is no user %s; add [user %s] or correct the name", l->main.boss, l->main.boss);
	} else if (boss == daemon) {
		findings_fault(l->found, section_place(s, "boss"),
		               "the daemon user cannot be the boss, for it owns no mailbox; choose another");
	} else {
		boss->is_boss = true;
		c->boss = boss;
	}
}

static void make_arrays(struct loader *l)
{
	size_t max = l->of[SECTION_USER].n + 2;
	struct config_user *all = xcalloc(max, sizeof *all);

	l->c->users = xcalloc(max, sizeof *l->c->users);
	for (size_t i = 0; i < max; i++)
		l->c->users[i] = &all[i];
	l->users = xcalloc(max, sizeof *l->users);
	l->groups = xcalloc(l->of[SECTION_GROUP].n + 1, sizeof *l->groups);
	for (size_t i = 0; i < l->of[SECTION_GROUP].n; i++)
		l->groups[i].section = l->of[SECTION_GROUP].v[i];
	l->names = xcalloc(max + l->of[SECTION_GROUP].n, sizeof *l->names);
}

void load_names(struct loader *l)
{
	fill_section(l, load_single(l, SECTION_SPECIAL), SECTION_SPECIAL, NULL, l->c, &l->main);
	make_arrays(l);
	for (size_t i = 0; i < l->of[SECTION_USER].n; i++)
		add_user(l, l->of[SECTION_USER].v[i]->label, true);
	sort_names(l);
	if (find_user(l, l->main.postmaster) == NULL)
		add_user(l, l->main.postmaster, false);
	sort_names(l);
	if (find_user(l, l->main.daemon) == NULL)
		add_user(l, l->main.daemon, false);
	sort_names(l);
	check_clashes(l);
	appoint(l);
}
