/* Whether the current folder's etc/ofmsrv.ini may be used without being asked for: it names commands that are run. */
#ifndef OFM_CONFIG_HERE_H
#define OFM_CONFIG_HERE_H

#include "base/err.h"

enum here {
	HERE_NONE,     /* there is none */
	HERE_OURS,     /* nobody but root and this process's user can change it, or what it would be found as */
	HERE_SOMEBODYS /* somebody else can; e says who or how */
};

/* Looks at ./etc/ofmsrv.ini, ./etc, the current folder and those above it. */
enum here here_look(struct err *e);

#endif
