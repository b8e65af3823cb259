/* The configuration as this machine's files have it, and changes to it, for commands that work without the daemon. */
#ifndef OFM_CTL_LOCAL_H
#define OFM_CTL_LOCAL_H

#include "config/config.h"
#include "ctl.h"

/* NULL after every fault on stderr. */
struct config *local_config(const struct ctl_options *o);
/* The same with more text behind the file's. */
struct config *local_config_with(const struct ctl_options *o, const char *more);
/* 0, or 1 and why the ini file cannot be written on stderr: asked before a password is typed in vain. */
int local_changeable(const struct ctl_options *o);
/* Writes the change into the ini file, and has a running daemon reload. `done`: what was done, for stdout. Returns the
 * exit status. */
int local_edit(const struct ctl_options *o, struct config_edit *ed, const char *done);

#endif
