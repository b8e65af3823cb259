/* ID.env: the envelope beside the message, for people and for rebuilding a lost database. */
#include "base/buf.h"
#include "queue/outqueue.h"

#include <stdlib.h>

/* Addresses hold no controls by the time they come here; should one ever, it must not open a line of its own. */
static void env_line(struct buf *out, const char *key, const char *value)
{
	buf_add_str(out, key);
	buf_add_char(out, ':');
	if (*value != '\0')
		buf_add_char(out, ' ');
	for (; *value != '\0'; value++)
		buf_add_char(out, (unsigned char)*value < ' ' || *value == 0x7f ? '?' : *value);
	buf_add_char(out, '\n');
}

char *outqueue_env_format(const struct outqueue_entry *en)
{
	struct buf out;

	buf_init(&out, SIZE_MAX / 2);
	env_line(&out, "ofmsrv-outqueue", "1");
	env_line(&out, "sender", en->sender);
	env_line(&out, "local-sender", en->local_sender);
	env_line(&out, "eight-bit", en->eight_bit ? "yes" : "no");
	if (en->smtputf8)
		env_line(&out, "smtputf8", "yes");
	for (size_t i = 0; i < en->recipients.n; i++)
		env_line(&out, "recipient", en->recipients.v[i]);
	return buf_steal(&out);
}

static bool env_field(struct outqueue_entry *en, struct slice key, struct slice value)
{
	if (slice_is(key, "sender") && en->sender == NULL)
		en->sender = slice_dup(value);
	else if (slice_is(key, "local-sender") && en->local_sender == NULL)
		en->local_sender = slice_dup(value);
	else if (slice_is(key, "eight-bit"))
		en->eight_bit = slice_is(value, "yes");
	else if (slice_is(key, "smtputf8"))
		en->smtputf8 = slice_is(value, "yes");
	else if (slice_is(key, "recipient") && value.n > 0)
		strlist_add_slice(&en->recipients, value);
	else
		return false;
	return true;
}

static bool env_lines(struct slice text, struct outqueue_entry *en)
{
	bool first = true;

	while (text.n > 0) {
		size_t eol = slice_find(text, '\n');
		struct slice line = slice_sub(text, 0, eol);
		size_t colon = slice_find(line, ':');
		struct slice key = slice_sub(line, 0, colon);
		struct slice value = slice_trim(slice_sub(line, colon + 1, line.n));

		if (colon == line.n || slice_find(line, '\0') != line.n)
			return false;
		if (first ? !slice_is(key, "ofmsrv-outqueue") || !slice_is(value, "1") : !env_field(en, key, value))
			return false;
		first = false;
		text = slice_sub(text, eol + 1, text.n);
	}
	return true;
}

bool outqueue_env_parse(struct slice text, struct outqueue_entry *en)
{
	*en = (struct outqueue_entry){0};
	/* The last line must be whole: a file cut short is no envelope. */
	if (text.n == 0 || text.p[text.n - 1] != '\n' || !env_lines(text, en) || en->sender == NULL ||
	    en->local_sender == NULL || en->recipients.n == 0) {
		outqueue_entry_free(en);
		return false;
	}
	return true;
}

void outqueue_entry_free(struct outqueue_entry *en)
{
	free(en->sender);
	free(en->local_sender);
	strlist_free(&en->recipients);
	*en = (struct outqueue_entry){0};
}
