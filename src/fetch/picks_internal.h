/* Shared by the halves of picks: the listing as a whole, and the decision on one message. */
#ifndef OFM_FETCH_PICKS_INTERNAL_H
#define OFM_FETCH_PICKS_INTERNAL_H

#include "fetch/picks.h"

struct picks_name {
	char *text;
	unsigned times;
};

int picks_name_compare(const void *a, const void *b);
void picks_name(struct picks *p, struct pick *k);                          /* sets key; the digest is known */
void picks_look_up(struct picks *p, struct pick *k);                       /* sets rec; the key is known */
void picks_change(struct picks *p, bool remove, struct ledger_record rec); /* copies uidl */
/* A record that the last listings still showed. */
bool picks_was_there(const struct picks *p, const struct ledger_record *rec);
/* Its record is no other message's. */
void picks_claim(struct picks *p, const struct ledger_record *rec);
/* An open record that no listed message has claimed, with the same header; claims it. NULL where there is none. */
const struct ledger_record *picks_find_open(struct picks *p, const struct pick *k);
/* The same by less: the author's part of the header, or the size where the record has no digest. Claims it. */
const struct ledger_record *picks_find_alike(struct picks *p, const struct pick *k);
/* An open record that no listed message has claimed, skipped for its age or its size, with this size; claims it. */
const struct ledger_record *picks_find_skipped(struct picks *p, const struct pick *k, bool large);
void picks_index_free(struct picks_index *x);
bool picks_comparable(const struct ledger_record *rec); /* its header is known */
bool picks_is_large(const struct ledger_record *rec);   /* skipped for its size */
/* picks_returned.c: one of this size was deleted; and, its header known, it is that one and decided. */
bool picks_may_have_returned(struct picks *p, const struct pick *k);
bool picks_came_back(struct picks *p, struct pick *k);
void picks_decide(struct picks *p, struct pick *k);

#endif
