/* Leaves Bcc and Resent-Bcc out of a header section that comes in pieces, of whatever length. Pure. */
#ifndef OFM_MAIL_BLIND_H
#define OFM_MAIL_BLIND_H

#include "base/buf.h"

struct blind_filter {
	unsigned char state;
	bool dropping;   /* the field that is being read is blind */
	uint64_t left;   /* bytes that may still be header */
	struct buf held; /* the beginning of a line that is not yet known */
};

/* At the beginning of a line of the header section. That goes to the empty line, but no further than `most` bytes. Free
 * with blind_free. */
void blind_init(struct blind_filter *f, uint64_t most);
void blind_free(struct blind_filter *f);
/* Appends what stays of `in`; false where out is full. */
bool blind_add(struct blind_filter *f, struct slice in, struct buf *out);
/* Appends what was held back, at the end of all. */
bool blind_end(struct blind_filter *f, struct buf *out);

#endif
