/* What the gateway tells postmaster: every letter in every language, short, saying what happened, to which mail or
 * server, and what to do. A report is one of these: there is no other way to write one. Pure. */
#ifndef OFM_ROUTE_LETTER_H
#define OFM_ROUTE_LETTER_H

#include "base/buf.h"

#include <stdbool.h>

enum letter_kind {
	LETTER_MAILBOX,        /* user why folder mend */
	LETTER_WELL_AGAIN,     /* from until why */
	LETTER_REBUILT,        /* queued unreadable known */
	LETTER_LOGIN_REFUSED,  /* account user host why mend */
	LETTER_LOGIN_LATER,    /* account user host times why mend */
	LETTER_NO_PASSWORD,    /* account user host why */
	LETTER_NOT_COLLECTED,  /* account user host times why */
	LETTER_COLLECTED,      /* account user host */
	LETTER_HELD,           /* account user host */
	LETTER_TOO_LARGE,      /* account user host limit list */
	LETTER_NOT_FORWARDED,  /* user limit */
	LETTER_NOT_HANDED_OUT, /* account user host list */
	LETTER_NOT_DELETED,    /* account user host list */
	LETTER_COME_BACK,      /* account user host */
	LETTER_STAY_AWAY,      /* account user host */
	LETTER_RUNAWAY,        /* rule pattern account uidl */
	LETTER_RELAY_LOGIN,    /* host port why mend waiting */
	LETTER_RELAY_DOWN,     /* host port why mend waiting */
	LETTER_RELAY_WORKS,    /* host */
	LETTER_MANY_BOUNCES,   /* user most */
	LETTER_HELD_BACK,      /* n list */
	LETTER_OUTQUEUE,       /* folder why */
	LETTER_OUTQUEUE_WELL,  /* folder */
	LETTER_OUTQUEUE_LOST,  /* folder why */
	LETTER_OUTQUEUE_FOUND, /* folder */
	LETTER_LINE_UP,        /* why */
	LETTER_LINE_DOWN,      /* why */
	LETTER_JOURNAL,        /* file why aside */
	LETTER_KINDS
};

/* What stands for {name} in subject and body. A list of them ends with a NULL name. */
struct letter_value {
	const char *name, *text;
};

struct letter_text {
	const char *subject, *body; /* body: lines ending in LF */
};

/* The texts as they stand, with their {names}; borrowed, for good. */
struct letter_text letter_text(enum letter_kind k, bool russian);
/* Adds a text with its values filled in. A {name} without a value stays as it is. */
void letter_fill(struct buf *out, const char *text, const struct letter_value *values);

#endif
