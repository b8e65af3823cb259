/* Whose mail it is by the addresses in the header: the provider's envelope fields, or To and Cc. Pure. */
#ifndef OFM_SORT_ADDRESSEES_H
#define OFM_SORT_ADDRESSEES_H

#include "config/config.h"
#include "mail/address.h"
#include "mail/header.h"

/* Called for each address that is a local user, in the header's order; may name one user often. */
typedef void addressee_found(void *arg, const struct config_user *u, const struct header_field *field,
                             const struct address *a);

/* Reads the account's envelope fields above the Received line that the sender could have written. True where one of
 * them counts, whether or not its addresses are users': To and Cc mean nothing then. account is not NULL. */
bool addressees_by_envelope(const struct config *c, const struct config_account *account, const struct header *h,
                            addressee_found *found, void *arg);
/* To, Cc, Resent-To, Resent-Cc. */
void addressees_by_address(const struct config *c, const struct header *h, addressee_found *found, void *arg);

#endif
