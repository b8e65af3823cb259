#ifndef OFM_CTL_EXPLAIN_H
#define OFM_CTL_EXPLAIN_H

#include "ctl.h"

/* `ofmctl explain FILE.eml [--account NAME]`: sorts one message as the daemon would; needs none, changes nothing. */
int ctl_explain(const struct ctl_options *o, int argc, char **argv);

#endif
