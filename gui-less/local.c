#include "local.h"

#include "base/alloc.h"
#include "reload.h"
#include "show.h"
#include "sort/sorter.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum { INI_MAX = 32 * 1024 * 1024 };

static const struct config_hooks hooks = {.pattern_error = sorter_pattern_error};

static void say_faults(const struct ctl_options *o, const struct config_findings *found)
{
	for (size_t i = 0; i < found->n; i++) {
		if (!found->v[i].fault)
			continue;
		char *line = config_finding_format(o->file, &found->v[i]);
		show_line(stderr, line);
		free(line);
	}
}

struct config *local_config(const struct ctl_options *o)
{
	struct config_findings found;
	struct config *c = config_load_with(o->file, o->home, &hooks, &found);

	if (c == NULL)
		say_faults(o, &found);
	config_findings_free(&found);
	return c;
}

struct config *local_config_with(const struct ctl_options *o, const char *more)
{
	struct config_findings found;
	struct config *c = NULL;
	FILE *f = fopen(o->file, "re");
	char *text;

	if (f == NULL) {
		ctl_error("%s: %s", o->file, strerror(errno));
		return NULL;
	}
	text = xmalloc(INI_MAX);
	size_t n = fread(text, 1, INI_MAX - strlen(more) - 2, f);
	bool unread = ferror(f) != 0 || !feof(f);
	fclose(f);
	if (unread) {
		ctl_error("%s cannot be read to its end", o->file);
		free(text);
		return NULL;
	}
	text[n] = '\n';
	memcpy(text + n + 1, more, strlen(more) + 1);
	c = config_load_text(slice_of(text), o->file, o->home, &hooks, &found);
	if (c == NULL)
		say_faults(o, &found);
	config_findings_free(&found);
	free(text);
	return c;
}

int local_changeable(const struct ctl_options *o)
{
	if (access(o->file, R_OK | W_OK) == 0)
		return 0;
	return ctl_error("%s cannot be changed: %m%s", o->file,
	                 errno == EACCES ? ": be root, or who may write it" : "");
}

int local_edit(const struct ctl_options *o, struct config_edit *ed, const char *done)
{
	struct err e = {.text = ""};

	ed->file = o->file;
	ed->home = o->home;
	ed->hooks = &hooks;
	if (config_edit(ed, &e) != 0)
		return ctl_error("%s", e.text);
	if (!client_reachable(o)) {
		printf("%s; ofmsrv is not running, and reads it at its start.\n", done);
		return 0;
	}
	struct client *c = client_open(o);
	int rc = c != NULL ? reload_daemon(c) : 1;
	client_close(&c);
	if (rc == 0)
		printf("%s, and is in force.\n", done);
	else
		ctl_error("it stands in %s, but is not in force", o->file);
	return rc;
}
