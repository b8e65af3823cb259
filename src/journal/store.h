/* Inside journal/: the file. All of it on the journal's thread, but for making and freeing. */
#ifndef OFM_JOURNAL_STORE_H
#define OFM_JOURNAL_STORE_H

#include "journal/journal.h"

struct store;

struct store *store_new(const char *path);
void store_free(struct store **s);
/* The open file; NULL with e. A damaged one is put aside, and another begun. */
struct db_conn *store_conn(struct store *s, struct err *e);
/* Writes a list of notes in one commit; how many were lost. The first failure in a row is logged. */
size_t store_write(struct store *s, const struct journal_note *notes);

#endif
