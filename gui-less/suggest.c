#include "suggest.h"

#include "ctl.h"

#include <string.h>

enum { LONGEST = 31 };

static size_t least(size_t a, size_t b)
{
	return a < b ? a : b;
}

/* Restricted Damerau-Levenshtein, the whole table: 32 × 32 cells at most. */
size_t suggest_distance(const char *a, const char *b)
{
	size_t d[LONGEST + 1][LONGEST + 1];
	size_t na = strnlen(a, LONGEST), nb = strnlen(b, LONGEST);

	for (size_t i = 0; i <= na; i++)
		d[i][0] = i;
	for (size_t j = 0; j <= nb; j++)
		d[0][j] = j;
	for (size_t i = 1; i <= na; i++)
		for (size_t j = 1; j <= nb; j++) {
			size_t same = a[i - 1] == b[j - 1] ? 0 : 1;
			d[i][j] = least(least(d[i - 1][j], d[i][j - 1]) + 1, d[i - 1][j - 1] + same);
			if (i > 1 && j > 1 && a[i - 1] == b[j - 2] && a[i - 2] == b[j - 1])
				d[i][j] = least(d[i][j], d[i - 2][j - 2] + 1);
		}
	return d[na][nb];
}

/* Half of a word that has to be changed makes another word of it. */
bool suggest_near(size_t distance, const char *known)
{
	return 2 * distance <= strlen(known);
}

const char *suggest_command(const char *name)
{
	const char *best = NULL;
	size_t best_d = 3; /* more than two slips is another word */

	for (const struct ctl_command *c = ctl_commands; c->name != NULL; c++) {
		size_t d = suggest_distance(name, c->name);
		if (d < best_d && suggest_near(d, c->name)) {
			best = c->name;
			best_d = d;
		}
	}
	return best;
}
