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

const json_t *top_rows(const struct top *t, enum top_pane pane)
{
	return pane == TOP_QUEUE ? t->queue : json_object_get(t->status, "accounts");
}

static const char *name_of(const json_t *row, enum top_pane pane)
{
	return client_text(row, pane == TOP_QUEUE ? "id" : "name");
}

void top_choose(struct top *t, enum top_pane pane, size_t i)
{
	size_t n = json_array_size(top_rows(t, pane));

	t->lost[pane] = false;
	t->chosen[pane] = i < n ? i : n > 0 ? n - 1 : 0;
	snprintf(t->chosen_name[pane], TOP_NAME, "%s",
	         name_of(json_array_get(top_rows(t, pane), t->chosen[pane]), pane));
}

/* Where the chosen row is now. One that has gone is not replaced by its neighbour: the next key would act on that. */
static void find_choice(struct top *t, enum top_pane pane)
{
	const json_t *rows = top_rows(t, pane);
	size_t i;
	json_t *row;

	if (json_array_size(rows) == 0 || (t->chosen_name[pane][0] == '\0' && !t->lost[pane])) {
		top_choose(t, pane, t->chosen[pane]);
		return;
	}
	json_array_foreach(rows, i, row)
	{
		if (t->lost[pane] || strcmp(name_of(row, pane), t->chosen_name[pane]) != 0)
			continue;
		t->chosen[pane] = i;
		return;
	}
	t->lost[pane] = true;
	t->chosen_name[pane][0] = '\0';
	if (t->chosen[pane] >= json_array_size(rows))
		t->chosen[pane] = json_array_size(rows) - 1;
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
	for (int p = 0; p < TOP_PANES; p++)
		find_choice(t, (enum top_pane)p);
}

void top_forget(struct top *t)
{
	close_client(t);
	json_decref(t->status);
	json_decref(t->queue);
	for (size_t i = 0; i < TOP_EVENTS; i++)
		free(t->events[i]);
}

bool top_do(struct top *t, const struct control_request *r, const char *done)
{
	json_t *reply = ask(t, r);
	bool ok = reply != NULL && client_ok(reply);

	if (ok)
		snprintf(t->note, sizeof t->note, "%s", done);
	json_decref(reply);
	return ok;
}

const json_t *top_chosen(const struct top *t, enum top_pane pane)
{
	return t->lost[pane] ? NULL : json_array_get(top_rows(t, pane), t->chosen[pane]);
}
