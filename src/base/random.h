/* Random bytes and the names made of them. Any thread. */
#ifndef OFM_BASE_RANDOM_H
#define OFM_BASE_RANDOM_H

#include <stddef.h>

/* From the kernel's generator; aborts where there is none. */
void random_bytes(void *p, size_t n);
/* A unique base name: decimal wall seconds, ".", 20 hex digits: 5 of microseconds, so that names sort as they were
 * drawn, and 15 random (60 bits), so that a frozen or repeated clock draws no name twice. At most 40 bytes with NUL. */
#define RANDOM_NAME_MAX 40
void random_name(char out[static RANDOM_NAME_MAX]);

#endif
