/* Tries an outside server step by step, on the road that collecting and sending take, and says in words how far it came
 * and what to do. */
#ifndef OFM_CTL_PROBE_H
#define OFM_CTL_PROBE_H

#include "config/config.h"
#include "net/outside.h"

#include <jansson.h>

struct probe {
	enum outside_protocol protocol;
	const char *label; /* "account info", "relay" */
	const struct config_login *login;
	const char *proxy, *hello; /* hello: for EHLO */
	const char *home;          /* where password_command runs */
	bool pipelining_off;
	const char *sender; /* SMTP: an address of ours, as sender and recipient; NULL or "" = sending is not tried */
};

/* An address with which mail goes through this relay: its `sender`, a user's alias, or its log-in name. "" = none is
 * known. Borrowed from c. */
const char *probe_sender(const struct config *c, const struct config_relay *r);
/* Runs it. Each step is printed as it ends, or with list not NULL appended there as {"step", "ok", "text", "mend"}.
 * True where all went well. */
bool probe_run(const struct probe *p, json_t *list);

#endif
