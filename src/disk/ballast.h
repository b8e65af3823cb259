/* One MiB that is let go when the disk is full, so that deletions and settling (which free space) can still commit.
 * It comes back before anything new is accepted. */
#ifndef OFM_DISK_BALLAST_H
#define OFM_DISK_BALLAST_H

#include <stdbool.h>

enum { BALLAST_BYTES = 1024 * 1024 };

/* Makes state/ballast where it is missing or short. false where there is no space for it. */
bool ballast_fill(int state_fd);
/* Gives its space back. */
void ballast_release(int state_fd);

#endif
