#include "net/runner_helper.h"

#include "base/alloc.h"
#include "base/buf.h"
#include "base/clock.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

struct job {
	uint32_t id;
	pid_t pid; /* leads a process group; 0 = reaped, or never started */
	int out, err;
	struct buf output, errors;
	int64_t deadline; /* mono ms */
	int status;
	bool started, timed_out;
	bool ended;    /* the shell has: the result can be sent */
	bool answered; /* it was; only a process left behind still holds the pipes, and they are drained for it */
};

struct helper {
	int fd; /* -1 when the program is gone: what runs may end, within its timeout */
	struct job *jobs[RUNNER_JOBS_MAX];
	size_t n;
	bool (*allowed)(void *arg, const char *command); /* NULL: all are */
	void *arg;
};

static void close_fd(int *fd)
{
	if (*fd >= 0)
		close(*fd);
	*fd = -1;
}

static void job_free(struct job *j)
{
	close_fd(&j->out);
	close_fd(&j->err);
	buf_free(&j->output);
	buf_free(&j->errors);
	free(j);
}

/* ---- starting ---- */

static void default_signals(void)
{
	sigset_t none;

	for (int s = 1; s < NSIG; s++)
		signal(s, SIG_DFL);
	sigemptyset(&none);
	sigprocmask(SIG_SETMASK, &none, NULL);
}

static _Noreturn void run_shell(const char *command, int out, int err)
{
	int null = open("/dev/null", O_RDONLY);

	setpgid(0, 0);
	if (dup2(null, STDIN_FILENO) < 0 || dup2(out, STDOUT_FILENO) < 0 || dup2(err, STDERR_FILENO) < 0)
		_exit(126);
	close_range(3, ~0U, 0);
	default_signals();
	execl("/bin/sh", "sh", "-c", command, (char *)NULL);
	_exit(127);
}

static void start(struct job *j, const char *command)
{
	int out[2], err[2];

	if (pipe2(out, O_CLOEXEC) != 0)
		return;
	if (pipe2(err, O_CLOEXEC) != 0)
		goto err0;
	j->pid = fork();
	if (j->pid == 0)
		run_shell(command, out[1], err[1]);
	if (j->pid < 0)
		goto err1;
	setpgid(j->pid, j->pid);
	close(out[1]);
	close(err[1]);
	j->out = out[0];
	j->err = err[0];
	fcntl(j->out, F_SETFL, O_NONBLOCK);
	fcntl(j->err, F_SETFL, O_NONBLOCK);
	j->started = true;
	return;
err1:
	j->pid = 0;
	close(err[0]);
	close(err[1]);
err0:
	close(out[0]);
	close(out[1]);
}

/* Anything but a whole request from the program is thrown away. */
static void take_request(struct helper *h, const char *packet, size_t n)
{
	struct runner_request rq;

	if (n < sizeof rq)
		return;
	memcpy(&rq, packet, sizeof rq);
	if (rq.magic != RUNNER_MAGIC || rq.timeout_ms < 0)
		return;
	struct job *j = xcalloc(1, sizeof *j);
	j->id = rq.id;
	j->out = j->err = -1;
	j->deadline = clock_mono_ms() + (rq.timeout_ms < INT32_MAX ? rq.timeout_ms : INT32_MAX);
	buf_init(&j->output, RUNNER_OUTPUT_MAX);
	buf_init(&j->errors, RUNNER_ERRORS_MAX);
	char *command = xstrndup(packet + sizeof rq, n - sizeof rq);
	if (h->allowed == NULL || h->allowed(h->arg, command))
		start(j, command);
	free(command);
	j->ended = !j->started;
	h->jobs[h->n++] = j;
}

static void read_requests(struct helper *h)
{
	static char packet[sizeof(struct runner_request) + RUNNER_COMMAND_MAX + 1];

	while (h->n < RUNNER_JOBS_MAX) {
		ssize_t n = recv(h->fd, packet, sizeof packet, MSG_DONTWAIT);
		if (n < 0 && (errno == EAGAIN || errno == EINTR))
			return;
		if (n <= 0) {
			close_fd(&h->fd);
			return;
		}
		if ((size_t)n < sizeof packet)
			take_request(h, packet, (size_t)n);
	}
}

/* ---- output ---- */

/* The first bytes of standard output. */
static void keep_first(struct buf *b, const char *p, size_t n)
{
	size_t room = b->max - b->n;

	buf_add(b, p, n < room ? n : room);
}

/* The last bytes of standard error: the reason stands at the end. */
static void keep_last(struct buf *b, const char *p, size_t n)
{
	if (n > b->max) {
		p += n - b->max;
		n = b->max;
	}
	if (b->n + n > b->max)
		buf_drop(b, b->n + n - b->max);
	buf_add(b, p, n);
}

/* At most 16 reads a turn, so that one loud command stops no other. */
static void drain(int *fd, struct buf *b, void (*keep)(struct buf *b, const char *p, size_t n))
{
	char chunk[4096];

	for (int turn = 0; turn < 16 && *fd >= 0; turn++) {
		ssize_t n = read(*fd, chunk, sizeof chunk);
		if (n < 0 && (errno == EAGAIN || errno == EINTR))
			return;
		if (n <= 0)
			close_fd(fd);
		else
			keep(b, chunk, (size_t)n);
	}
}

static void drain_job(struct job *j)
{
	drain(&j->out, &j->output, keep_first);
	drain(&j->err, &j->errors, keep_last);
}

/* ---- ending ---- */

/* Before the leader is reaped, so that the group's number cannot be another's. */
static void kill_group(struct job *j)
{
	kill(-j->pid, SIGKILL);
	kill(j->pid, SIGKILL);
}

static void reap(struct job *j)
{
	int status;

	if (j->pid <= 0 || waitpid(j->pid, &status, WNOHANG) != j->pid)
		return;
	j->pid = 0;
	j->ended = true;
	j->status = WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
	drain_job(j);
}

static void watch_time(struct job *j, int64_t now)
{
	if (j->ended || j->timed_out || now < j->deadline)
		return;
	j->timed_out = true;
	kill_group(j);
}

/* True when it is off our hands. */
static bool answer(struct helper *h, struct job *j)
{
	bool failed = j->timed_out || j->status != 0;
	const struct buf *b = failed && j->errors.n > 0 ? &j->errors : &j->output;
	struct runner_reply re = {
	    .magic = RUNNER_MAGIC, .id = j->id, .status = j->status, .started = j->started, .timed_out = j->timed_out};
	struct iovec iov[2] = {{&re, sizeof re}, {b->p, b->n}};
	struct msghdr m = {.msg_iov = iov, .msg_iovlen = b->n > 0 ? 2 : 1};

	if (h->fd < 0)
		return true;
	if (sendmsg(h->fd, &m, MSG_DONTWAIT | MSG_NOSIGNAL) >= 0)
		return true;
	return errno != EAGAIN && errno != EINTR;
}

static bool finished(struct helper *h, struct job *j)
{
	if (j->ended && !j->answered)
		j->answered = answer(h, j);
	return j->answered && j->out < 0 && j->err < 0;
}

/* Where the table is full of pipes that processes left behind hold, the oldest is closed. */
static bool crowded_out(struct helper *h, struct job *j)
{
	return h->n == RUNNER_JOBS_MAX && j->answered;
}

static void sweep(struct helper *h)
{
	int64_t now = clock_mono_ms();

	for (size_t i = 0; i < h->n;) {
		struct job *j = h->jobs[i];
		drain_job(j);
		watch_time(j, now);
		reap(j);
		if (!finished(h, j) && !crowded_out(h, j)) {
			i++;
			continue;
		}
		job_free(j);
		h->n--;
		memmove(&h->jobs[i], &h->jobs[i + 1], (h->n - i) * sizeof h->jobs[0]);
	}
}

/* ---- waiting ---- */

static bool unanswered(const struct helper *h)
{
	for (size_t i = 0; i < h->n; i++)
		if (!h->jobs[i]->answered)
			return true;
	return false;
}

/* What to wait for; *wait is the time to the nearest deadline. */
static nfds_t collect(const struct helper *h, struct pollfd *p, int64_t *wait)
{
	nfds_t n = 0;
	short want = h->n < RUNNER_JOBS_MAX ? POLLIN : 0;
	int64_t now = clock_mono_ms();

	*wait = -1;
	for (size_t i = 0; i < h->n; i++) {
		const struct job *j = h->jobs[i];
		if (j->ended && !j->answered)
			want |= POLLOUT;
		if (j->out >= 0)
			p[n++] = (struct pollfd){.fd = j->out, .events = POLLIN};
		if (j->err >= 0)
			p[n++] = (struct pollfd){.fd = j->err, .events = POLLIN};
		if (j->ended || j->timed_out)
			continue;
		int64_t left = j->deadline > now ? j->deadline - now : 0;
		if (*wait < 0 || left < *wait)
			*wait = left;
	}
	if (h->fd >= 0)
		p[n++] = (struct pollfd){.fd = h->fd, .events = want};
	return n;
}

static void on_child(int sig)
{
	(void)sig; /* its only purpose is to interrupt ppoll */
}

/* Ctrl-C and a terminal's end concern the program, which tells us by closing the socket: `down` must still run.
 * SIGCHLD arrives inside ppoll alone. */
static void prepare_signals(sigset_t *while_waiting)
{
	static const int ignored[] = {SIGINT, SIGTERM, SIGHUP, SIGQUIT, SIGPIPE, SIGUSR1, SIGUSR2};
	struct sigaction sa = {.sa_handler = on_child};
	sigset_t chld;

	for (size_t i = 0; i < sizeof ignored / sizeof ignored[0]; i++)
		signal(ignored[i], SIG_IGN);
	sigaction(SIGCHLD, &sa, NULL);
	sigemptyset(&chld);
	sigaddset(&chld, SIGCHLD);
	sigprocmask(SIG_SETMASK, &chld, NULL);
	sigemptyset(while_waiting);
}

/* Only the socket and the standard descriptors are ours. */
static int keep_only(int fd)
{
	if (fd != 3) {
		if (dup3(fd, 3, O_CLOEXEC) != 3)
			_exit(1);
	} else {
		fcntl(fd, F_SETFD, FD_CLOEXEC);
	}
	close_range(4, ~0U, 0);
	return 3;
}

_Noreturn void runner_helper_main(int fd, bool (*allowed)(void *arg, const char *command), void *arg)
{
	struct helper h = {.fd = keep_only(fd), .allowed = allowed, .arg = arg};
	struct pollfd polls[2 * RUNNER_JOBS_MAX + 1];
	sigset_t while_waiting;

	setpgid(0, 0);
	prctl(PR_SET_NAME, "ofmsrv-runner");
	prepare_signals(&while_waiting);
	while (h.fd >= 0 || unanswered(&h)) {
		int64_t wait;
		nfds_t n = collect(&h, polls, &wait);
		struct timespec ts = {.tv_sec = wait / 1000, .tv_nsec = wait % 1000 * 1000000};
		ppoll(polls, n, wait < 0 ? NULL : &ts, &while_waiting);
		if (h.fd >= 0)
			read_requests(&h);
		sweep(&h);
	}
	_exit(0);
}
