/* Look-ups of a snapshot. Room-internal. */
#ifndef OFM_CONFIG_INDEX_H
#define OFM_CONFIG_INDEX_H

#include "config/config.h"

/* Once all structs are filled; also marks shared aliases. */
void index_build(struct config *c);
void index_free(struct config *c);

#endif
