/* Base64 (RFC 4648 4). Pure. */
#ifndef OFM_BASE_BASE64_H
#define OFM_BASE_BASE64_H

#include "base/buf.h"

/* The six bits of a digit; -1 for what is none, "=" too. */
int base64_digit(char c);
/* Strictly: no spaces, no missing padding. Appends the bytes; false where text is no base64 or out is full. */
bool base64_decode(struct slice text, struct buf *out);

#endif
