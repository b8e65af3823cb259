#include "base/alloc.h"
#include "base/clock.h"
#include "fate.h"
#include "show.h"
#include "top.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { PATIENCE = 5, PAST_S = 600, PAGES = 5 };

static void close_client(struct top *t)
{
	client_close(&t->client);
}

/* What is said on stderr meanwhile is caught by top.c. */
static json_t *ask(struct top *t, const struct control_request *r)
{
	if (t->client == NULL && (t->client = client_open(t->o)) == NULL)
		return NULL;
	client_be_quiet(t->client);
	json_t *reply = client_ask(t->client, r, PATIENCE, NULL, NULL);
	if (reply == NULL)
		close_client(t);
	return reply;
}

/* ---- the journal's newest ---- */

static void add_event(struct top *t, const json_t *m)
{
	char moment[SHOW_MAX];
	struct buf b;

	buf_init(&b, 1024 * 1024);
	show_moment(client_int(m, "at"), moment);
	/* The day is today's, mostly. */
	buf_printf(&b, "%s %-9s ", moment + (strlen(moment) > 11 ? 11 : 0), client_text(m, "state"));
	show_text(&b, slice_of(client_text(m, "from")[0] != '\0' ? client_text(m, "from") : "<>"), true);
	buf_add_str(&b, " ");
	show_text(&b, slice_of(client_text(m, "subject")), true);
	buf_add_str(&b, "; ");
	fate_add(&b, m);
	free(t->events[t->nevents % TOP_EVENTS]);
	t->events[t->nevents++ % TOP_EVENTS] = buf_steal(&b);
}

static void take_events(struct top *t)
{
	struct control_request r = {.verb = CONTROL_JOURNAL, .follow = t->following};
	bool more = true;
	int64_t event = 0;

	if (!t->following)
		r.since = clock_wall_s() - PAST_S;
	for (int pages = 0; more && pages < PAGES; pages++) {
		size_t i;
		json_t *m;
		r.behind = t->behind;
		r.event = t->event;
		json_t *reply = ask(t, &r);
		if (reply == NULL || !client_bool(reply, "ok")) {
			json_decref(reply);
			return;
		}
		json_array_foreach(json_object_get(reply, "messages"), i, m) add_event(t, m);
		t->behind = client_int(reply, "behind");
		event = client_int(reply, "event");
		if (t->following)
			t->event = event;
		more = client_bool(reply, "more");
		json_decref(reply);
	}
	if (!t->following)
		t->event = event;
	t->following = true;
}

/* ---- all ---- */

static json_t *ask_ok(struct top *t, enum control_verb verb)
{
	const struct control_request r = {.verb = verb};
	json_t *reply = ask(t, &r);

	if (reply != NULL && client_ok(reply))
		return reply;
	json_decref(reply);
	return NULL;
}

static void clamp(struct top *t)
{
	const size_t n[TOP_PANES] = {json_array_size(json_object_get(t->status, "accounts")),
	                             json_array_size(t->queue)};

	for (int p = 0; p < TOP_PANES; p++)
		if (t->chosen[p] >= n[p])
			t->chosen[p] = n[p] > 0 ? n[p] - 1 : 0;
}

void top_refresh(struct top *t)
{
	json_t *status = ask_ok(t, CONTROL_METRICS), *queue = status != NULL ? ask_ok(t, CONTROL_QUEUE) : NULL;

	if (status == NULL) {
		json_decref(t->status);
		t->status = NULL;
		t->following = false;
		t->behind = t->event = 0;
		return;
	}
	json_decref(t->status);
	t->status = status;
	json_decref(t->queue);
	t->queue = json_incref(json_object_get(queue, "messages"));
	json_decref(queue);
	take_events(t);
	clamp(t);
}

void top_forget(struct top *t)
{
	close_client(t);
	json_decref(t->status);
	json_decref(t->queue);
	for (size_t i = 0; i < TOP_EVENTS; i++)
		free(t->events[i]);
}

void top_do(struct top *t, const struct control_request *r, const char *done)
{
	json_t *reply = ask(t, r);

	if (reply != NULL && client_ok(reply))
		snprintf(t->note, sizeof t->note, "%s", done);
	json_decref(reply);
}

const json_t *top_chosen(const struct top *t, enum top_pane pane)
{
	const json_t *list = pane == TOP_QUEUE ? t->queue : json_object_get(t->status, "accounts");

	return json_array_get(list, t->chosen[pane]);
}
