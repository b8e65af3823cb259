#include "fate.h"

#include "show.h"

#include <string.h>

/* A line is for people; --json names all. */
enum { RECIPIENTS_TOLD = 20 };

static void put(struct buf *out, const char *text, size_t most)
{
	show_text(out, slice_sub(slice_of(text), 0, most), true);
}

void fate_names(struct buf *out, const json_t *list, size_t most)
{
	size_t n = json_array_size(list);

	for (size_t i = 0; i < n && i < most; i++) {
		buf_add_str(out, i > 0 ? ", " : "");
		put(out, json_string_value(json_array_get(list, i)), 300);
	}
	if (n > most)
		buf_printf(out, " +%zu", n - most);
}

static void add_origin(struct buf *out, const json_t *m)
{
	const char *kind = client_text(m, "kind");

	buf_add_str(out, kind);
	if (strcmp(kind, "collected") == 0) {
		buf_add_str(out, " from ");
		put(out, client_text(m, "account"), 100);
		buf_add_str(out, ", sorted by ");
		put(out, client_text(m, "sorted"), 300);
	} else if (strcmp(kind, "written") == 0) {
		buf_add_str(out, " by the gateway");
	} else {
		buf_add_str(out, " from ");
		put(out, client_text(m, "peer"), 60);
	}
	if (client_text(m, "reply")[0] != '\0') {
		buf_add_str(out, ": ");
		put(out, client_text(m, "reply"), 300);
	}
}

static void add_recipient(struct buf *out, const json_t *r, bool held)
{
	const char *state = client_text(r, "state"), *relay = client_text(r, "relay"), *reply = client_text(r, "reply");
	int64_t tries = client_int(r, "tries");

	buf_add_str(out, "; ");
	put(out, client_text(r, "address"), 300);
	buf_printf(out, ": %s",
	           held && (strcmp(state, "waiting") == 0 || strcmp(state, "deferred") == 0) ? "held" : state);
	if (relay[0] != '\0') {
		buf_add_str(out, " by ");
		put(out, relay, 200);
	}
	if (reply[0] != '\0') {
		buf_add_str(out, " (");
		put(out, reply, 300);
		buf_add_char(out, ')');
	}
	if (tries > 1)
		buf_printf(out, ", %lld tries", (long long)tries);
}

/* Of those who are not named: state: how many. */
static void count_rest(json_t *rest, const char *state, int64_t n)
{
	if (n > 0)
		json_object_set_new(rest, state, json_integer(client_int(rest, state) + n));
}

static void add_rest(struct buf *out, json_t *rest)
{
	const char *state;
	json_t *n;

	json_object_foreach(rest, state, n) buf_printf(out, "; %lld more: %s", (long long)json_integer_value(n), state);
}

void fate_add(struct buf *out, const json_t *m)
{
	const json_t *boxes = json_object_get(m, "delivered"), *copies = json_object_get(m, "copies");
	size_t i, k;
	json_t *q, *r;

	add_origin(out, m);
	if (json_array_size(boxes) > 0) {
		buf_add_str(out, "; delivered to ");
		fate_names(out, boxes, 10);
	}
	if (json_array_size(copies) > 0) {
		buf_add_str(out, "; copy to ");
		fate_names(out, copies, 10);
	}
	size_t told = 0;
	json_t *rest = json_object();
	json_array_foreach(json_object_get(m, "outgoing"), i, q)
	{
		json_array_foreach(json_object_get(q, "recipients"), k, r)
		{
			if (told++ < RECIPIENTS_TOLD)
				add_recipient(out, r, client_bool(q, "held"));
			else
				count_rest(rest, client_text(r, "state"), 1);
		}
		count_rest(rest, "not shown", client_int(q, "recipients_more"));
	}
	add_rest(out, rest);
	json_decref(rest);
}

void fate_line(struct buf *out, const json_t *m)
{
	char moment[SHOW_MAX], size[SHOW_MAX];
	const json_t *to = json_object_get(m, "to");

	show_moment(client_int(m, "at"), moment);
	show_size((uint64_t)client_int(m, "size"), size);
	buf_printf(out, "%s  %s  ", moment, client_text(m, "id")[0] != '\0' ? client_text(m, "id") : "-");
	put(out, client_text(m, "from")[0] != '\0' ? client_text(m, "from") : "<>", 300);
	if (json_array_size(to) > 0) {
		buf_add_str(out, " -> ");
		fate_names(out, to, 3);
	}
	if (client_text(m, "subject")[0] != '\0') {
		buf_add_str(out, "  \"");
		put(out, client_text(m, "subject"), 200);
		buf_add_char(out, '"');
	}
	buf_printf(out, "  %s  ", size);
	fate_add(out, m);
}
