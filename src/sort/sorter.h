/* The sorter: whose mail a collected message is (rules by PCRE2, then the account, then addresses). Pure but for
 * the first-time notes it hands back; immutable after sorter_new, any thread with a scratch of its own. */
#ifndef OFM_SORT_SORTER_H
#define OFM_SORT_SORTER_H

#include "config/config.h"
#include "mail/header.h"

struct sorter;
struct sorter_scratch; /* match data and caches; one a thread */

/* Compiles all rules of c and keeps a reference to it. Patterns were checked by config. */
struct sorter *sorter_new(const struct config *c);
void sorter_free(struct sorter **s);
struct sorter_scratch *sorter_scratch_new(const struct sorter *s);
void sorter_scratch_free(struct sorter_scratch **sc);
/* NULL where the pattern compiles; else the reason with its offset, for config's checks through a callback or for
 * ofmctl. The caller frees. */
char *sorter_pattern_error(const char *pattern);

enum sorter_why {
	SORTED_BY_RULE,
	SORTED_BY_ACCOUNT,
	SORTED_BY_ENVELOPE,
	SORTED_BY_ADDRESS,
	SORTED_UNMATCHED,
	SORTED_TO_POSTMASTER
};

struct sorter_match {                   /* a rule that matched, or an address that placed the message */
	const struct config_rule *rule; /* NULL: an address */
	const struct config_user *user; /* whose address; NULL with a rule */
	char *field;                    /* the header field's name as it stands; "" for `not` */
	char *text;                     /* the decoded text around the match, at most 200 bytes; the address */
};

struct sorter_verdict {
	struct config_users users;    /* each once, never empty; owned by the verdict */
	enum sorter_why why;          /* what placed those who are no copy */
	struct sorter_match *matches; /* only filled with explain */
	size_t nmatches;
	const struct config_rule **rules; /* those that applied, in file order */
	size_t nrules;
	const struct config_rule **runaway; /* rules whose pattern ran into a limit on this message */
	size_t nrunaway;
};

/* Rules look at 20,000 fields, at 8 MiB of each one's text and 64 MiB of all; `matches` at 64 KiB of a text. What the
 * patterns of `matches` cost is limited for a message as a whole: to a second or so. Where a rule runs away, or is not
 * tried any more, `not` does not make a match of that.
 *
 * header: the message as received from the provider. account may be NULL (explain without one). The daemon is never
 * among the users. Borrowed: everything; free the verdict with sorter_verdict_free. */
void sorter_sort(const struct sorter *s, struct sorter_scratch *sc, const struct header *h,
                 const struct config_account *account, bool explain, struct sorter_verdict *out);
/* The same, without explaining, in a few milliseconds; false, and nothing to free, where the message needs longer. Then
 * it is sorter_sort's, beside the loop. */
bool sorter_sort_quick(const struct sorter *s, struct sorter_scratch *sc, const struct header *h,
                       const struct config_account *account, struct sorter_verdict *out);
void sorter_verdict_free(struct sorter_verdict *v);

#endif
