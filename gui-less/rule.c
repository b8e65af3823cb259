/* ofmctl rule: the sorter's rules listed, added, tried on messages. */
#include "args.h"
#include "base/alloc.h"
#include "base/text.h"
#include "client.h"
#include "local.h"
#include "message_file.h"
#include "sort/sorter.h"
#include "table.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* ---- list ---- */

static char *joined(const struct strlist *l)
{
	struct buf b;

	buf_init(&b, SIZE_MAX / 2);
	for (size_t i = 0; i < l->n; i++)
		buf_printf(&b, "%s%s", i > 0 ? ", " : "", l->v[i]);
	return buf_steal(&b);
}

static char *joined_users(const struct config_users *users)
{
	struct buf b;

	buf_init(&b, SIZE_MAX / 2);
	for (size_t i = 0; i < users->n; i++)
		buf_printf(&b, "%s%s", i > 0 ? ", " : "", users->v[i]->name);
	return buf_steal(&b);
}

static const char *kind_of(const struct config_rule *r)
{
	static const char *const kinds[] = {"",    "stop",      "copy",      "copy, stop",
	                                    "not", "not, stop", "not, copy", "not, copy, stop"};

	return kinds[(r->invert ? 4 : 0) + (r->copy ? 2 : 0) + (r->stop ? 1 : 0)];
}

static void add_row(struct table *t, const struct config_rule *r)
{
	char *fields = joined(&r->fields), *accounts = joined(&r->accounts), *users = joined_users(&r->deliver);
	char *text = r->matches != NULL ? xasprintf("/%s/", r->matches) : xstrdup(r->contains);

	table_cell(t, r->label);
	table_cell(t, fields);
	table_cell(t, text);
	table_cell(t, accounts);
	table_cell(t, users);
	table_cell(t, kind_of(r));
	free(fields);
	free(accounts);
	free(users);
	free(text);
}

static json_t *json_row(const struct config_rule *r)
{
	char *fields = joined(&r->fields), *accounts = joined(&r->accounts), *users = joined_users(&r->deliver);
	json_t *o = json_pack("{s:s, s:i, s:s, s:s?, s:s?, s:s, s:s, s:b, s:b, s:b}", "name", r->label, "line",
	                      (int)r->line, "field", fields, "contains", r->contains, "matches", r->matches, "account",
	                      accounts, "deliver", users, "not", r->invert, "copy", r->copy, "stop", r->stop);

	free(fields);
	free(accounts);
	free(users);
	return o;
}

static int list(const struct ctl_options *o)
{
	struct config *c = local_config(o);

	if (c == NULL)
		return 1;
	if (o->json) {
		json_t *rules = json_array(), *wrap = json_object();
		for (size_t i = 0; i < c->nrules; i++)
			json_array_append_new(rules, json_row(&c->rules[i]));
		json_object_set_new(wrap, "rules", rules);
		client_print_json(wrap);
		json_decref(wrap);
	} else if (c->nrules == 0) {
		puts("There are no rules.");
	} else {
		struct table *t = table_new("RULE FIELD TEXT ACCOUNT DELIVER KIND");
		for (size_t i = 0; i < c->nrules; i++)
			add_row(t, &c->rules[i]);
		table_print(&t, o->out_is_tty);
	}
	config_unref(&c);
	return 0;
}

/* ---- what a rule is ---- */

struct wanted {
	const char *field, *contains, *matches, *deliver, *account;
	bool invert, copy, stop;
};

enum { SETTINGS_MAX = 8, WORDS_MAX = 1000 };

static int parse(struct wanted *w, int argc, char **argv, int max)
{
	const struct args_option options[] = {
	    {"--field", &w->field, NULL},     {"--contains", &w->contains, NULL}, {"--matches", &w->matches, NULL},
	    {"--deliver", &w->deliver, NULL}, {"--account", &w->account, NULL},   {"--not", NULL, &w->invert},
	    {"--copy", NULL, &w->copy},       {"--stop", NULL, &w->stop},         {NULL, NULL, NULL}};

	return args_all("rule", options, 2, argc, argv, max);
}

static size_t settings_of(const struct wanted *w, struct config_setting out[static SETTINGS_MAX])
{
	const struct config_setting all[SETTINGS_MAX] = {{"field", w->field},
	                                                 {"contains", w->contains},
	                                                 {"matches", w->matches},
	                                                 {"account", w->account},
	                                                 {"not", w->invert ? "yes" : NULL},
	                                                 {"deliver", w->deliver},
	                                                 {"copy", w->copy ? "yes" : NULL},
	                                                 {"stop", w->stop ? "yes" : NULL}};
	size_t n = 0;

	for (size_t i = 0; i < SETTINGS_MAX; i++)
		if (all[i].value != NULL)
			out[n++] = all[i];
	return n;
}

static int add(const struct ctl_options *o, int argc, char **argv)
{
	struct wanted w = {0};
	struct config_setting set[SETTINGS_MAX];
	int words = parse(&w, argc, argv, 1);

	if (words < 0)
		return 1;
	if (words != 1)
		return ctl_usage(argv[0], "the new rule needs a NAME");
	if (w.field == NULL || (w.contains == NULL) == (w.matches == NULL) || w.deliver == NULL)
		return ctl_usage(argv[0], "a rule needs --field, one of --contains and --matches, and --deliver");
	struct config_edit ed = {.kind = "rule", .label = argv[2], .add = true, .set = set, .n = settings_of(&w, set)};
	char *done = xasprintf("Rule %s was added behind the others", argv[2]);
	int rc = local_edit(o, &ed, done);
	free(done);
	return rc;
}

/* ---- test ---- */

/* The rule first in order, so that no `stop` of another keeps it from its turn. */
static const struct config_rule *bring_forward(struct config *c, const char *label)
{
	for (size_t i = 0; i < c->nrules; i++)
		if (text_eq_nocase(slice_of(c->rules[i].label), slice_of(label))) {
			struct config_rule first = c->rules[0];
			c->rules[0] = c->rules[i];
			c->rules[i] = first;
			return &c->rules[0];
		}
	return NULL;
}

static bool applied(const struct sorter_verdict *v, const struct config_rule *r)
{
	for (size_t i = 0; i < v->nrules; i++)
		if (v->rules[i] == r)
			return true;
	return false;
}

static const char *text_of(const struct sorter_verdict *v, const struct config_rule *r)
{
	for (size_t i = 0; i < v->nmatches; i++)
		if (v->matches[i].rule == r)
			return v->matches[i].text;
	return "";
}

struct trial {
	const struct ctl_options *o;
	const struct config *c;
	const struct config_rule *rule;
	const struct config_account *account;
	struct sorter *sorter;
	struct sorter_scratch *scratch;
	struct table *table;
	json_t *list;
};

/* A rule for certain accounts is tried as if the mail came by the first of them. */
static int try_file(struct trial *t, const char *file)
{
	struct sorter_verdict v;
	struct header h;
	struct buf bytes;

	if (!message_file_head(file, &bytes))
		return 1;
	header_scan(&h, buf_slice(&bytes));
	sorter_sort(t->sorter, t->scratch, &h, t->account, true, &v);
	bool yes = applied(&v, t->rule);
	if (t->o->json) {
		json_array_append_new(t->list, json_pack("{s:s, s:b, s:o}", "file", file, "matches", yes, "text",
		                                         codec_text(slice_of(text_of(&v, t->rule)))));
	} else {
		table_cell(t->table, file);
		table_cell(t->table, yes ? "yes" : "no");
		table_cell(t->table, text_of(&v, t->rule));
	}
	sorter_verdict_free(&v);
	header_free(&h);
	buf_free(&bytes);
	return 0;
}

static void print_trial(struct trial *t)
{
	if (t->o->json) {
		json_t *wrap = json_object();
		json_object_set(wrap, "messages", t->list);
		client_print_json(wrap);
		json_decref(wrap);
	} else if (table_rows(t->table) > 0) {
		table_print(&t->table, t->o->out_is_tty);
	}
}

static int try_files(const struct ctl_options *o, struct config *c, const char *label, int n, char **files)
{
	struct trial t = {.o = o, .c = c, .rule = bring_forward(c, label)};
	int rc = 0;

	if (t.rule == NULL)
		return ctl_error("there is no [rule %s] in %s (ofmctl rule lists them)", label, o->file);
	if (t.rule->accounts.n > 0)
		t.account = config_account_by_label(c, slice_of(t.rule->accounts.v[0]));
	t.sorter = sorter_new(c);
	t.scratch = sorter_scratch_new(t.sorter);
	t.table = table_new("FILE MATCHES TEXT");
	t.list = json_array();
	for (int i = 0; i < n; i++)
		rc |= try_file(&t, files[i]);
	print_trial(&t);
	json_decref(t.list);
	if (t.table != NULL)
		table_free(&t.table);
	sorter_scratch_free(&t.scratch);
	sorter_free(&t.sorter);
	return rc;
}

/* A rule that stands nowhere yet, as text behind the ini file's. */
static char *section_text(const struct wanted *w)
{
	struct config_setting set[SETTINGS_MAX];
	struct wanted with = *w;
	struct buf b;

	if (with.deliver == NULL)
		with.deliver = "*";
	size_t n = settings_of(&with, set);
	buf_init(&b, 64 * 1024);
	buf_add_str(&b, "[rule (new)]\n");
	for (size_t i = 0; i < n; i++) {
		const char *mark = strchr(set[i].value, '"') != NULL ? "'" : "\"";
		buf_printf(&b, "%s = %s%s%s\n", set[i].key, mark, set[i].value, mark);
	}
	return buf_steal(&b);
}

static int test(const struct ctl_options *o, int argc, char **argv)
{
	struct wanted w = {0};
	int words = parse(&w, argc, argv, WORDS_MAX);
	bool new_rule = w.field != NULL || w.contains != NULL || w.matches != NULL;

	if (words < 0)
		return 1;
	if (new_rule && (w.field == NULL || (w.contains == NULL) == (w.matches == NULL)))
		return ctl_usage(argv[0], "a rule to try needs --field and one of --contains and --matches");
	if (words < (new_rule ? 1 : 2))
		return ctl_usage(argv[0], "which messages? name their files, or - for the standard input");
	char *more = new_rule ? section_text(&w) : NULL;
	struct config *c = new_rule ? local_config_with(o, more) : local_config(o);
	int rc = c == NULL  ? 1
	         : new_rule ? try_files(o, c, "(new)", words, argv + 2)
	                    : try_files(o, c, argv[2], words - 1, argv + 3);
	config_unref(&c);
	free(more);
	return rc;
}

int ctl_rule(const struct ctl_options *o, int argc, char **argv)
{
	const char *what = argc > 1 ? argv[1] : "list";

	if (strcmp(what, "list") == 0)
		return argc > 2 ? ctl_usage(argv[0], "list takes no %s", argv[2]) : list(o);
	if (strcmp(what, "test") == 0)
		return test(o, argc, argv);
	if (strcmp(what, "remove") == 0 || strcmp(what, "delete") == 0)
		return ctl_usage(argv[0], "take the section out of %s, then: ofmctl reload", o->file);
	if (strcmp(what, "add") != 0)
		return ctl_unknown_part(argv[0], what, (const char *const[]){"list", "add", "test", NULL});
	return o->json ? ctl_usage(argv[0], "add reads nothing, so it takes no --json") : add(o, argc, argv);
}
