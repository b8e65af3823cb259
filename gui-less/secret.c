#include "secret.h"

#include "ctl.h"
#include "prompt.h"

#include <stdio.h>
#include <string.h>
#include <unistd.h>

/* One line without its end; false at the end of input, or where it is too long. */
static bool read_line(char out[static SECRET_MAX])
{
	if (fgets(out, SECRET_MAX, stdin) == NULL)
		return false;
	size_t n = strcspn(out, "\r\n");
	bool whole = out[n] != '\0' || n <= SECRET_LENGTH;
	out[n] = '\0';
	return whole;
}

int secret_read(const char *prompt, const char *again, char out[static SECRET_MAX])
{
	char twice[SECRET_MAX];

	if (isatty(STDIN_FILENO) != 1)
		return read_line(out) ? 0
		                      : ctl_error("a password of at most %d bytes is expected on stdin", SECRET_LENGTH);
	if (!prompt_hidden(stderr, prompt, out, SECRET_LENGTH + 1) ||
	    (again != NULL && !prompt_hidden(stderr, again, twice, SECRET_LENGTH + 1)))
		return ctl_error("no password was read");
	bool same = again == NULL || strcmp(twice, out) == 0;
	explicit_bzero(twice, sizeof twice);
	return same ? 0 : ctl_error("the two differ; nothing was changed");
}
