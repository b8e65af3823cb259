/* By what a message is known again when its UIDL cannot be trusted: the digest of its header section. Pure. */
#ifndef OFM_FETCH_DIGEST_H
#define OFM_FETCH_DIGEST_H

#include "base/slice.h"

#include <stdint.h>

enum { DIGEST_SIZE = 32 };

/* SHA-256 over the header fields of `head` (a message, its beginning, or a TOP reply), line ends aside, but for those
 * that servers themselves rewrite between two reads (Status, X-UIDL, …). Never all zero. */
void digest_header(struct slice head, unsigned char out[static DIGEST_SIZE]);
bool digest_known(const unsigned char d[static DIGEST_SIZE]); /* not all zero */
void digest_hex(const unsigned char d[static DIGEST_SIZE], char out[static 2 * DIGEST_SIZE + 1]);
/* When the message reached the provider: its uppermost Received, else its Date; wall seconds, -1 = unknown. */
int64_t digest_arrival(struct slice head);

#endif
