/* Sending the outqueue through the relays, bounces and warnings. Loop thread. */
#ifndef OFM_SEND_SENDER_H
#define OFM_SEND_SENDER_H

#include "config/config.h"
#include "net/runner.h"
#include "route/delivery.h"
#include "store/learnt.h"

struct sender;

struct sender_deps { /* all borrowed */
	struct loop *loop;
	struct delivery *delivery;
	struct database *database;
	struct workers *workers;
	struct runner *runner; /* password_command */
	struct learnt *learnt; /* of the relays */
};

struct sender *sender_new(const struct sender_deps *deps);
/* After sender_configure: reads the queue from the database (before the loop runs; blocks) and forgets messages whose
 * .eml is gone. */
int sender_load(struct sender *s, struct err *e);
void sender_configure(struct sender *s, const struct config *c);
/* A message's files stand in outqueue/ (delivery_on_queued). */
void sender_queued(struct sender *s, const char *id);
/* They cannot be put there for now (delivery_on_stuck): people see the message in the queue. */
void sender_stuck(struct sender *s, const char *id);

struct send_progress {
	uint64_t done, total; /* messages of this run */
	const char *error;    /* "" or the newest failure of a relay or recipient */
};
/* Sends all that is due, or with all everything that is not held. done(whether any part failed) exactly once. Runs at
 * once may overlap; each waits for what it started. */
void sender_run(struct sender *s, bool all, void (*progress)(void *arg, const struct send_progress *p),
                void (*done)(void *arg, bool failed), void *arg);
/* When the next recipient is due (mono ms); INT64_MAX where nothing waits. sync/ arms a timer by it on a lan line. */
int64_t sender_next_due(const struct sender *s);

struct sender_entry { /* one waiting message, for `ofmctl queue` and status */
	const char *id, *from;
	uint64_t size;
	int64_t queued_at; /* wall seconds */
	bool held;
	size_t nrecipients;
	const struct sender_recipient {
		const char *address;
		const char *state; /* "waiting", "sending", "delivered", "bounced", "dropped" */
		unsigned attempts;
		int64_t next_at; /* wall seconds */
		const char *last_reply;
	} * recipients;
};
void sender_list(const struct sender *s, void (*fn)(void *arg, const struct sender_entry *en), void *arg);
/* At most so many of them, from the one behind the id `after` on (NULL: from the first), by ids, whether or not that
 * one is still there; whether there are more. Costs what it shows. */
bool sender_page(const struct sender *s, const char *after, size_t most,
                 void (*fn)(void *arg, const struct sender_entry *en), void *arg);
size_t sender_length(const struct sender *s);
/* What keeps queue files from being read, for people; NULL = nothing. */
const char *sender_trouble(const struct sender *s);
int64_t sender_oldest(const struct sender *s); /* wall seconds of queueing, 0 = empty */

/* For status: fn for each thing that was learnt of a relay (store/learnt.h), by name. */
void sender_relay_learnt(const struct sender *s, const struct config_relay *r,
                         void (*fn)(void *arg, const char *name, int64_t value), void *arg);

enum sender_action { SENDER_DROP, SENDER_RETRY, SENDER_HOLD, SENDER_RELEASE };
/* what: an id, an address (recipient or sender), or "all". done(number of messages or recipients, the messages' ids,
 * error or NULL) before it returns; see sender_acted. */
void sender_act(struct sender *s, enum sender_action action, const char *what,
                void (*done)(void *arg, unsigned n, const struct strlist *ids, const char *error), void *arg);

enum sender_acted {
	SENDER_DONE,       /* committed, and seen by sender_page; also of a message that has gone */
	SENDER_COMMITTING, /* not yet */
	SENDER_WITH_RELAY  /* is to be dropped, and is being sent at this moment: the relay's reply decides */
};
/* How far what was done to this message is. */
enum sender_acted sender_acted(const struct sender *s, const char *id);
void sender_stop(struct sender *s, int64_t ms, void (*done)(void *arg), void *arg);
void sender_free(struct sender **s);

#endif
