#include "options.h"

#include "base/alloc.h"
#include "config/here.h"

#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

struct raw {
	const char *file, *home;
};

/* The value of a short option: glued to it, or the next argument. NULL where a (argv[*i]) is another option. */
static const char *short_value(const char *a, char letter, int argc, char **argv, int *i)
{
	if (a[0] != '-' || a[1] != letter)
		return NULL;
	if (a[2] != '\0')
		return a + 2;
	if (*i + 1 >= argc)
		return "";
	return argv[++*i];
}

static bool take_switch(const char *a, struct options_parsed *out)
{
	if (strcmp(a, "--json") == 0)
		out->ctl.json = true;
	else if (strcmp(a, "--help") == 0 || strcmp(a, "-h") == 0)
		out->help = true;
	else if (strcmp(a, "--version") == 0)
		out->version = true;
	else
		return false;
	return true;
}

/* 1: taken; 0: not ours; -1: its value is missing. */
static int take(int argc, char **argv, int *i, struct raw *raw, struct options_parsed *out)
{
	const char *a = argv[*i], *v;

	if (take_switch(a, out))
		return 1;
	if ((v = short_value(a, 'c', argc, argv, i)) != NULL)
		raw->file = v;
	else if ((v = short_value(a, 'd', argc, argv, i)) != NULL)
		raw->home = v;
	else
		return 0;
	if (*v != '\0')
		return 1;
	ctl_error("-%c needs a value: ofmctl [-c FILE] [-d DIR] COMMAND", raw->file == v ? 'c' : 'd');
	return -1;
}

/* Existing paths become real ones; others stay as they were written, behind the current directory. */
static char *absolute(const char *path)
{
	char real[PATH_MAX];
	char here[PATH_MAX];

	if (realpath(path, real) != NULL)
		return xstrdup(real);
	if (path[0] == '/' || getcwd(here, sizeof here) == NULL)
		return xstrdup(path);
	return xasprintf("%s/%s", here, path);
}

/* The same defaults as ofmsrv's own. */
static void resolve(const struct raw *raw, struct ctl_options *o)
{
	struct err why = {0, ""};
	enum here here = raw->file == NULL && raw->home == NULL ? here_look(&why) : HERE_OURS;

	if (here == HERE_SOMEBODYS)
		ctl_error("./etc/ofmsrv.ini is passed over, since %s; to use it all the same: ofmctl -d .", why.text);
	if (here != HERE_OURS) {
		o->file = xstrdup("/etc/ofmsrv/ofmsrv.ini");
		o->home = xstrdup("/var/lib/ofmsrv");
		return;
	}
	o->file_given = raw->file != NULL;
	o->home = absolute(raw->home != NULL ? raw->home : ".");
	o->file = raw->file != NULL ? absolute(raw->file) : xasprintf("%s/etc/ofmsrv.ini", o->home);
}

int options_parse(int argc, char **argv, struct options_parsed *out)
{
	struct raw raw = {NULL, NULL};
	bool all = false; /* behind "--" nothing is ours */

	*out = (struct options_parsed){.argv = xcalloc((size_t)argc + 1, sizeof *out->argv)};
	for (int i = 1; i < argc; i++) {
		int taken = all ? 0 : take(argc, argv, &i, &raw, out);
		if (taken < 0) {
			options_free(out);
			return -1;
		}
		if (taken > 0)
			continue;
		if (!all && strcmp(argv[i], "--") == 0)
			all = true;
		else
			out->argv[out->argc++] = argv[i];
	}
	resolve(&raw, &out->ctl);
	out->ctl.out_is_tty = isatty(STDOUT_FILENO) == 1;
	return 0;
}

void options_free(struct options_parsed *p)
{
	free(p->argv);
	free(p->ctl.file);
	free(p->ctl.home);
	*p = (struct options_parsed){0};
}
