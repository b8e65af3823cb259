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
/* A record that vanished and has the same header, each once; NULL. */
const struct ledger_record *picks_find_vanished(struct picks *p, const struct pick *k);
void picks_decide(struct picks *p, struct pick *k);

#endif
