/* Inside journal/: the file. All of it on the journal's thread, but for making and freeing. */
#ifndef OFM_JOURNAL_STORE_H
#define OFM_JOURNAL_STORE_H

#include "journal/journal.h"

struct store;

struct store *store_new(const char *path);
void store_free(struct store **s);
/* Called for each file that was put aside ("" where it had been removed), with the reason; on the journal's thread. */
void store_on_aside(struct store *s, void (*fn)(void *arg, const char *aside, const char *why), void *arg);
/* The open file; NULL with e. One that is damaged, no file, or no longer the one that was opened is put aside, and
 * another begun. */
struct db_conn *store_conn(struct store *s, struct err *e);
/* A question to it has failed so: damage is dealt with at once, everything else by opening it anew. */
void store_failed(struct store *s, struct err *e);
/* Writes a list of notes in one commit; how many were lost. The first failure in a row is logged. */
size_t store_write(struct store *s, const struct journal_note *notes);
/* Whether the last write failed. */
bool store_failing(const struct store *s);

#endif
