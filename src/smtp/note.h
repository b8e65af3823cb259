/* What the journal is told of mail from the LAN. */
#ifndef OFM_SMTP_NOTE_H
#define OFM_SMTP_NOTE_H

#include "journal/journal.h"
#include "smtp/transaction.h"

/* A whole message, before its commit or with the words of its refusal. */
struct journal_note *smtp_note_accepted(const struct transaction *t, const struct smtp_client *client);
struct journal_note *smtp_note_refused(const struct transaction *t, const struct smtp_client *client,
                                       const char *reply);
/* An envelope address that was refused; to: "" where it was the sender. login may be NULL. */
void smtp_note_reject(struct journal *j, const char *ip, const char *login, const struct address *from, const char *to,
                      const char *reply);

#endif
