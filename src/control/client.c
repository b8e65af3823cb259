#include "base/alloc.h"
#include "base/log.h"
#include "control/control_internal.h"

#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

static void on_input(void *arg);

static void on_drained(void *arg)
{
	on_input(arg);
}

static void on_ended(void *arg, enum stream_end why)
{
	(void)why;
	control_client_free(arg);
}

/* In SO_PEERCRED's word, for the log alone: who may connect is the file's business. */
static uid_t peer_of(int fd)
{
	struct ucred cred;
	socklen_t n = sizeof cred;

	return getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &cred, &n) == 0 ? cred.uid : (uid_t)-1;
}

void control_client_new(struct control *c, int fd)
{
	static const struct stream_callbacks cb = {.readable = on_input, .drained = on_drained, .ended = on_ended};
	struct control_client *cl = xcalloc(1, sizeof *cl);

	cl->control = c;
	cl->uid = peer_of(fd);
	codec_lines_init(&cl->lines, CODEC_REQUEST_MAX);
	cl->next = c->clients;
	c->clients = cl;
	c->nclients++;
	cl->stream = stream_accept(c->deps.loop, fd, NULL, &cb, cl);
	stream_set_timeout(cl->stream, CONTROL_IDLE_MS);
}

static void leave_list(struct control_client *cl)
{
	struct control_client **p = &cl->control->clients;

	while (*p != cl)
		p = &(*p)->next;
	*p = cl->next;
	cl->control->nclients--;
}

void control_client_free(struct control_client *cl)
{
	struct control *c = cl->control;

	leave_list(cl);
	if (cl->op != NULL) {
		cl->op->client = NULL;
		if (cl->op->abandon != NULL)
			cl->op->abandon(cl->op);
	}
	stream_free(&cl->stream);
	codec_lines_free(&cl->lines);
	free(cl);
	control_refill_spare(c);
}

static size_t unread(const struct control_client *cl)
{
	return evbuffer_get_length(stream_out(cl->stream));
}

static void write_line(struct control_client *cl, json_t *object)
{
	char *line = codec_line_of(object);

	stream_write(cl->stream, line, strlen(line));
	free(line);
}

void control_client_reply(struct control_client *cl, json_t *reply)
{
	write_line(cl, reply);
}

void control_client_event(struct control_client *cl, json_t *event)
{
	if (unread(cl) > CONTROL_EVENTS_HIGH)
		json_decref(event);
	else
		write_line(cl, event);
}

/* ---- requests that take longer ---- */

struct control_op *control_op_new(struct control_client *cl)
{
	struct control_op *op = xcalloc(1, sizeof *op);

	op->client = cl;
	cl->op = op;
	/* Silence is now ours; what has to be written still has its limit. */
	stream_set_timeout(cl->stream, 0);
	return op;
}

void control_op_free(struct control_op *op)
{
	free(op);
}

void control_op_end(struct control_op *op, json_t *reply)
{
	struct control_client *cl = op->client;

	control_op_free(op);
	if (cl == NULL) {
		json_decref(reply);
		return;
	}
	cl->op = NULL;
	stream_set_timeout(cl->stream, CONTROL_IDLE_MS);
	control_client_reply(cl, reply);
	if (!cl->taking)
		on_input(cl);
}

/* ---- taking requests ---- */

static void handle(struct control_client *cl, struct slice line)
{
	struct control_request r;
	struct err e = {.text = ""};

	if (codec_request_parse(line, &r, &e) != 0) {
		log_info("control.refused", kv_i("uid", cl->uid), kv_s("why", e.text));
		control_client_reply(cl, codec_error(e.text));
		return;
	}
	if (codec_verb_reads(r.verb))
		log_debug("control.request", kv_i("uid", cl->uid), kv_s("do", codec_verb_name(r.verb)));
	else
		log_info("control.request", kv_i("uid", cl->uid), kv_s("do", codec_verb_name(r.verb)),
		         kv_s("what", r.what));
	control_requests_handle(cl, &r);
	codec_request_free(&r);
}

/* False where nothing more is there. */
static bool feed(struct control_client *cl)
{
	char chunk[4096];
	int n = evbuffer_remove(stream_in(cl->stream), chunk, sizeof chunk);

	return n > 0 && codec_lines_feed(&cl->lines, slice_make(chunk, (size_t)n));
}

static void hang_up(struct control_client *cl)
{
	control_client_reply(cl, codec_error("a request is longer than 64 KiB"));
	stream_finish(&cl->stream);
	control_client_free(cl);
}

static void on_input(void *arg)
{
	struct control_client *cl = arg;
	struct slice line;

	cl->taking = true;
	while (cl->op == NULL && unread(cl) < CONTROL_REPLIES_HIGH) {
		enum codec_line got = codec_lines_next(&cl->lines, &line);
		if (got == CODEC_TOO_LONG) {
			hang_up(cl);
			return;
		}
		if (got == CODEC_LINE)
			handle(cl, line);
		else if (!feed(cl))
			break;
	}
	cl->taking = false;
}
