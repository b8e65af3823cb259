/* The sorter against one without filter, cache or shared work: the first bytes choose rules, the rest is a message. The
 * same users are found, by the same step; a scratch carries nothing over; asking for reasons changes nothing. */
#include "base/text.h"
#include "mail/address.h"
#include "sort/addressees.h"
#include "sort/literals.h"
#include "sort/pattern.h"
#include "sort/sorter.h"

#include "checks.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static const char common[] =
    "[server]\nhostname = gw.office.lan\nmailboxes = /tmp\noutqueue = /var\n"
    "[user anna]\npassword = a\nalias = anna@firm.example\n"
    "[user boris]\npassword = b\nalias = boris@firm.example\n"
    "[user clara]\npassword = c\nalias = sales@firm.example\n"
    "[user dora]\npassword = d\nalias = sales@firm.example\n"
    "[group pair]\nmembers = clara, dora\n"
    "[account info]\nhost = pop.firm.example\nuser = info@firm.example\npassword = x\nkeep = 0\n"
    "[account box]\nhost = pop.firm.example\nuser = box\npassword = x\nkeep = 0\n"
    "envelope_prefix = box-\nenvelope_hops = 1\n"
    "[account given]\nhost = pop.other.example\nuser = u\npassword = x\nkeep = 0\n"
    "deliver = dora\n";

/* A text of the alphabet that means most to the sorter. */
static void add_text(struct buf *ini, struct slice *in)
{
	static const char *const letters[] = {
	    "a", "b", "c", "K", "s", "e", "\xd1\x81", "\xd0\xa7",     "\xd1\x91", "\xd0\x81", "\xd1\x82", "\xd1\x84",
	    " ", ".", "1", "@", "=", "?", "\xc3\x9f", "\xe2\x84\xaa", "\xc5\xbf", "(",        "*",        "$"};
	size_t n = 1 + take(in) % 9;

	buf_add_str(ini, "\"");
	for (size_t i = 0; i < n; i++)
		buf_add_str(ini, letters[take(in) % (sizeof letters / sizeof *letters)]);
	buf_add_str(ini, "\"\n");
}

static void add_rule(struct buf *ini, struct slice *in, unsigned number)
{
	static const char *const fields[] = {"Subject",           "*",    "To", "Subject, To",
	                                     "X-A, X-B, Subject", "From", "to", "X-A"};
	static const char *const users[] = {"anna", "boris, anna", "pair", "*", "postmaster", "clara"};
	static const char *const patterns[] = {
	    "^a+$",     "(a+)+$",   "^.*s",  "\xd1\x81\xd1\x87[\xd0\xb5\xd1\x91]\xd1\x82",
	    "[a-c]{2}", "^(a|b)*$", "a|k|e", "\xd0\xa4(.)+"};
	static const char *const accounts[] = {"info", "box", "given, info"};
	unsigned char how = take(in), flags = take(in);

	buf_printf(ini, "[rule r%u]\nfield = %s\ndeliver = %s\n", number, fields[how % 8], users[how / 8 % 6]);
	if (flags & 1)
		buf_printf(ini, "account = %s\n", accounts[how / 64 % 3]);
	buf_printf(ini, "not = %s\ncopy = %s\nstop = %s\n", flags & 2 ? "yes" : "no", flags & 4 ? "yes" : "no",
	           flags & 8 ? "yes" : "no");
	if ((flags & 0x30) == 0x30) {
		buf_printf(ini, "matches = \"%s\"\n", patterns[take(in) % (sizeof patterns / sizeof *patterns)]);
	} else {
		buf_printf(ini, "%s = ", (flags & 0x30) == 0x20 ? "matches" : "contains");
		add_text(ini, in);
	}
}

/* NULL where the rules that came out are none. */
static struct config *make_config(struct slice *in)
{
	static const struct config_hooks hooks = {.pattern_error = sorter_pattern_error};
	unsigned char how = take(in);
	struct config_findings found;
	struct buf ini;

	buf_init(&ini, 1 << 16);
	buf_add_str(&ini, common);
	for (unsigned i = 0; i < how % 8U; i++)
		add_rule(&ini, in, i);
	buf_printf(&ini, "[sorter]\nby_alias = %s\nunmatched = %s\n", how & 8 ? "no" : "yes", how & 16 ? "boris" : "");
	struct config *c = config_load_text(buf_slice(&ini), "ini", "/tmp", &hooks, &found);
	config_findings_free(&found);
	buf_free(&ini);
	return c;
}

struct naive {
	const struct config *c;
	const struct header *h;
	const struct config_account *account;
	struct pattern_matcher *matcher;
	bool has[8]; /* by user */
	size_t placed, runaway;
};

/* Whether one of the texts without which the pattern matches nothing is there; true where none is known. */
static bool may_match(struct naive *n, const struct config_rule *r, struct slice text)
{
	struct strlist texts = {NULL, 0};
	bool may = r->matches == NULL || !literals_of(r->matches, &texts);
	size_t at;

	for (size_t i = 0; i < texts.n && !may; i++) {
		struct pattern *p = pattern_compile(texts.v[i], PATTERN_TEXT, NULL);
		may = pattern_match(p, n->matcher, text, &at) == PATTERN_YES;
		pattern_free(&p);
	}
	strlist_free(&texts);
	return may;
}

static enum pattern_result match_field(struct naive *n, const struct config_rule *r, const struct pattern *p,
                                       const struct header_field *f)
{
	struct buf text;
	size_t at;

	buf_init(&text, SIZE_MAX / 2);
	header_decode_as(&text, f->value, header_charset(n->h));
	pattern_matcher_begin(n->matcher, false);
	enum pattern_result result = pattern_match(p, n->matcher, buf_slice(&text), &at);
	need(result != PATTERN_YES || at <= text.n);
	if (!may_match(n, r, buf_slice(&text))) {
		need(result != PATTERN_YES);
		result = PATTERN_NO;
	}
	buf_free(&text);
	return result;
}

static bool naive_holds(struct naive *n, const struct config_rule *r)
{
	struct pattern *p = pattern_compile(r->contains != NULL ? r->contains : r->matches,
	                                    r->contains != NULL ? PATTERN_TEXT : PATTERN_REGEX, NULL);
	bool yes = false, ran_away = false;

	need(p != NULL);
	for (size_t k = 0; k < r->fields.n && !yes; k++)
		for (size_t i = 0; i < n->h->n && !yes; i++) {
			if (strcmp(r->fields.v[k], "*") != 0 && !slice_is_nocase(n->h->v[i].name, r->fields.v[k]))
				continue;
			enum pattern_result one = match_field(n, r, p, &n->h->v[i]);
			yes = one == PATTERN_YES;
			ran_away = ran_away || one == PATTERN_RUNAWAY;
		}
	pattern_free(&p);
	n->runaway += !yes && ran_away;
	return r->invert ? !yes && !ran_away : yes;
}

static size_t naive_add(struct naive *n, const struct config_user *u)
{
	for (size_t i = 0; i < n->c->nusers; i++)
		if (n->c->users[i] == u && !u->is_daemon)
			n->has[i] = true;
	return !u->is_daemon;
}

static size_t naive_add_all(struct naive *n, const struct config_users *users)
{
	size_t added = 0;

	for (size_t i = 0; i < users->n; i++)
		added += naive_add(n, users->v[i]);
	return added;
}

static void naive_rules(struct naive *n)
{
	for (size_t i = 0; i < n->c->nrules; i++) {
		const struct config_rule *r = &n->c->rules[i];
		bool concerns = r->accounts.n == 0;
		for (size_t k = 0; n->account != NULL && k < r->accounts.n; k++)
			concerns = concerns || strcmp(r->accounts.v[k], n->account->label) == 0;
		if (!concerns || !naive_holds(n, r))
			continue;
		size_t added = naive_add_all(n, &r->deliver);
		n->placed += r->copy ? 0 : added;
		if (r->stop)
			return;
	}
}

static void naive_found(void *arg, const struct config_user *u, const struct header_field *f, const struct address *a)
{
	struct naive *n = arg;

	need(u != NULL && f != NULL && a->local != NULL);
	n->placed += naive_add(n, u);
}

/* To, Cc and theirs; without an account, whose envelope fields would come first. Whoever stands there plainly is among
 * those who are found. */
static void naive_addresses(struct naive *n)
{
	static const char *const names[] = {"To", "Cc", "Resent-To", "Resent-Cc"};

	addressees_by_address(n->c, n->h, naive_found, n);
	for (size_t i = 0; i < 4 * n->h->n; i++) {
		const struct header_field *f = &n->h->v[i / 4];
		struct mailbox_list l;
		if (!slice_is_nocase(f->name, names[i % 4]))
			continue;
		mailbox_list_parse(f->value, &l);
		for (size_t k = 0; k < l.n; k++) {
			char *whole = address_format(&l.v[k].address);
			const struct config_user *u = config_user_by_alias(n->c, slice_of(whole));
			if (u == NULL && slice_is_nocase(slice_of(l.v[k].address.domain), n->c->domain))
				u = config_user_by_name(n->c, slice_of(l.v[k].address.local));
			for (size_t x = 0; u != NULL && !u->is_daemon && x < n->c->nusers; x++)
				need(n->c->users[x] != u || n->has[x]);
			free(whole);
		}
		mailbox_list_free(&l);
	}
}

static enum sorter_why naive_place(struct naive *n)
{
	naive_rules(n);
	if (n->placed > 0)
		return SORTED_BY_RULE;
	if (n->account != NULL && naive_add_all(n, &n->account->deliver) > 0)
		return SORTED_BY_ACCOUNT;
	if (n->c->by_alias)
		naive_addresses(n);
	if (n->placed > 0)
		return SORTED_BY_ADDRESS;
	if (naive_add_all(n, &n->c->unmatched) > 0)
		return SORTED_UNMATCHED;
	naive_add(n, n->c->postmaster);
	return SORTED_TO_POSTMASTER;
}

/* Whether a field above the sender's could be the provider's envelope; the naive way knows no more of that. */
static bool has_envelope(const struct config_account *a, const struct header *h)
{
	for (size_t k = 0; a != NULL && k < a->envelope.n; k++)
		if (header_find(h, a->envelope.v[k], 0) != NULL)
			return true;
	return false;
}

static void check_sound(const struct config *c, const struct sorter_verdict *v)
{
	need(v->users.n > 0 && v->users.n < c->nusers);
	for (size_t i = 0; i < v->users.n; i++) {
		need(!v->users.v[i]->is_daemon);
		for (size_t k = 0; k < i; k++)
			need(v->users.v[k] != v->users.v[i]);
	}
	for (size_t i = 0; i < v->nmatches; i++) {
		struct slice text = slice_of(v->matches[i].text);
		need((v->matches[i].rule == NULL) == (v->matches[i].user != NULL));
		need(v->matches[i].rule == NULL || (text.n <= 200 && utf8_valid(text)));
		need(v->matches[i].rule == NULL || !v->matches[i].rule->invert || text.n == 0);
	}
}

static bool same_verdict(const struct sorter_verdict *a, const struct sorter_verdict *b)
{
	return a->why == b->why && a->users.n == b->users.n && a->nrunaway == b->nrunaway &&
	       memcmp(a->users.v, b->users.v, a->users.n * sizeof *a->users.v) == 0;
}

static void check_naive(struct naive *n, const struct sorter_verdict *v)
{
	enum sorter_why why = naive_place(n);

	need(v->nrunaway > 0 || n->runaway == 0);
	if (v->nrunaway >
	    0) /* what a message may cost is for all its fields together; the naive way knows no such limit */
		return;
	if (has_envelope(n->account, n->h) && why > SORTED_BY_ACCOUNT) {
		need(v->why > SORTED_BY_ACCOUNT);
		return;
	}
	need(v->why == why);
	for (size_t i = 0; i < n->c->nusers; i++) {
		bool has = false;
		for (size_t k = 0; k < v->users.n; k++)
			has = has || v->users.v[k] == n->c->users[i];
		need(has == n->has[i]);
	}
}

static void check_sorted(const struct config *c, const struct header *h, const struct config_account *account,
                         const struct sorter *s, struct sorter_scratch *used)
{
	struct naive n = {.c = c, .h = h, .account = account, .matcher = pattern_matcher_new()};
	struct sorter_scratch *fresh = sorter_scratch_new(s);
	struct sorter_verdict plain, explained, anew, quick;

	need(c->nusers <= sizeof n.has);
	sorter_sort(s, used, h, account, false, &plain);
	sorter_sort(s, used, h, account, true, &explained);
	sorter_sort(s, fresh, h, account, false, &anew);
	if (sorter_sort_quick(s, used, h, account, &quick)) {
		need(same_verdict(&plain, &quick));
		sorter_verdict_free(&quick);
	}
	need(plain.nmatches == 0 && same_verdict(&plain, &explained) && same_verdict(&plain, &anew));
	check_sound(c, &explained);
	check_naive(&n, &plain);
	sorter_verdict_free(&plain);
	sorter_verdict_free(&explained);
	sorter_verdict_free(&anew);
	sorter_scratch_free(&fresh);
	pattern_matcher_free(&n.matcher);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct slice in = slice_make((const char *)data, size);
	struct config *c;
	struct header h;

	if (size > 16 * 1024 || (c = make_config(&in)) == NULL)
		return 0;
	struct sorter *s = sorter_new(c);
	struct sorter_scratch *used = sorter_scratch_new(s);
	header_scan(&h, in);
	double began = cpu_seconds();
	for (size_t i = 0; i <= c->naccounts; i++)
		check_sorted(c, &h, i < c->naccounts ? &c->accounts[i] : NULL, s, used);
	need(cpu_seconds() - began < 5.0);
	header_free(&h);
	sorter_scratch_free(&used);
	sorter_free(&s);
	config_unref(&c);
	return 0;
}
