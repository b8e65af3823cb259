/* Inside store/: what maildir.c and maildir_scan.c share. */
#ifndef OFM_STORE_MAILDIR_INTERNAL_H
#define OFM_STORE_MAILDIR_INTERNAL_H

#include "store/maildir.h"

#include <dirent.h>

/* A stream over mailboxes/NAME/SUB, to be closed with closedir; NULL with e. */
DIR *maildir_stream(struct maildir *m, const char *user, const char *sub, struct err *e);
/* The part of a name that flags and folders do not touch: up to ':'. */
struct slice maildir_base(const char *name);
/* Next entry that may be a message (no dot file, nothing known to be other than a regular file). NULL at the end
 * with errno 0, or with errno set. */
struct dirent *maildir_next(DIR *d);

#endif
