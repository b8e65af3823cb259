#include "ctl.h"

#include <stddef.h>

/* In the order of `ofmctl --help`. */
const struct ctl_command ctl_commands[] = {
    {NULL, NULL, NULL, NULL, false, NULL},
};
