/* Domain names in other alphabets: "почта.рф" and "xn--80a1acny.xn--p1ai" are one name (RFC 5891). Pure. */
#ifndef OFM_MAIL_IDNA_H
#define OFM_MAIL_IDNA_H

#include "base/slice.h"

enum { IDNA_MAX = 255 };

/* The form in ASCII ("A-labels"), in lower case, which is what DNS and servers without SMTPUTF8 know. An ASCII name
 * stays as it is, byte for byte. NULL where it is no name; the caller frees. */
char *idna_to_ascii(struct slice domain);

#endif
