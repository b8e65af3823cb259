/* What the last sessions deleted, by sizes: providers confirm deletions that they do not carry out. Kept as one text
 * among the facts of the mailbox. Pure. */
#ifndef OFM_FETCH_GONE_H
#define OFM_FETCH_GONE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum { GONE_MOST = 500, GONE_TOLD = 3 };

struct gone {
	unsigned back; /* sessions in a row in which deleted messages were listed again */
	unsigned good; /* sessions in a row that deleted something, and in which none was */
	bool told;     /* postmaster knows that they come back */
	uint64_t last; /* so many the last one deleted */
	uint64_t *v;   /* sizes, the latest last */
	size_t n;
};

enum gone_news { GONE_NO_NEWS, GONE_COME_BACK, GONE_STAY_AWAY };

/* text may be NULL. */
void gone_read(struct gone *g, const char *text);
char *gone_text(const struct gone *g); /* the caller frees */
/* A session's deletions were confirmed; so many messages in it had been deleted before. Says what postmaster must hear.
 */
enum gone_news gone_add(struct gone *g, const uint64_t *sizes, size_t n, size_t came_back);
/* How many of these sizes are among the deleted. */
size_t gone_count(const struct gone *g, const uint64_t *sizes, size_t n);
/* Whether so many are a good part of what was deleted last (half, and two at least), or deletions did not hold before.
 */
bool gone_is_much(const struct gone *g, size_t count);
void gone_free(struct gone *g);

#endif
