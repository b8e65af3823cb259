/* Base64 (RFC 4648 4), strictly: no spaces, no missing padding. Pure. */
#ifndef OFM_SMTP_BASE64_H
#define OFM_SMTP_BASE64_H

#include "base/buf.h"

/* Appends the bytes; false where text is no base64 or out is full. */
bool base64_decode(struct slice text, struct buf *out);

#endif
