/* ofmctl: what each command gets, and the commands' table rows.
 *
 * A command's file foo.c exports ctl_foo, declared here; its row stands in commands.c. */
#ifndef OFM_CTL_H
#define OFM_CTL_H

#include <stdbool.h>

struct ctl_options {
	char *file;      /* the ini file, absolute unless it could not be found: -c, or what ofmsrv would take */
	char *home;      /* the daemon's home, absolute: -d, or what ofmsrv would take */
	bool file_given; /* by -c */
	bool json;       /* --json */
	bool out_is_tty; /* colours and progress lines only there */
};

struct ctl_command {
	const char *name;
	const char *arguments; /* as in the usage line: "[FILE]"; "" = none */
	const char *summary;   /* one line for the list */
	const char *help;      /* paragraphs for `ofmctl NAME --help`, lines ending in LF */
	bool json;             /* takes --json */
	/* argv[0] is the command's name; -c, -d, --json and --help were taken out of the rest. Returns the exit
	 * status, 0 or 1 (health: up to 3); errors were printed on stderr. */
	int (*run)(const struct ctl_options *o, int argc, char **argv);
};

/* NULL-terminated by a row whose name is NULL. */
extern const struct ctl_command ctl_commands[];

/* "ofmctl: " and the text and a newline on stderr; returns 1, so that `return ctl_error(...)` reads well. */
int ctl_error(const char *fmt, ...) __attribute__((format(printf, 1, 2)));
/* A wrong argument of this command: the text, then how it is used. Returns 1. */
int ctl_usage(const char *command, const char *fmt, ...) __attribute__((format(printf, 2, 3)));

/* There is no such sub-command; the nearest of parts (ending in NULL) is suggested. Returns 1. */
int ctl_unknown_part(const char *command, const char *word, const char *const *parts);

/* The commands, each in the file of its name but for reload and stop (daemon.c). */
int ctl_status(const struct ctl_options *o, int argc, char **argv);
int ctl_sync(const struct ctl_options *o, int argc, char **argv);
int ctl_queue(const struct ctl_options *o, int argc, char **argv);
int ctl_users(const struct ctl_options *o, int argc, char **argv);
int ctl_passwd(const struct ctl_options *o, int argc, char **argv);
int ctl_account(const struct ctl_options *o, int argc, char **argv);
int ctl_journal(const struct ctl_options *o, int argc, char **argv);
int ctl_report(const struct ctl_options *o, int argc, char **argv);
int ctl_rule(const struct ctl_options *o, int argc, char **argv);
int ctl_mailbox(const struct ctl_options *o, int argc, char **argv);
int ctl_metrics(const struct ctl_options *o, int argc, char **argv);
int ctl_health(const struct ctl_options *o, int argc, char **argv);
int ctl_test(const struct ctl_options *o, int argc, char **argv);
int ctl_init(const struct ctl_options *o, int argc, char **argv);
int ctl_top(const struct ctl_options *o, int argc, char **argv);
int ctl_reload(const struct ctl_options *o, int argc, char **argv);
int ctl_stop(const struct ctl_options *o, int argc, char **argv);

#endif
