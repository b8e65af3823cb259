#include "client.h"

#include "base/alloc.h"
#include "base/clock.h"
#include "base/text.h"
#include "control/socket.h"
#include "endpoint.h"
#include "progress.h"
#include "show.h"

#include <errno.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

struct client {
	int fd;
	bool quiet; /* shows no progress of its own */
	bool tty;   /* a person waits, as long as the terminal is there */
	struct codec_lines lines;
};

static bool nobody_there(const struct err *e)
{
	return e->code == ENOENT || e->code == ECONNREFUSED;
}

static void explain_refusal(const struct ctl_options *o, const char *path, const struct err *e)
{
	if (nobody_there(e))
		ctl_error("no ofmsrv answers at %s: it is not running, or has another home or ini file (-d, -c; now %s "
		          "and %s)",
		          path, o->home, o->file);
	else if (e->code == EACCES)
		ctl_error("%s: permission denied: be root, the daemon's user or in the group ofmsrv", path);
	else
		ctl_error("%s", e->text);
}

/* A running daemon keeps the socket of its start: a changed `control` must not hide it, least of all from the reload
 * that refuses the change. */
static int connect_either(const struct ctl_options *o, const char *path, struct err *e)
{
	struct err other;
	int fd = control_socket_connect(path, e);

	if (fd < 0 && nobody_there(e)) {
		char *first = endpoint_default(o);
		fd = control_socket_connect(first, &other);
		free(first);
	}
	return fd;
}

struct client *client_open(const struct ctl_options *o)
{
	struct err e = {.text = ""};
	char *path = endpoint_find(o);
	int fd = connect_either(o, path, &e);
	struct client *c = NULL;

	if (fd < 0) {
		explain_refusal(o, path, &e);
	} else {
		c = xcalloc(1, sizeof *c);
		c->fd = fd;
		c->tty = isatty(STDOUT_FILENO) == 1;
		codec_lines_init(&c->lines, CODEC_REPLY_MAX);
	}
	free(path);
	return c;
}

void client_be_quiet(struct client *c)
{
	c->quiet = true;
}

bool client_reachable(const struct ctl_options *o)
{
	struct err e;
	char *path = endpoint_find(o);
	int fd = connect_either(o, path, &e);

	free(path);
	if (fd < 0)
		return !nobody_there(&e);
	close(fd);
	return true;
}

void client_close(struct client **cp)
{
	struct client *c = *cp;

	if (c == NULL)
		return;
	close(c->fd);
	codec_lines_free(&c->lines);
	free(c);
	*cp = NULL;
}

static int send_all(int fd, const char *p, size_t n)
{
	while (n > 0) {
		ssize_t k = send(fd, p, n, MSG_NOSIGNAL);
		if (k < 0 && errno == EINTR)
			continue;
		if (k < 0)
			return -1;
		p += k;
		n -= (size_t)k;
	}
	return 0;
}

/* Shows on a terminal that time passes. false: nothing came for so many seconds. */
static bool wait_for(struct client *c, struct pollfd p[static 2], int patience)
{
	struct progress_bar bar = progress_begin("waiting for ofmsrv");
	bool came = false;

	if (c->quiet)
		return poll(p, 2, patience > 0 ? patience * 1000 : -1) != 0;
	while (!came && (patience <= 0 || clock_mono_ms() - bar.since < patience * 1000L)) {
		came = poll(p, 2, 200) != 0;
		progress_show(&bar, 0, 0);
	}
	progress_end(&bar);
	return came;
}

/* 1: bytes were read; 0: the daemon closed; -1 after an error on stderr. */
static int receive(struct client *c, int patience)
{
	char chunk[65536];
	struct pollfd p[2] = {{.fd = c->fd, .events = POLLIN}, {.fd = c->tty ? STDOUT_FILENO : -1}};

	if (!wait_for(c, p, patience)) {
		ctl_error("the daemon has not answered for %d seconds", patience);
		return -1;
	}
	if ((p[1].revents & (POLLERR | POLLHUP)) != 0) {
		ctl_error("the terminal has gone");
		return -1;
	}
	if ((p[0].revents & (POLLIN | POLLERR | POLLHUP)) == 0)
		return 1; /* a signal */
	ssize_t n = recv(c->fd, chunk, sizeof chunk, 0);
	if (n < 0 && errno == EINTR)
		return 1;
	if (n <= 0)
		return 0;
	if (codec_lines_feed(&c->lines, slice_make(chunk, (size_t)n)))
		return 1;
	ctl_error("the daemon's answer is too long");
	return -1;
}

/* NULL after an error on stderr. */
static json_t *next_reply(struct client *c, int patience)
{
	struct slice line;
	struct err e;

	for (;;) {
		enum codec_line got = codec_lines_next(&c->lines, &line);
		if (got == CODEC_LINE) {
			json_t *o = codec_reply_parse(line, &e);
			if (o == NULL)
				ctl_error("%s", e.text);
			return o;
		}
		int rc = got == CODEC_TOO_LONG ? 0 : receive(c, patience);
		if (rc == 0)
			ctl_error("the daemon closed the connection before it had answered");
		if (rc <= 0)
			return NULL;
	}
}

json_t *client_ask(struct client *c, const struct control_request *r, int patience,
                   void (*event)(void *arg, json_t *event), void *arg)
{
	char *line = codec_request_format(r);
	int rc = send_all(c->fd, line, strlen(line));

	free(line);
	/* A daemon that refused us at once has said why. */
	if (rc != 0 && errno != EPIPE && errno != ECONNRESET) {
		ctl_error("the daemon cannot be reached: %s", strerror(errno));
		return NULL;
	}
	for (;;) {
		json_t *o = next_reply(c, patience);
		if (o == NULL || json_object_get(o, "ok") != NULL)
			return o;
		if (event != NULL)
			event(arg, o);
		json_decref(o);
	}
}

bool client_wait_end(struct client *c, int seconds)
{
	char chunk[4096];
	int64_t until = clock_mono_ms() + (int64_t)seconds * 1000;
	struct pollfd p = {.fd = c->fd, .events = POLLIN};

	for (int64_t left; (left = until - clock_mono_ms()) > 0;)
		if (poll(&p, 1, (int)left) > 0 && recv(c->fd, chunk, sizeof chunk, 0) <= 0)
			return true;
	return false;
}

bool client_ok(const json_t *reply)
{
	if (client_bool(reply, "ok"))
		return true;
	ctl_error("%s", client_text(reply, "error"));
	return false;
}

json_t *client_simple(const struct ctl_options *o, const struct control_request *r, int patience)
{
	struct client *c = client_open(o);
	json_t *reply = c != NULL ? client_ask(c, r, patience, NULL, NULL) : NULL;

	client_close(&c);
	if (reply != NULL && !client_ok(reply)) {
		json_decref(reply);
		return NULL;
	}
	return reply;
}

const char *client_text(const json_t *o, const char *key)
{
	const char *s = json_string_value(json_object_get(o, key));

	return s != NULL ? s : "";
}

int64_t client_int(const json_t *o, const char *key)
{
	return json_integer_value(json_object_get(o, key));
}

bool client_bool(const json_t *o, const char *key)
{
	return json_is_true(json_object_get(o, key));
}

/* JSON escapes C0 by itself; the rest of what acts on a terminal or hides text becomes \\uXXXX as well. */
void client_dump_json(const json_t *o, size_t flags)
{
	char *text = json_dumps(o, flags);
	struct slice s = slice_of(text != NULL ? text : "null");
	uint32_t cp;

	for (size_t at = 0, n; at < s.n; at += n) {
		n = utf8_next(s, at, &cp);
		if (n > 0 && cp != '\n' && cp < 0x10000 && show_unsafe(cp))
			printf("\\u%04x", cp);
		else
			fwrite(s.p + at, 1, n = n > 0 ? n : 1, stdout);
	}
	putchar('\n');
	free(text);
}

void client_print_json(json_t *reply)
{
	json_object_del(reply, "ok");
	client_dump_json(reply, JSON_INDENT(2));
}
