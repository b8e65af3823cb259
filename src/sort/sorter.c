#include "sort/sorter.h"

#include "base/alloc.h"
#include "base/text.h"
#include "sort/addressees.h"
#include "sort/filter.h"
#include "sort/literals.h"
#include "sort/pattern.h"
#include "sort/texts.h"

#include <stdlib.h>
#include <string.h>

struct compiled_rule {
	const struct config_rule *rule;
	struct pattern *pattern; /* NULL where it does not compile: never matches */
	bool any_field;
	bool filtered; /* the filter knows texts without which it does not match */
	uint32_t *fields;
};

struct sorter {
	struct config *config;
	struct compiled_rule *rules;
	size_t nrules;
	struct field_names names;
	struct filter *filter; /* NULL where no rule is filtered */
	uint64_t *always;      /* bits of the rules that are looked at whatever the filter says */
	size_t words;          /* of such a set of bits */
};

struct sorter_scratch {
	struct pattern_matcher *matcher;
	struct filter_scratch *filter;
	struct texts texts;
	uint64_t *wanted; /* bits of the rules to look at for this message */
};

/* One message on its way through the steps. */
struct sorting {
	const struct sorter *s;
	struct sorter_scratch *sc;
	const struct config_account *account;
	bool explain;
	struct sorter_verdict *out;
	size_t placed; /* users who are no copy */
};

enum { QUICK_BYTES = 256 * 1024 }; /* of a header section that is sorted on the loop's thread */

char *sorter_pattern_error(const char *pattern)
{
	char *error = NULL;
	struct pattern *p = pattern_compile(pattern, PATTERN_REGEX, &error);

	pattern_free(&p);
	return error;
}

static bool is_any(const struct config_rule *r)
{
	return r->fields.n == 1 && strcmp(r->fields.v[0], "*") == 0;
}

static void compile_rule(struct sorter *s, struct compiled_rule *to, const struct config_rule *r)
{
	*to = (struct compiled_rule){.rule = r, .any_field = is_any(r)};
	to->pattern = r->contains != NULL ? pattern_compile(r->contains, PATTERN_TEXT, NULL)
	                                  : pattern_compile(r->matches, PATTERN_REGEX, NULL);
	to->fields = xcalloc(r->fields.n + 1, sizeof *to->fields);
	for (size_t i = 0; i < r->fields.n; i++)
		to->fields[i] = to->any_field ? TEXTS_NONE : field_names_id(&s->names, slice_of(r->fields.v[i]));
}

static void collect_names(struct sorter *s)
{
	struct strlist names = {NULL, 0};
	bool any = false;

	for (size_t i = 0; i < s->nrules; i++) {
		const struct config_rule *r = &s->config->rules[i];
		any = any || is_any(r);
		for (size_t k = 0; k < r->fields.n && !is_any(r); k++)
			if (!strlist_has_nocase(&names, r->fields.v[k]))
				strlist_add(&names, r->fields.v[k]);
	}
	field_names_init(&s->names, &names, any);
}

/* What the rule cannot match without; nothing where that is not known. */
static void rule_texts(const struct config_rule *r, struct strlist *out)
{
	if (r->contains == NULL)
		literals_of(r->matches, out);
	else if (r->contains[0] != '\0')
		strlist_add(out, r->contains);
}

static void make_filter(struct sorter *s)
{
	struct strlist texts = {NULL, 0};
	struct filter_wanted *wanted = NULL;
	size_t n = 0;

	s->words = (s->nrules + 63) / 64;
	s->always = xcalloc(s->words + 1, sizeof *s->always);
	for (uint32_t i = 0; i < s->nrules; i++) {
		struct compiled_rule *r = &s->rules[i];
		rule_texts(r->rule, &texts);
		r->filtered = texts.n > n;
		wanted = xreallocarray(wanted, texts.n + 1, sizeof *wanted);
		for (; n < texts.n; n++)
			wanted[n] = (struct filter_wanted){texts.v[n], i};
		if (!r->filtered || r->rule->invert)
			s->always[i / 64] |= (uint64_t)1 << i % 64;
	}
	if (n > 0)
		s->filter = filter_new(wanted, n);
	strlist_free(&texts);
	free(wanted);
}

struct sorter *sorter_new(const struct config *c)
{
	struct sorter *s = xcalloc(1, sizeof *s);

	s->config = config_ref(c);
	s->nrules = c->nrules;
	collect_names(s);
	s->rules = xcalloc(c->nrules + 1, sizeof *s->rules);
	for (size_t i = 0; i < c->nrules; i++)
		compile_rule(s, &s->rules[i], &c->rules[i]);
	make_filter(s);
	return s;
}

void sorter_free(struct sorter **s)
{
	if (*s == NULL)
		return;
	for (size_t i = 0; i < (*s)->nrules; i++) {
		pattern_free(&(*s)->rules[i].pattern);
		free((*s)->rules[i].fields);
	}
	free((*s)->rules);
	free((*s)->always);
	filter_free(&(*s)->filter);
	field_names_free(&(*s)->names);
	config_unref(&(*s)->config);
	free(*s);
	*s = NULL;
}

struct sorter_scratch *sorter_scratch_new(const struct sorter *s)
{
	struct sorter_scratch *sc = xcalloc(1, sizeof *sc);

	sc->matcher = pattern_matcher_new();
	sc->filter = s->filter != NULL ? filter_scratch_new(s->filter) : NULL;
	texts_init(&sc->texts, &s->names, s->nrules);
	sc->wanted = xcalloc(s->words + 1, sizeof *sc->wanted);
	return sc;
}

void sorter_scratch_free(struct sorter_scratch **sc)
{
	if (*sc == NULL)
		return;
	pattern_matcher_free(&(*sc)->matcher);
	filter_scratch_free(&(*sc)->filter);
	texts_free(&(*sc)->texts);
	free((*sc)->wanted);
	free(*sc);
	*sc = NULL;
}

/* Each once; never the daemon. Returns whether u is among the users now. */
static bool add_user(struct config_users *to, const struct config_user *u)
{
	if (u->is_daemon)
		return false;
	for (size_t i = 0; i < to->n; i++)
		if (to->v[i] == u)
			return true;
	if ((to->n & (to->n - 1)) == 0)
		to->v = xreallocarray(to->v, to->n != 0 ? to->n * 2 : 1, sizeof *to->v);
	to->v[to->n++] = u;
	return true;
}

static size_t add_users(struct config_users *to, const struct config_users *users)
{
	size_t n = 0;

	for (size_t i = 0; i < users->n; i++)
		n += add_user(to, users->v[i]);
	return n;
}

static void note_match(struct sorter_verdict *out, struct sorter_match m)
{
	out->matches = xreallocarray(out->matches, out->nmatches + 1, sizeof *out->matches);
	out->matches[out->nmatches++] = m;
}

/* At most 200 bytes of text around `at`, cut between characters. */
static char *excerpt(struct slice text, size_t at)
{
	enum { BEFORE = 60, MOST = 200 };
	size_t from = at > BEFORE ? at - BEFORE : 0;

	while (from > 0 && ((unsigned char)text.p[from] & 0xc0) == 0x80)
		from--;
	struct slice part = slice_sub(text, from, MOST);
	if (from + part.n < text.n)
		while (part.n > 0 && ((unsigned char)text.p[from + part.n] & 0xc0) == 0x80)
			part.n--;
	return slice_dup(part);
}

static enum pattern_result match_text(struct sorting *m, size_t rule, uint32_t i)
{
	const struct compiled_rule *r = &m->s->rules[rule];
	struct texts *t = &m->sc->texts;
	struct slice text = texts_get(t, i, m->s->filter, m->sc->filter);
	size_t at;

	if (r->filtered && !texts_candidate(t, i, rule))
		return PATTERN_NO;
	enum pattern_result result = pattern_match(r->pattern, m->sc->matcher, text, &at);
	if (result == PATTERN_YES && m->explain && !r->rule->invert)
		note_match(m->out,
		           (struct sorter_match){r->rule, NULL, slice_dup(t->v[i].field->name), excerpt(text, at)});
	return result;
}

static void worse(enum pattern_result *all, enum pattern_result one)
{
	if (*all == PATTERN_NO)
		*all = one;
}

/* PATTERN_RUNAWAY or PATTERN_SKIPPED where that befell it on one field and it matched none. */
static enum pattern_result match_fields(struct sorting *m, size_t rule)
{
	const struct compiled_rule *r = &m->s->rules[rule];
	const struct texts *t = &m->sc->texts;
	enum pattern_result all = PATTERN_NO, one;

	if (r->pattern == NULL)
		return PATTERN_RUNAWAY;
	for (size_t k = 0; k < r->rule->fields.n; k++) {
		uint32_t i = r->any_field ? (t->n > 0 ? 0 : TEXTS_NONE) : t->first[r->fields[k]];
		while (i != TEXTS_NONE) {
			one = match_text(m, rule, i);
			if (one == PATTERN_YES)
				return one;
			worse(&all, one);
			i = !r->any_field ? t->v[i].next : i + 1 < t->n ? i + 1 : TEXTS_NONE;
		}
	}
	return all;
}

static bool concerns(const struct config_rule *r, const struct config_account *account)
{
	return r->accounts.n == 0 || (account != NULL && text_listed_nocase(&r->accounts, account->label));
}

static void add_rule(const struct config_rule ***v, size_t *n, const struct config_rule *r)
{
	*v = xreallocarray(*v, *n + 1, sizeof **v);
	(*v)[(*n)++] = r;
}

static bool rule_holds(struct sorting *m, size_t i)
{
	const struct compiled_rule *r = &m->s->rules[i];
	enum pattern_result result = match_fields(m, i);
	bool first_skipped = result == PATTERN_SKIPPED && m->out->nrunaway == 0;

	if ((result == PATTERN_RUNAWAY || first_skipped) && r->pattern != NULL)
		add_rule(&m->out->runaway, &m->out->nrunaway, r->rule);
	if (!r->rule->invert)
		return result == PATTERN_YES;
	if (result == PATTERN_NO && m->explain)
		note_match(m->out, (struct sorter_match){r->rule, NULL, xstrdup(""), xstrdup("")});
	return result == PATTERN_NO;
}

/* The rules that may hold: thousands that do not then cost nothing. */
static void find_wanted(struct sorting *m)
{
	struct sorter_scratch *sc = m->sc;

	memcpy(sc->wanted, m->s->always, m->s->words * sizeof *sc->wanted);
	for (uint32_t i = 0; m->s->filter != NULL && i < sc->texts.n; i++) {
		texts_get(&sc->texts, i, m->s->filter, sc->filter);
		texts_candidates(&sc->texts, i, sc->wanted);
	}
}

/* Whether later rules are tried. */
static bool apply_rule(struct sorting *m, size_t i)
{
	const struct config_rule *r = m->s->rules[i].rule;

	if (!concerns(r, m->account) || !rule_holds(m, i))
		return true;
	add_rule(&m->out->rules, &m->out->nrules, r);
	size_t n = add_users(&m->out->users, &r->deliver);
	m->placed += r->copy ? 0 : n;
	return !r->stop;
}

static void apply_rules(struct sorting *m)
{
	find_wanted(m);
	for (size_t word = 0; word < m->s->words; word++)
		for (uint64_t left = m->sc->wanted[word]; left != 0; left &= left - 1)
			if (!apply_rule(m, word * 64 + (size_t)__builtin_ctzll(left)))
				return;
}

static void found_addressee(void *arg, const struct config_user *u, const struct header_field *field,
                            const struct address *a)
{
	struct sorting *m = arg;

	m->placed += add_user(&m->out->users, u);
	if (m->explain)
		note_match(m->out, (struct sorter_match){NULL, u, slice_dup(field->name), address_format(a)});
}

static enum sorter_why apply_addresses(struct sorting *m, const struct header *h)
{
	const struct config *c = m->s->config;

	if (m->account != NULL && addressees_by_envelope(c, m->account, h, found_addressee, m))
		return SORTED_BY_ENVELOPE;
	addressees_by_address(c, h, found_addressee, m);
	return SORTED_BY_ADDRESS;
}

/* The steps of the manual's chapter on sorting, each only while nobody was found. */
static enum sorter_why place(struct sorting *m, const struct header *h)
{
	const struct config *c = m->s->config;
	struct config_users *users = &m->out->users;
	enum sorter_why why;

	apply_rules(m);
	if (m->placed > 0)
		return SORTED_BY_RULE;
	if (m->account != NULL && add_users(users, &m->account->deliver) > 0)
		return SORTED_BY_ACCOUNT;
	if (c->by_alias) {
		why = apply_addresses(m, h);
		if (m->placed > 0)
			return why;
	}
	if (add_users(users, &c->unmatched) > 0)
		return SORTED_UNMATCHED;
	add_user(users, c->postmaster);
	return SORTED_TO_POSTMASTER;
}

static void sort(struct sorting *m, const struct header *h, bool quick)
{
	*m->out = (struct sorter_verdict){.why = SORTED_TO_POSTMASTER};
	texts_begin(&m->sc->texts, &m->s->names, h);
	pattern_matcher_begin(m->sc->matcher, quick);
	m->out->why = place(m, h);
}

void sorter_sort(const struct sorter *s, struct sorter_scratch *sc, const struct header *h,
                 const struct config_account *account, bool explain, struct sorter_verdict *out)
{
	struct sorting m = {s, sc, account, explain, out, 0};

	sort(&m, h, false);
}

bool sorter_sort_quick(const struct sorter *s, struct sorter_scratch *sc, const struct header *h,
                       const struct config_account *account, struct sorter_verdict *out)
{
	struct sorting m = {s, sc, account, false, out, 0};

	*out = (struct sorter_verdict){.why = SORTED_TO_POSTMASTER};
	if (h->bytes.n > QUICK_BYTES)
		return false;
	sort(&m, h, true);
	if (!pattern_matcher_spent(sc->matcher))
		return true;
	sorter_verdict_free(out);
	return false;
}

void sorter_verdict_free(struct sorter_verdict *v)
{
	for (size_t i = 0; i < v->nmatches; i++) {
		free(v->matches[i].field);
		free(v->matches[i].text);
	}
	free(v->matches);
	free(v->users.v);
	free(v->rules);
	free(v->runaway);
	*v = (struct sorter_verdict){0};
}
