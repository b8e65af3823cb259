/* The helper that runs commands: what comes back, what is killed, what is not inherited. */
#include "base/alloc.h"
#include "base/clock.h"
#include "net/runner.h"
#include "net/runner_helper.h"

#include <fcntl.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

struct seen {
	struct loop *loop;
	unsigned calls, stop_after;
	bool started, timed_out;
	int status;
	char *output;
	size_t n;
};

static void on_done(void *arg, const struct runner_result *r)
{
	struct seen *s = arg;

	s->calls++;
	s->started = r->started;
	s->timed_out = r->timed_out;
	s->status = r->status;
	free(s->output);
	s->output = slice_dup(r->output);
	s->n = r->output.n;
	if (s->calls == s->stop_after)
		loop_stop(s->loop);
}

struct fixture {
	struct runner *runner;
	struct loop *loop;
	struct seen seen;
};

static bool allowed(void *arg, const char *command)
{
	(void)arg;
	return strstr(command, "forbidden") == NULL;
}

static int setup(void **state)
{
	struct fixture *f = xcalloc(1, sizeof *f);

	assert_int_equal(dup2(STDERR_FILENO, 9), 9);
	f->runner = runner_start(allowed, NULL);
	assert_non_null(f->runner);
	f->loop = loop_new();
	runner_attach(f->runner, f->loop);
	f->seen.loop = f->loop;
	f->seen.stop_after = 1;
	*state = f;
	return 0;
}

static int teardown(void **state)
{
	struct fixture *f = *state;

	runner_stop(&f->runner);
	assert_null(f->runner);
	loop_free(&f->loop);
	free(f->seen.output);
	free(f);
	return 0;
}

static const struct seen *run(struct fixture *f, const char *command, int64_t ms)
{
	f->seen.calls = 0;
	runner_run(f->runner, command, ms, on_done, &f->seen);
	loop_run(f->loop);
	return &f->seen;
}

static void test_forbidden_command_is_not_run(void **state)
{
	const struct seen *s = run(*state, "echo forbidden", 10000);

	assert_false(s->started);
	assert_int_equal(s->status, 127);
	assert_string_equal(s->output, "");
	assert_string_equal(run(*state, "printf next", 10000)->output, "next");
}

static void test_results(void **state)
{
	static const struct {
		const char *command, *output;
		int status;
	} cases[] = {
	    {"printf token", "token", 0},
	    {"printf a; printf b >&2", "a", 0},
	    {"printf a; printf why >&2; exit 3", "why", 3},
	    {"printf only-out; false", "only-out", 1},
	    {"kill -TERM $$", "", 128 + SIGTERM},
	    {"exec /no/such/program", NULL, 127},
	    {"true", "", 0},
	    {"cat", "", 0}, /* standard input is empty */
	    {"printf 'a\\000b'", "a", 0},
	};

	for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
		const struct seen *s = run(*state, cases[i].command, 10000);
		assert_true(s->started);
		assert_false(s->timed_out);
		assert_int_equal(s->status, cases[i].status);
		if (cases[i].output != NULL)
			assert_string_equal(s->output, cases[i].output);
	}
}

/* setup opened descriptor 9 before the fork, and not close-on-exec. */
static void test_nothing_is_inherited(void **state)
{
	const struct seen *s = run(
	    *state, "for i in 0 1 2 3 4 5 6 7 8 9 10 11 12; do [ -e /proc/$$/fd/$i ] && printf '%s ' $i; done; true",
	    10000);

	assert_string_equal(s->output, "0 1 2 ");
}

static void test_output_is_capped(void **state)
{
	const struct seen *s = run(*state, "head -c 300000 /dev/zero; printf end", 10000);

	assert_int_equal(s->status, 0);
	assert_int_equal(s->n, 64 * 1024);
	s = run(*state, "for i in 1 2 3 4 5 6 7 8 9; do head -c 1000 /dev/zero >&2; done; printf end >&2; exit 1",
	        10000);
	assert_int_equal(s->n, RUNNER_ERRORS_MAX);
	assert_memory_equal(s->output + s->n - 3, "end", 3);
}

static bool alive(pid_t pid)
{
	char path[64], line[512] = "";
	snprintf(path, sizeof path, "/proc/%d/stat", (int)pid);
	FILE *f = fopen(path, "r");
	if (f == NULL)
		return false;
	bool got = fgets(line, sizeof line, f) != NULL;
	fclose(f);
	const char *p = got ? strrchr(line, ')') : NULL;
	return p != NULL && p[2] != 'Z';
}

static void test_timeout_kills_the_group(void **state)
{
	char pidfile[] = "/tmp/ofm.sync.XXXXXX";
	char command[256];
	int pid = 0;

	close(mkstemp(pidfile));
	snprintf(command, sizeof command, "sleep 60 & echo $! > %s; trap '' TERM; wait", pidfile);
	int64_t begin = clock_mono_ms();
	const struct seen *s = run(*state, command, 300);
	assert_true(s->started);
	assert_true(s->timed_out);
	assert_int_equal(s->status, 128 + SIGKILL);
	assert_in_range(clock_mono_ms() - begin, 250, 30000);
	FILE *f = fopen(pidfile, "r");
	assert_int_equal(fscanf(f, "%d", &pid), 1);
	fclose(f);
	for (int i = 0; i < 200 && alive(pid); i++)
		usleep(10000);
	assert_false(alive(pid));
	unlink(pidfile);
}

static void test_commands_run_side_by_side(void **state)
{
	struct fixture *f = *state;
	int64_t begin = clock_mono_ms();

	f->seen.stop_after = 20;
	for (int i = 0; i < 20; i++)
		runner_run(f->runner, "sleep 0.4", 10000, on_done, &f->seen);
	loop_run(f->loop);
	assert_int_equal(f->seen.calls, 20);
	assert_in_range(clock_mono_ms() - begin, 350, 7500);
}

static void test_more_than_the_table_holds(void **state)
{
	struct fixture *f = *state;

	f->seen.stop_after = RUNNER_JOBS_MAX + 40;
	for (unsigned i = 0; i < f->seen.stop_after; i++)
		runner_run(f->runner, "exit 7", 20000, on_done, &f->seen);
	loop_run(f->loop);
	assert_int_equal(f->seen.status, 7);
}

/* A line raised by `up` may leave a daemon behind that holds standard output. */
static void test_a_process_left_behind_delays_nothing(void **state)
{
	int64_t begin = clock_mono_ms();
	const struct seen *s = run(*state, "(sleep 10; echo late) & echo up", 10000);

	assert_string_equal(s->output, "up\n");
	assert_in_range(clock_mono_ms() - begin, 0, 9000);
	s = run(*state, "echo down", 10000);
	assert_string_equal(s->output, "down\n");
}

static void test_too_long_a_command_is_not_cut(void **state)
{
	char *command = xmalloc(RUNNER_COMMAND_MAX + 100);

	memset(command, ' ', RUNNER_COMMAND_MAX + 99);
	memcpy(command, "true", 4);
	command[RUNNER_COMMAND_MAX + 99] = '\0';
	const struct seen *s = run(*state, command, 10000);
	assert_int_equal(s->status, 126);
	free(command);
}

static void test_a_dead_helper_is_reported(void **state)
{
	struct fixture *f = *state;
	const struct seen *s = run(f, "kill -KILL $PPID; sleep 5", 10000);

	assert_false(s->started);
	s = run(f, "true", 1000);
	assert_false(s->started);
	assert_int_not_equal(s->status, 0);
}

/* The helper itself, over a socket of ours. */
static void test_garbage_is_survived(void **state)
{
	int pair[2];
	char packet[RUNNER_COMMAND_MAX + 200];
	struct runner_request rq = {.magic = RUNNER_MAGIC, .id = 9, .timeout_ms = 5000};
	struct runner_reply re;

	(void)state;
	assert_int_equal(socketpair(AF_UNIX, SOCK_SEQPACKET, 0, pair), 0);
	pid_t pid = fork();
	if (pid == 0)
		runner_helper_main(pair[1], NULL, NULL);
	close(pair[1]);
	memset(packet, 0xff, sizeof packet);
	for (size_t n = 1; n < sizeof packet; n += 997)
		assert_int_equal(send(pair[0], packet, n, 0), n);
	memcpy(packet, &rq, sizeof rq);
	memcpy(packet + sizeof rq, "exit 4", 6);
	assert_true(send(pair[0], packet, sizeof rq + 6, 0) > 0);
	assert_true(recv(pair[0], packet, sizeof packet, 0) >= (ssize_t)sizeof re);
	memcpy(&re, packet, sizeof re);
	assert_int_equal(re.id, 9);
	assert_int_equal(re.status, 4);
	close(pair[0]);
	assert_int_equal(waitpid(pid, NULL, 0), pid);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test_setup_teardown(test_results, setup, teardown),
	    cmocka_unit_test_setup_teardown(test_forbidden_command_is_not_run, setup, teardown),
	    cmocka_unit_test_setup_teardown(test_nothing_is_inherited, setup, teardown),
	    cmocka_unit_test_setup_teardown(test_output_is_capped, setup, teardown),
	    cmocka_unit_test_setup_teardown(test_timeout_kills_the_group, setup, teardown),
	    cmocka_unit_test_setup_teardown(test_commands_run_side_by_side, setup, teardown),
	    cmocka_unit_test_setup_teardown(test_more_than_the_table_holds, setup, teardown),
	    cmocka_unit_test_setup_teardown(test_a_process_left_behind_delays_nothing, setup, teardown),
	    cmocka_unit_test_setup_teardown(test_too_long_a_command_is_not_cut, setup, teardown),
	    cmocka_unit_test_setup_teardown(test_a_dead_helper_is_reported, setup, teardown),
	    cmocka_unit_test(test_garbage_is_survived),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
