#include "dialog.h"

#include "base/alloc.h"
#include "base/slice.h"
#include "prompt.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <unistd.h>

enum { SECRET_LINE = 16 * 1024 };

static FILE *screen(void)
{
	return isatty(STDOUT_FILENO) == 1 ? stdout : stderr;
}

void dialog_say(const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	vfprintf(screen(), fmt, ap);
	va_end(ap);
	fflush(screen());
}

/* NULL at the end. */
static char *read_answer(struct dialog *d)
{
	char *line = NULL;
	size_t cap = 0;
	ssize_t n = d->ended ? -1 : getline(&line, &cap, stdin);

	if (n < 0) {
		d->ended = true;
		free(line);
		return NULL;
	}
	char *answer = slice_dup(slice_trim(slice_make(line, (size_t)n)));
	explicit_bzero(line, (size_t)n);
	free(line);
	return answer;
}

char *dialog_ask(struct dialog *d, const char *question, const char *fallback)
{
	if (fallback[0] != '\0')
		dialog_say("%s [%s]: ", question, fallback);
	else
		dialog_say("%s: ", question);
	char *answer = read_answer(d);
	if (isatty(STDIN_FILENO) != 1)
		dialog_say("%s\n", answer != NULL ? answer : "");
	if (answer != NULL && answer[0] != '\0')
		return answer;
	free(answer);
	return xstrdup(fallback);
}

char *dialog_ask_fit(struct dialog *d, const char *question, const char *fallback, const struct dialog_fit *fit)
{
	for (;;) {
		char *answer = dialog_ask(d, question, fallback);
		if (d->ended || isatty(STDIN_FILENO) != 1 || fit->fits(fit->arg, answer))
			return answer;
		dialog_say("  \"%s\" does not do: %s is wanted.\n", answer, fit->wanted);
		free(answer);
	}
}

static char *ask_secret(struct dialog *d, const char *question)
{
	char line[SECRET_LINE], *answer;

	if (isatty(STDIN_FILENO) != 1) {
		dialog_say("%s: ", question);
		answer = read_answer(d);
		dialog_say("\n");
		return answer != NULL ? answer : xstrdup("");
	}
	char *prompt = xasprintf("%s: ", question);
	if (!prompt_hidden(screen(), prompt, line, sizeof line)) {
		line[0] = '\0';
		d->ended = true;
	}
	free(prompt);
	answer = slice_dup(slice_trim(slice_of(line)));
	explicit_bzero(line, sizeof line);
	return answer;
}

char *dialog_secret(struct dialog *d, const char *question, const struct dialog_fit *fit)
{
	for (;;) {
		char *answer = ask_secret(d, question);
		if (d->ended || isatty(STDIN_FILENO) != 1 || fit == NULL || fit->fits(fit->arg, answer))
			return answer;
		dialog_say("  That does not do: %s is wanted.\n", fit->wanted);
		explicit_bzero(answer, strlen(answer));
		free(answer);
	}
}

static bool yes_or_no(const void *arg, const char *answer)
{
	static const char *const words[] = {"y", "yes", "n", "no"};
	bool fits = false;

	(void)arg;
	for (size_t i = 0; i < sizeof words / sizeof *words; i++)
		fits |= strcasecmp(answer, words[i]) == 0;
	return fits;
}

bool dialog_yes(struct dialog *d, const char *question, bool fallback)
{
	char *whole = xasprintf("%s (yes/no)", question);
	const struct dialog_fit wanted = {yes_or_no, NULL, "yes or no"};
	char *answer = dialog_ask_fit(d, whole, fallback ? "yes" : "no", &wanted);
	bool yes = answer[0] == 'y' || answer[0] == 'Y';

	free(whole);
	free(answer);
	return yes;
}
