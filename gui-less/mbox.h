/* mbox files ("mboxrd": each message behind a line "From SENDER DATE", lines that begin with From or >From get one more
 * >, an empty line behind each), and putting messages into a mailbox. */
#ifndef OFM_CTL_MBOX_H
#define OFM_CTL_MBOX_H

#include "base/slice.h"
#include "store/maildir.h"

#include <stdio.h>

/* Line ends become LF. */
void mbox_write(FILE *f, struct slice message, int64_t arrived);
/* Calls fn for each message, its line ends CRLF; bytes that do not begin with "From " are one message. fn returns 0 to
 * go on; what ended it, or 0. */
int mbox_read(struct slice bytes, int (*fn)(void *arg, struct slice message), void *arg);

/* Messages on their way into one mailbox: all of them appear at the end, or none. */
struct mbox_place;

struct mbox_place *mbox_place_open(struct maildir *m, const char *user, struct err *e);
int mbox_place_put(struct mbox_place *p, struct slice message, struct err *e);
/* keep: puts them into new/, durably; else forgets them. */
int mbox_place_close(struct mbox_place **p, bool keep, struct err *e);

#endif
