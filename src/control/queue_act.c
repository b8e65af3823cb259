/* queue drop, retry, hold, release: answered when it is done, so that whoever looks next sees it. */
#include "base/alloc.h"
#include "base/clock.h"
#include "control/control_internal.h"

#include <stdlib.h>
#include <string.h>

static const char nothing[] = "no waiting message has this id or address (ofmctl queue lists what waits)";

enum {
	LOOK_MS = 5,
	RELAY_MS = 1000,  /* for the relay's reply to what is being sent */
	COMMIT_MS = 20000 /* for a disk that is slow */
};

struct acting {
	struct control_op *op;
	struct control *control;
	enum sender_action action;
	struct strlist ids; /* of messages that were acted on */
	size_t done;        /* so many of them */
	size_t with_relay;  /* of those: their reply decides */
	unsigned changed;
	int64_t began;
	struct loop_timer *timer; /* NULL: nothing to wait for yet */
	bool asking;              /* the journal */
};

static void acting_free(struct acting *a)
{
	loop_timer_free(&a->timer);
	strlist_free(&a->ids);
	free(a);
}

static void finish(struct acting *a, const char *error)
{
	json_t *reply = error != NULL ? codec_error(error) : codec_ok();

	codec_set_int(reply, "changed", a->changed);
	codec_set_int(reply, "with_relay", (int64_t)a->with_relay);
	control_op_end(a->op, reply);
	acting_free(a);
}

/* The client went. What was asked of the journal comes back to us first. */
static void abandon(struct control_op *op)
{
	struct acting *a = op->abandon_arg;

	control_op_free(op);
	a->op = NULL;
	if (!a->asking)
		acting_free(a);
}

static void look(void *arg)
{
	struct acting *a = arg;
	int64_t passed = clock_mono_ms() - a->began;

	for (; a->done < a->ids.n; a->done++) {
		enum sender_acted how = sender_acted(a->control->deps.sender, a->ids.v[a->done]);
		if (how == SENDER_DONE)
			continue;
		if (how == SENDER_WITH_RELAY && passed >= RELAY_MS) {
			a->with_relay++;
			continue;
		}
		if (passed >= COMMIT_MS) {
			finish(a, "it is not committed yet: the database does not work; the log says why");
			return;
		}
		loop_timer_set(a->timer, LOOK_MS);
		return;
	}
	finish(a, NULL);
}

static void on_acted(void *arg, unsigned n, const struct strlist *ids, const char *error)
{
	struct acting *a = arg;

	(void)error;
	a->changed += n;
	for (size_t i = 0; i < ids->n; i++)
		strlist_add(&a->ids, ids->v[i]);
}

static void wait_for_it(struct acting *a)
{
	a->began = clock_mono_ms();
	a->timer = loop_timer_new(a->control->deps.loop, look, a);
	loop_timer_set(a->timer, 0);
}

static void on_kept(void *arg, const struct strlist *ids, const struct err *e)
{
	struct acting *a = arg;

	a->asking = false;
	if (a->op == NULL) {
		acting_free(a);
		return;
	}
	for (size_t i = 0; i < ids->n; i++)
		sender_act(a->control->deps.sender, a->action, ids->v[i], on_acted, a);
	if (a->changed > 0)
		wait_for_it(a);
	else
		finish(a, e != NULL ? e->text : nothing);
}

void control_queue_act(struct control_client *cl, enum sender_action action, const char *what)
{
	struct acting *a = xcalloc(1, sizeof *a);

	*a = (struct acting){.op = control_op_new(cl), .control = cl->control, .action = action};
	a->op->abandon = abandon;
	a->op->abandon_arg = a;
	sender_act(cl->control->deps.sender, action, what, on_acted, a);
	if (a->changed == 0 && control_kept_is_id(what)) {
		a->asking = true;
		control_kept_find(cl->control, what, on_kept, a);
	} else if (a->changed == 0 && strcmp(what, "all") != 0) {
		finish(a, nothing);
	} else {
		wait_for_it(a);
	}
}
