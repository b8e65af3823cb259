/* One rule's pattern: PCRE2, whose limits cut off what runs away. The sort room alone knows PCRE2. */
#ifndef OFM_SORT_PATTERN_H
#define OFM_SORT_PATTERN_H

#include "base/slice.h"

struct pattern;
struct pattern_matcher; /* match data, limits and the stack of compiled code; one a thread */

enum pattern_kind {
	PATTERN_TEXT, /* text as it stands */
	PATTERN_REGEX
};

/* PATTERN_RUNAWAY: it ran into a limit on this text; PATTERN_SKIPPED: it was not tried, for others have used up what a
 * message may cost. */
enum pattern_result { PATTERN_NO, PATTERN_YES, PATTERN_RUNAWAY, PATTERN_SKIPPED };

/* Without case in all of Unicode, both kinds; classes like \w know Unicode. In a text е and ё are one letter. NULL
 * where it does not compile; then *error, where error is not NULL, says why (the caller frees). */
struct pattern *pattern_compile(const char *text, enum pattern_kind kind, char **error);
void pattern_free(struct pattern **p);

struct pattern_matcher *pattern_matcher_new(void);
void pattern_matcher_free(struct pattern_matcher **m);
/* Begins a message: what its matches may cost is for all of them together. quick: only some milliseconds of it. */
void pattern_matcher_begin(struct pattern_matcher *m, bool quick);
/* Whether something was skipped, or would not have been a runaway, but for what a message may cost. */
bool pattern_matcher_spent(const struct pattern_matcher *m);
/* text must be valid UTF-8. A regex looks at the first PATTERN_REGEX_BYTES of it: backtracking may cost their square.
 * Where it matches, *start is the match's offset. */
enum { PATTERN_REGEX_BYTES = 64 * 1024 };
enum pattern_result pattern_match(const struct pattern *p, struct pattern_matcher *m, struct slice text, size_t *start);

#endif
