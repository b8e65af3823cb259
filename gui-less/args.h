/* Options of commands. */
#ifndef OFM_CTL_ARGS_H
#define OFM_CTL_ARGS_H

#include <stdbool.h>
#include <stddef.h>

struct args_option {
	const char *name;  /* "--since" */
	const char **text; /* its value goes here; NULL for a switch … */
	bool *on;          /* … which is set here */
};

/* Takes argv[*i] where it is one of the options (ending in a NULL name), as "--name VALUE" or "--name=VALUE", and moves
 * *i to its last word: 1; 0 where it is none of them; -1 after an error on stderr. */
int args_take(const char *command, const struct args_option *options, int argc, char **argv, int *i);
/* All of argv from `from` on: options, and at most `max` other words, which become argv[from], argv[from + 1], …; how
 * many those are, or -1 after an error on stderr. "-" is a word. */
int args_all(const char *command, const struct args_option *options, int from, int argc, char **argv, int max);

#endif
