#include "check.h"

#include "base/alloc.h"
#include "client.h"
#include "config/config.h"
#include "show.h"
#include "sort/sorter.h"
#include "store/installation.h"

#include <jansson.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static void print_lines(const char *file, const struct config_findings *found)
{
	size_t warnings = 0;

	for (size_t i = 0; i < found->n; i++) {
		char *line = config_finding_format(file, &found->v[i]);
		show_line(stdout, line);
		free(line);
		warnings += !found->v[i].fault;
	}
	if (found->n == 0)
		printf("%s: no faults, no warnings\n", file);
	else
		fprintf(stderr, "%s: %zu %s, %zu %s\n", file, found->faults, found->faults == 1 ? "fault" : "faults",
		        warnings, warnings == 1 ? "warning" : "warnings");
}

static void print_json(const char *file, const struct config_findings *found)
{
	json_t *list = json_array();
	json_t *all = json_pack("{s:s, s:b, s:o}", "file", file, "ok", found->faults == 0, "findings", list);

	for (size_t i = 0; i < found->n; i++) {
		const struct config_finding *f = &found->v[i];
		json_array_append_new(list, json_pack("{s:s, s:i, s:s, s:s, s:s}", "kind",
		                                      f->fault ? "fault" : "warning", "line", (int)f->line, "section",
		                                      f->section, "key", f->key, "text", f->text));
	}
	client_dump_json(all, JSON_INDENT(1));
	json_decref(all);
}

static void add_key(void *arg, const struct config_key_info *k)
{
	json_t *row = json_pack("{s:s, s:s?, s:s, s:s, s:s, s:s, s:s, s:b, s:b, s:b, s:b}", "section", k->section,
	                        "label", k->label, "about", k->section_help, "key", k->key, "default", k->fallback,
	                        "range", k->range, "help", k->help, "list", k->list, "required", k->required, "restart",
	                        k->restart, "secret", k->secret);

	json_array_append_new(arg, row);
}

/* For the manual and the sample file, which are written from the same table as everything else. */
static int print_keys(void)
{
	json_t *list = json_array();

	config_each_key(add_key, list);
	json_dumpf(list, stdout, JSON_INDENT(1) | JSON_ENSURE_ASCII);
	putchar('\n');
	json_decref(list);
	return 0;
}

static int print_sample(void)
{
	struct buf out;

	buf_init(&out, 1 << 20);
	config_sample_write(&out);
	fwrite(out.p, 1, out.n, stdout);
	buf_free(&out);
	return 0;
}

/* DIR of DIR/etc/NAME, or NULL. */
static char *home_around(const char *file)
{
	char real[PATH_MAX];

	if (realpath(file, real) == NULL)
		return NULL;
	struct slice folder = slice_sub(slice_of(real), 0, (size_t)(strrchr(real, '/') - real));
	if (folder.n <= 4 || memcmp(folder.p + folder.n - 4, "/etc", 4) != 0)
		return NULL;
	return slice_dup(slice_sub(folder, 0, folder.n - 4));
}

/* Where the relative paths of FILE start: the home that was named or in which we stand; else, of DIR/etc/NAME, it is
 * DIR; else the current directory, as for `ofmsrv -c FILE`. The installed file has its own. */
static char *home_for(const struct ctl_options *o, const char *file)
{
	char here[PATH_MAX];
	bool installed = !o->file_given && strcmp(o->file, "/etc/ofmsrv/ofmsrv.ini") == 0;

	if (!installed || strcmp(file, o->file) == 0)
		return xstrdup(o->home);
	char *around = home_around(file);
	if (around == NULL && getcwd(here, sizeof here) != NULL)
		return xstrdup(here);
	return around != NULL ? around : xstrdup(o->home);
}

static char *folders_error(const struct config *c, const char **key, bool *fault)
{
	struct err e = {0, ""};
	enum installation_seen seen = installation_look(c->mailboxes, c->outqueue, c->state, key, &e);

	*fault = seen == INSTALLATION_WRONG;
	return seen == INSTALLATION_FINE ? NULL : xstrdup(e.text);
}

static int check(const struct ctl_options *o, const char *file)
{
	static const struct config_hooks hooks = {.pattern_error = sorter_pattern_error,
	                                          .folders_error = folders_error};
	struct config_findings found;
	char *home = home_for(o, file);
	struct config *c = config_load_with(file, home, &hooks, &found);
	int rc = c != NULL ? 0 : 1;

	if (o->json)
		print_json(file, &found);
	else
		print_lines(file, &found);
	config_unref(&c);
	config_findings_free(&found);
	free(home);
	return rc;
}

int ctl_check(const struct ctl_options *o, int argc, char **argv)
{
	if (argc > 2)
		return ctl_usage(argv[0], "one file at a time");
	if (argc == 2 && strcmp(argv[1], "--keys") == 0)
		return print_keys();
	if (argc == 2 && strcmp(argv[1], "--sample") == 0)
		return print_sample();
	if (argc == 2 && argv[1][0] == '-')
		return ctl_usage(argv[0], "there is no option %s", argv[1]);
	return check(o, argc == 2 ? argv[1] : o->file);
}
