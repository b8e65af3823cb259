/* What a report says, gathered: the journal's sums, the queue, the accounts, the mailboxes' sizes. */
#ifndef OFM_DIGEST_FACTS_H
#define OFM_DIGEST_FACTS_H

#include "fetch/fetcher.h"
#include "journal/summary.h"
#include "send/sender.h"

struct digest_deps { /* all borrowed */
	struct loop *loop;
	struct journal *journal;
	struct sender *sender;
	struct fetcher *fetcher;
	struct maildir *maildir;
	struct workers *workers;
	struct delivery *delivery;
};

struct digest_box {
	char *name;
	uint64_t messages, bytes;
};

struct digest_account {
	char *name, *error; /* "" = works */
};

struct digest_facts {
	struct journal_summary sum;
	struct digest_box *boxes; /* the largest first */
	size_t nboxes;
	struct digest_account *accounts; /* those that are enabled */
	size_t naccounts;
	size_t queued;
	int64_t oldest; /* wall seconds, 0 = the queue is empty */
};

/* Gathers [from, to), wall seconds; done on the loop's thread, with NULL and e where the journal cannot be read. The
 * facts are its to free. */
void digest_gather(const struct digest_deps *d, const struct config *c, int64_t from, int64_t to,
                   void (*done)(void *arg, struct digest_facts *f, const struct err *e), void *arg);
void digest_facts_free(struct digest_facts **f);

#endif
