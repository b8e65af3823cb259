/* ofmctl health: one line and a status as Nagios, Icinga and the like expect of a plugin. */
#include "args.h"
#include "client.h"
#include "config/values.h"
#include "show.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

/* Plugins' text is cut after a kilobyte by some, and the figures stand behind it. */
enum { WHY_ENOUGH = 500, DAY_S = 24 * 3600 };

enum level { LEVEL_OK, LEVEL_WARNING, LEVEL_CRITICAL, LEVEL_UNKNOWN };

struct health {
	enum level level;
	struct buf why;         /* "" = all is well */
	int more;               /* found, and not told in it */
	int64_t warn, critical; /* seconds in the queue */
	int64_t queue, age;
	int accounts, failing;
};

/* A vertical bar would begin the plugin's figures. */
static void add_text(struct buf *b, const char *text, size_t most)
{
	size_t from = b->n;

	show_text(b, slice_sub(slice_of(text), 0, most), true);
	for (size_t i = from; i < b->n; i++)
		if (b->p[i] == '|')
			b->p[i] = '/';
}

static void found(struct health *h, enum level level, const char *what, const char *detail)
{
	if (level > h->level)
		h->level = level;
	if (h->why.n > WHY_ENOUGH) {
		h->more++;
		return;
	}
	buf_add_str(&h->why, h->why.n > 0 ? "; " : "");
	add_text(&h->why, what, 100);
	if (detail[0] != '\0') {
		buf_add_str(&h->why, ": ");
		add_text(&h->why, detail, 200);
	}
}

/* An account that fails is a warning; all of them, be it a single one, and mail no longer comes in. */
static void look_at_accounts(struct health *h, const json_t *r)
{
	size_t i;
	json_t *a;

	json_array_foreach(json_object_get(r, "accounts"), i, a)
	{
		const char *error = client_text(a, "last_error");
		if (!client_bool(a, "enabled"))
			continue;
		h->accounts++;
		if (!client_bool(a, "held") && error[0] == '\0')
			continue;
		h->failing++;
		found(h, LEVEL_WARNING, client_text(a, "name"),
		      client_bool(a, "held") ? "held; ofmctl account resume" : error);
	}
	if (h->accounts > 0 && h->failing == h->accounts)
		found(h, LEVEL_CRITICAL, "no account can be collected", "");
}

/* No mail leaves from an outqueue in trouble; one mailbox is one person's. */
static void look_at_folders(struct health *h, const json_t *r)
{
	size_t i;
	json_t *t;

	json_array_foreach(json_object_get(r, "troubles"), i, t)
	{
		const char *folder = client_text(t, "folder");
		found(h, strcmp(folder, "outqueue") == 0 ? LEVEL_CRITICAL : LEVEL_WARNING, folder,
		      client_text(t, "error"));
	}
}

static void look_at_queue(struct health *h, const json_t *r)
{
	const json_t *q = json_object_get(r, "queue");
	int64_t oldest = client_int(q, "oldest_at");
	char span[SHOW_MAX], text[100];

	h->queue = client_int(q, "length");
	h->age = oldest > 0 ? client_int(r, "now") - oldest : 0;
	show_duration(h->age, span);
	snprintf(text, sizeof text, "%" PRId64 " message%s, the oldest for %.30s", h->queue,
	         h->queue == 1 ? " waits" : "s wait", span);
	if (h->age >= h->warn)
		found(h, h->age >= h->critical ? LEVEL_CRITICAL : LEVEL_WARNING, text, "");
}

static void look_at_journal(struct health *h, const json_t *r)
{
	const json_t *j = json_object_get(r, "journal");
	int64_t at = client_int(j, "damaged_at");

	if (client_bool(j, "failing"))
		found(h, LEVEL_WARNING, "the journal cannot be written; the log says why", "");
	if (at > 0 && client_int(r, "now") - at < DAY_S)
		found(h, LEVEL_WARNING, "the journal was damaged and begun anew; the old one",
		      client_text(j, "aside")[0] != '\0' ? client_text(j, "aside") : "is gone");
}

static void print_line(struct health *h, const json_t *r)
{
	static const char *const words[] = {"OK", "WARNING", "CRITICAL", "UNKNOWN"};
	const json_t *c = json_object_get(r, "connections");

	printf("OFMSRV %s - %s", words[h->level], buf_str(&h->why));
	if (r != NULL)
		printf(" | queue=%" PRId64 ";;;0 queue_age=%" PRId64 "s;%" PRId64 ";%" PRId64
		       ";0 accounts_failing=%d;1;;0;%d pop3=%" PRId64 ";;;0 smtp=%" PRId64 ";;;0",
		       h->queue, h->age, h->warn, h->critical, h->failing, h->accounts, client_int(c, "pop3"),
		       client_int(c, "smtp"));
	putchar('\n');
}

static void print_json(struct health *h)
{
	static const char *const words[] = {"ok", "warning", "critical", "unknown"};
	json_t *o = json_pack("{s:s, s:s, s:I, s:I, s:i, s:i}", "health", words[h->level], "text", buf_str(&h->why),
	                      "queue", (json_int_t)h->queue, "queue_age", (json_int_t)h->age, "accounts", h->accounts,
	                      "accounts_failing", h->failing);

	client_print_json(o);
	json_decref(o);
}

static int check(const struct ctl_options *o, struct health *h)
{
	struct control_request req = {.verb = CONTROL_METRICS};
	json_t *r = client_simple(o, &req, 10); /* why not is on stderr */

	buf_init(&h->why, 64 * 1024);
	if (r == NULL) {
		found(h, LEVEL_CRITICAL, "ofmsrv does not answer", "");
	} else {
		if (!client_bool(r, "room"))
			found(h, LEVEL_CRITICAL, "the disk is full: no mail is accepted", "");
		else if (client_text(r, "trouble")[0] != '\0')
			found(h, LEVEL_CRITICAL, "mail cannot be accepted or stored", client_text(r, "trouble"));
		look_at_folders(h, r);
		look_at_accounts(h, r);
		look_at_queue(h, r);
		look_at_journal(h, r);
	}
	if (h->more > 0)
		buf_printf(&h->why, "; %d more", h->more);
	if (h->why.n == 0)
		buf_printf(&h->why, "%d account%s, %" PRId64 " in the queue", h->accounts, h->accounts == 1 ? "" : "s",
		           h->queue);
	if (o->json)
		print_json(h);
	else
		print_line(h, r);
	buf_free(&h->why);
	json_decref(r);
	return (int)h->level;
}

int ctl_health(const struct ctl_options *o, int argc, char **argv)
{
	const char *warn = "4h", *critical = "1d";
	const struct args_option options[] = {
	    {"--warning", &warn, NULL}, {"--critical", &critical, NULL}, {NULL, NULL, NULL}};
	struct health h = {.level = LEVEL_OK};

	if (args_all(argv[0], options, 1, argc, argv, 0) < 0)
		return LEVEL_UNKNOWN;
	if (!value_duration(slice_of(warn), &h.warn) || !value_duration(slice_of(critical), &h.critical)) {
		ctl_usage(argv[0], "durations are wanted: 30m, 4h, 1d");
		return LEVEL_UNKNOWN;
	}
	return check(o, &h);
}
