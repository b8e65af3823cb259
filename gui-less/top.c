/* ofmctl top: the gateway at a glance, on a terminal; keys start syncs and act on the queue. */
#include "top.h"

#include "base/clock.h"

#include <curses.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <term.h>
#include <unistd.h>

enum { LOOK_MS = 1000, KEY_MS = 100 };

/* Errors of the client's functions go to stderr, which is the screen: they are caught, and the last one becomes the
 * note. */
struct catcher {
	int before, fd;
};

static struct catcher catch_stderr(void)
{
	struct catcher c = {dup(STDERR_FILENO), memfd_create("stderr", MFD_CLOEXEC)};

	if (c.fd >= 0)
		dup2(c.fd, STDERR_FILENO);
	return c;
}

static void take_caught(const struct catcher *c, struct top *t)
{
	ssize_t n = c->fd >= 0 ? pread(c->fd, t->note, sizeof t->note - 1, 0) : 0;

	fflush(stderr);
	if (n <= 0)
		return;
	t->note[n] = '\0';
	t->asked[0] = '\0'; /* a question that is no longer read must not be answered */
	t->note[strcspn(t->note, "\n")] = '\0';
	if (ftruncate(c->fd, 0) == 0)
		lseek(c->fd, 0, SEEK_SET);
}

static void release_stderr(struct catcher *c)
{
	fflush(stderr);
	dup2(c->before, STDERR_FILENO);
	close(c->before);
	if (c->fd >= 0)
		close(c->fd);
}

/* ---- keys ---- */

/* The chosen message; NULL where there is none, which the note says. */
static const json_t *chosen_message(struct top *t)
{
	const json_t *m = top_chosen(t, TOP_QUEUE);

	if (m == NULL && t->lost[TOP_QUEUE])
		snprintf(t->note, sizeof t->note, "The chosen message has left the queue; choose another: arrow keys");
	else if (m == NULL)
		snprintf(t->note, sizeof t->note, "The queue is empty.");
	return m;
}

static void on_message(struct top *t, enum control_verb verb, const char *done)
{
	const json_t *m = chosen_message(t);

	if (m == NULL)
		return;
	const struct control_request r = {.verb = verb, .what = (char *)client_text(m, "id")};
	top_do(t, &r, done);
}

static void hold_or_release(struct top *t)
{
	if (client_bool(top_chosen(t, TOP_QUEUE), "held"))
		on_message(t, CONTROL_QUEUE_RELEASE, "Released.");
	else
		on_message(t, CONTROL_QUEUE_HOLD, "Held.");
}

static void sync_account(struct top *t)
{
	const json_t *a = top_chosen(t, TOP_ACCOUNTS);

	if (a == NULL) {
		snprintf(t->note, sizeof t->note, "%s",
		         t->lost[TOP_ACCOUNTS] ? "The chosen account has gone; choose another: Tab, arrow keys"
		                               : "There are no accounts.");
		return;
	}
	struct control_request r = {.verb = CONTROL_SYNC};
	strlist_add(&r.accounts, client_text(a, "name"));
	top_do(t, &r, "The sync was started.");
	strlist_free(&r.accounts);
}

static void move_choice(struct top *t, int by)
{
	size_t at = t->chosen[t->pane];

	if (!t->lost[t->pane] && by < 0 && at > 0)
		at--;
	else if (!t->lost[t->pane] && by > 0)
		at++;
	top_choose(t, t->pane, at);
}

static void ask_drop(struct top *t)
{
	const json_t *m = chosen_message(t);

	if (m == NULL)
		return;
	snprintf(t->asked, sizeof t->asked, "%s", client_text(m, "id"));
	snprintf(t->note, sizeof t->note, "Drop the mail to %.100s, without a bounce? y/n", client_text(m, "to"));
}

/* What the question named, wherever the cursor is by now. The row behind it is chosen then. */
static void drop_asked(struct top *t)
{
	const struct control_request r = {.verb = CONTROL_QUEUE_DROP, .what = t->asked};

	if (top_do(t, &r, "Dropped.") && strcmp(t->chosen_name[TOP_QUEUE], t->asked) == 0)
		t->chosen_name[TOP_QUEUE][0] = '\0';
}

static void on_answer(struct top *t, int key)
{
	if (key == 'y')
		drop_asked(t);
	t->asked[0] = '\0';
}

/* false: the end. */
static bool on_key(struct top *t, int key)
{
	const struct control_request sync_all = {.verb = CONTROL_SYNC};

	/* The screen has another size: no answer to anything. */
	if (key == KEY_RESIZE)
		return true;
	t->note[0] = '\0';
	if (t->asked[0] != '\0') {
		on_answer(t, key);
		return true;
	}
	switch (key) {
	case 'q':
		return false;
	case '\t':
		t->pane = (t->pane + 1) % TOP_PANES;
		break;
	case KEY_UP:
	case 'k':
		move_choice(t, -1);
		break;
	case KEY_DOWN:
	case 'j':
		move_choice(t, 1);
		break;
	case 's':
		top_do(t, &sync_all, "The sync was started.");
		break;
	case 'a':
		sync_account(t);
		break;
	case 'r':
		on_message(t, CONTROL_QUEUE_RETRY, "Tried again now.");
		break;
	case 'h':
		hold_or_release(t);
		break;
	case 'd':
		ask_drop(t);
		break;
	}
	return true;
}

/* ---- the loop ---- */

static void start_screen(struct top *t)
{
	cbreak();
	noecho();
	keypad(stdscr, TRUE);
	curs_set(0);
	timeout(KEY_MS);
	if (getenv("NO_COLOR") == NULL && has_colors()) {
		start_color();
		use_default_colors();
		init_pair(1, COLOR_RED, -1);
		init_pair(2, COLOR_GREEN, -1);
		init_pair(3, COLOR_YELLOW, -1);
		t->colours = true;
	}
}

/* No key came though there is something to read: the terminal's end, or its error. */
static bool terminal_is_gone(void)
{
	struct pollfd p[] = {{.fd = STDIN_FILENO, .events = POLLIN}, {.fd = STDOUT_FILENO}};

	return poll(p, 2, 0) > 0 && (p[0].revents != 0 || (p[1].revents & (POLLHUP | POLLERR)) != 0);
}

/* A signal must not leave the terminal as curses has set it: it ends the loop first. */
static volatile sig_atomic_t ended_by;

static void on_signal(int number)
{
	ended_by = number;
}

static void catch_signals(void)
{
	static const int numbers[] = {SIGINT, SIGTERM, SIGHUP, SIGQUIT};
	struct sigaction now, ours = {.sa_handler = on_signal};

	for (size_t i = 0; i < sizeof numbers / sizeof numbers[0]; i++)
		/* Who started us under nohup means it. */
		if (sigaction(numbers[i], NULL, &now) == 0 && now.sa_handler != SIG_IGN)
			sigaction(numbers[i], &ours, NULL);
}

static void watch(struct top *t, const struct catcher *c)
{
	int64_t next = 0;
	int nothing = 0; /* in a row */

	while (ended_by == 0) {
		if (clock_mono_ms() >= next) {
			top_refresh(t);
			take_caught(c, t);
			top_draw(t);
			next = clock_mono_ms() + LOOK_MS;
		}
		int key = getch();
		nothing = key == ERR && terminal_is_gone() ? nothing + 1 : 0;
		if (nothing > 1)
			return;
		if (key == ERR)
			continue;
		if (!on_key(t, key))
			return;
		take_caught(c, t);
		if (t->asked[0] == '\0' && key != KEY_RESIZE)
			next = 0;
		top_draw(t);
	}
}

int ctl_top(const struct ctl_options *o, int argc, char **argv)
{
	struct top t = {.o = o, .pane = TOP_QUEUE};

	if (argc > 1)
		return ctl_usage(argv[0], "it takes no %s", argv[1]);
	if (!o->out_is_tty)
		return ctl_error("top needs a terminal; `ofmctl status` is for pipes");
	SCREEN *screen = newterm(NULL, stdout, stdin);
	if (screen == NULL)
		return ctl_error("the terminal \"%s\" is not known here; set TERM",
		                 getenv("TERM") != NULL ? getenv("TERM") : "");
	if (tigetstr("cup") == NULL) { /* no cursor that could be moved */
		endwin();
		delscreen(screen);
		return ctl_error("the terminal \"%s\" cannot show a screen; see `ofmctl status`", getenv("TERM"));
	}
	start_screen(&t);
	catch_signals();
	struct catcher c = catch_stderr();
	watch(&t, &c);
	endwin();
	delscreen(screen);
	release_stderr(&c);
	top_forget(&t);
	if (ended_by != 0) {
		signal(ended_by, SIG_DFL);
		raise(ended_by);
	}
	return 0;
}
