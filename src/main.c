#include "app/app.h"

#include <stdio.h>
#include <string.h>

static const char usage[] = "usage: ofmsrv [-c FILE] [-d DIR]\n"
                            "The mail gateway, in the foreground. -d DIR: its home (default: the current directory);\n"
                            "-c FILE: its configuration (default: etc/ofmsrv.ini under the home).\n"
                            "--help: this; --version: the version.\n"
                            "ofmctl looks after it; ofmctl check reads a configuration without starting anything.\n";

int main(int argc, char **argv)
{
	struct options o;
	struct err e = {0, ""};

	if (options_parse(argc, argv, &o, &e) != 0) {
		fprintf(stderr, "ofmsrv: %s\n", e.text);
		options_free(&o);
		return 1;
	}
	if (o.help || o.version) {
		fputs(o.help ? usage : "ofmsrv " OFM_VERSION "\n", stdout);
		options_free(&o);
		return 0;
	}
	struct app *a = app_start(&o);
	if (a != NULL) {
		app_run(a);
		app_free(&a);
		options_free(&o);
		return 0;
	}
	options_free(&o);
	return 1;
}
