/* Inside digest/: the report's words in each language. */
#ifndef OFM_DIGEST_WORDS_H
#define OFM_DIGEST_WORDS_H

#include "journal/summary.h"

#include <stdbool.h>

enum { DIGEST_ROWS = 8 };

struct digest_words {
	const char *subject; /* in front of the day */
	const char *from, *to;
	const char *rows[DIGEST_ROWS]; /* in the order of digest_row */
	const char *by_hour, *in, *out;
	const char *users, *wrote, *sent, *received;
	const char *accounts, *works;
	const char *queue, *queue_empty, *oldest;
	const char *boxes, *messages;
};

const struct digest_words *digest_words(bool russian);
/* The sum that row i is about. */
const struct journal_count *digest_row(const struct journal_summary *s, size_t i);

#endif
