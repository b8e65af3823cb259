/* ofmctl: the gateway from a terminal. */
#include "ctl.h"
#include "options.h"
#include "show.h"
#include "suggest.h"

#include <errno.h>
#include <locale.h>
#include <poll.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

/* Parts of it may be a stranger's words. */
static void put_safely(const char *fmt, va_list ap) __attribute__((format(printf, 1, 0)));
static void put_safely(const char *fmt, va_list ap)
{
	char *text = NULL;
	struct buf b;

	buf_init(&b, 1024 * 1024);
	if (vasprintf(&text, fmt, ap) >= 0)
		show_text(&b, slice_of(text), false);
	fwrite(b.p != NULL ? b.p : "", 1, b.n, stderr);
	fputc('\n', stderr);
	buf_free(&b);
	free(text);
}

int ctl_error(const char *fmt, ...)
{
	va_list ap;

	fflush(stdout);
	fputs("ofmctl: ", stderr);
	va_start(ap, fmt);
	put_safely(fmt, ap);
	va_end(ap);
	return 1;
}

static const struct ctl_command *find(const char *name)
{
	for (const struct ctl_command *c = ctl_commands; c->name != NULL; c++)
		if (strcmp(c->name, name) == 0)
			return c;
	return NULL;
}

static void print_usage(FILE *out, const struct ctl_command *c)
{
	fprintf(out, "usage: ofmctl [-c FILE] [-d DIR] %s%s%s%s\n", c->name, c->arguments[0] != '\0' ? " " : "",
	        c->arguments, c->json ? " [--json]" : "");
}

int ctl_usage(const char *command, const char *fmt, ...)
{
	const struct ctl_command *c = find(command);
	va_list ap;

	fflush(stdout);
	fprintf(stderr, "ofmctl %s: ", command);
	va_start(ap, fmt);
	put_safely(fmt, ap);
	va_end(ap);
	if (c != NULL)
		print_usage(stderr, c);
	return 1;
}

int ctl_unknown_part(const char *command, const char *word, const char *const *parts)
{
	const char *near = NULL;
	size_t best = 3;

	for (; *parts != NULL; parts++) {
		size_t d = suggest_distance(word, *parts);
		if (d < best && suggest_near(d, *parts)) {
			best = d;
			near = *parts;
		}
	}
	if (near != NULL)
		return ctl_usage(command, "there is no %s; did you mean %s?", word, near);
	return ctl_usage(command, "there is no %s", word);
}

static void print_help(FILE *out)
{
	fputs("usage: ofmctl [-c FILE] [-d DIR] COMMAND [ARGUMENTS]\n\n"
	      "Controls the mail gateway ofmsrv.\n\n",
	      out);
	for (const struct ctl_command *c = ctl_commands; c->name != NULL; c++)
		fprintf(out, "  %-9s %s\n", c->name, c->summary);
	fputs("\n"
	      "  -c FILE    the ini file (etc/ofmsrv.ini in the home)\n"
	      "  -d DIR     the daemon's home (the current directory)\n"
	      "  --json     machine-readable output, on every reading command\n"
	      "  --help     this, or a command's own help\n"
	      "  --version  the version\n\n"
	      "With neither -c nor -d and no ./etc/ofmsrv.ini that is safe from others: /etc/ofmsrv/ofmsrv.ini and "
	      "/var/lib/ofmsrv.\n",
	      out);
}

static int unknown(const char *name)
{
	const char *near = suggest_command(name);

	if (near != NULL)
		return ctl_error("there is no command %s; did you mean %s? (ofmctl --help lists all)", name, near);
	return ctl_error("there is no command %s (ofmctl --help lists all)", name);
}

static int help_of(const struct ctl_command *c)
{
	print_usage(stdout, c);
	printf("\n%s", c->help);
	return 0;
}

/* "ofmctl help", "ofmctl help NAME" and the --help switch. */
static int help(const struct options_parsed *p)
{
	const char *name = p->argc > 0 ? p->argv[0] : NULL;

	if (name != NULL && strcmp(name, "help") == 0)
		name = p->argc > 1 ? p->argv[1] : NULL;
	if (name == NULL) {
		print_help(stdout);
		return 0;
	}
	const struct ctl_command *c = find(name);
	return c != NULL ? help_of(c) : unknown(name);
}

static int dispatch(const struct options_parsed *p)
{
	if (p->version) {
		puts("ofmctl " OFM_VERSION);
		return 0;
	}
	if (p->help || (p->argc > 0 && strcmp(p->argv[0], "help") == 0))
		return help(p);
	if (p->argc == 0) {
		print_help(stderr);
		return 1;
	}
	const struct ctl_command *c = find(p->argv[0]);
	if (c == NULL)
		return p->argv[0][0] == '-' ? ctl_error("there is no option %s (ofmctl --help lists all)", p->argv[0])
		                            : unknown(p->argv[0]);
	if (p->ctl.json && !c->json)
		return ctl_usage(c->name, "it has no --json; `ofmctl status --json` says what the gateway is doing");
	return c->run(&p->ctl, p->argc, p->argv);
}

/* A full disk behind > is no success; a reader that has seen enough (| head) is no failure. errno says why not. */
static bool output_written(void)
{
	struct pollfd p = {.fd = STDOUT_FILENO};
	bool failed_before = ferror(stdout) != 0;

	errno = 0;
	if (fflush(stdout) == 0 && !failed_before)
		return true;
	int why = errno;
	/* An earlier write's reason is gone; a pipe that nobody reads still says so. */
	bool reader_left = why == EPIPE || (poll(&p, 1, 0) > 0 && (p.revents & POLLERR) != 0);
	errno = why != 0 ? why : EIO;
	return reader_left;
}

int main(int argc, char **argv)
{
	struct options_parsed p;

	/* A reader that went away (`ofmctl queue | head`) is no error of ours; a daemon that went away is one, and
	 * is seen by write's own result. */
	signal(SIGPIPE, SIG_IGN);
	setlocale(LC_CTYPE, "C.UTF-8"); /* widths of characters; our text is UTF-8 whatever the terminal's locale */
	if (options_parse(argc, argv, &p) != 0)
		return 1;
	int rc = dispatch(&p);
	options_free(&p);
	return output_written() ? rc : ctl_error("the output could not be written: %m");
}
