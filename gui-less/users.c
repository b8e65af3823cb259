#include "client.h"
#include "show.h"
#include "table.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

static void notes_cell(struct table *t, const json_t *u)
{
	struct buf b;

	buf_init(&b, 2048);
	if (client_bool(u, "postmaster"))
		buf_add_str(&b, ", postmaster");
	if (client_bool(u, "boss"))
		buf_add_str(&b, ", boss");
	if (client_bool(u, "daemon"))
		buf_add_str(&b, ", starts syncs");
	else if (!client_bool(u, "password"))
		buf_add_str(&b, ", no password");
	if (client_bool(u, "alias_shared"))
		buf_add_str(&b, ", alias shared");
	if (client_text(u, "error")[0] != '\0')
		buf_printf(&b, ", %.600s", client_text(u, "error"));
	table_cell(t, b.n > 2 ? buf_str(&b) + 2 : "");
	buf_free(&b);
}

static void user_row(struct table *t, const json_t *u)
{
	char messages[SHOW_MAX] = "-", size[SHOW_MAX] = "-";

	if (!client_bool(u, "daemon")) {
		snprintf(messages, sizeof messages, "%" PRId64, client_int(u, "messages"));
		show_size((uint64_t)client_int(u, "bytes"), size);
	}
	table_cell(t, client_text(u, "name"));
	table_cell(t, client_text(u, "full_name"));
	table_cell(t, client_text(u, "alias"));
	table_cell(t, messages);
	table_cell(t, size);
	notes_cell(t, u);
}

int ctl_users(const struct ctl_options *o, int argc, char **argv)
{
	struct control_request r = {.verb = CONTROL_USERS};
	size_t i;
	json_t *u;

	if (argc > 1)
		return ctl_usage(argv[0], "it takes no %s", argv[1]);
	/* Mailboxes are counted file by file. */
	json_t *reply = client_simple(o, &r, 600);
	if (reply == NULL)
		return 1;
	if (o->json) {
		client_print_json(reply);
	} else {
		struct table *t = table_new("USER NAME ALIAS >MESSAGES >SIZE NOTES");
		json_array_foreach(json_object_get(reply, "users"), i, u) user_row(t, u);
		table_print(&t, o->out_is_tty);
	}
	json_decref(reply);
	return 0;
}
