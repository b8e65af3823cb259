/* Aligned columns on standard output. */
#ifndef OFM_CTL_TABLE_H
#define OFM_CTL_TABLE_H

#include <stdbool.h>
#include <stddef.h>

struct table;

/* Columns in words: "ID FROM >SIZE"; ">" aligns to the right, "_" in a title stands for a space. */
struct table *table_new(const char *columns);
/* The next cell of the current row; made harmless, one line, at most 400 bytes. */
void table_cell(struct table *t, const char *text);
size_t table_rows(const struct table *t);
/* Prints titles (bold on a terminal) and rows, and frees. */
void table_print(struct table **t, bool tty);
void table_free(struct table **t);

#endif
