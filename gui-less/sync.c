#include "base/text.h"
#include "client.h"
#include "progress.h"
#include "show.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

/* What the end of a failed sync has to name again: the errors seen on the way, each account's newest. */
struct progress {
	json_t *errors; /* who: error */
	json_t *shown;  /* who: the state printed last */
	json_t *counts; /* who: [done, total] */
	struct progress_bar bar;
};

static void put_line(const char *who, const char *text)
{
	struct buf b;

	buf_init(&b, 8192);
	show_text(&b, slice_sub(slice_of(who), 0, 256), true);
	buf_add_str(&b, ": ");
	show_text(&b, slice_sub(slice_of(text), 0, 1000), true);
	puts(buf_str(&b));
	fflush(stdout);
	buf_free(&b);
}

/* Prints a line where the state changed, and at the end of what is counted. */
static void show(struct progress *p, const char *who, const char *state, int64_t done, int64_t total)
{
	char text[600];
	const char *before = client_text(p->shown, who);

	if (total > 0 && (done == total || strcmp(before, state) != 0))
		snprintf(text, sizeof text, "%.500s, %" PRId64 " of %" PRId64, state, done, total);
	else if (strcmp(before, state) != 0)
		snprintf(text, sizeof text, "%.590s", state);
	else
		return;
	json_object_set_new(p->shown, who, json_string(state));
	put_line(who, text);
}

static void note_error(struct progress *p, const char *who, const char *error)
{
	if (error[0] == '\0' || strcmp(client_text(p->errors, who), error) == 0)
		return;
	json_object_set_new(p->errors, who, json_string(error));
	put_line(who, error);
}

static void count(struct progress *p, const char *who, const json_t *ev)
{
	uint64_t done = 0, total = 0;
	const char *key;
	json_t *v;

	json_object_set_new(p->counts, who, json_pack("[I, I]", client_int(ev, "done"), client_int(ev, "total")));
	json_object_foreach(p->counts, key, v)
	{
		done += (uint64_t)json_integer_value(json_array_get(v, 0));
		total += (uint64_t)json_integer_value(json_array_get(v, 1));
	}
	progress_show(&p->bar, done, total);
}

static void on_event(void *arg, json_t *ev)
{
	struct progress *p = arg;
	const char *name = client_text(ev, "event");

	progress_end(&p->bar);

	if (strcmp(name, "waiting") == 0) {
		puts("A sync is running; what it is busy with is collected once more after it.");
	} else if (strcmp(name, "fetch") == 0) {
		show(p, client_text(ev, "account"), client_text(ev, "state"), client_int(ev, "done"),
		     client_int(ev, "total"));
		note_error(p, client_text(ev, "account"), client_text(ev, "error"));
		count(p, client_text(ev, "account"), ev);
	} else if (strcmp(name, "send") == 0) {
		if (client_int(ev, "total") > 0)
			show(p, "outqueue", "sending", client_int(ev, "done"), client_int(ev, "total"));
		note_error(p, "outqueue", client_text(ev, "error"));
		count(p, "outqueue", ev);
	} else if (strcmp(name, "line") == 0) {
		show(p, "line", client_text(ev, "state"), 0, 0);
		if (strstr(client_text(ev, "state"), "failed") != NULL)
			json_object_set_new(p->errors, "line", json_string(client_text(ev, "state")));
	}
	fflush(stdout);
}

static int say_failed(const struct progress *p)
{
	const char *who;
	json_t *error;

	json_object_foreach(p->errors, who, error)
	{
		struct buf b;
		buf_init(&b, 16384);
		show_text(&b, slice_of(who), true);
		buf_add_str(&b, ": ");
		show_text(&b, slice_of(json_string_value(error)), true);
		ctl_error("%s", buf_str(&b));
		buf_free(&b);
	}
	return ctl_error("the sync failed%s", json_object_size(p->errors) > 0 ? " in the parts named above" : "");
}

static int wait_for(const struct ctl_options *o, const struct control_request *r)
{
	struct progress p = {json_object(), json_object(), json_object(), progress_begin("sync")};
	struct client *c = client_open(o);

	if (c != NULL)
		client_be_quiet(c);
	json_t *reply = c != NULL ? client_ask(c, r, CLIENT_FOREVER, on_event, &p) : NULL;
	int rc = reply != NULL && client_ok(reply) ? 0 : 1;

	progress_end(&p.bar);
	if (rc == 0 && client_bool(reply, "failed"))
		rc = say_failed(&p);
	else if (rc == 0)
		puts("The sync is done.");
	json_decref(reply);
	json_decref(p.errors);
	json_decref(p.shown);
	json_decref(p.counts);
	client_close(&c);
	return rc;
}

static int start(const struct ctl_options *o, const struct control_request *r)
{
	json_t *reply = client_simple(o, r, CLIENT_PATIENCE);

	if (reply == NULL)
		return 1;
	puts(client_bool(reply, "follows") ? "A sync is running; what it is busy with is collected once more after it."
	                                   : "The sync was started.");
	json_decref(reply);
	return 0;
}

int ctl_sync(const struct ctl_options *o, int argc, char **argv)
{
	struct control_request r = {.verb = CONTROL_SYNC};

	for (int i = 1; i < argc; i++) {
		if (strcmp(argv[i], "--wait") == 0)
			r.wait = true;
		else if (argv[i][0] == '-' && argv[i][1] == '-')
			return ctl_usage(argv[0], "there is no option %s", argv[i]);
		else if (!text_listed_nocase(&r.accounts, argv[i]))
			strlist_add(&r.accounts, argv[i]);
	}
	int rc = r.wait ? wait_for(o, &r) : start(o, &r);
	strlist_free(&r.accounts);
	return rc;
}
