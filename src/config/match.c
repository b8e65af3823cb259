/* From lines to the schema: which section, which key, and whether it stands there twice. */
#include "config/load.h"

#include "base/alloc.h"
#include "base/text.h"
#include "config/values.h"

#include <stdlib.h>
#include <string.h>

enum { PARTS_MAX = 999 };

const struct section *load_single(const struct loader *l, enum section_kind kind)
{
	for (size_t i = 0; i < l->of[kind].n; i++)
		if (l->of[kind].v[i]->label[0] == '\0')
			return l->of[kind].v[i];
	return NULL;
}

const struct entry *section_entry(const struct section *s, const char *key)
{
	for (size_t i = 0; s != NULL && i < s->n; i++)
		if (strcmp(s->v[i].row->key, key) == 0)
			return &s->v[i];
	return NULL;
}

struct place section_place(const struct section *s, const char *key)
{
	const struct entry *e = section_entry(s, key);

	if (s == NULL)
		return (struct place){1, "", key};
	return (struct place){e != NULL ? e->scan->line : s->scan->line, s->scan->name, key};
}

/* "user  anna" into kind and label; false after a fault. */
static bool match_header(struct loader *l, const struct scan_section *in, enum section_kind *kind, struct slice *label)
{
	struct slice name = slice_of(in->name);
	struct place at = {in->line, in->name, ""};
	size_t word = 0;

	while (word < name.n && name.p[word] != ' ' && name.p[word] != '\t')
		word++;
	*kind = schema_kind_by_name(slice_sub(name, 0, word));
	*label = slice_trim(slice_sub(name, word, name.n));
	if (*kind == SECTION_NONE) {
		char *first = slice_dup(slice_sub(name, 0, word));
		const char *nearest = schema_nearest_section(first);
		free(first);
		findings_fault(l->found, at, "unknown section; %s%s%s",
		               nearest != NULL ? "is [" : "see the manual for the names",
		               nearest != NULL ? nearest : "", nearest != NULL ? "] meant?" : "");
		return false;
	}
	const struct schema_section *s = schema_section(*kind);
	if (s->label == LABEL_NONE && label->n > 0)
		findings_fault(l->found, at, "[%s] has no label; write it alone between the brackets", s->name);
	else if (s->label == LABEL_MUST && label->n == 0)
		findings_fault(l->found, at, "the section needs a label; write [%s %s], say", s->name, s->sample);
	else if (label->n > VALUE_LABEL_MAX)
		findings_fault(l->found, at, "the label is longer than %d bytes; shorten it", VALUE_LABEL_MAX);
	else if (*kind == SECTION_USER && !value_user_name(*label))
		findings_fault(
		    l->found, at,
		    "a user's name begins with a letter a-z or a digit, and goes on with those, dots, _ and -; "
		    "choose another");
	else
		return true;
	return false;
}

/* "members3" into the row of members and 3. */
static const struct schema_row *match_key(enum section_kind kind, const char *key, unsigned *part)
{
	size_t n;
	const struct schema_row *rows = schema_rows(kind, &n);

	for (size_t i = 0; i < n; i++) {
		size_t len = strlen(rows[i].key);
		uint64_t number;
		if (strncmp(key, rows[i].key, len) != 0)
			continue;
		*part = 1;
		if (key[len] == '\0')
			return &rows[i];
		if (!schema_is_list(rows[i].type) || !value_number(slice_of(key + len), PARTS_MAX, &number) ||
		    number < 2)
			continue;
		*part = (unsigned)number;
		return &rows[i];
	}
	return NULL;
}

static void unknown_key(struct loader *l, const struct section *s, const struct scan_entry *e)
{
	struct place at = {e->line, s->scan->name, e->key};
	const char *nearest = schema_nearest_key(s->kind, e->key);
	unsigned part;

	if (nearest != NULL) {
		findings_fault(l->found, at, "unknown key; is %s meant?", nearest);
		return;
	}
	for (int k = 0; k < SECTION_KINDS; k++)
		if (match_key((enum section_kind)k, e->key, &part) != NULL) {
			findings_fault(l->found, at, "unknown key here; it belongs to [%s]",
			               schema_section((enum section_kind)k)->name);
			return;
		}
	findings_fault(l->found, at, "unknown key; remove the line, or see the manual for the keys of [%s]",
	               schema_section(s->kind)->name);
}

static void match_entry(struct loader *l, struct section *s, struct scan_entry *e)
{
	unsigned part = 1;
	const struct schema_row *row = match_key(s->kind, e->key, &part);
	struct place at = {e->line, s->scan->name, e->key};

	if (row == NULL) {
		unknown_key(l, s, e);
		return;
	}
	if ((row->flags & ROW_NAMED) != 0 && s->label[0] == '\0') {
		findings_fault(l->found, at, "the key stands in [%s NAME] alone; move it into such a section",
		               schema_section(s->kind)->name);
		return;
	}
	for (size_t i = 0; i < s->n; i++)
		if (s->v[i].row == row && s->v[i].part == part) {
			findings_fault(l->found, at,
			               "the key stands here a second time, first in line %u; remove one%s",
			               s->v[i].scan->line,
			               schema_is_list(row->type) ? " (a list goes on in KEY2, KEY3, ...)" : "");
			return;
		}
	if ((s->n & (s->n - 1)) == 0)
		s->v = xreallocarray(s->v, s->n != 0 ? s->n * 2 : 1, sizeof *s->v);
	s->v[s->n++] = (struct entry){row, part, e};
}

static int by_part(const void *va, const void *vb)
{
	const struct entry *a = va, *b = vb;

	if (a->row != b->row)
		return a->row < b->row ? -1 : 1;
	return a->part < b->part ? -1 : a->part > b->part;
}

static void match_section(struct loader *l, struct scan_section *in)
{
	struct section *s = &l->sections[l->nsections];
	struct slice label;
	enum section_kind kind;

	if (in->bad || !match_header(l, in, &kind, &label))
		return;
	*s = (struct section){.kind = kind, .label = slice_dup(label), .scan = in};
	if (kind == SECTION_USER)
		ascii_lower_in_place(s->label);
	l->nsections++;
	for (size_t i = 0; i < in->n; i++)
		match_entry(l, s, &in->v[i]);
	if (s->n > 0)
		qsort(s->v, s->n, sizeof *s->v, by_part);
}

static int by_header(const void *va, const void *vb)
{
	const struct section *a = *(struct section *const *)va, *b = *(struct section *const *)vb;

	if (a->kind != b->kind)
		return a->kind < b->kind ? -1 : 1;
	int order = text_cmp_nocase(slice_of(a->label), slice_of(b->label));
	return order != 0 ? order : a->scan->line < b->scan->line ? -1 : 1;
}

/* Those that stand there again are told, and left out by a kind of SECTION_NONE. */
static void find_repeated(struct loader *l)
{
	struct section **sorted = xcalloc(l->nsections + 1, sizeof *sorted);
	struct section *first = NULL;

	for (size_t i = 0; i < l->nsections; i++)
		sorted[i] = &l->sections[i];
	qsort(sorted, l->nsections, sizeof *sorted, by_header);
	for (size_t i = 0; i < l->nsections; i++) {
		struct section *s = sorted[i];
		if (first == NULL || first->kind != s->kind ||
		    !text_eq_nocase(slice_of(first->label), slice_of(s->label))) {
			first = s;
			continue;
		}
		findings_fault(l->found, (struct place){s->scan->line, s->scan->name, ""},
		               "the section stands here a second time, first in line %u; join the two",
		               first->scan->line);
		s->kind = SECTION_NONE;
	}
	free(sorted);
}

void load_match(struct loader *l)
{
	size_t count[SECTION_KINDS] = {0};

	l->sections = xcalloc(l->scan.n + 1, sizeof *l->sections);
	for (size_t i = 0; i < l->scan.n; i++)
		match_section(l, &l->scan.v[i]);
	find_repeated(l);
	for (size_t i = 0; i < l->nsections; i++)
		if (l->sections[i].kind != SECTION_NONE)
			count[l->sections[i].kind]++;
	for (int k = 0; k < SECTION_KINDS; k++)
		l->of[k].v = xcalloc(count[k] + 1, sizeof *l->of[k].v);
	for (size_t i = 0; i < l->nsections; i++)
		if (l->sections[i].kind != SECTION_NONE) {
			struct sections *of = &l->of[l->sections[i].kind];
			of->v[of->n++] = &l->sections[i];
		}
}
