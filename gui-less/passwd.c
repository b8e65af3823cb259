#include "base/alloc.h"
#include "client.h"
#include "config/config.h"
#include "reload.h"
#include "store/passwords.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <termios.h>
#include <unistd.h>

enum { PASSWORD_MAX = 256 };

/* One line without its end; false at the end of input, or where it is too long. */
static bool read_line(char out[static PASSWORD_MAX + 2])
{
	if (fgets(out, PASSWORD_MAX + 2, stdin) == NULL)
		return false;
	size_t n = strcspn(out, "\r\n");
	bool whole = out[n] != '\0' || n <= PASSWORD_MAX;
	out[n] = '\0';
	return whole;
}

static bool ask(const char *prompt, char out[static PASSWORD_MAX + 2])
{
	struct termios before, quiet;
	bool hidden = tcgetattr(STDIN_FILENO, &before) == 0;

	fputs(prompt, stderr);
	fflush(stderr);
	quiet = before;
	quiet.c_lflag &= ~(tcflag_t)ECHO;
	if (hidden)
		tcsetattr(STDIN_FILENO, TCSAFLUSH, &quiet);
	bool got = read_line(out);
	if (hidden)
		tcsetattr(STDIN_FILENO, TCSAFLUSH, &before);
	fputc('\n', stderr);
	return got;
}

/* 0, or 1 after an error on stderr. */
static int read_password(char out[static PASSWORD_MAX + 2])
{
	char again[PASSWORD_MAX + 2];

	if (isatty(STDIN_FILENO) != 1)
		return read_line(out) ? 0
		                      : ctl_error("a password of at most %d bytes is expected on stdin", PASSWORD_MAX);
	if (!ask("New password: ", out) || !ask("Once more: ", again))
		return ctl_error("no password was read");
	bool same = strcmp(out, again) == 0;
	explicit_bzero(again, sizeof again);
	return same ? 0 : ctl_error("the two differ; nothing was changed");
}

static int check(const char *password)
{
	if (password[0] == '\0')
		return ctl_error("an empty password would let anybody in; nothing was changed");
	for (const char *p = password; *p != '\0'; p++)
		if ((unsigned char)*p < ' ' || *p == 0x7f)
			return ctl_error("a control character cannot be typed in a mail program; nothing was changed");
	return 0;
}

/* The daemon may well be down: the ini file is what counts. */
static int tell_daemon(const struct ctl_options *o, const char *user)
{
	if (!client_reachable(o)) {
		printf("The password of %s is set; ofmsrv is not running, and reads it at its start.\n", user);
		return 0;
	}
	struct client *c = client_open(o);
	int rc = c != NULL ? reload_daemon(c) : 1;
	client_close(&c);
	if (rc == 0)
		printf("The password of %s is set, and in force.\n", user);
	else
		ctl_error("the password of %s stands in %s, but is not in force", user, o->file);
	return rc;
}

int ctl_passwd(const struct ctl_options *o, int argc, char **argv)
{
	char password[PASSWORD_MAX + 2], hash[256];
	struct err e = {.text = ""};

	if (argc != 2 || argv[1][0] == '-')
		return ctl_usage(argv[0], "a USER is needed");
	if (access(o->file, R_OK | W_OK) != 0)
		return ctl_error("%s cannot be changed: %m", o->file);
	int rc = read_password(password);
	if (rc == 0)
		rc = check(password);
	if (rc == 0 && passwords_hash(password, hash, &e) != 0)
		rc = ctl_error("%s", e.text);
	explicit_bzero(password, sizeof password);
	if (rc == 0 && config_set_password(o->file, argv[1], hash, &e) != 0)
		rc = ctl_error("%s", e.text);
	return rc == 0 ? tell_daemon(o, argv[1]) : rc;
}
