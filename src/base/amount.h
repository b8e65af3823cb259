/* Amounts as people read them. */
#ifndef OFM_BASE_AMOUNT_H
#define OFM_BASE_AMOUNT_H

#include <stdint.h>

enum { AMOUNT_MAX = 40 };

void amount_size(uint64_t bytes, char out[static AMOUNT_MAX]); /* "812 B", "4.2 KiB", "17 MiB" */

#endif
