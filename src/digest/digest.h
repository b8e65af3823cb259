/* The daily report to postmaster: [special] daily_report. Loop thread. */
#ifndef OFM_DIGEST_DIGEST_H
#define OFM_DIGEST_DIGEST_H

#include "digest/facts.h"

struct digest;

struct digest *digest_new(const struct digest_deps *d, struct database *db);
/* From the first call on it writes at the time of day that the configuration says, about the 24 hours before; a time
 * missed while the program was down is made up once. */
void digest_configure(struct digest *g, const struct config *c);
/* Starts nothing more. */
void digest_stop(struct digest *g);
void digest_free(struct digest **g);

/* The whole message; the caller frees with buf_free. */
void digest_mail(struct buf *out, const struct config *c, const struct digest_facts *f);

#endif
