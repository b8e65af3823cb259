/* What one message causes, before it is committed: a list of messages, each with its destinations. Plain data, so
 * that routing can be tested without a disk. */
#ifndef OFM_ROUTE_PLAN_H
#define OFM_ROUTE_PLAN_H

#include "base/buf.h"
#include "base/strlist.h"
#include "queue/outqueue.h"

struct acceptance;
struct config;
struct gather;

enum { PLAN_PREFIX_MAX = 32 * 1024 * 1024 };

struct plan_message {
	const char *what;  /* "local", "boss", "outgoing", "forward": for logs and tests */
	struct buf prefix; /* bytes of ours in front of source[skip..] */
	uint64_t skip;     /* bytes of the source that the prefix replaces */
	uint64_t blind;    /* bytes of the source from which Bcc fields are left out; SECTION_OPEN: to the empty line */
	bool normalize;    /* line ends become CRLF everywhere: what leaves */
	struct strlist users; /* mailboxes, each once */
	bool outgoing;        /* entry is filled */
	struct outqueue_entry entry;
};

struct plan {
	struct plan_message *v;
	size_t n;
	const struct config *config; /* borrowed; set where too_large is not empty */
	struct strlist too_large;    /* users whose forward was left out for max_message_kib */
};

/* A new empty message at the end; valid until the next call. */
struct plan_message *plan_add(struct plan *p, const char *what);
/* Takes back the message that plan_add gave last. */
void plan_drop_last(struct plan *p);
/* Hands everything to the acceptance (copied); source as in acceptance_message. Tells postmaster, once for each user,
 * of forwards that were too large. */
void plan_fill(const struct plan *p, struct acceptance *a, struct gather *source);
void plan_free(struct plan *p);

#endif
