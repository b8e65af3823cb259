/* One message on its way in: its envelope, who may send it to whom, and what is said at its end. Everything but the
 * content itself is decided from a configuration snapshot and facts about the client. */
#ifndef OFM_SMTP_TRANSACTION_H
#define OFM_SMTP_TRANSACTION_H

#include "base/random.h"
#include "route/submission.h"
#include "smtp/core.h"

struct smtp_client { /* facts about the other side; borrowed */
	struct ip_addr ip, our_ip;
	bool global; /* a globally routable address */
	bool secure, extended;
	const char *helo;
	const char *login; /* user name; "" = not logged in */
};

struct transaction {
	struct config *config; /* a reference */
	char id[RANDOM_NAME_MAX];
	struct address from;
	const struct config_user *login;
	bool utf8;                /* the client said SMTPUTF8 */
	bool has_size, too_large; /* too_large: over max_message_kib, by SIZE= or by what came */
	uint64_t size;            /* octets of content so far */
	struct submission_recipient *recipients;
	size_t nrecipients, cap;
	size_t external;
	const struct config_user *daemon_caller; /* who called the daemon; NULL = nobody did */
	struct gather *gather;                   /* from content_begin on */
};

/* NULL with *refusal where MAIL is refused. */
struct transaction *transaction_new(const struct config *c, const struct smtp_client *client, const struct smtp_mail *m,
                                    const char **refusal);
void transaction_free(struct transaction **t);
/* NULL = taken. */
const char *transaction_rcpt(struct transaction *t, const struct smtp_client *client, const struct address *to);
void transaction_begin(struct transaction *t, struct delivery *d);
void transaction_content(struct transaction *t, struct slice run);
/* Who called the daemon and may be told what came of it; "" for a letter that must not be answered: an automatic one,
 * or one from <>. NULL = nobody called. Once the content is here. */
const char *transaction_caller(const struct transaction *t);
/* What may already be refused now; NULL = go on. */
const char *transaction_verdict(const struct transaction *t);
/* What the message causes; the fields in front name the client. false where its header section grows too large. */
bool transaction_plan(const struct transaction *t, const struct smtp_client *client, struct plan *p);
/* Our Received field, ending in CRLF; the caller frees. */
char *transaction_received(const struct transaction *t, const struct smtp_client *client, int64_t wall_s);

#endif
