/* Which session has which mailbox open: one each. Loop thread. */
#ifndef OFM_POP3_LOCKS_H
#define OFM_POP3_LOCKS_H

#include "net/ip_filter.h"
#include "net/loop.h"

#include <stdbool.h>

enum {
	POP3_LOCK_WAIT_MS = 10000,  /* a new log-in waits so long for the old session to end */
	POP3_LOCK_SILENT_MS = 5000, /* and takes it over when it was silent so long, and from the same address */
	POP3_LOCK_TICK_MS = 250
};

struct pop3_locks;

struct pop3_claim { /* the owner's memory, from acquire to release */
	const char *user;
	struct ip_addr peer;
	/* Exactly once, maybe from inside acquire. Where ok is false the claim is already released. */
	void (*granted)(void *arg, bool ok);
	/* How long nothing came from or went to this session's peer, in ms; 0 = it must not be taken over. */
	int64_t (*silent)(void *arg);
	/* Taken over: release it now. */
	void (*evict)(void *arg);
	void *arg;
	/* private */
	struct pop3_claim *next;
	int64_t since;
	bool holding, listed;
};

struct pop3_locks *pop3_locks_new(struct loop *l);
void pop3_locks_free(struct pop3_locks **l);
void pop3_locks_acquire(struct pop3_locks *l, struct pop3_claim *c);
/* Of a holding or a waiting one; nothing for any other. */
void pop3_locks_release(struct pop3_locks *l, struct pop3_claim *c);
bool pop3_locks_held(const struct pop3_locks *l, const char *user);

#endif
