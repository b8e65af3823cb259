/* Reloading, for those commands that change the ini file. */
#ifndef OFM_CTL_RELOAD_H
#define OFM_CTL_RELOAD_H

#include "client.h"

/* Faults and warnings go to stderr. 0 where the new configuration is in force, else 1. */
int reload_daemon(struct client *c);

#endif
