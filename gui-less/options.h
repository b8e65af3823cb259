/* The options that every ofmctl command takes, and which ini file and home they mean. */
#ifndef OFM_CTL_OPTIONS_H
#define OFM_CTL_OPTIONS_H

#include "ctl.h"

struct options_parsed {
	struct ctl_options ctl;
	bool help, version;
	char **argv; /* what is left: command and its arguments, NULL-terminated; the strings are main's */
	int argc;
};

/* Takes -c FILE, -d DIR, --json, --help and --version out of argv, wherever they stand before a "--". 0, or -1
 * after an error on stderr. The caller frees with options_free. */
int options_parse(int argc, char **argv, struct options_parsed *out);
void options_free(struct options_parsed *p);

#endif
