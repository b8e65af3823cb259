/* What the steps of a load share: scan, match to the schema, read by iniparser, fill the structs, check them.
 * Room-internal. */
#ifndef OFM_CONFIG_LOAD_H
#define OFM_CONFIG_LOAD_H

#include "config/scan.h"
#include "config/schema.h"

struct section;

struct entry {
	const struct schema_row *row;
	unsigned part; /* 1, or N of KEYN */
	struct scan_entry *scan;
};

struct section {
	enum section_kind kind;
	char *label; /* "" where none; users' in lower case */
	struct scan_section *scan;
	struct entry *v;
	size_t n;
};

struct sections { /* in file order; borrowed */
	struct section **v;
	size_t n;
};

struct group {
	const struct section *section;
	struct group_extra extra;
	enum { GROUP_UNREAD, GROUP_READING, GROUP_READ } state;
};

struct name { /* a user or a group, sorted by name */
	struct slice name;
	struct config_user *user; /* NULL: a group */
	struct group *group;
};

struct loader {
	struct config *c;
	struct config_findings *found;
	const struct config_hooks *hooks;
	struct scan scan;
	struct section *sections; /* sound, distinct ones, in file order */
	size_t nsections;
	struct sections of[SECTION_KINDS];
	/* extras, beside c's arrays */
	struct main_extra main;
	struct user_extra *users;
	struct login_extra *relays, *accounts;
	struct group *groups;
	struct name *names;
	size_t nnames;
	unsigned depth; /* of groups in groups */
	bool quiet;     /* inherited values were told where they stand */
};

/* Steps, in this order; each tells all it finds. */
void load_match(struct loader *l);     /* scan -> sections */
void load_iniparser(struct loader *l); /* the values, by iniparser's string getter */
void load_names(struct loader *l);     /* users and groups by name, [special] */
void load_fill(struct loader *l);      /* structs */
void load_secrets(struct loader *l);   /* password files, forms of passwords, relays' account = */
void load_check(struct loader *l);     /* what concerns more than one key */
void load_warn(struct loader *l);

/* Look-ups. */
const struct section *load_single(const struct loader *l, enum section_kind kind); /* the unlabelled one, or NULL */
const struct entry *section_entry(const struct section *s, const char *key);       /* NULL where not written */
/* Where to point: at the key where it is written, else at the section. s may be NULL. */
struct place section_place(const struct section *s, const char *key);
struct name *load_name(const struct loader *l, struct slice name);

/* fill.c: one section's rows into its struct and extras; what s leaves out comes from `inherit` (may be NULL). */
void fill_section(struct loader *l, const struct section *s, enum section_kind kind, const struct section *inherit,
                  void *base, void *extra);
/* users.c */
void users_add(struct config_users *u, const struct config_user *user);
void users_settle(struct config_users *u); /* file order, each once */
bool users_add_named(struct loader *l, struct config_users *u, struct slice item, struct place at);
void group_read(struct loader *l, struct group *g);

#endif
