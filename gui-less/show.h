/* Values as people read them. */
#ifndef OFM_CTL_SHOW_H
#define OFM_CTL_SHOW_H

#include "base/buf.h"

#include <stdint.h>
#include <stdio.h>

enum { SHOW_MAX = 40 };

/* Appends s without anything that moves a cursor or turns a line round; LF and TAB become spaces where one_line. */
void show_text(struct buf *out, struct slice s, bool one_line);
/* Writes text so, as one line with its end. */
void show_line(FILE *f, const char *text);
/* Columns that s takes on a terminal. */
size_t show_width(struct slice s);
void show_size(uint64_t bytes, char out[static SHOW_MAX]);           /* "812 B", "4.2 KiB" */
void show_duration(int64_t seconds, char out[static SHOW_MAX]);      /* "45s", "12m", "3h", "2d 5h" */
void show_ago(int64_t at, int64_t now, char out[static SHOW_MAX]);   /* "never", "12m ago", "just now" */
void show_until(int64_t at, int64_t now, char out[static SHOW_MAX]); /* "now", "in 12m" */
void show_moment(int64_t at, char out[static SHOW_MAX]);             /* local: "2026-11-24 04:20:01" */

/* Controls, and the marks that reorder or hide what follows them. */
bool show_unsafe(uint32_t cp);
/* Whether nobody reads the standard output any more: a terminal or pipe that has gone. */
bool show_reader_left(void);

#endif
