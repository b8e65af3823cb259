/* Single lines of the ini file's text: finding them, and writing them anew while every other byte stays. Pure.
 * Room-internal. */
#ifndef OFM_CONFIG_LINES_H
#define OFM_CONFIG_LINES_H

#include "base/buf.h"
#include "config/scan.h"

/* [KIND LABEL], without case; label "": [KIND]. NULL where there is none. */
const struct scan_section *lines_section(const struct scan *s, const char *kind, const char *label);
/* key in lower case; s may be NULL. */
const struct scan_entry *lines_entry(const struct scan_section *s, const char *key);
/* What ends the text's first line: a new one ends so too. */
const char *lines_end(struct slice text);
/* Appends to out the text in which the entry's line has this value (as it is to stand there, quotes and all); a comment
 * behind it stays where it fits. */
void lines_replace(struct slice text, const struct scan_entry *entry, const char *value, struct buf *out);
/* The same with a new line right behind the section's header. */
void lines_insert(struct slice text, const struct scan_section *s, const char *key, const char *value, struct buf *out);

#endif
