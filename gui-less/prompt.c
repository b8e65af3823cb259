#include "prompt.h"

#include <errno.h>
#include <signal.h>
#include <string.h>
#include <termios.h>
#include <unistd.h>

/* Those that end or stop a program. */
static const int numbers[] = {SIGALRM, SIGHUP, SIGINT, SIGPIPE, SIGQUIT, SIGTERM, SIGTSTP, SIGTTIN, SIGTTOU};
enum { SIGNALS = sizeof numbers / sizeof numbers[0] };

static volatile sig_atomic_t caught[SIGNALS];

static void on_signal(int number)
{
	for (size_t i = 0; i < SIGNALS; i++)
		if (numbers[i] == number)
			caught[i] = 1;
}

static bool any_caught(void)
{
	for (size_t i = 0; i < SIGNALS; i++)
		if (caught[i] != 0)
			return true;
	return false;
}

/* Without SA_RESTART, so that read() ends. What is ignored stays so. */
static void catch_signals(struct sigaction before[static SIGNALS])
{
	struct sigaction ours = {.sa_handler = on_signal};

	for (size_t i = 0; i < SIGNALS; i++) {
		caught[i] = 0;
		sigaction(numbers[i], NULL, &before[i]);
		if (before[i].sa_handler != SIG_IGN)
			sigaction(numbers[i], &ours, NULL);
	}
}

/* Gives them to whom they were for. True where the program was stopped and goes on: the question is to be asked again.
 */
static bool pass_on(const struct sigaction before[static SIGNALS])
{
	bool stopped = false;

	for (size_t i = 0; i < SIGNALS; i++)
		sigaction(numbers[i], &before[i], NULL);
	for (size_t i = 0; i < SIGNALS; i++) {
		if (caught[i] == 0)
			continue;
		kill(getpid(), numbers[i]);
		stopped = stopped || numbers[i] == SIGTSTP || numbers[i] == SIGTTIN || numbers[i] == SIGTTOU;
	}
	return stopped;
}

/* A byte at a time: what stands behind the line is the next reader's. */
static bool read_line(char *out, size_t size)
{
	size_t n = 0;
	bool whole = true, any = false;
	char c;

	while (!any_caught()) {
		ssize_t got = read(STDIN_FILENO, &c, 1);
		if (got < 0 && errno == EINTR)
			continue;
		if (got <= 0)
			break;
		any = true;
		if (c == '\n' || c == '\r')
			break;
		if (n + 1 < size)
			out[n++] = c;
		else
			whole = false;
	}
	out[n] = '\0';
	return any && whole;
}

/* In the background nothing can be set: SIGTTOU says so, and is passed on. */
static void set_mode(const struct termios *mode)
{
	while (tcsetattr(STDIN_FILENO, TCSAFLUSH, mode) != 0 && errno == EINTR && caught[SIGNALS - 1] == 0)
		;
}

bool prompt_hidden(FILE *screen, const char *question, char *out, size_t size)
{
	struct sigaction signals[SIGNALS];
	struct termios before, quiet;
	bool got, hidden;

	do {
		catch_signals(signals);
		hidden = tcgetattr(STDIN_FILENO, &before) == 0;
		if (hidden) {
			quiet = before;
			quiet.c_lflag &= ~(tcflag_t)(ECHO | ECHONL);
			set_mode(&quiet);
		}
		fputs(question, screen);
		fflush(screen);
		got = read_line(out, size);
		fputc('\n', screen);
		fflush(screen);
		if (hidden)
			set_mode(&before);
		if (any_caught())
			explicit_bzero(out, size);
	} while (pass_on(signals));
	return got;
}
