/* How many connections each address holds, so that none takes them all. Loop thread only. */
#ifndef OFM_NET_CROWD_H
#define OFM_NET_CROWD_H

#include "net/ip_filter.h"

struct crowd;

struct crowd *crowd_new(void);
void crowd_free(struct crowd **c);
/* What one address may hold of max: half, but 10 at least. The machine itself (127.0.0.1, ::1) may hold all: what runs
 * there, a web mailer for instance, speaks for many. */
bool crowd_has_room(const struct crowd *c, const struct ip_addr *a, unsigned max);
void crowd_enter(struct crowd *c, const struct ip_addr *a);
/* Once for each enter. */
void crowd_leave(struct crowd *c, const struct ip_addr *a);
unsigned crowd_count(const struct crowd *c, const struct ip_addr *a);

#endif
