/* Which commands the helper runs: those of the ini file alone. The helper reads the file for itself, so that whoever
 * takes over the confined program and cannot write the file cannot have anything else run. */
#ifndef OFM_APP_COMMANDS_H
#define OFM_APP_COMMANDS_H

#include "app/options.h"
#include "base/strlist.h"
#include "config/config.h"

struct commands {
	const struct options *options;
	struct strlist known; /* of every sound file since the start: the one in force may be an older one */
};

void commands_init(struct commands *c, const struct options *o, const struct config *config);
/* A runner_allowed; arg is the struct. Reads the ini file anew for a command that it does not know. */
bool commands_allowed(void *arg, const char *command);
void commands_free(struct commands *c);

#endif
