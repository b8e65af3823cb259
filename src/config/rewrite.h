/* Replacing a file whole: readers and a crash see the old bytes or the new ones. Room-internal. */
#ifndef OFM_CONFIG_REWRITE_H
#define OFM_CONFIG_REWRITE_H

#include "base/buf.h"
#include "base/err.h"

enum { REWRITE_MAX = 32 << 20 };

struct rewrite {
	struct buf text; /* what stands in the file */
	char *path;      /* behind symbolic links */
	int fd;          /* locked against other rewriters */
};

/* Reads the file under a lock that other callers of this respect. 0, or -1 with e and nothing to close. */
int rewrite_open(struct rewrite *r, const char *file, struct err *e);
/* Puts text in its place, with the same mode and owner; 0 only when it is durable. */
int rewrite_commit(struct rewrite *r, struct slice text, struct err *e);
void rewrite_close(struct rewrite *r);

#endif
