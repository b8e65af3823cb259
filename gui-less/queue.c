#include "base/alloc.h"
#include "base/clock.h"
#include "client.h"
#include "show.h"
#include "table.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* ---- list ---- */

/* fn with each page's rows, which go with it: of a long queue little is in memory at once. -1 after an error on stderr.
 */
static int each_page(struct client *c, void (*fn)(void *arg, json_t *rows), void *arg)
{
	struct control_request r = {.verb = CONTROL_QUEUE};
	bool more = true;
	int rc = 0;

	while (more && rc == 0) {
		json_t *reply = client_ask(c, &r, CLIENT_PATIENCE, NULL, NULL);
		json_t *rows = json_object_get(reply, "messages");
		if (reply != NULL && client_ok(reply)) {
			fn(arg, rows);
			more = client_bool(reply, "more");
			free(r.after);
			r.after = xstrdup(client_text(json_array_get(rows, json_array_size(rows) - 1), "id"));
		} else {
			rc = -1;
		}
		json_decref(reply);
	}
	free(r.after);
	return rc;
}

static void recipients_cell(struct table *t, const json_t *m)
{
	int64_t more = client_int(m, "waiting") - 1;
	char *text = more > 0 ? xasprintf("%s +%" PRId64, client_text(m, "to"), more) : xstrdup(client_text(m, "to"));

	table_cell(t, text);
	free(text);
}

static void message_row(struct table *t, const json_t *m, int64_t now)
{
	char size[SHOW_MAX], age[SHOW_MAX], next[SHOW_MAX] = "-", tries[SHOW_MAX];

	show_size((uint64_t)client_int(m, "size"), size);
	show_duration(now - client_int(m, "queued_at"), age);
	if (!client_bool(m, "held"))
		show_until(client_int(m, "next_at"), now, next);
	snprintf(tries, sizeof tries, "%" PRId64, client_int(m, "attempts"));
	table_cell(t, client_text(m, "id"));
	table_cell(t, client_text(m, "from")[0] != '\0' ? client_text(m, "from") : "<>");
	recipients_cell(t, m);
	table_cell(t, size);
	table_cell(t, age);
	table_cell(t, client_text(m, "state"));
	table_cell(t, tries);
	table_cell(t, next);
	table_cell(t, client_text(m, "last_reply"));
}

static void add_rows(void *arg, json_t *rows)
{
	int64_t now = clock_wall_s();
	size_t i;
	json_t *m;

	json_array_foreach(rows, i, m) message_row(arg, m, now);
}

static int print_list(struct client *c, bool tty)
{
	struct table *t = table_new("ID FROM TO >SIZE >AGE STATE >TRIES NEXT_TRY LAST_REPLY");
	int rc = each_page(c, add_rows, t);

	if (rc != 0 || table_rows(t) == 0) {
		if (rc == 0)
			puts("The queue is empty.");
		table_free(&t);
		return rc;
	}
	table_print(&t, tty);
	return 0;
}

static void keep_rows(void *arg, json_t *rows)
{
	json_array_extend(arg, rows);
}

static int print_list_json(struct client *c)
{
	json_t *all = json_array();
	int rc = each_page(c, keep_rows, all);

	if (rc == 0) {
		json_t *wrap = json_object();
		json_object_set(wrap, "messages", all);
		client_print_json(wrap);
		json_decref(wrap);
	}
	json_decref(all);
	return rc;
}

static int list(const struct ctl_options *o)
{
	struct client *c = client_open(o);
	int rc = c == NULL ? -1 : o->json ? print_list_json(c) : print_list(c, o->out_is_tty);

	client_close(&c);
	return rc == 0 ? 0 : 1;
}

/* ---- show ---- */

static void put(const char *label, const char *text)
{
	struct buf b;

	buf_init(&b, 65536);
	show_text(&b, slice_of(text), true);
	printf("%-12s%s\n", label, buf_str(&b));
	buf_free(&b);
}

static void recipient_row(struct table *t, const json_t *r, int64_t now)
{
	char tries[SHOW_MAX], next[SHOW_MAX] = "-";

	snprintf(tries, sizeof tries, "%" PRId64, client_int(r, "attempts"));
	if (strcmp(client_text(r, "state"), "waiting") == 0)
		show_until(client_int(r, "next_at"), now, next);
	table_cell(t, client_text(r, "address"));
	table_cell(t, client_text(r, "state"));
	table_cell(t, tries);
	table_cell(t, next);
	table_cell(t, client_text(r, "last_reply"));
}

static void print_header(const json_t *m)
{
	struct buf b;

	buf_init(&b, 1024 * 1024);
	show_text(&b, slice_of(client_text(m, "header")), false);
	printf("\n%s", buf_str(&b));
	if (b.n > 0 && b.p[b.n - 1] != '\n')
		putchar('\n');
	if (client_text(m, "header_error")[0] != '\0')
		printf("(the header cannot be read: %s)\n", client_text(m, "header_error"));
	if (client_bool(m, "header_cut"))
		puts("(the header goes on)");
	buf_free(&b);
}

static void print_message(const json_t *m, bool tty)
{
	struct table *t = table_new("RECIPIENT STATE >TRIES NEXT_TRY LAST_REPLY");
	int64_t now = clock_wall_s();
	char size[SHOW_MAX], since[SHOW_MAX];
	size_t i;
	json_t *r;

	show_size((uint64_t)client_int(m, "size"), size);
	show_moment(client_int(m, "queued_at"), since);
	put("Message", client_text(m, "id"));
	put("From", client_text(m, "from")[0] != '\0' ? client_text(m, "from") : "<>");
	put("Size", size);
	put("Queued", since);
	put("Held", client_bool(m, "held") ? "yes" : "no");
	putchar('\n');
	json_array_foreach(json_object_get(m, "recipients"), i, r) recipient_row(t, r, now);
	table_print(&t, tty);
	print_header(m);
}

static int show(const struct ctl_options *o, char *id)
{
	struct control_request r = {.verb = CONTROL_QUEUE_SHOW};
	json_t *reply;

	r.what = id;
	reply = client_simple(o, &r, CLIENT_PATIENCE);

	if (reply == NULL)
		return 1;
	if (o->json)
		client_print_json(reply);
	else
		print_message(json_object_get(reply, "message"), o->out_is_tty);
	bool whole = client_text(json_object_get(reply, "message"), "header_error")[0] == '\0';
	json_decref(reply);
	return whole ? 0 : 1;
}

/* ---- drop, retry, hold, release ---- */

static const struct action {
	const char *name, *past;
	enum control_verb verb;
} actions[] = {
    {"drop", "Dropped", CONTROL_QUEUE_DROP},
    {"retry", "To be retried now", CONTROL_QUEUE_RETRY},
    {"hold", "Held", CONTROL_QUEUE_HOLD},
    {"release", "Released", CONTROL_QUEUE_RELEASE},
};

static int act(const struct ctl_options *o, const struct action *a, char *what)
{
	struct control_request r = {.verb = a->verb, .what = what};
	json_t *reply = client_simple(o, &r, CLIENT_PATIENCE);

	if (reply == NULL)
		return 1;
	int64_t n = client_int(reply, "changed"), sending = client_int(reply, "with_relay");
	json_decref(reply);
	if (n == 0 && strcmp(what, "all") != 0)
		return ctl_error("nothing in the queue is %s", what);
	printf("%s: %" PRId64 "\n", a->past, n);
	if (sending > 0)
		printf("%" PRId64 " message%s being sent at this moment: the relay's reply decides.\n", sending,
		       sending == 1 ? " is" : "s are");
	return 0;
}

static const struct action *find_action(const char *name)
{
	for (size_t i = 0; i < sizeof actions / sizeof actions[0]; i++)
		if (strcmp(name, actions[i].name) == 0)
			return &actions[i];
	return NULL;
}

int ctl_queue(const struct ctl_options *o, int argc, char **argv)
{
	const char *name = argc > 1 ? argv[1] : "list";
	const struct action *a = find_action(name);
	bool shows = strcmp(name, "show") == 0;

	if (strcmp(name, "list") == 0)
		return argc > 2 ? ctl_usage(argv[0], "list takes no %s", argv[2]) : list(o);
	if (a == NULL && !shows)
		return ctl_unknown_part(
		    argv[0], name, (const char *const[]){"list", "show", "drop", "retry", "hold", "release", NULL});
	if (argc != 3)
		return ctl_usage(argv[0], "%s needs one %s", name, shows ? "ID" : "ID, ADDRESS or all");
	if (shows)
		return show(o, argv[2]);
	return o->json ? ctl_usage(argv[0], "%s reads nothing, so it takes no --json", name) : act(o, a, argv[2]);
}
