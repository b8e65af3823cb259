/* Inside store/: what maildir.c and maildir_scan.c share. */
#ifndef OFM_STORE_MAILDIR_INTERNAL_H
#define OFM_STORE_MAILDIR_INTERNAL_H

#include "store/maildir.h"

#include <dirent.h>
#include <pthread.h>
#include <stdatomic.h>

/* A deletion that was promised and is not done yet: its messages are not shown. */
struct maildir_hidden {
	struct maildir_hidden *next;
	const char *user; /* borrowed, as what follows */
	const struct strlist *bases;
};

struct maildir {
	atomic_bool unflushed; /* folders were made */
	int fd;
	pthread_mutex_t lock; /* of what follows */
	struct maildir_hidden *hidden;
};

/* A stream over mailboxes/NAME/SUB, to be closed with closedir; NULL with e. */
DIR *maildir_stream(struct maildir *m, const char *user, const char *sub, struct err *e);
/* The part of a name that flags and folders do not touch: up to ':'. */
struct slice maildir_base(const char *name);
/* Next entry that may be a message (no dot file, nothing known to be other than a regular file). NULL at the end
 * with errno 0, or with errno set. */
struct dirent *maildir_next(DIR *d);

/* maildir_hidden.c. Any thread. */
/* Copies of what has to be hidden of one user, sorted; free by strlist_free. */
void maildir_hidden_of(struct maildir *m, const char *user, struct strlist *out);
/* Whether the base of name is in a sorted list. */
bool maildir_among(const struct strlist *sorted, const char *name);
void maildir_sort(struct strlist *bases);

#endif
