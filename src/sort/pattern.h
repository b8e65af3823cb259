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

enum pattern_result { PATTERN_NO, PATTERN_YES, PATTERN_RUNAWAY };

/* Without case in all of Unicode, both kinds; classes like \w know Unicode. NULL where it does not compile; then
 * *error, where error is not NULL, says why (the caller frees). */
struct pattern *pattern_compile(const char *text, enum pattern_kind kind, char **error);
void pattern_free(struct pattern **p);

struct pattern_matcher *pattern_matcher_new(void);
void pattern_matcher_free(struct pattern_matcher **m);
/* text must be valid UTF-8. A regex looks at the first PATTERN_REGEX_BYTES of it: backtracking may cost their square.
 * Where it matches, *start is the match's offset. */
enum { PATTERN_REGEX_BYTES = 64 * 1024 };
enum pattern_result pattern_match(const struct pattern *p, struct pattern_matcher *m, struct slice text, size_t *start);

#endif
