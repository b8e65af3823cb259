#include "app/options.h"

#include "base/alloc.h"
#include "config/here.h"

#include <getopt.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

static char *absolute(const char *path, struct err *e)
{
	char cwd[PATH_MAX];

	if (path[0] == '/')
		return xstrdup(path);
	if (getcwd(cwd, sizeof cwd) == NULL) {
		err_errno(e, "current directory");
		return NULL;
	}
	return xasprintf("%s/%s", cwd, path);
}

static int defaults(struct options *o, const char *file, const char *home, struct err *e)
{
	struct err why = {0, ""};
	enum here here = file == NULL && home == NULL ? here_look(&why) : HERE_OURS;

	if (here == HERE_SOMEBODYS)
		fprintf(stderr,
		        "ofmsrv: ./etc/ofmsrv.ini is passed over, since %s; to use it all the same: ofmsrv -d .\n",
		        why.text);
	if (here != HERE_OURS) {
		o->file = xstrdup("/etc/ofmsrv/ofmsrv.ini");
		o->home = xstrdup("/var/lib/ofmsrv");
		return 0;
	}
	if (home == NULL || (home[0] == '.' && home[1] == '\0')) {
		char cwd[PATH_MAX];
		if (getcwd(cwd, sizeof cwd) == NULL)
			return err_errno(e, "current directory");
		o->home = xstrdup(cwd);
	} else if ((o->home = absolute(home, e)) == NULL) {
		return -1;
	}
	o->file = file != NULL ? absolute(file, e) : xasprintf("%s/etc/ofmsrv.ini", o->home);
	return o->file != NULL ? 0 : -1;
}

int options_parse(int argc, char **argv, struct options *o, struct err *e)
{
	static const struct option words[] = {
	    {"help", no_argument, NULL, 'h'}, {"version", no_argument, NULL, 'V'}, {NULL, 0, NULL, 0}};
	const char *file = NULL, *home = NULL;
	int c;

	*o = (struct options){0};
	opterr = 0;
	while ((c = getopt_long(argc, argv, "+:c:d:hV", words, NULL)) != -1) {
		switch (c) {
		case 'c':
			file = optarg;
			break;
		case 'd':
			home = optarg;
			break;
		case 'h':
			o->help = true;
			break;
		case 'V':
			o->version = true;
			break;
		case ':':
			return err_set(e, 0, "-%c needs a %s behind it (try --help)", optopt,
			               optopt == 'c' ? "FILE" : "DIR");
		default:
			return err_set(e, 0, "unknown option: %s (try --help)", argv[optind - 1]);
		}
	}
	if (optind < argc)
		return err_set(e, 0, "unexpected word: %s (try --help)", argv[optind]);
	return defaults(o, file, home, e);
}

void options_free(struct options *o)
{
	free(o->file);
	free(o->home);
	*o = (struct options){0};
}
