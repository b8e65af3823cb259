/* A message of the journal in words. */
#ifndef OFM_CTL_FATE_H
#define OFM_CTL_FATE_H

#include "client.h"

/* "accepted from 10.0.0.5; delivered to anna, boris; x@far.example: sent by smtp.provider.example (250 ok)": one line,
 * harmless on a terminal. */
void fate_add(struct buf *out, const json_t *message);
/* The time, the id, sender and recipients, the subject, the size, and the fate. */
void fate_line(struct buf *out, const json_t *message);
/* "a, b +3": at most `most` of the array's strings. */
void fate_names(struct buf *out, const json_t *list, size_t most);

#endif
