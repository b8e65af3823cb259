/* Messages that a provider does not hand out: RETR or TOP breaks the session or is refused. They come last, and after
 * some tries not at all. Kept as one text among the facts of the mailbox. Pure. */
#ifndef OFM_FETCH_HARD_H
#define OFM_FETCH_HARD_H

#include "base/slice.h"

#include <stdint.h>

enum { HARD_MOST = 200, HARD_TRIES = 3, HARD_AGAIN_S = 24 * 3600 };

struct hard {
	char *name; /* the key in the ledger, or a name by number and size */
	unsigned tries;
	int64_t at;   /* of the last try; wall seconds */
	bool proven;  /* others came through since: it is not the line */
	bool told;    /* postmaster knows */
	bool by_head; /* its header alone breaks the session */
	bool by_dele; /* its deletion does */
};

struct hard_list {
	struct hard *v;
	size_t n;
};

/* text may be NULL; what is no entry is passed over. */
void hard_read(struct hard_list *l, const char *text);
char *hard_text(const struct hard_list *l); /* NULL where it is empty; the caller frees */
struct hard *hard_find(const struct hard_list *l, const char *name);
/* One more try failed. Beyond HARD_MOST entries it is not noted, and NULL. */
struct hard *hard_blame(struct hard_list *l, const char *name, int64_t now, bool by_head);
void hard_forget(struct hard_list *l, const char *name);
/* Whether it is left alone: tried often enough while others came through, and not a day ago. */
bool hard_is_left(const struct hard *h, int64_t now);
void hard_free(struct hard_list *l);

#endif
