#include "fetch/pop3_client.h"

#include "base/alloc.h"
#include "mail/dot.h"

#include <stdlib.h>
#include <string.h>

struct waiting {
	struct pop3_command cmd;
	char *argument; /* NULL once sent */
	bool behind;    /* was sent while others were under way */
};

enum reading { IN_STATUS, IN_LISTING, IN_BODY };

struct pop3_client {
	const struct pop3_client_events *ev;
	void *arg;
	bool pipelining, halted, pipelined;
	/* A ring: [head, head + sent) is under way, behind it [.., + queued) waits. */
	struct waiting *ring;
	size_t cap, head, sent, queued;
	uint64_t expected; /* bytes of replies under way */
	bool barrier;      /* nothing travels behind the command under way */
	struct buf out;
	struct buf line; /* an unfinished line */
	enum reading state;
	bool bare_lf;    /* the last status line ended so */
	unsigned blanks; /* since the last reply */
	size_t listed;   /* bytes of this listing */
	struct dot_decoder dot;
};

enum shape { ONE_LINE, LISTING, BODY };

enum travel {
	TOGETHER,
	LAST, /* nothing behind it */
	ALONE /* nothing before it either */
};

static const struct {
	const char *word;
	enum shape shape;
	bool numbered;
	enum travel travel;
} verbs[] = {
    [POP3_CAPA] = {"CAPA", LISTING, false, TOGETHER}, [POP3_USER] = {"USER", ONE_LINE, false, ALONE},
    [POP3_PASS] = {"PASS", ONE_LINE, false, ALONE},   [POP3_AUTH_PLAIN] = {"AUTH PLAIN", ONE_LINE, false, ALONE},
    [POP3_UIDL] = {"UIDL", LISTING, false, TOGETHER}, [POP3_LIST] = {"LIST", LISTING, false, TOGETHER},
    [POP3_TOP] = {"TOP", BODY, true, TOGETHER},       [POP3_RETR] = {"RETR", BODY, true, TOGETHER},
    [POP3_DELE] = {"DELE", ONE_LINE, true, TOGETHER}, [POP3_QUIT] = {"QUIT", ONE_LINE, false, LAST},
};

static void set_state(struct pop3_client *c, enum reading state)
{
	c->state = state;
	if (state == IN_BODY)
		dot_decoder_init(&c->dot, false);
	if (state == IN_LISTING)
		c->listed = 0;
}

struct pop3_client *pop3_client_new(const struct pop3_client_events *ev, void *arg)
{
	struct pop3_client *c = xcalloc(1, sizeof *c);

	c->ev = ev;
	c->arg = arg;
	buf_init(&c->out, 256 * 1024);
	buf_init(&c->line, POP3_LINE_MAX);
	return c;
}

static struct waiting *at(const struct pop3_client *c, size_t i)
{
	return &c->ring[(c->head + i) % c->cap];
}

static void wipe(char **argument)
{
	if (*argument != NULL)
		explicit_bzero(*argument, strlen(*argument));
	free(*argument);
	*argument = NULL;
}

void pop3_client_forget_queued(struct pop3_client *c)
{
	for (size_t i = 0; i < c->queued; i++)
		wipe(&at(c, c->sent + i)->argument);
	c->queued = 0;
}

void pop3_client_free(struct pop3_client **cp)
{
	struct pop3_client *c = *cp;

	*cp = NULL;
	if (c == NULL)
		return;
	pop3_client_forget_queued(c);
	for (size_t i = 0; i < c->sent; i++)
		wipe(&at(c, i)->argument);
	if (c->out.p != NULL)
		explicit_bzero(c->out.p, c->out.cap);
	buf_free(&c->out);
	buf_free(&c->line);
	free(c->ring);
	free(c);
}

/* ---- sending ---- */

static bool may_send(const struct pop3_client *c)
{
	if (c->queued == 0 || c->halted || c->barrier)
		return false;
	if (c->sent == 0)
		return true;
	if (!c->pipelining || c->sent >= POP3_WINDOW || verbs[at(c, c->sent)->cmd.verb].travel == ALONE)
		return false;
	/* Two at least, so that the line never idles between large messages. */
	return c->sent < 2 || c->expected < POP3_WINDOW_BYTES;
}

static void write_command(struct pop3_client *c, struct waiting *w)
{
	enum pop3_verb v = w->cmd.verb;

	buf_add_str(&c->out, verbs[v].word);
	if (verbs[v].numbered)
		buf_printf(&c->out, " %u", (unsigned)w->cmd.number);
	if (v == POP3_TOP)
		buf_add_str(&c->out, " 0");
	if (w->argument != NULL && v != POP3_AUTH_PLAIN) {
		buf_add_char(&c->out, ' ');
		buf_add_str(&c->out, w->argument);
		wipe(&w->argument);
	}
	buf_add_str(&c->out, "\r\n");
}

static void pump(struct pop3_client *c)
{
	while (may_send(c)) {
		struct waiting *w = at(c, c->sent);

		write_command(c, w);
		c->expected += w->cmd.expect;
		c->barrier = verbs[w->cmd.verb].travel != TOGETHER;
		w->behind = c->sent > 0;
		c->pipelined |= w->behind;
		c->sent++;
		c->queued--;
	}
}

static void grow(struct pop3_client *c)
{
	size_t n = c->sent + c->queued;
	size_t cap = c->cap != 0 ? c->cap * 2 : 16;
	struct waiting *ring = xreallocarray(NULL, cap, sizeof *ring);

	for (size_t i = 0; i < n; i++)
		ring[i] = *at(c, i);
	free(c->ring);
	c->ring = ring;
	c->cap = cap;
	c->head = 0;
}

void pop3_client_queue(struct pop3_client *c, const struct pop3_command *cmd, const char *argument)
{
	if (argument != NULL && strpbrk(argument, "\r\n") != NULL)
		abort(); /* refused long before: it would be a command of its own */
	if (c->sent + c->queued == c->cap)
		grow(c);
	*at(c, c->sent + c->queued) = (struct waiting){*cmd, argument != NULL ? xstrdup(argument) : NULL, false};
	c->queued++;
	pump(c);
}

void pop3_client_queue_first(struct pop3_client *c, const struct pop3_command *cmd)
{
	if (c->sent + c->queued == c->cap)
		grow(c);
	for (size_t i = c->sent + c->queued; i > c->sent; i--)
		*at(c, i) = *at(c, i - 1);
	*at(c, c->sent) = (struct waiting){*cmd, NULL, false};
	c->queued++;
	pump(c);
}

void pop3_client_set_pipelining(struct pop3_client *c, bool on)
{
	c->pipelining = on;
	pump(c);
}

/* ---- receiving ---- */

/* The oldest command is answered in full. */
static struct pop3_command retire(struct pop3_client *c)
{
	struct waiting *w = at(c, 0);
	struct pop3_command cmd = w->cmd;

	wipe(&w->argument);
	c->head = (c->head + 1) % c->cap;
	c->sent--;
	c->expected -= cmd.expect;
	if (verbs[cmd.verb].travel != TOGETHER)
		c->barrier = false;
	set_state(c, IN_STATUS);
	return cmd;
}

static void complete(struct pop3_client *c)
{
	struct pop3_command cmd = retire(c);

	c->ev->end(c->arg, &cmd);
	pump(c);
}

static int answer(struct pop3_client *c, bool ok, struct slice text)
{
	enum shape shape = verbs[at(c, 0)->cmd.verb].shape;

	text = slice_trim(text);
	if (ok && shape != ONE_LINE) {
		struct pop3_command cmd = at(c, 0)->cmd;

		set_state(c, shape == BODY ? IN_BODY : IN_LISTING);
		c->ev->reply(c->arg, &cmd, true, text);
		return 0;
	}
	struct pop3_command cmd = retire(c);
	c->ev->reply(c->arg, &cmd, ok, text);
	pump(c);
	return 0;
}

/* The server's "+" of AUTH: the response goes, the command stays under way. */
static int go_on(struct pop3_client *c, struct err *e)
{
	struct waiting *w = at(c, 0);

	if (w->cmd.verb != POP3_AUTH_PLAIN || w->argument == NULL)
		return err_set(e, 0, "the server asks for more where nothing more is due");
	buf_add_str(&c->out, w->argument);
	buf_add_str(&c->out, "\r\n");
	wipe(&w->argument);
	return 0;
}

static bool ends_in_crlf(struct slice line)
{
	return line.n >= 2 && line.p[line.n - 2] == '\r';
}

static int take_status(struct pop3_client *c, struct slice line, struct err *e)
{
	if (slice_trim(line).n == 0)
		return ++c->blanks <= POP3_BLANK_MAX ? 0
		                                     : err_set(e, 0, "the server sends empty lines instead of a reply");
	c->blanks = 0;
	c->bare_lf = !ends_in_crlf(line);
	if (c->sent == 0)
		return err_set(e, 0, "the server speaks without being asked");
	if (slice_starts_nocase(line, "+OK"))
		return answer(c, true, slice_sub(line, 3, line.n));
	if (slice_starts_nocase(line, "-ERR"))
		return answer(c, false, slice_sub(line, 4, line.n));
	if (line.n > 0 && line.p[0] == '+')
		return go_on(c, e);
	return err_set(e, 0, "the server's reply is neither +OK nor -ERR");
}

static int take_listed(struct pop3_client *c, struct slice line, struct err *e)
{
	struct pop3_command cmd = at(c, 0)->cmd;

	c->listed += line.n;
	if (c->listed > POP3_LISTING_MAX)
		return err_set(e, 0, "the server's listing does not end");
	if (line.n > 0 && line.p[0] == '.')
		line = slice_sub(line, 1, line.n);
	while (line.n > 0 && (line.p[line.n - 1] == '\n' || line.p[line.n - 1] == '\r'))
		line.n--;
	c->ev->line(c->arg, &cmd, line);
	return 0;
}

/* A whole line with its LF. */
static int take_line(struct pop3_client *c, struct slice line, struct err *e)
{
	if (c->state == IN_STATUS)
		return take_status(c, line, e);
	/* A dot with blanks behind it is no other line of a listing; it ends as the lines before it do. */
	if (slice_is(slice_trim(line), ".") && (c->bare_lf || ends_in_crlf(line))) {
		complete(c);
		return 0;
	}
	return take_listed(c, line, e);
}

/* Consumes up to and including one line end, or all. */
static size_t feed_line(struct pop3_client *c, struct slice in, int *rc, struct err *e)
{
	size_t lf = slice_find(in, '\n');
	size_t n = lf < in.n ? lf + 1 : in.n;

	*rc = 0;
	if (c->line.n == 0 && lf < in.n && n <= POP3_LINE_MAX) {
		*rc = take_line(c, slice_sub(in, 0, n), e);
		return n;
	}
	if (!buf_add(&c->line, in.p, n)) {
		*rc = err_set(e, 0, "the server sends an over-long line");
		return n;
	}
	if (lf < in.n) {
		struct slice whole = buf_slice(&c->line);

		/* Emptied first: the memory stays until the next line is added. */
		buf_clear(&c->line);
		*rc = take_line(c, whole, e);
	}
	return n;
}

static void emit(void *arg, struct slice run)
{
	struct pop3_client *c = arg;
	struct pop3_command cmd = at(c, 0)->cmd;

	if (run.n > 0 && !c->halted)
		c->ev->body(c->arg, &cmd, run);
}

static size_t feed_body(struct pop3_client *c, struct slice in)
{
	bool done = false;
	size_t n = dot_decode(&c->dot, in, emit, c, &done);

	if (done && !c->halted)
		complete(c);
	return n;
}

int pop3_client_feed(struct pop3_client *c, struct slice in, struct err *e)
{
	int rc = 0;

	while (in.n > 0 && rc == 0 && !c->halted) {
		size_t n = c->state == IN_BODY ? feed_body(c, in) : feed_line(c, in, &rc, e);

		in = slice_sub(in, n, in.n);
	}
	if (rc != 0)
		c->halted = true;
	return rc;
}

void pop3_client_halt(struct pop3_client *c)
{
	c->halted = true;
}

struct buf *pop3_client_out(struct pop3_client *c)
{
	return &c->out;
}

size_t pop3_client_outstanding(const struct pop3_client *c)
{
	return c->sent;
}

size_t pop3_client_queued(const struct pop3_client *c)
{
	return c->queued;
}

const struct pop3_command *pop3_client_oldest(const struct pop3_client *c)
{
	return c->sent > 0 ? &at(c, 0)->cmd : NULL;
}

bool pop3_client_awaits_reply(const struct pop3_client *c)
{
	return c->sent > 0 && c->state == IN_STATUS && c->line.n == 0;
}

bool pop3_client_in_pipeline(const struct pop3_client *c)
{
	return pop3_client_awaits_reply(c) && (c->sent > 1 || at(c, 0)->behind);
}

bool pop3_client_has_pipelined(const struct pop3_client *c)
{
	return c->pipelined;
}
