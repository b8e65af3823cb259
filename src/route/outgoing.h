/* The header section of a copy that goes outside. Internal to route/. */
#ifndef OFM_ROUTE_OUTGOING_H
#define OFM_ROUTE_OUTGOING_H

#include "route/router.h"

struct outgoing { /* all borrowed */
	const struct config *config;
	const char *sender;   /* envelope sender as it leaves; "" = null */
	const char *instead;  /* what stands for From addresses without alias; NULL = they stay */
	bool instead_for_all; /* also for From addresses outside our domain: the envelope sender became `instead` too */
	const char *received; /* fields of ours in front, ending in CRLF */
	struct slice head;    /* as much of the message as is at hand */
	uint64_t size;        /* of the whole message */
};

/* Appends all that stands in front of the body, every line end CRLF and no bare CR; *skip is how much of the message
 * that replaces. Lines in front of the body that are no fields begin the body (some devices send no header at all).
 * Where the header section is longer than head, *goes_on is true, and its rest is left as it is but for what
 * mail/blind.h takes out. false where out is full. */
bool outgoing_render(const struct outgoing *o, struct buf *out, uint64_t *skip, bool *goes_on);
/* The local user in From, whose address it is outside or inside; NULL for others. */
const struct config_user *outgoing_from_user(const struct config *c, struct slice head);

#endif
