/* The journal: what happened to each message, for people to ask about. A SQLite file of its own, written by a thread of
 * its own: a note costs its caller some copying and nothing else. Mail never waits for the journal and never fails by
 * it: what cannot be written is counted, said once in the log, and forgotten.
 *
 * Kept for JOURNAL_DAYS within JOURNAL_BYTES, the oldest go first. A crash loses what was noted in the last moments. */
#ifndef OFM_JOURNAL_JOURNAL_H
#define OFM_JOURNAL_JOURNAL_H

#include "base/strlist.h"
#include "disk/database.h"

#include <stdint.h>

enum { JOURNAL_DAYS = 90, JOURNAL_BYTES = 64 * 1024 * 1024, JOURNAL_RATE_MINUTES = 60 };

enum journal_kind { /* these numbers stand in the file */
	            /* a message's beginning */
	            JOURNAL_ACCEPTED,  /* from the LAN */
	            JOURNAL_COLLECTED, /* from a provider */
	            JOURNAL_WRITTEN,   /* by the gateway itself: bounces, reports */
	            JOURNAL_REFUSED,   /* from the LAN; nothing of it exists */
	            /* what became of one recipient of an outqueue message, or (held, released) of all */
	            JOURNAL_SENT,
	            JOURNAL_DEFERRED,
	            JOURNAL_BOUNCED,
	            JOURNAL_DROPPED,
	            JOURNAL_HELD,
	            JOURNAL_RELEASED,
	            JOURNAL_KINDS
};

/* "accepted", "collected", …: as in the journal's file, --json and the metrics. */
const char *journal_kind_name(enum journal_kind kind);

enum journal_text {
	JOURNAL_ID,         /* the message's, as in our 250 and Received; of an outqueue event: the outqueue's id */
	JOURNAL_SENDER,     /* envelope, "" = null; of collected mail: its From field, raw */
	JOURNAL_USER,       /* the local user behind it */
	JOURNAL_PEER,       /* the client's address, the provider's host, the relay */
	JOURNAL_ACCOUNT,    /* of collected mail: whose */
	JOURNAL_UIDL,       /*   … */
	JOURNAL_SORTED,     /*   … what placed it: "rule invoices, copies" */
	JOURNAL_SUBJECT,    /* raw, as in the header */
	JOURNAL_MESSAGE_ID, /* raw */
	JOURNAL_CHARSET,    /* what the header names for raw 8-bit text of the above */
	JOURNAL_REPLY,      /* the other side's words, or ours where we refused */
	JOURNAL_TEXTS
};

struct journal_note {
	enum journal_kind kind;
	int64_t at_ms; /* wall; set by journal_note_new */
	uint64_t size;
	char *text[JOURNAL_TEXTS]; /* NULL = "" */
	struct strlist recipients; /* envelope */
	struct strlist boxes;      /* users who got it */
	struct strlist copies;     /* and those who got it as a copy for the boss */
	struct strlist queued;     /* a line with its id, and one an address, for each outqueue message it caused */
	struct journal_note *next; /* private */
	size_t bytes;              /* private */
};

/* ---- writing: loop thread ---- */

struct journal_note *journal_note_new(enum journal_kind kind);
void journal_note_set(struct journal_note *n, enum journal_text which, const char *s);
void journal_note_set_slice(struct journal_note *n, enum journal_text which, struct slice s);
void journal_note_free(struct journal_note **n);

struct journal;

/* Opens PATH with its first note, not now; never fails. */
struct journal *journal_new(struct loop *l, const char *path);
/* Takes the note. j may be NULL: nothing is kept then. */
void journal_add(struct journal *j, struct journal_note **n);
/* One recipient's event. */
void journal_event(struct journal *j, enum journal_kind kind, const char *queue_id, uint64_t size,
                   const char *recipient, const char *relay, const char *reply);
/* Writes what is noted, and ends the thread. */
void journal_free(struct journal **j);

/* ---- counting: loop thread ---- */

struct journal_count {
	uint64_t n, bytes; /* messages (of the first kinds) or recipients */
};
struct journal_totals { /* since the start */
	struct journal_count of[JOURNAL_KINDS];
	uint64_t lost; /* notes that could not be written */
};
const struct journal_totals *journal_totals(const struct journal *j);
struct journal_state {
	bool failing;     /* what was noted last could not be written */
	int64_t aside_at; /* wall seconds: when a damaged file was last put aside; 0 = not since the start */
	char aside[256];  /* its new name; "" = it had been removed */
};
void journal_state(struct journal *j, struct journal_state *out);
/* fn for each file that was found damaged, on the loop's thread: the name under which it was put aside ("" = it had
 * been removed), and why. */
void journal_on_aside(struct journal *j, void (*fn)(void *arg, const char *aside, const char *why), void *arg);
/* Of each of the last JOURNAL_RATE_MINUTES minutes, the oldest first; the last one is not over. */
void journal_rates(const struct journal *j, enum journal_kind kind, unsigned out[static JOURNAL_RATE_MINUTES]);

/* ---- asking ---- */

/* fn on the journal's thread, once everything noted so far is written; then done on the loop's. c is NULL where the
 * file cannot be opened (e says why). Keep it short: notes wait meanwhile. */
void journal_ask(struct journal *j, int (*fn)(struct db_conn *c, void *arg, struct err *e),
                 void (*done)(void *arg, int rc, const struct err *e), void *arg);

#endif
