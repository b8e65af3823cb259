/* Two clocks: the wall's for people and headers, the monotonic one for every wait and deadline. */
#ifndef OFM_BASE_CLOCK_H
#define OFM_BASE_CLOCK_H

#include "base/buf.h"

#include <stdbool.h>
#include <stdint.h>

int64_t clock_mono_ms(void); /* milliseconds since some fixed moment of this boot */
int64_t clock_mono_us(void);
int64_t clock_wall_s(void); /* seconds since 1970, UTC */
int64_t clock_wall_ms(void);
int64_t clock_wall_us(void);
/* RFC 5322 date-time in local time: "Tue, 24 Nov 2026 03:50:40 +0000". */
void clock_rfc5322(int64_t wall_s, char out[static 40]);
/* "2026-11-24T03:50:40Z" */
void clock_iso8601(int64_t wall_s, char out[static 24]);
/* A clock that is set years ahead must not make everything expire at once: whoever lets things expire by the wall's
 * clock watches it against the monotonic one. */
struct clock_watch {
	int64_t wall_s, mono_s; /* of the start, or of the last jump */
	bool jumped;
};
void clock_watch_start(struct clock_watch *w);
/* Whether it was set by more than ten minutes within the last day. *by: the seconds, where this look found it; else 0.
 */
bool clock_watch_jumped(struct clock_watch *w, int64_t *by);
/* This boot's id from the kernel (36 characters), or "unknown" where there is none. */
const char *clock_boot_id(void);

#endif
