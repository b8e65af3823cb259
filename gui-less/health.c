/* ofmctl health: one line and a status as Nagios, Icinga and the like expect of a plugin. */
#include "args.h"
#include "client.h"
#include "config/values.h"
#include "show.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

enum level { LEVEL_OK, LEVEL_WARNING, LEVEL_CRITICAL, LEVEL_UNKNOWN };

struct health {
	enum level level;
	struct buf why;
};

static void found(struct health *h, enum level level, const char *what, const char *detail)
{
	if (level > h->level)
		h->level = level;
	buf_add_str(&h->why, h->why.n > 0 ? "; " : "");
	show_text(&h->why, slice_sub(slice_of(what), 0, 100), true);
	if (detail[0] != '\0') {
		buf_add_str(&h->why, ": ");
		show_text(&h->why, slice_sub(slice_of(detail), 0, 200), true);
	}
}

/* An account that fails is a warning; all of them, be it a single one, and mail no longer comes in. */
static void look_at_accounts(struct health *h, const json_t *r, int *enabled, int *failing)
{
	size_t i;
	json_t *a;

	json_array_foreach(json_object_get(r, "accounts"), i, a)
	{
		const char *error = client_text(a, "last_error");
		if (!client_bool(a, "enabled"))
			continue;
		++*enabled;
		if (!client_bool(a, "held") && error[0] == '\0')
			continue;
		++*failing;
		found(h, LEVEL_WARNING, client_text(a, "name"),
		      client_bool(a, "held") ? "held; ofmctl account resume" : error);
	}
	if (*enabled > 0 && *failing == *enabled)
		found(h, LEVEL_CRITICAL, "no account can be collected", "");
}

static void look_at_queue(struct health *h, const json_t *r, int64_t warn, int64_t critical)
{
	const json_t *q = json_object_get(r, "queue");
	int64_t oldest = client_int(q, "oldest_at"), age = oldest > 0 ? client_int(r, "now") - oldest : 0;
	char span[SHOW_MAX], text[100];

	show_duration(age, span);
	snprintf(text, sizeof text, "%" PRId64 " messages wait, the oldest for %.30s", client_int(q, "length"), span);
	if (age >= warn)
		found(h, age >= critical ? LEVEL_CRITICAL : LEVEL_WARNING, text, "");
}

static void print_line(struct health *h, const json_t *r, int enabled, int failing, int64_t warn, int64_t critical)
{
	static const char *const words[] = {"OK", "WARNING", "CRITICAL", "UNKNOWN"};
	const json_t *q = json_object_get(r, "queue"), *c = json_object_get(r, "connections");
	int64_t oldest = client_int(q, "oldest_at");

	printf("OFMSRV %s - ", words[h->level]);
	if (h->why.n > 0)
		fputs(buf_str(&h->why), stdout);
	else
		printf("%d account%s, %" PRId64 " in the queue", enabled, enabled == 1 ? "" : "s",
		       client_int(q, "length"));
	if (r != NULL)
		printf(" | queue=%" PRId64 ";;;0 queue_age=%" PRId64 "s;%" PRId64 ";%" PRId64
		       ";0 accounts_failing=%d;1;;0;%d pop3=%" PRId64 ";;;0 smtp=%" PRId64 ";;;0",
		       client_int(q, "length"), oldest > 0 ? client_int(r, "now") - oldest : 0, warn, critical, failing,
		       enabled, client_int(c, "pop3"), client_int(c, "smtp"));
	putchar('\n');
}

static int check(const struct ctl_options *o, int64_t warn, int64_t critical)
{
	struct control_request req = {.verb = CONTROL_METRICS};
	struct health h = {.level = LEVEL_OK};
	int enabled = 0, failing = 0;
	json_t *r = client_simple(o, &req, 10); /* why not is on stderr */

	buf_init(&h.why, 64 * 1024);
	if (r == NULL) {
		found(&h, LEVEL_CRITICAL, "ofmsrv does not answer", "");
	} else {
		if (!client_bool(r, "room"))
			found(&h, LEVEL_CRITICAL, "the disk is full: no mail is accepted", "");
		look_at_accounts(&h, r, &enabled, &failing);
		look_at_queue(&h, r, warn, critical);
	}
	print_line(&h, r, enabled, failing, warn, critical);
	buf_free(&h.why);
	json_decref(r);
	return (int)h.level;
}

int ctl_health(const struct ctl_options *o, int argc, char **argv)
{
	const char *warn = "4h", *critical = "1d";
	const struct args_option options[] = {
	    {"--warning", &warn, NULL}, {"--critical", &critical, NULL}, {NULL, NULL, NULL}};
	int64_t w, c;

	if (args_all(argv[0], options, 1, argc, argv, 0) < 0)
		return LEVEL_UNKNOWN;
	if (!value_duration(slice_of(warn), &w) || !value_duration(slice_of(critical), &c)) {
		ctl_usage(argv[0], "durations are wanted: 30m, 4h, 1d");
		return LEVEL_UNKNOWN;
	}
	return check(o, w, c);
}
