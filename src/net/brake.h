/* A brake on guessing passwords: failed log-ins of one address, counted for all servers together. Loop thread only.
 *
 * Each failure of a connection is answered later than the one before: after 1 s, 2 s, … 5 s. Beyond 10 failures of an
 * address its new connections wait longer too. At 20 failures for one name the address is banned from logging in by
 * that name, at 100 failures in all from logging in: for 5 minutes, the next time for 10, … at most an hour. One
 * failure is forgotten every 30 seconds. A user who logged in well from there within the last day is not banned: many
 * people may share one address. Their wrong passwords are answered after 30 s while a ban lasts, so that guessing on is
 * of no use. Names that are nobody's are treated like those of users, so that nothing tells which is which. */
#ifndef OFM_NET_BRAKE_H
#define OFM_NET_BRAKE_H

#include "net/ip_filter.h"

enum {
	BRAKE_STEP_MS = 1000,
	BRAKE_DELAY_MAX_MS = 5000,
	BRAKE_DELAY_BANNED_MS = 30 * 1000,
	BRAKE_FORGET_MS = 30 * 1000,
	BRAKE_FREE = 10,
	BRAKE_LIMIT = 100,
	BRAKE_LIMIT_NAME = 20,
	BRAKE_BAN_MS = 5 * 60 * 1000,
	BRAKE_BAN_MAX_MS = 3600 * 1000,
	BRAKE_KNOWN_MS = 24 * 3600 * 1000,
	BRAKE_ADDRESSES = 1024, /* more push out those that have been quiet for longest */
	BRAKE_NAMES = 64,       /* of one address; of those that logged in the newest stay, then of the others */
	BRAKE_NAME_MAX = 64     /* of longer ones the beginning counts */
};

struct brake;

struct brake *brake_new(void);
void brake_free(struct brake **b);
/* Whether a log-in from there may be looked at. user: the name of a user, or what was given where there is no such
 * user. A refusal is logged, one line an address and minute. now_ms: monotonic, here and below. */
bool brake_admits(struct brake *b, const struct ip_addr *a, const char *user, int64_t now_ms);
/* One has failed, the nth of its connection. Returns how long after its begin it is to be answered. Logs where it
 * begins a ban. */
int64_t brake_failed(struct brake *b, const struct ip_addr *a, const char *user, unsigned nth, int64_t now_ms);
void brake_succeeded(struct brake *b, const struct ip_addr *a, const char *user, int64_t now_ms);

#endif
