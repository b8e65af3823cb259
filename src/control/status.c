#include "base/alloc.h"
#include "base/clock.h"
#include "control/control_internal.h"

#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <unistd.h>

struct listeners {
	json_t *array;
	const char *protocol;
};

static void add_listener(void *arg, const char *where)
{
	struct listeners *l = arg;
	json_t *o = json_object();

	codec_set_text(o, "protocol", l->protocol);
	codec_set_text(o, "address", where);
	json_array_append_new(l->array, o);
}

static json_t *listeners(struct control *c)
{
	struct listeners l = {json_array(), "pop3"};

	pop3_service_listeners(c->deps.pop3, add_listener, &l);
	l.protocol = "smtp";
	smtp_service_listeners(c->deps.smtp, add_listener, &l);
	return l.array;
}

static void add_account(void *arg, const struct fetcher_account_status *s)
{
	json_t *o = json_object();

	codec_set_text(o, "name", s->label);
	codec_set_bool(o, "enabled", s->enabled);
	codec_set_bool(o, "held", s->held);
	codec_set_bool(o, "running", s->running);
	codec_set_text(o, "state", s->state);
	codec_set_int(o, "last_at", s->last_at);
	codec_set_int(o, "next_at", s->next_at);
	codec_set_text(o, "last_error", s->last_error);
	codec_set_int(o, "collected", (int64_t)s->collected);
	codec_set_int(o, "done", (int64_t)s->done);
	codec_set_int(o, "total", (int64_t)s->total);
	json_t *learnt = json_object();
	for (size_t i = 0; i < s->nlearnt; i++)
		codec_set_int(learnt, s->learnt[i].name, s->learnt[i].value);
	json_object_set_new(o, "learnt", learnt);
	json_array_append_new(arg, o);
}

static json_t *connections(struct control *c)
{
	json_t *o = json_object();

	codec_set_int(o, "pop3", pop3_service_connections(c->deps.pop3));
	codec_set_int(o, "smtp", smtp_service_connections(c->deps.smtp));
	codec_set_int(o, "control", (int64_t)c->nclients);
	return o;
}

static json_t *queue(struct control *c)
{
	json_t *o = json_object();

	codec_set_int(o, "length", (int64_t)sender_length(c->deps.sender));
	codec_set_int(o, "oldest_at", sender_oldest(c->deps.sender));
	return o;
}

static void add_learnt(void *arg, const char *name, int64_t value)
{
	codec_set_int(arg, name, value);
}

/* What each relay was found to do without saying so. */
static json_t *relays(struct control *c, const struct config *config)
{
	json_t *all = json_array();

	for (size_t i = 0; i < config->nrelays; i++) {
		const struct config_relay *r = &config->relays[i];
		json_t *o = json_object(), *learnt = json_object();
		if (r->login.host[0] != '\0')
			sender_relay_learnt(c->deps.sender, r, add_learnt, learnt);
		codec_set_text(o, "name", r->label);
		codec_set_text(o, "host", r->login.host);
		codec_set_int(o, "port", r->login.port);
		json_object_set_new(o, "learnt", learnt);
		json_array_append_new(all, o);
	}
	return all;
}

static json_t *sync_state(struct control *c)
{
	json_t *o = json_object();

	codec_set_bool(o, "running", sync_running(c->deps.sync));
	codec_set_text(o, "reason", sync_reason(c->deps.sync));
	codec_set_int(o, "next_at", sync_next_at(c->deps.sync));
	return o;
}

/* What an intruder would be held by. */
static json_t *confinement(const struct control *c)
{
	json_t *o = json_object();

	codec_set_int(o, "uid", (int64_t)geteuid());
	codec_set_int(o, "landlock", c->deps.landlock);
	codec_set_bool(o, "no_new_privs", prctl(PR_GET_NO_NEW_PRIVS, 0, 0, 0, 0) == 1);
	return o;
}

json_t *control_status_render(struct control *c)
{
	const struct config *config = c->deps.config(c->deps.arg);
	json_t *o = codec_ok(), *accounts = json_array();

	codec_set_text(o, "version", OFM_VERSION);
	codec_set_int(o, "pid", getpid());
	codec_set_int(o, "since", c->since);
	codec_set_int(o, "now", clock_wall_s());
	codec_set_text(o, "hostname", config->hostname);
	codec_set_text(o, "config", config->file);
	codec_set_text(o, "home", config->home);
	json_object_set_new(o, "confinement", confinement(c));
	json_object_set_new(o, "listeners", listeners(c));
	json_object_set_new(o, "connections", connections(c));
	fetcher_status(c->deps.fetcher, add_account, accounts);
	json_object_set_new(o, "accounts", accounts);
	json_object_set_new(o, "queue", queue(c));
	json_object_set_new(o, "relays", relays(c, config));
	json_object_set_new(o, "sync", sync_state(c));
	return o;
}

static json_t *totals(const struct journal *j)
{
	const struct journal_totals *t = journal_totals(j);
	json_t *all = json_object();

	for (int k = 0; k < JOURNAL_KINDS; k++) {
		json_t *o = json_object();
		codec_set_int(o, "count", (int64_t)t->of[k].n);
		codec_set_int(o, "bytes", (int64_t)t->of[k].bytes);
		json_object_set_new(all, journal_kind_name((enum journal_kind)k), o);
	}
	return all;
}

/* Of each of the last sixty minutes, the newest last. */
static json_t *rates(const struct journal *j)
{
	json_t *all = json_object();

	for (int k = 0; k < JOURNAL_KINDS; k++) {
		unsigned n[JOURNAL_RATE_MINUTES];
		json_t *v = json_array();
		journal_rates(j, (enum journal_kind)k, n);
		for (int i = 0; i < JOURNAL_RATE_MINUTES; i++)
			json_array_append_new(v, json_integer(n[i]));
		json_object_set_new(all, journal_kind_name((enum journal_kind)k), v);
	}
	return all;
}

static json_t *journal(struct journal *j)
{
	struct journal_state state;
	json_t *o = json_object();

	journal_state(j, &state);
	codec_set_bool(o, "failing", state.failing);
	codec_set_int(o, "damaged_at", state.aside_at);
	codec_set_text(o, "aside", state.aside);
	return o;
}

static void add_trouble(json_t *list, const char *folder, const char *error)
{
	json_t *o = json_object();

	codec_set_text(o, "folder", folder);
	codec_set_text(o, "error", error);
	json_array_append_new(list, o);
}

static void on_trouble(void *arg, const char *user, int error)
{
	char *box = user != NULL ? xasprintf("mailbox of %s", user) : NULL;

	add_trouble(arg, box != NULL ? box : "outqueue", strerror(error));
	free(box);
}

/* Folders that mail cannot be put into, or sent from. */
static json_t *troubles(const struct control *c)
{
	json_t *list = json_array();
	const char *lost = sender_trouble(c->deps.sender);

	delivery_each_trouble(c->deps.digest.delivery, on_trouble, list);
	if (lost != NULL)
		add_trouble(list, "outqueue", lost);
	return list;
}

json_t *control_metrics_render(struct control *c)
{
	json_t *o = control_status_render(c);
	const char *trouble = delivery_trouble(c->deps.digest.delivery);

	codec_set_bool(o, "room", delivery_has_room(c->deps.digest.delivery, 0));
	codec_set_text(o, "trouble", trouble != NULL ? trouble : "");
	json_object_set_new(o, "troubles", troubles(c));
	json_object_set_new(o, "totals", totals(c->deps.journal));
	json_object_set_new(o, "rates", rates(c->deps.journal));
	json_object_set_new(o, "journal", journal(c->deps.journal));
	codec_set_int(o, "journal_lost", (int64_t)journal_totals(c->deps.journal)->lost);
	return o;
}
