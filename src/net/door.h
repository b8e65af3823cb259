/* Who may come in: the IP filter, how many at once, how many of one address. Whoever is turned away hears a line and
 * costs no session; the log has one line an address and minute. Loop thread only. */
#ifndef OFM_NET_DOOR_H
#define OFM_NET_DOOR_H

#include "net/ip_filter.h"

struct door;

struct door_words { /* the server's, with CRLF */
	const char *stranger, *full, *crowded;
};

/* event: that of the log line. Both borrowed. */
struct door *door_new(const char *event, const struct door_words *words);
/* false: told why (under TLS nobody would read it), logged, and fd closed. true: whoever takes fd says door_enter(). */
bool door_admits(struct door *d, const struct ip_filter *filter, unsigned max, int fd, bool tls,
                 const struct ip_addr *peer);
void door_enter(struct door *d, const struct ip_addr *peer);
/* Once for each enter. */
void door_leave(struct door *d, const struct ip_addr *peer);
unsigned door_inside(const struct door *d);
void door_free(struct door **d);

#endif
