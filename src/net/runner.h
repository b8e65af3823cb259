/* Runs commands: a small helper process, forked before the program has threads, gives up root or confines itself,
 * runs them by /bin/sh -c. Only [connection] commands and password_command come here. Loop thread. */
#ifndef OFM_NET_RUNNER_H
#define OFM_NET_RUNNER_H

#include "base/slice.h"
#include "net/loop.h"

#include <stdbool.h>
#include <stdint.h>

struct runner;

struct runner_result {
	bool started;        /* false: the helper is gone or could not fork */
	bool timed_out;      /* killed, with its process group */
	int status;          /* exit status, or 128 + signal */
	struct slice output; /* standard output, at most 64 KiB; standard error's end where it failed */
};

/* Asked in the helper for each command, so that a program that was taken over cannot have others run. */
typedef bool runner_allowed(void *arg, const char *command);

/* Forks the helper. Call before any thread exists. allowed NULL: every command. NULL where fork fails. */
struct runner *runner_start(runner_allowed *allowed, void *arg);
/* Attaches to the loop; before that nothing can be run. */
void runner_attach(struct runner *r, struct loop *l);
/* done is called exactly once; result is valid during the call alone. */
void runner_run(struct runner *r, const char *command, int64_t timeout_ms,
                void (*done)(void *arg, const struct runner_result *result), void *arg);
void runner_stop(struct runner **r);

#endif
