/* ofmctl journal: what happened to each message. */
#include "args.h"
#include "base/clock.h"
#include "client.h"
#include "fate.h"
#include "show.h"
#include "when.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum { LOOK_MS = 500 };

enum form { FORM_LINES, FORM_JSON, FORM_CSV };

struct printing {
	enum form form;
	bool follow;
	bool any;    /* something was printed */
	json_t *all; /* FORM_JSON without follow: everything in one array */
};

/* ---- CSV (RFC 4180) ---- */

static const char *const csv_columns[] = {"time",   "id",      "kind",      "state",    "from",
                                          "to",     "subject", "size",      "peer",     "account",
                                          "sorted", "reply",   "delivered", "outgoing", "message_id"};

/* Spreadsheets take what begins so for a formula. The wide forms are the same to some. */
static bool is_formula(const char *text)
{
	static const char *const wide[] = {"\uff1d", "\uff0b", "\uff0d", "\uff20"};

	for (size_t i = 0; i < sizeof wide / sizeof wide[0]; i++)
		if (strncmp(text, wide[i], strlen(wide[i])) == 0)
			return true;
	return text[0] != '\0' && strchr("=+-@\t\r\n", text[0]) != NULL;
}

/* Strangers wrote it: no formula, and nothing that acts on a terminal. */
static void csv_field(const char *text)
{
	struct buf b;

	buf_init(&b, SIZE_MAX / 16);
	if (is_formula(text))
		buf_add_char(&b, '\'');
	show_text(&b, slice_of(text), true);
	bool quoted = strpbrk(buf_str(&b), ",\"") != NULL;
	fputs(quoted ? "\"" : "", stdout);
	for (size_t i = 0; i < b.n; i++) {
		if (b.p[i] == '"')
			putchar('"');
		putchar(b.p[i]);
	}
	fputs(quoted ? "\"" : "", stdout);
	buf_free(&b);
}

static void csv_list(struct buf *b, const json_t *list, const char *key)
{
	size_t i;
	json_t *v;

	json_array_foreach(list, i, v)
	{
		const char *text = key != NULL ? client_text(v, key) : json_string_value(v);
		buf_printf(b, "%s%s", b->n > 0 ? " " : "", text != NULL ? text : "");
		if (key != NULL)
			buf_printf(b, "=%s", client_text(v, "state"));
	}
}

/* A column's text; b is scratch. */
static const char *csv_value(const json_t *m, const char *column, struct buf *b)
{
	size_t i;
	json_t *q;

	buf_clear(b);
	if (strcmp(column, "time") == 0) {
		char iso[24];
		clock_iso8601(client_int(m, "at"), iso);
		buf_add_str(b, iso);
	} else if (strcmp(column, "size") == 0) {
		buf_printf(b, "%lld", (long long)client_int(m, "size"));
	} else if (strcmp(column, "outgoing") == 0) {
		json_array_foreach(json_object_get(m, "outgoing"), i, q)
		    csv_list(b, json_object_get(q, "recipients"), "address");
	} else if (json_is_array(json_object_get(m, column))) {
		csv_list(b, json_object_get(m, column), NULL);
	} else {
		return client_text(m, column);
	}
	return buf_str(b);
}

static void print_csv(const json_t *m)
{
	struct buf b;

	buf_init(&b, SIZE_MAX / 16);
	for (size_t i = 0; i < sizeof csv_columns / sizeof csv_columns[0]; i++) {
		fputs(i > 0 ? "," : "", stdout);
		csv_field(csv_value(m, csv_columns[i], &b));
	}
	fputs("\r\n", stdout);
	buf_free(&b);
}

static void print_csv_head(void)
{
	for (size_t i = 0; i < sizeof csv_columns / sizeof csv_columns[0]; i++)
		printf("%s%s", i > 0 ? "," : "", csv_columns[i]);
	fputs("\r\n", stdout);
}

/* ---- printing ---- */

static void print_line(const json_t *m)
{
	struct buf b;

	buf_init(&b, SIZE_MAX / 16);
	fate_line(&b, m);
	puts(buf_str(&b));
	buf_free(&b);
}

static void print_one(struct printing *p, json_t *m)
{
	p->any = true;
	if (p->form == FORM_CSV) {
		print_csv(m);
	} else if (p->form == FORM_LINES) {
		print_line(m);
	} else if (p->follow) {
		client_dump_json(m, JSON_COMPACT);
	} else {
		json_array_append(p->all, m);
	}
}

/* The next page; 1: there are more, 0: none now, -1 after an error on stderr. */
static int page(struct client *c, struct control_request *r, struct printing *p, int64_t *event)
{
	json_t *reply = client_ask(c, r, CLIENT_PATIENCE, NULL, NULL);
	size_t i;
	json_t *m;

	if (reply == NULL || !client_ok(reply)) {
		json_decref(reply);
		return -1;
	}
	json_array_foreach(json_object_get(reply, "messages"), i, m) print_one(p, m);
	r->behind = client_int(reply, "behind");
	*event = client_int(reply, "event");
	int more = client_bool(reply, "more");
	json_decref(reply);
	return more;
}

static int history(struct client *c, struct control_request *r, struct printing *p)
{
	int64_t event, first_event = -1;
	int more = 1;

	while (more > 0) {
		more = page(c, r, p, &event);
		/* What happens while the pages are read is told again by follow. */
		if (first_event < 0)
			first_event = event;
	}
	r->event = first_event;
	return more;
}

static int keep_following(struct client *c, struct control_request *r, struct printing *p)
{
	r->follow = true;
	for (;;) {
		if (fflush(stdout) != 0 || show_reader_left())
			return 0; /* who read us has gone */
		int more = page(c, r, p, &r->event);
		if (more < 0)
			return 1;
		if (more == 0)
			usleep(LOOK_MS * 1000);
	}
}

static void print_all(json_t *all)
{
	json_t *wrap = json_object();

	json_object_set(wrap, "messages", all);
	client_print_json(wrap);
	json_decref(wrap);
}

static int run(const struct ctl_options *o, struct control_request *r, struct printing *p)
{
	struct client *c = client_open(o);

	if (c == NULL)
		return 1;
	p->all = json_array();
	if (p->form == FORM_CSV)
		print_csv_head();
	int rc = history(c, r, p) == 0 ? 0 : 1;
	if (rc == 0 && p->follow)
		rc = keep_following(c, r, p);
	else if (rc == 0 && p->form == FORM_JSON)
		print_all(p->all);
	else if (rc == 0 && p->form == FORM_LINES && !p->any)
		fputs("ofmctl: nothing in the journal fits\n", stderr);
	json_decref(p->all);
	client_close(&c);
	return rc;
}

/* ---- arguments ---- */

int ctl_journal(const struct ctl_options *o, int argc, char **argv)
{
	struct printing p = {.form = o->json ? FORM_JSON : FORM_LINES};
	const char *since = NULL, *user = NULL, *from = NULL, *to = NULL, *id = NULL, *subject = NULL;
	bool csv = false;
	const struct args_option options[] = {{"--since", &since, NULL}, {"--user", &user, NULL},
	                                      {"--from", &from, NULL},   {"--to", &to, NULL},
	                                      {"--id", &id, NULL},       {"--subject", &subject, NULL},
	                                      {"--csv", NULL, &csv},     {"--follow", NULL, &p.follow},
	                                      {"-f", NULL, &p.follow},   {NULL, NULL, NULL}};

	if (args_all(argv[0], options, 1, argc, argv, 0) < 0)
		return 1;
	struct control_request r = {.verb = CONTROL_JOURNAL,
	                            .user = (char *)user,
	                            .from = (char *)from,
	                            .to = (char *)to,
	                            .id = (char *)id,
	                            .subject = (char *)subject};
	if (csv && o->json)
		return ctl_usage(argv[0], "one of --json and --csv");
	if (csv)
		p.form = FORM_CSV;
	if (since != NULL && !when_parse(since, clock_wall_s(), &r.since))
		return ctl_usage(
		    argv[0], "--since wants 30m, 2h, 3d, today, 13:30, 2026-11-24 or 2026-11-24T13:30, not %s", since);
	return run(o, &r, &p);
}
