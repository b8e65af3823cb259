/* The command line of ofmsrv: [-c FILE] [-d DIR]. */
#ifndef OFM_APP_OPTIONS_H
#define OFM_APP_OPTIONS_H

#include "base/err.h"

#include <stdbool.h>

struct options {
	char *file; /* the ini file, absolute; owned */
	char *home; /* absolute; owned */
	bool help, version;
};

/* -d: the home, default the current directory; -c: default etc/ofmsrv.ini under it. With neither and no
 * ./etc/ofmsrv.ini, or one that somebody else can change (which is said on stderr): /etc/ofmsrv/ofmsrv.ini and
 * /var/lib/ofmsrv. 0, or -1 with e. */
int options_parse(int argc, char **argv, struct options *o, struct err *e);
void options_free(struct options *o);

#endif
