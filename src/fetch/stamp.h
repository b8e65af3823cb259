/* The lines in front of a collected message. Pure but for the clock. */
#ifndef OFM_FETCH_STAMP_H
#define OFM_FETCH_STAMP_H

#include "sort/sorter.h"

/* Appends one Received line (unfolded, so that the message itself begins at the next line) that names account and UIDL,
 * and, for mail that fell to postmaster, X-Ofmsrv-Unsorted with the reason. ASCII, whatever the names hold. */
void stamp_write(struct buf *out, const struct config *c, const struct config_account *a, const char *uidl,
                 const struct sorter_verdict *v);

#endif
