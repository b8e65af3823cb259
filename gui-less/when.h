/* Moments as people write them. */
#ifndef OFM_CTL_WHEN_H
#define OFM_CTL_WHEN_H

#include <stdbool.h>
#include <stdint.h>

/* "30m", "2h", "3d" (so long ago); "today", "yesterday", "13:30" (of today); "2026-11-24", and with "T13:30" or "
 * 13:30:05" behind it. Local time. Seconds since 1970; false where it is none of these. */
bool when_parse(const char *text, int64_t now, int64_t *out);
/* "today", "yesterday" or "2026-11-24": that day's first second, and the next day's. */
bool when_day(const char *text, int64_t now, int64_t *from, int64_t *to);

#endif
