/* `forward`: whom a message reaches beside its recipients. Internal to route/. */
#ifndef OFM_ROUTE_FORWARD_H
#define OFM_ROUTE_FORWARD_H

#include "base/strset.h"
#include "route/plan.h"
#include "route/router.h"

struct user_set { /* each once, never the daemon; users are borrowed */
	const struct config_user **v;
	size_t n;
	void *seen; /* a tree of them */
};

void user_set_add(struct user_set *s, const struct config_user *u);
/* Adds whom their forwards name here, by name or by alias, and whom those forward to, and so on; circles end by
 * themselves. */
void user_set_follow(struct user_set *s, const struct config *c);
void user_set_free(struct user_set *s);

struct forward { /* borrowed */
	const struct config *config;
	struct slice head; /* the message's header section: the loop header is looked for */
	uint64_t size;     /* of the whole message */
	bool null_sender;  /* it goes on with <>, so that nobody answers a bounce */
	bool eight_bit;
	/* Fills prefix, skip and normalize of m; loop_field ends in CRLF. */
	bool (*render)(void *arg, const char *loop_field, struct plan_message *m);
	void *arg;
};

/* Appends one outgoing message for each user with external forwards. An address in `sent` is left out, and what is sent
 * is added to it; its strings are borrowed from the configuration and from what is planned. Users whose mail cannot
 * leave (no alias, no relay, larger than may go outside) are logged. false where render failed. */
bool forward_plan(const struct forward *f, const struct user_set *users, struct strset *sent, struct plan *p);

#endif
