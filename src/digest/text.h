/* The report as text and as HTML with charts. Pure. */
#ifndef OFM_DIGEST_TEXT_H
#define OFM_DIGEST_TEXT_H

#include "digest/facts.h"

enum { DIGEST_MAX = 1024 * 1024, DIGEST_PEOPLE = 50, DIGEST_BOXES = 10 };

/* UTF-8, lines ending in LF. */
void digest_text(struct buf *out, const struct digest_facts *f, bool russian);
void digest_html(struct buf *out, const struct digest_facts *f, bool russian);
/* "2026-11-24 07:00" */
void digest_moment(int64_t at, char out[static 24]);
void digest_subject(struct buf *out, const struct digest_facts *f, bool russian);
/* The greatest number in both directions of an hour; at least 1. */
unsigned digest_peak(const struct journal_summary *s);

#endif
