#ifndef OFM_CTL_CHECK_H
#define OFM_CTL_CHECK_H

#include "ctl.h"

/* `ofmctl check [FILE]`: needs no daemon. Findings on stdout, one a line; 1 where there is a fault. */
int ctl_check(const struct ctl_options *o, int argc, char **argv);

#endif
