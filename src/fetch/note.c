#include "fetch/note.h"

#include "route/noted.h"

/* "rule invoices, archive; address": the rules that applied, and what placed it where they only copied. */
static void add_sorted(struct buf *out, const struct sorter_verdict *v)
{
	static const char *const words[] = {
	    [SORTED_BY_RULE] = "",           [SORTED_BY_ACCOUNT] = "account",  [SORTED_BY_ENVELOPE] = "envelope",
	    [SORTED_BY_ADDRESS] = "address", [SORTED_UNMATCHED] = "unmatched", [SORTED_TO_POSTMASTER] = "postmaster"};

	for (size_t i = 0; i < v->nrules; i++)
		buf_printf(out, "%s%s", i == 0 ? "rule " : ", ", v->rules[i]->label);
	if (v->why != SORTED_BY_RULE)
		buf_printf(out, "%s%s", v->nrules > 0 ? "; " : "", words[v->why]);
}

struct journal_note *fetch_note(const struct config_account *a, const char *uidl, const struct sorter_verdict *v,
                                const struct gather *g)
{
	struct journal_note *n = journal_note_new(JOURNAL_COLLECTED);
	struct buf sorted;

	buf_init(&sorted, 2000);
	add_sorted(&sorted, v);
	journal_note_set(n, JOURNAL_PEER, a->login.host);
	journal_note_set(n, JOURNAL_ACCOUNT, a->label);
	journal_note_set(n, JOURNAL_UIDL, uidl);
	journal_note_set_slice(n, JOURNAL_SORTED, buf_slice(&sorted));
	buf_free(&sorted);
	n->size = gather_size(g);
	noted_head(n, gather_head(g));
	return n;
}
