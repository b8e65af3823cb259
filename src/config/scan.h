/* The ini file line by line, before iniparser sees it: what iniparser would misread without a word is a fault here.
 * Pure. Room-internal. */
#ifndef OFM_CONFIG_SCAN_H
#define OFM_CONFIG_SCAN_H

#include "config/findings.h"

/* iniparser reads lines into 1,024 bytes, with newline and NUL. */
enum { SCAN_LINE_MAX = 1022 };

struct scan_entry {
	char *key;     /* lower case */
	char *value;   /* as iniparser will read it */
	unsigned line; /* from 1 */
	bool bad;      /* already told as a fault: the value means nothing */
};

struct scan_section {
	char *name;        /* as written, trimmed */
	unsigned line;     /* of the header */
	bool bad;          /* malformed header, already told */
	struct slice text; /* its lines, from the header on; borrowed */
	struct scan_entry *v;
	size_t n;
};

struct scan {
	struct scan_section *v;
	size_t n;
};

/* Borrows text (without a byte order mark) as long as out lives. */
void scan_run(struct slice text, struct scan *out, struct config_findings *found);
void scan_free(struct scan *s);

#endif
