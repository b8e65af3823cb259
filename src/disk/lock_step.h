/* Inside disk/: whether it pays to stay awake for the next job.
 *
 * One client that submits message after message has the writer go to sleep and be woken for each, and on a processor
 * that has nothing else to do either way takes as long as a third of a flush. So after an answer to a lone client the
 * writer looks out for the next job for a moment, if the last one came about as soon as that. In vain, it does not try
 * again for a while. Pure; the caller has the clock (monotonic microseconds). */
#ifndef OFM_DISK_LOCK_STEP_H
#define OFM_DISK_LOCK_STEP_H

#include <stdbool.h>
#include <stdint.h>

enum {
	LOCK_STEP_US = 400,   /* so long at most */
	LOCK_STEP_SKIPS = 16, /* answers after which nobody waits, since so many ... */
	LOCK_STEP_VAIN = 3    /* ... waits in turn were in vain */
};

struct lock_step {
	bool never; /* one processor: who waits would keep it from those who are waited for */
	bool lone;  /* the last answer was for one client */
	int64_t answered_us, gap_us;
	unsigned vain, skips;
};

void lock_step_init(struct lock_step *s, long processors);
/* A commit is over, with so many submissions in it. */
void lock_step_answered(struct lock_step *s, int64_t now_us, unsigned submissions);
/* The first job after that is there. */
void lock_step_came(struct lock_step *s, int64_t now_us);
/* Whether to go on looking for it. */
bool lock_step_waits(const struct lock_step *s, int64_t now_us);

#endif
