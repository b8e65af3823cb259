#include "base/alloc.h"
#include "base/clock.h"
#include "journal/journal.h"

#include <stdlib.h>
#include <string.h>

enum { TEXT_MAX = 2000 };

const char *journal_kind_name(enum journal_kind kind)
{
	static const char *const names[JOURNAL_KINDS] = {
	    [JOURNAL_ACCEPTED] = "accepted", [JOURNAL_COLLECTED] = "collected", [JOURNAL_WRITTEN] = "written",
	    [JOURNAL_REFUSED] = "refused",   [JOURNAL_SENT] = "sent",           [JOURNAL_DEFERRED] = "deferred",
	    [JOURNAL_BOUNCED] = "bounced",   [JOURNAL_DROPPED] = "dropped",     [JOURNAL_HELD] = "held",
	    [JOURNAL_RELEASED] = "released"};

	return names[kind];
}

struct journal_note *journal_note_new(enum journal_kind kind)
{
	struct journal_note *n = xcalloc(1, sizeof *n);

	n->kind = kind;
	n->at_ms = clock_wall_ms();
	return n;
}

void journal_note_set_slice(struct journal_note *n, enum journal_text which, struct slice s)
{
	free(n->text[which]);
	n->text[which] = slice_dup(slice_sub(s, 0, TEXT_MAX));
}

void journal_note_set(struct journal_note *n, enum journal_text which, const char *s)
{
	journal_note_set_slice(n, which, slice_of(s != NULL ? s : ""));
}

void journal_note_free(struct journal_note **np)
{
	struct journal_note *n = *np;

	if (n == NULL)
		return;
	for (size_t i = 0; i < JOURNAL_TEXTS; i++)
		free(n->text[i]);
	strlist_free(&n->recipients);
	strlist_free(&n->boxes);
	strlist_free(&n->copies);
	strlist_free(&n->queued);
	free(n);
	*np = NULL;
}

void journal_event(struct journal *j, enum journal_kind kind, const char *queue_id, uint64_t size,
                   const char *recipient, const char *relay, const char *reply)
{
	if (j == NULL)
		return;
	struct journal_note *n = journal_note_new(kind);
	journal_note_set(n, JOURNAL_ID, queue_id);
	journal_note_set(n, JOURNAL_PEER, relay);
	journal_note_set(n, JOURNAL_REPLY, reply);
	strlist_add(&n->recipients, recipient);
	n->size = size;
	journal_add(j, &n);
}
