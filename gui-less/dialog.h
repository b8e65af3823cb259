/* Questions on a terminal or a pipe. Questions go to stderr where stdout is no terminal; answers come from stdin, a
 * line each. */
#ifndef OFM_CTL_DIALOG_H
#define OFM_CTL_DIALOG_H

#include <stdbool.h>

struct dialog {
	bool ended; /* no more answers come */
};

/* "question [fallback]: "; the fallback ("" = none) where the answer is empty. The caller frees. */
char *dialog_ask(struct dialog *d, const char *question, const char *fallback);
/* The same; on a terminal an answer that does not fit is asked for again, saying what is wanted. (Out of a pipe the
 * next line answers another question, so there it stays, and is found with all other faults.) */
struct dialog_fit {
	bool (*fits)(const void *arg, const char *answer);
	const void *arg;
	const char *wanted; /* "a port from 1 to 65535" */
};
char *dialog_ask_fit(struct dialog *d, const char *question, const char *fallback, const struct dialog_fit *fit);
/* Without echo, neither of an answer that does not fit. fit may be NULL. */
char *dialog_secret(struct dialog *d, const char *question, const struct dialog_fit *fit);
/* "question (yes/no) [yes]: " */
bool dialog_yes(struct dialog *d, const char *question, bool fallback);
/* Text that is no question. */
void dialog_say(const char *fmt, ...) __attribute__((format(printf, 1, 2)));

#endif
