#include "check.h"
#include "ctl.h"

#include <stddef.h>

/* In the order of `ofmctl --help`. */
const struct ctl_command ctl_commands[] = {
    {"check", "[FILE]", "looks for faults and warnings in the ini file, without a daemon",
     "Prints every fault and warning of the configuration in one pass, as\n"
     "FILE:LINE: [section] key: what is wrong, and the mend. Needs no daemon. Status 1 on a fault.\n"
     "`ofmctl check --sample` prints a commented ini file, `ofmctl check --keys` all keys as JSON.\n",
     true, ctl_check},
    {NULL, NULL, NULL, NULL, false, NULL},
};
