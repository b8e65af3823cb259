/* What the process may reach in the file system, by Landlock (landlock(7)): enforced by the kernel, for good, whatever
 * code runs in us. Commands are not run from inside (net/runner.h). */
#ifndef OFM_APP_CONFINE_H
#define OFM_APP_CONFINE_H

#include "base/err.h"

#include <stdbool.h>

enum confine_access {
	CONFINE_READ,  /* files and folders below can be read */
	CONFINE_WRITE, /* and made, written, linked, renamed and removed */
};

struct confine;

/* NULL where the kernel has no Landlock that can do this (before 5.19, or switched off). */
struct confine *confine_new(void);
void confine_free(struct confine **c);
/* The path and all below it; follows symbolic links. What does not exist is passed over. */
void confine_allow(struct confine *c, const char *path, enum confine_access access);
/* The same for the folder of a file, and of the file that it is a link to, so that it can be replaced. */
void confine_allow_folder_of(struct confine *c, const char *file, enum confine_access access);
/* Everything but people's homes (/root and /home), to read. */
void confine_allow_common(struct confine *c);
/* From here on nothing else can be opened for this, and nothing can be run. Before there are threads. */
int confine_enter(struct confine *c, struct err *e);
/* The version of the kernel's Landlock. */
int confine_version(const struct confine *c);
/* Whether a file that permissions would let us read is out of reach all the same. */
bool confine_hides(const char *file);

#endif
