#include "route/noted.h"

#include "base/buf.h"
#include "mail/header.h"

static void take(struct journal_note *n, enum journal_text which, const struct header *h, const char *field)
{
	const struct header_field *f = header_find(h, field, 0);

	if (f != NULL)
		journal_note_set_slice(n, which, slice_trim(f->value));
}

void noted_head(struct journal_note *n, struct slice head)
{
	struct header h;

	header_scan(&h, head);
	journal_note_set_slice(n, JOURNAL_CHARSET, header_charset(&h));
	take(n, JOURNAL_SUBJECT, &h, "Subject");
	take(n, JOURNAL_MESSAGE_ID, &h, "Message-ID");
	if (n->kind == JOURNAL_COLLECTED)
		take(n, JOURNAL_SENDER, &h, "From");
	header_free(&h);
}

struct journal_note *noted_own(struct slice message)
{
	struct journal_note *n = journal_note_new(JOURNAL_WRITTEN);

	n->size = message.n;
	noted_head(n, message);
	return n;
}

void noted_queued(struct journal_note *n, const char *id, const struct strlist *recipients)
{
	struct buf b;

	buf_init(&b, 4 * 1024 * 1024);
	buf_add_str(&b, id);
	for (size_t i = 0; i < recipients->n; i++)
		buf_printf(&b, "\n%s", recipients->v[i]);
	strlist_add(&n->queued, buf_str(&b));
	buf_free(&b);
}
