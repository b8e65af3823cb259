/* What becomes of each listed message: fetched, deleted, left alone, or looked at first. Pure: a listing, the ledger's
 * records and the account's settings in, decisions and changes of the ledger out. */
#ifndef OFM_FETCH_PICKS_H
#define OFM_FETCH_PICKS_H

#include "base/strlist.h"
#include "fetch/digest.h"
#include "fetch/listing.h"
#include "store/ledger.h"

enum pick_action {
	PICK_LEAVE,
	PICK_TOP,  /* its header decides: ask for it, then call picks_top or picks_no_top */
	PICK_RETR, /* fetch it, then call picks_retrieved */
	PICK_DELE  /* safely stored: delete it */
};

enum { PICKS_TITLES = 50 }; /* of large ones: so many are named in one report */

struct pick {
	uint32_t number;
	uint64_t size;
	char *uidl; /* as listed; NULL where the server has none */
	char *key;  /* its name in the ledger; NULL until the digest is known */
	const struct ledger_record *rec;
	enum pick_action action;
	bool twice;       /* its UIDL is not its own */
	bool deleted;     /* the session's note: the server said +OK to DELE */
	bool brake;       /* unknown, and nearly all that was known is gone: is it one of those? */
	bool curious;     /* over max_bytes: its header is asked for to tell whose it is, and decides nothing */
	bool large;       /* newly found to be over max_bytes, and not told yet */
	char *title;      /* the session's note: of a large one, whose it is and what about; may be NULL */
	bool check;       /* whether it is the recorded one is seen once it is fetched */
	bool sought;      /* its header is asked for: it may be one that vanished under another name */
	bool asked;       /* the session's note: RETR or TOP is under way */
	bool last;        /* the session's note: fetched behind all others, alone */
	bool hopeless;    /* the session's note: left for good; its header is asked for to tell whose it is */
	bool undeletable; /* the session's note: hopeless, and it is its deletion that breaks the session */
	bool copy;        /* fetched, and most likely collected before under another name */
	bool unique;      /* no other message has this header */
	bool has_id;      /* it has a Message-ID */
	const struct ledger_record *again; /* the closed record of it: its deletion did not hold */
	unsigned char digest[DIGEST_SIZE]; /* all zero: not known */
	struct digest_old old;             /* only where there are records */
	int64_t arrived;                   /* wall seconds, -1: not known */
};

enum picks_resume { PICKS_AS_USUAL, PICKS_ALL_KNOWN, PICKS_ALL_NEW }; /* `account resume` */
enum picks_first { PICKS_FIRST_ALL, PICKS_FIRST_NEW, PICKS_FIRST_AGE };

struct picks_rules {
	int64_t keep; /* seconds; 0 = delete when stored, INT64_MAX = never */
	enum picks_first first;
	int64_t first_age;
	uint64_t max_bytes; /* 0 = no limit */
	bool first_time;    /* nothing was ever collected here */
	bool has_uidl, can_top;
	bool can_title;    /* a header may be asked for to tell whose a large message is */
	int64_t now;       /* wall seconds */
	bool clock_jumped; /* within a day: nothing expires by it */
	enum picks_resume resume;
	const struct strlist *avoid; /* keys of messages that broke a session */
	bool returned; /* some of what was deleted may be listed again: the closed records of such sizes are there */
	bool many_returned; /* a good part of it, or not for the first time */
	bool copied;        /* an earlier session stored copies of what was known: no second time */
};

struct picks_change {
	bool remove;              /* else put */
	struct ledger_record rec; /* uidl is owned */
};

struct picks_index { /* picks_index.c's */
	const struct ledger_record **v;
	size_t *from, n;
};

struct picks {
	struct pick *v;
	size_t n;
	struct picks_rules rules;
	const struct ledger_records *records;
	bool *seen;                        /* of each record: listed again */
	bool *moved;                       /* of each record: settled under its listed message's name */
	bool *claimed;                     /* of each record: it is a listed message's for sure */
	const struct ledger_record **open; /* those that the last listings still showed */
	size_t nopen;
	size_t nvanished;          /* of these, no longer listed by their names */
	size_t nfree, ncomparable; /* of the open, not claimed; of these, with a digest */
	struct picks_index closed; /* picks_returned.c's */
	struct picks_index by_header, by_author, nameless, skipped, large; /* of the open ones */
	bool brake, hold; /* hold: nothing may be done, a person has to decide */
	bool copies;      /* held since what is known comes under new names each time */
	bool keyless;     /* some message could not be named before it is fetched */
	void *names;      /* how often each name was given */
	struct picks_change *changes;
	size_t nchanges, changes_cap;
	size_t ncommitted; /* the session's note: so many are in the ledger */
	size_t nlarge;     /* newly found to be over max_bytes */
	size_t ncurious;
	size_t nhopeless; /* to be told */
	size_t nback;     /* listed again, after deletions that were confirmed */
};

/* Takes the listing's UIDLs; borrows records and rules->avoid for the life of p. */
void picks_make(struct picks *p, const struct picks_rules *rules, struct listing *l,
                const struct ledger_records *records);
/* The header of message i has come (or its first 4 MiB), or could not be had. */
void picks_top(struct picks *p, size_t i, struct slice head);
void picks_no_top(struct picks *p, size_t i);
/* No more PICK_TOP: counts what the listing no longer shows. Changes are complete then. Not with hold. */
void picks_settle(struct picks *p);

/* DELETE and LEAVE may have added a change. HOLD: p->hold is set; nothing more may be taken. */
enum picked { PICKED_STORE, PICKED_DELETE, PICKED_LEAVE, PICKED_HOLD };
/* Message i is here in full; says what to do with it, and names it. */
enum picked picks_retrieved(struct picks *p, size_t i, struct slice head);
/* The record to commit with message i once it is stored; uidl is borrowed. */
struct ledger_record picks_record(const struct picks *p, size_t i);
/* After that: whether it is to be deleted at once. */
void picks_stored(struct picks *p, size_t i);
/* Whether some message is listed under this name. */
bool picks_lists(const struct picks *p, const char *uidl);
void picks_free(struct picks *p);

#endif
