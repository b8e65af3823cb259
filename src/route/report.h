/* Mail that the gateway itself writes: reports to postmaster. Never copied to boss, never forwarded in a loop. */
#ifndef OFM_ROUTE_REPORT_H
#define OFM_ROUTE_REPORT_H

#include "route/delivery.h"
#include "route/letter.h"

/* Renders a message of ours to a local user: From: Mail gateway <postmaster@domain>, Date, Message-ID,
 * Auto-Submitted: auto-generated, Content-Type text/plain; charset=utf-8. Returns it; the caller frees with
 * buf_free. body: lines ending in LF. */
void report_format(struct buf *out, const struct config *c, const char *to_user, const char *subject, const char *body);
/* The same with another type ("multipart/…; boundary=…"), whose whole body, its parts included, `body` is. */
void report_format_as(struct buf *out, const struct config *c, const char *to_user, const char *subject,
                      const char *type, const char *body);
/* Appends a letter to postmaster, in the configured language, to an acceptance, so that it commits with what it
 * reports. */
void report_add(struct acceptance *a, const struct config *c, enum letter_kind k, const struct letter_value *values);
/* The same by itself. Fire and forget; failures are logged. once_key not NULL: only if that fact (store/ledger.h) is
 * not yet set, and sets it in the same commit; report_forget clears it. */
void report_postmaster(struct delivery *d, const struct config *c, const char *once_key, enum letter_kind k,
                       const struct letter_value *values);
void report_forget(struct database *db, const char *once_key);

#endif
