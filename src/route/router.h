/* Who an address is, and what one message from the LAN causes. Pure over a configuration snapshot. */
#ifndef OFM_ROUTE_ROUTER_H
#define OFM_ROUTE_ROUTER_H

#include "config/config.h"
#include "mail/address.h"

enum route_kind {
	ROUTE_LOCAL,    /* user: a mailbox (never the daemon) */
	ROUTE_DAEMON,   /* eaten; starts a sync */
	ROUTE_EXTERNAL, /* goes outside */
	ROUTE_UNKNOWN,  /* 550 5.1.1: in our domain, but nobody */
	ROUTE_NO_DOT,   /* 550 5.1.2: domain without a dot */
};

struct route {
	enum route_kind kind;
	const struct config_user *user; /* ROUTE_LOCAL, ROUTE_DAEMON */
};

/* A recipient. our_ip: the address literal we were reached at ("127.0.0.1"), for postmaster@[…]; may be NULL. */
struct route route_recipient(const struct config *c, const struct address *a, const char *our_ip);
/* The local user behind an envelope sender or From address: NAME, NAME@domain, any alias; NULL for others. The
 * daemon is never a sender. */
const struct config_user *route_sender(const struct config *c, const struct address *a);
/* What a local address becomes outside: the user's alias; NULL where it has none or is not local. */
const char *route_alias(const struct config *c, const struct address *a);
/* Whose log-in this is, for both servers: NAME, NAME@domain or an unshared alias, without case. NULL for anything else
 * and for the daemon. */
const struct config_user *route_login(const struct config *c, struct slice text);
/* The sender that an envelope sender becomes outside: its alias; itself where it is an alias (or stands in a real
 * [server] domain: unknown_local = relay); the relay's `sender` for all others. "" stays "". NULL where it cannot
 * leave: no alias and no `sender`. The caller frees. */
char *route_outgoing_sender(const struct config *c, const struct address *a);
/* What stands in From for senders without alias: `sender` of the relay that mail of this sender takes, else [relay]'s;
 * NULL where it is empty. */
const char *route_relay_sender(const struct config *c, const struct address *a);

#endif
