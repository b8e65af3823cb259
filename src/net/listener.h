/* Listening sockets that can be rebound while the program runs. Loop thread only. */
#ifndef OFM_NET_LISTENER_H
#define OFM_NET_LISTENER_H

#include "base/err.h"
#include "base/strlist.h"
#include "net/ip_filter.h"
#include "net/loop.h"

#include <stdint.h>

struct listener;

/* Descriptors have run out: what all listeners together know of it. Zeroed at first. */
struct listener_shortage {
	int64_t told_ms, last_ms; /* mono; told_ms 0 = they have not */
	unsigned pauses;
};

/* fd is non-blocking and close-on-exec; the callee takes it. */
typedef void listener_accepted(void *arg, int fd, const struct ip_addr *peer, uint16_t peer_port);

/* Binds every address of `bind` (numeric; "::" IPv6 only) to port. An IPv6 address on a machine without IPv6 is a
 * logged warning; any other failure is an error that names address and port, and nothing stays bound. */
struct listener *listener_new(struct loop *l, const struct strlist *bind, uint16_t port, listener_accepted *fn,
                              void *arg, struct err *e);
void listener_free(struct listener **l);
/* s, borrowed, in place of its own. */
void listener_share(struct listener *l, struct listener_shortage *s);
/* Accepts whoever is connected already. */
void listener_drain(struct listener *l);
/* Accepting pauses by itself for 100 ms where descriptors run out; that is logged once for all that share the shortage,
 * then counted: a line a minute, and one when it was over for 10 s. */
void listener_pause(struct listener *l, bool paused);

#endif
