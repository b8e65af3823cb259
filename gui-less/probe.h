/* Tries to reach an outside server and to log in, step by step, and says in words how far it came and what to do. */
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
};

/* Runs it. Each step is printed as it ends, or with list not NULL appended there as {"step", "ok", "text", "mend"}.
 * True where all went well. */
bool probe_run(const struct probe *p, json_t *list);

#endif
