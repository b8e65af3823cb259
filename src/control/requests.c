#include "base/alloc.h"
#include "base/log.h"
#include "control/control_internal.h"

#include <stdlib.h>

/* ---- sync ---- */

static void on_fetch(void *arg, const struct fetch_progress *p)
{
	struct control_op *op = arg;
	json_t *ev = codec_event("fetch");

	codec_set_text(ev, "account", p->account);
	codec_set_text(ev, "state", p->state);
	codec_set_int(ev, "done", (int64_t)p->done);
	codec_set_int(ev, "total", (int64_t)p->total);
	codec_set_int(ev, "bytes", (int64_t)p->bytes);
	codec_set_text(ev, "error", p->error);
	control_client_event(op->client, ev);
}

static void on_send(void *arg, const struct send_progress *p)
{
	struct control_op *op = arg;
	json_t *ev = codec_event("send");

	codec_set_int(ev, "done", (int64_t)p->done);
	codec_set_int(ev, "total", (int64_t)p->total);
	codec_set_text(ev, "error", p->error);
	control_client_event(op->client, ev);
}

static void on_line(void *arg, const char *state)
{
	struct control_op *op = arg;
	json_t *ev = codec_event("line");

	codec_set_text(ev, "state", state);
	control_client_event(op->client, ev);
}

static void on_sync_done(void *arg, bool failed)
{
	struct control_op *op = arg;
	json_t *reply = codec_ok();

	codec_set_bool(reply, "failed", failed);
	control_op_end(op, reply);
}

static void abandon_sync(struct control_op *op)
{
	struct control *c = op->abandon_arg;

	sync_forget_watcher(c->deps.sync, op);
	control_op_free(op);
}

/* NULL, or the words for the first label that cannot be collected; the caller frees. */
static char *account_error(const struct config *c, const struct strlist *labels)
{
	for (size_t i = 0; i < labels->n; i++) {
		const struct config_account *a = config_account_by_label(c, slice_of(labels->v[i]));
		if (a == NULL)
			return xasprintf("there is no account %s (ofmctl account lists them)", labels->v[i]);
		if (!a->enabled)
			return xasprintf("account %s is not enabled", labels->v[i]);
	}
	return NULL;
}

static void handle_sync(struct control_client *cl, const struct control_request *r)
{
	struct control *c = cl->control;
	const struct strlist *accounts = r->accounts.n > 0 ? &r->accounts : NULL;
	char *error = account_error(c->deps.config(c->deps.arg), &r->accounts);

	if (error != NULL) {
		control_client_reply(cl, codec_error(error));
		free(error);
		return;
	}
	if (!r->wait) {
		json_t *reply = codec_ok();
		codec_set_bool(reply, "follows", sync_running(c->deps.sync));
		sync_by_hand(c->deps.sync, accounts, NULL);
		control_client_reply(cl, reply);
		return;
	}
	struct control_op *op = control_op_new(cl);
	struct sync_watcher w = {.fetch = on_fetch, .send = on_send, .line = on_line, .done = on_sync_done, .arg = op};
	op->abandon = abandon_sync;
	op->abandon_arg = c;
	if (sync_running(c->deps.sync))
		control_client_event(cl, codec_event("waiting"));
	sync_by_hand(c->deps.sync, accounts, &w);
}

/* ---- the rest ---- */

static void on_resumed(void *arg, const char *error)
{
	control_op_end(arg, error != NULL ? codec_error(error) : codec_ok());
}

static void handle_resume(struct control_client *cl, const struct control_request *r)
{
	struct control *c = cl->control;

	if (config_account_by_label(c->deps.config(c->deps.arg), slice_of(r->what)) == NULL) {
		char *text = xasprintf("there is no account %s (ofmctl account lists them)", r->what);
		control_client_reply(cl, codec_error(text));
		free(text);
		return;
	}
	fetcher_resume(c->deps.fetcher, r->what, r->known, on_resumed, control_op_new(cl));
}

static void handle_reload(struct control_client *cl)
{
	struct control *c = cl->control;
	char *text = NULL;
	int rc = c->deps.reload(c->deps.arg, &text);
	json_t *reply = rc == 0 ? codec_ok() : codec_error("the configuration was refused; the old one stays in force");

	codec_set_text(reply, rc == 0 ? "warnings" : "faults", text);
	free(text);
	control_client_reply(cl, reply);
}

/* The answer first: the program may begin to take us apart at once. */
static void handle_stop(struct control_client *cl)
{
	struct control *c = cl->control;

	control_client_reply(cl, codec_ok());
	loop_post(c->deps.loop, c->deps.stop, c->deps.arg);
}

void control_requests_handle(struct control_client *cl, const struct control_request *r)
{
	switch (r->verb) {
	case CONTROL_STATUS:
		control_client_reply(cl, control_status_render(cl->control));
		break;
	case CONTROL_METRICS:
		control_client_reply(cl, control_metrics_render(cl->control));
		break;
	case CONTROL_SYNC:
		handle_sync(cl, r);
		break;
	case CONTROL_QUEUE:
		control_queue_list(cl, r->after);
		break;
	case CONTROL_QUEUE_SHOW:
		control_queue_show(cl, r->what);
		break;
	case CONTROL_QUEUE_DROP:
		control_queue_act(cl, SENDER_DROP, r->what);
		break;
	case CONTROL_QUEUE_RETRY:
		control_queue_act(cl, SENDER_RETRY, r->what);
		break;
	case CONTROL_QUEUE_HOLD:
		control_queue_act(cl, SENDER_HOLD, r->what);
		break;
	case CONTROL_QUEUE_RELEASE:
		control_queue_act(cl, SENDER_RELEASE, r->what);
		break;
	case CONTROL_USERS:
		control_users_list(cl);
		break;
	case CONTROL_JOURNAL:
		control_journal(cl, r);
		break;
	case CONTROL_REPORT:
		control_report(cl, r);
		break;
	case CONTROL_RESUME:
		handle_resume(cl, r);
		break;
	case CONTROL_RELOAD:
		handle_reload(cl);
		break;
	case CONTROL_STOP:
		handle_stop(cl);
		break;
	}
}
