/* A bar on the terminal's stderr for what takes longer than a second; nothing where stderr is no terminal. */
#ifndef OFM_CTL_PROGRESS_H
#define OFM_CTL_PROGRESS_H

#include <stdint.h>

struct progress_bar {
	const char *what; /* borrowed */
	int64_t since;    /* mono ms */
	int64_t drawn;
	int tty; /* 0: not asked yet */
};

struct progress_bar progress_begin(const char *what);
/* total 0: how much there is is not known; then it only shows that time passes. */
void progress_show(struct progress_bar *p, uint64_t done, uint64_t total);
/* Takes the bar away. */
void progress_end(struct progress_bar *p);

#endif
