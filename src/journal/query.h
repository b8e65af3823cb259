/* Questions to the journal. All of it on the journal's thread, inside journal_ask. */
#ifndef OFM_JOURNAL_QUERY_H
#define OFM_JOURNAL_QUERY_H

#include "journal/journal.h"

enum { JOURNAL_PAGE = 100, JOURNAL_SCAN = 3000 };

struct journal_query {    /* texts: NULL = any. All but id are sought as parts of a text, without case */
	int64_t since_ms; /* of the message or of anything that became of it */
	const char *user; /* exactly: its sender's or a receiver's name */
	const char *from, *to, *subject;
	const char *id; /* exactly: ours, the outqueue's, the Message-ID, or the provider's UIDL */
	/* Where to go on: 0 = at the beginning. With follow: what is new behind both, messages known before included
	 * when something became of them. */
	int64_t after, event;
	bool follow;
};

struct journal_recipient { /* of an outqueue message */
	char *address;
	enum journal_kind state; /* JOURNAL_ACCEPTED: nothing yet */
	int64_t at_ms;
	unsigned tries;
	char *relay, *reply; /* NULL = none */
};

struct journal_outgoing {
	char *id;
	bool held;
	struct journal_recipient *v;
	size_t n;
};

struct journal_fate { /* one message with all that became of it */
	int64_t number, at_ms;
	enum journal_kind kind;
	/* never NULL */
	const char *id, *sender, *user, *peer, *account, *uidl, *sorted, *subject, *message_id, *reply;
	struct strlist recipients, boxes, copies;
	uint64_t size;
	struct journal_outgoing *outgoing;
	size_t noutgoing;
};

/* One word for all of it: "refused", or the worst that is true of an outside recipient ("bounced", "deferred",
 * "waiting", "held", "dropped", "sent"), or "delivered". */
const char *journal_fate_state(const struct journal_fate *f);

struct journal_page {
	int64_t after, event; /* for the next question */
	bool more;
};

/* Calls each (fate borrowed) for at most JOURNAL_PAGE matching messages of at most JOURNAL_SCAN, the oldest first.
 * Where it returns false the page is full (with follow it goes on all the same). */
int journal_query(struct db_conn *c, const struct journal_query *q,
                  bool (*each)(void *arg, const struct journal_fate *f), void *arg, struct journal_page *out,
                  struct err *e);

/* Adds the ids of the outqueue messages that the message of this id (our reply's) caused. */
int journal_queued_by(struct db_conn *c, const char *id, struct strlist *out, struct err *e);

#endif
