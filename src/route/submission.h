/* What a message causes: the copies that go to mailboxes, to the boss, outside and onwards by `forward`.
 *
 * The pure half makes a plan (route/plan.h) from a configuration, an envelope and the message's header section; the
 * other half hands it to an acceptance. Two roads use it: SMTP from the LAN and collected mail. */
#ifndef OFM_ROUTE_SUBMISSION_H
#define OFM_ROUTE_SUBMISSION_H

#include "route/delivery.h"
#include "route/plan.h"
#include "route/router.h"

/* Marks every copy that `forward` sent outside ("X-Ofmsrv-Forwarded: anna@gate.firm.example"). A message that already
 * carries one, of whatever gateway, is delivered but never forwarded outside again. */
#define SUBMISSION_LOOP_HEADER "X-Ofmsrv-Forwarded"
enum { SUBMISSION_MAX_RECEIVED = 100 };

struct submission_recipient {
	char *address;        /* as the client gave it, formatted */
	enum route_kind kind; /* ROUTE_LOCAL, ROUTE_DAEMON or ROUTE_EXTERNAL */
	const struct config_user *user;
};

/* A message from the LAN; everything borrowed. */
struct submission {
	const struct config *config;
	const struct address *sender;    /* of the envelope; both parts "" = null */
	const struct config_user *login; /* NULL = none */
	const struct submission_recipient *recipients;
	size_t nrecipients;
	const char *received; /* our whole Received field, ending in CRLF */
	struct slice head;    /* the first bytes of the message: its header section, or as much as is kept of it */
	uint64_t size;        /* of the whole message */
	bool eight_bit;
};

/* The local user who is behind it: who logged in, else by the envelope sender; NULL for others. */
const struct config_user *submission_user(const struct submission *s);
/* Appends all copies of the message:
 *  - "local": Return-Path and Received in front, for every local recipient and whoever their `forward` names, each
 *    once; the boss not, whose copy is
 *  - "boss": the same with X-Envelope-From and X-Envelope-To, where every recipient stands (unless all are the
 *    daemon, whose mail is eaten);
 *  - "outgoing": one for all external recipients, with aliases instead of local addresses;
 *  - "forward": one for each user who forwards outside, with the loop header.
 * Daemon recipients cause nothing here. Pure but for log lines about forwards that cannot leave. false where the header
 * section would grow past PLAN_PREFIX_MAX: the plan is of no use then. */
bool submission_plan(const struct submission *s, struct plan *p);

/* Collected mail: one message of prefix + the whole of g into the mailboxes of users and of those whom their `forward`
 * names, and copies for their external forwards, byte for byte but for the loop header in front. prefix: fields of
 * ours ending in CRLF. Mail with the null sender (Return-Path: <>) is forwarded with it. */
void submission_collected(struct acceptance *a, const struct config *c, const struct config_users *users,
                          struct slice prefix, struct gather *g);
/* Its pure half. */
void submission_plan_collected(struct plan *p, const struct config *c, const struct config_users *users,
                               struct slice prefix, struct slice head, uint64_t size, bool eight_bit);

/* True where the header section shows a loop: SUBMISSION_MAX_RECEIVED Received fields. */
bool submission_loops(struct slice head);
/* Whether a program wrote it by itself, so that no program may answer (Auto-Submitted other than "no": RFC 3834). */
bool submission_is_automatic(struct slice head);

#endif
