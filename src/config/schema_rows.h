/* The table behind schema.h. */
#ifndef OFM_CONFIG_SCHEMA_ROWS_H
#define OFM_CONFIG_SCHEMA_ROWS_H

#include "config/schema.h"

extern const struct schema_section schema_sections[SECTION_KINDS];
extern const struct schema_row schema_table[]; /* rows of one section stand together, in the order of the kinds */
extern const size_t schema_table_size;

#endif
