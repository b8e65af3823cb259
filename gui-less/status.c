#include "client.h"
#include "show.h"
#include "table.h"

#include <inttypes.h>
#include <pwd.h>
#include <stdio.h>

static void label(const char *text)
{
	printf("%-15s", text);
}

static void put(const char *text)
{
	struct buf b;

	buf_init(&b, 65536);
	show_text(&b, slice_of(text), true);
	fputs(buf_str(&b), stdout);
	buf_free(&b);
}

static void print_head(const json_t *r, int64_t now)
{
	char since[SHOW_MAX], span[SHOW_MAX];

	show_moment(client_int(r, "since"), since);
	show_duration(now - client_int(r, "since"), span);
	printf("ofmsrv %s on ", client_text(r, "version"));
	put(client_text(r, "hostname"));
	printf(", up since %s (%s), process %" PRId64 "\n\n", since, span, client_int(r, "pid"));
	label("Configuration");
	put(client_text(r, "config"));
	putchar('\n');
}

/* The user it runs as, and what the kernel holds it to. */
static void print_confinement(const json_t *r)
{
	const json_t *c = json_object_get(r, "confinement");
	int64_t uid = client_int(c, "uid"), version = client_int(c, "landlock");
	// cppcheck-suppress getpwuidCalled ; there is no other thread
	const struct passwd *pw = getpwuid((uid_t)uid);

	label("Confined");
	printf("user ");
	put(pw != NULL ? pw->pw_name : "?");
	printf(" (%" PRId64 ")", uid);
	if (version > 0)
		printf(", Landlock %" PRId64 ": writes to its folders alone, runs nothing", version);
	else
		printf(", no Landlock in this kernel");
	puts(client_bool(c, "no_new_privs") ? ", no new privileges" : "");
}

static void print_listeners(const json_t *r)
{
	const json_t *list = json_object_get(r, "listeners");
	size_t i;
	json_t *l;

	label("Listening");
	if (json_array_size(list) == 0)
		fputs("nowhere: both servers are off", stdout);
	json_array_foreach(list, i, l)
	{
		printf("%s%s ", i > 0 ? ", " : "", client_text(l, "protocol"));
		put(client_text(l, "address"));
	}
	putchar('\n');
}

static void print_traffic(const json_t *r, int64_t now)
{
	const json_t *c = json_object_get(r, "connections"), *q = json_object_get(r, "queue");
	char ago[SHOW_MAX];
	int64_t length = client_int(q, "length");

	label("Connections");
	printf("%" PRId64 " pop3, %" PRId64 " smtp\n", client_int(c, "pop3"), client_int(c, "smtp"));
	label("Queue");
	if (length == 0) {
		puts("empty");
		return;
	}
	show_ago(client_int(q, "oldest_at"), now, ago);
	printf("%" PRId64 " message%s, the oldest from %s\n", length, length == 1 ? "" : "s", ago);
}

static void print_sync(const json_t *r, int64_t now)
{
	const json_t *s = json_object_get(r, "sync");
	int64_t next = client_int(s, "next_at");
	char until[SHOW_MAX];

	label("Sync");
	if (client_bool(s, "running")) {
		fputs("running (", stdout);
		put(client_text(s, "reason"));
		puts(")");
		return;
	}
	show_until(next, now, until);
	puts(next == 0 ? "only by hand or by the daemon user" : next <= now ? "due now" : until);
}

/* A running account's progress, else its state in a word. */
static void account_state(const json_t *a, char out[static SHOW_MAX])
{
	if (!client_bool(a, "enabled"))
		snprintf(out, SHOW_MAX, "off");
	else if (client_bool(a, "held"))
		snprintf(out, SHOW_MAX, "held");
	else if (client_bool(a, "running") && client_int(a, "total") > 0)
		snprintf(out, SHOW_MAX, "%.12s %" PRId64 "/%" PRId64, client_text(a, "state"),
		         client_int(a, "done") % 1000000, client_int(a, "total") % 1000000);
	else if (client_bool(a, "running"))
		snprintf(out, SHOW_MAX, "%.20s", client_text(a, "state"));
	else
		snprintf(out, SHOW_MAX, client_text(a, "last_error")[0] != '\0' ? "failed" : "ok");
}

static void account_row(struct table *t, const json_t *a, int64_t now)
{
	char state[SHOW_MAX], last[SHOW_MAX], next[SHOW_MAX] = "with the next sync", collected[SHOW_MAX];

	account_state(a, state);
	show_ago(client_int(a, "last_at"), now, last);
	if (!client_bool(a, "enabled") || client_bool(a, "held"))
		snprintf(next, sizeof next, "-");
	else if (client_int(a, "next_at") != 0)
		show_until(client_int(a, "next_at"), now, next);
	snprintf(collected, sizeof collected, "%" PRId64, client_int(a, "collected"));
	table_cell(t, client_text(a, "name"));
	table_cell(t, state);
	table_cell(t, last);
	table_cell(t, next);
	table_cell(t, collected);
	table_cell(t, client_text(a, "last_error"));
}

static void print_accounts(const json_t *r, int64_t now, bool tty)
{
	const json_t *list = json_object_get(r, "accounts");
	struct table *t = table_new("ACCOUNT STATE LAST NEXT >COLLECTED LAST_ERROR");
	size_t i;
	json_t *a;

	json_array_foreach(list, i, a) account_row(t, a, now);
	putchar('\n');
	table_print(&t, tty);
}

int ctl_status(const struct ctl_options *o, int argc, char **argv)
{
	struct control_request r = {.verb = CONTROL_STATUS};

	if (argc > 1)
		return ctl_usage(argv[0], "it takes no %s", argv[1]);
	json_t *reply = client_simple(o, &r, CLIENT_PATIENCE);
	if (reply == NULL)
		return 1;
	int64_t now = client_int(reply, "now");
	if (o->json) {
		client_print_json(reply);
	} else {
		print_head(reply, now);
		print_confinement(reply);
		print_listeners(reply);
		print_traffic(reply, now);
		print_sync(reply, now);
		if (json_array_size(json_object_get(reply, "accounts")) > 0)
			print_accounts(reply, now, o->out_is_tty);
	}
	json_decref(reply);
	return 0;
}
