/* The helper process behind runner.h, and what the two say to each other: one packet a request, one a result, over
 * a SOCK_SEQPACKET pair. Internal to net/. */
#ifndef OFM_NET_RUNNER_HELPER_H
#define OFM_NET_RUNNER_HELPER_H

#include <stdbool.h>
#include <stdint.h>

enum {
	RUNNER_COMMAND_MAX = 32 * 1024,
	RUNNER_OUTPUT_MAX = 64 * 1024,
	RUNNER_ERRORS_MAX = 4 * 1024,
	RUNNER_JOBS_MAX = 128 /* at once; more wait in the socket */
};
#define RUNNER_MAGIC 0x52554e31U

struct runner_request { /* the command's bytes follow */
	uint32_t magic;
	uint32_t id;
	int64_t timeout_ms;
};

struct runner_reply { /* output bytes follow */
	uint32_t magic;
	uint32_t id;
	int32_t status;
	uint8_t started, timed_out;
	uint8_t unused[2];
};

/* The helper's life: serves requests from fd until its other end is closed and the last command has ended. */
_Noreturn void runner_helper_main(int fd, bool (*allowed)(void *arg, const char *command), void *arg);

#endif
