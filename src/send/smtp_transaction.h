/* What replies mean for the recipients of one transaction; the inside of smtp_client. Pure. */
#ifndef OFM_SEND_SMTP_TRANSACTION_H
#define OFM_SEND_SMTP_TRANSACTION_H

#include "send/smtp_client.h"

/* DEFERRED or REFUSED, by a code of 400 and more. */
enum smtp_fate smtp_fate_of(int code);
/* r is the reply to a RCPT of t, and says that there are too many of them. */
bool smtp_transaction_too_many(const struct smtp_transaction *t, const struct smtp_reply *r);
/* r is the reply to a RCPT of t, and says that one is too many: a limit over some time, not about this address. */
bool smtp_transaction_none_is_too_many(const struct smtp_transaction *t, const struct smtp_reply *r);
/* r may be NULL: then the former reply stays. */
void smtp_transaction_settle(struct smtp_transaction *t, size_t i, enum smtp_fate fate, const struct smtp_reply *r);
/* Everyone who waits for the message as a whole: whom RCPT took, and of whom nothing was said yet. */
void smtp_transaction_settle_rest(struct smtp_transaction *t, enum smtp_fate fate, const struct smtp_reply *r);
/* Refuses what needs no question to the server: addresses that would break the command or that it does not take
 * (SMTPUTF8), too large a message. false: nothing is left to send. */
bool smtp_transaction_check(struct smtp_transaction *t, const struct smtp_caps *caps);
/* Whether an address that will be said goes beyond ASCII. */
bool smtp_transaction_needs_utf8(const struct smtp_transaction *t);

#endif
