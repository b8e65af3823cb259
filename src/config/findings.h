/* Collecting what is wrong with a configuration, all in one pass. Room-internal. */
#ifndef OFM_CONFIG_FINDINGS_H
#define OFM_CONFIG_FINDINGS_H

#include "config/config.h"

#include <stdarg.h>

/* A file of rubbish must not become a gigabyte of complaints. */
enum { FINDINGS_MAX = 10000 };

struct place { /* where in the file; borrowed strings, "" where none */
	unsigned line;
	const char *section, *key;
};

void findings_add(struct config_findings *f, bool fault, struct place at, const char *fmt, va_list ap)
    __attribute__((format(printf, 4, 0)));
void findings_fault(struct config_findings *f, struct place at, const char *fmt, ...)
    __attribute__((format(printf, 3, 4)));
void findings_warning(struct config_findings *f, struct place at, const char *fmt, ...)
    __attribute__((format(printf, 3, 4)));
/* By line; of one line in the order found. */
void findings_sort(struct config_findings *f);

#endif
