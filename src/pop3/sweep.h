/* keep = 90d: older mail goes, within an hour of its time. Inside pop3/. Loop thread; the reading is on workers.
 *
 * A clock that is years ahead must not empty the mailboxes. So: after a jump (wall against monotonic clock) nothing
 * goes for a day. Where more than half of a mailbox, or all of it, would go at once, that is only believed when the
 * configuration was edited within the last week of the same clock; otherwise a twentieth goes a day, from the second
 * day of the program's life on. */
#ifndef OFM_POP3_SWEEP_H
#define OFM_POP3_SWEEP_H

#include "store/maildir.h"

#include <stdbool.h>

struct pop3_service;
struct pop3_sweep;

enum { POP3_SWEEP_FIRST_MS = 20 * 1000, POP3_SWEEP_EVERY_MS = 3600 * 1000, POP3_SWEEP_AT_ONCE = 5000 };

struct pop3_sweep *pop3_sweep_new(struct pop3_service *sv);
/* One under way ends by itself. */
void pop3_sweep_free(struct pop3_sweep **s);

struct pop3_sweep_rule {
	int64_t now, keep; /* seconds */
	bool jumped;       /* the clock did, within the last day */
	bool steady;       /* the program and its clock have run for a day */
	bool confirmed;    /* by the configuration's time */
};

/* How many of the oldest messages (list is sorted by arrival) may go now. Pure. */
size_t pop3_sweep_count(const struct pop3_sweep_rule *r, const struct maildir_list *list);

#endif
