#include "net/runner.h"

#include "base/alloc.h"
#include "base/log.h"
#include "net/runner_helper.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

struct run {
	struct run *next;
	uint32_t id;
	char *command;
	int64_t timeout_ms;
	bool sent;
	void (*done)(void *arg, const struct runner_result *result);
	void *arg;
};

struct runner {
	pid_t pid;
	int fd; /* -1: the helper is gone */
	struct loop *loop;
	struct event *readable, *writable;
	struct event *dead; /* made active by hand: answers runs that nobody can run */
	struct run *runs;   /* oldest first */
	uint32_t next_id;
	char packet[sizeof(struct runner_reply) + RUNNER_OUTPUT_MAX];
};

struct runner *runner_start(runner_allowed *allowed, void *arg)
{
	int pair[2];

	if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, pair) != 0)
		return NULL;
	pid_t pid = fork();
	if (pid == 0)
		runner_helper_main(pair[1], allowed, arg);
	close(pair[1]);
	if (pid < 0) {
		close(pair[0]);
		return NULL;
	}
	struct runner *r = xcalloc(1, sizeof *r);
	r->pid = pid;
	r->fd = pair[0];
	fcntl(r->fd, F_SETFL, O_NONBLOCK);
	return r;
}

static void finish(struct run *run, const struct runner_result *result)
{
	run->done(run->arg, result);
	free(run->command);
	free(run);
}

/* Takes the run out of the list; NULL where there is none of that id. */
static struct run *take(struct runner *r, uint32_t id)
{
	for (struct run **p = &r->runs; *p != NULL; p = &(*p)->next) {
		struct run *run = *p;
		if (run->id != id)
			continue;
		*p = run->next;
		return run;
	}
	return NULL;
}

/* Only those that are there now: a `done` may ask again. */
static void on_dead(evutil_socket_t fd, short what, void *arg)
{
	static const struct runner_result gone = {.started = false, .status = 127, .output = {"", 0}};
	struct runner *r = arg;
	struct run *list = r->runs;

	(void)fd;
	(void)what;
	r->runs = NULL;
	while (list != NULL) {
		struct run *run = list;
		list = run->next;
		finish(run, &gone);
	}
}

static void helper_gone(struct runner *r)
{
	if (r->fd < 0)
		return;
	log_error("runner.gone", kv_i("pid", r->pid), kv_s("mend", "restart ofmsrv: no command can run until then"));
	event_free(r->readable);
	event_free(r->writable);
	r->readable = r->writable = NULL;
	close(r->fd);
	r->fd = -1;
	event_active(r->dead, EV_TIMEOUT, 0);
}

static void take_reply(struct runner *r, size_t n)
{
	struct runner_reply re;

	if (n < sizeof re)
		return;
	memcpy(&re, r->packet, sizeof re);
	struct run *run = re.magic == RUNNER_MAGIC ? take(r, re.id) : NULL;
	if (run == NULL)
		return;
	struct runner_result result = {.started = re.started != 0,
	                               .timed_out = re.timed_out != 0,
	                               .status = re.started != 0 ? re.status : 127,
	                               .output = slice_make(r->packet + sizeof re, n - sizeof re)};
	log_debug("runner.end", kv_u("run", re.id), kv_i("status", result.status), kv_u("bytes", result.output.n));
	finish(run, &result);
}

static void on_readable(evutil_socket_t fd, short what, void *arg)
{
	struct runner *r = arg;

	(void)what;
	ssize_t n = recv(fd, r->packet, sizeof r->packet, 0);
	if (n < 0 && (errno == EAGAIN || errno == EINTR))
		return;
	if (n <= 0)
		helper_gone(r);
	else
		take_reply(r, (size_t)n);
}

/* False where the socket is full: the rest goes when it is writable. */
static bool send_run(struct runner *r, struct run *run)
{
	struct runner_request rq = {.magic = RUNNER_MAGIC, .id = run->id, .timeout_ms = run->timeout_ms};
	struct iovec iov[2] = {{&rq, sizeof rq}, {run->command, strlen(run->command)}};
	struct msghdr m = {.msg_iov = iov, .msg_iovlen = 2};

	if (sendmsg(r->fd, &m, MSG_NOSIGNAL) < 0)
		return false;
	run->sent = true;
	return true;
}

static void send_all(struct runner *r)
{
	for (struct run *run = r->runs; run != NULL; run = run->next) {
		if (run->sent || send_run(r, run))
			continue;
		if (errno == EAGAIN || errno == EINTR || errno == ENOBUFS)
			event_add(r->writable, NULL);
		else
			helper_gone(r);
		return;
	}
}

static void on_writable(evutil_socket_t fd, short what, void *arg)
{
	(void)fd;
	(void)what;
	send_all(arg);
}

void runner_attach(struct runner *r, struct loop *l)
{
	struct event_base *base = loop_base(l);

	r->loop = l;
	r->readable = event_new(base, r->fd, EV_READ | EV_PERSIST, on_readable, r);
	r->writable = event_new(base, r->fd, EV_WRITE, on_writable, r);
	r->dead = event_new(base, -1, 0, on_dead, r);
	event_add(r->readable, NULL);
}

void runner_run(struct runner *r, const char *command, int64_t timeout_ms,
                void (*done)(void *arg, const struct runner_result *result), void *arg)
{
	static const char too_long[] = "echo 'the command is longer than 32 KiB' >&2; exit 126";
	struct run *run = xcalloc(1, sizeof *run);
	struct run **end = &r->runs;

	*run = (struct run){.id = ++r->next_id, .timeout_ms = timeout_ms, .done = done, .arg = arg};
	/* Half a command might be a worse one. */
	run->command = xstrdup(strlen(command) <= RUNNER_COMMAND_MAX ? command : too_long);
	while (*end != NULL)
		end = &(*end)->next;
	*end = run;
	log_debug("runner.run", kv_u("run", run->id));
	if (r->fd >= 0)
		send_all(r);
	else
		event_active(r->dead, EV_TIMEOUT, 0);
}

/* Commands under way end by themselves, within their timeouts; the helper goes after them. */
void runner_stop(struct runner **rp)
{
	struct runner *r = *rp;

	if (r == NULL)
		return;
	bool idle = r->runs == NULL;
	if (r->readable != NULL)
		event_free(r->readable);
	if (r->writable != NULL)
		event_free(r->writable);
	if (r->fd >= 0)
		close(r->fd);
	waitpid(r->pid, NULL, idle ? 0 : WNOHANG);
	if (r->dead != NULL)
		event_free(r->dead);
	while (r->runs != NULL) {
		struct run *run = r->runs;
		r->runs = run->next;
		free(run->command);
		free(run);
	}
	free(r);
	*rp = NULL;
}
