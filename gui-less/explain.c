#include "explain.h"

#include "base/alloc.h"
#include "client.h"
#include "local.h"
#include "message_file.h"
#include "sort/addressees.h"
#include "sort/sorter.h"
#include "table.h"

#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct explanation {
	const char *file;
	const struct config *c;
	const struct config_account *account; /* NULL = none said */
	struct header header;
	struct sorter_verdict verdict;
};

/* Whether text, a decoded Received line, has "(account LABEL, uidl " with backslashes before what comments quote. */
static bool names_account(const char *text, const char *label)
{
	const char *p = strstr(text, " with POP3 (account ");

	if (p == NULL)
		return false;
	for (p += strlen(" with POP3 (account "); *label != '\0'; p++, label++) {
		p += *p == '\\';
		if (*p != *label)
			return false;
	}
	return strncmp(p, ", uidl ", 7) == 0;
}

/* The account that a stored message says it came by, or NULL. */
static const struct config_account *stamped_account(const struct config *c, const struct header_field *f)
{
	const struct config_account *found = NULL;
	struct buf text;

	if (!slice_is_nocase(f->name, "Received"))
		return NULL;
	buf_init(&text, 8192);
	header_decode(&text, f->value);
	for (size_t i = 0; i < c->naccounts && found == NULL; i++)
		if (names_account(buf_str(&text), c->accounts[i].label))
			found = &c->accounts[i];
	buf_free(&text);
	return found;
}

/* What the gateway wrote in front of a message that it has stored is not what the provider sent. */
static struct slice without_stamp(struct explanation *x, struct slice bytes)
{
	struct header h;
	size_t start = 0, i = 0;

	header_scan(&h, bytes);
	if (h.n > 0 && slice_is_nocase(h.v[0].name, "Return-Path"))
		i = 1;
	const struct config_account *a = h.n > i ? stamped_account(x->c, &h.v[i]) : NULL;
	if (a != NULL) {
		start = h.v[i++].end;
		if (i < h.n && slice_is_nocase(h.v[i].name, "X-Ofmsrv-Unsorted"))
			start = h.v[i].end;
		if (x->account == NULL)
			x->account = a;
	}
	header_free(&h);
	return slice_sub(bytes, start, bytes.n);
}

static const char *why_word(enum sorter_why why)
{
	static const char *const words[] = {
	    [SORTED_BY_RULE] = "rule",       [SORTED_BY_ACCOUNT] = "account",  [SORTED_BY_ENVELOPE] = "envelope",
	    [SORTED_BY_ADDRESS] = "address", [SORTED_UNMATCHED] = "unmatched", [SORTED_TO_POSTMASTER] = "postmaster"};

	return words[why];
}

static const char *why_sentence(enum sorter_why why)
{
	static const char *const sentences[] = {[SORTED_BY_RULE] = "rules match",
	                                        [SORTED_BY_ACCOUNT] = "no rule places it; the account has `deliver`",
	                                        [SORTED_BY_ENVELOPE] =
	                                            "no rule places it; the provider's envelope header names them",
	                                        [SORTED_BY_ADDRESS] = "no rule places it; it is addressed to them",
	                                        [SORTED_UNMATCHED] = "nothing places it; [sorter] unmatched",
	                                        [SORTED_TO_POSTMASTER] = "nothing places it"};

	return sentences[why];
}

/* "anna, boris"; the caller frees. */
static char *join_users(const struct config_users *users)
{
	struct buf b;

	buf_init(&b, SIZE_MAX / 2);
	for (size_t i = 0; i < users->n; i++)
		buf_printf(&b, "%s%s", i > 0 ? ", " : "", users->v[i]->name);
	return buf_steal(&b);
}

static void match_row(struct table *t, const struct sorter_match *m)
{
	char *users = m->rule != NULL ? join_users(&m->rule->deliver) : xstrdup(m->user->name);
	char *line = m->rule != NULL ? xasprintf("%u", m->rule->line) : xstrdup("");
	bool no_instance = m->rule != NULL && m->rule->invert;

	table_cell(t, m->rule != NULL ? m->rule->label : "(address)");
	table_cell(t, line);
	table_cell(t, no_instance ? "-" : m->field);
	table_cell(t, users);
	table_cell(t, m->rule == NULL ? ""
	              : m->rule->copy ? m->rule->stop ? "copy, stop" : "copy"
	              : m->rule->stop ? "stop"
	                              : "");
	table_cell(t, no_instance ? "(not: no instance of the field matches)" : m->text);
	free(users);
	free(line);
}

static void count_user(void *arg, const struct config_user *u, const struct header_field *f, const struct address *a)
{
	(void)u, (void)f, (void)a;
	++*(size_t *)arg;
}

/* The fewest Received lines to look past until a field of that list names a user; 0 where none does. */
static unsigned hops_wanted(const struct explanation *x, struct strlist envelope)
{
	struct config_account a = *x->account;
	size_t received = header_count(&x->header, "Received");

	a.envelope = envelope;
	for (a.envelope_hops++; a.envelope_hops <= received; a.envelope_hops++) {
		size_t found = 0;
		addressees_by_envelope(x->c, &a, &x->header, count_user, &found);
		if (found > 0)
			return a.envelope_hops;
	}
	return 0;
}

/* Where nothing placed it, the settings with which the provider's own headers would. */
static char *advice(const struct explanation *x)
{
	char received[] = "Received", *list[] = {received};
	enum sorter_why why = x->verdict.why;

	if (x->account == NULL || !x->c->by_alias || (why != SORTED_UNMATCHED && why != SORTED_TO_POSTMASTER))
		return NULL;
	unsigned hops = hops_wanted(x, x->account->envelope);
	if (hops > 0)
		return xasprintf("[account %s] envelope_hops = %u would find a user in an envelope header below the "
		                 "provider's own Received lines",
		                 x->account->label, hops);
	hops = hops_wanted(x, (struct strlist){list, 1});
	if (hops == 0)
		return NULL;
	return xasprintf(
	    "[account %s] envelope = Received with envelope_hops = %u would find a user in `for <address>` "
	    "of a Received line",
	    x->account->label, hops);
}

static void print_people(const struct explanation *x, bool tty)
{
	const struct sorter_verdict *v = &x->verdict;
	char *users = join_users(&v->users);

	if (x->account != NULL)
		printf("Account:  %s\n", x->account->label);
	else
		puts("Account:  none said (--account NAME): rules for accounts and envelope headers are passed over");
	printf("Reaches:  %s\n", users);
	printf("Because:  %s\n", why_sentence(v->why));
	for (size_t i = 0; i < v->nrunaway; i++)
		printf("Runaway:  rule %s, line %u: its pattern takes too long on this message, so it counts as "
		       "unmatched\n",
		       v->runaway[i]->label, v->runaway[i]->line);
	char *hint = advice(x);
	if (hint != NULL)
		printf("Advice:   %s; the lines above that one must all be the provider's\n", hint);
	free(hint);
	if (v->nmatches > 0) {
		struct table *t = table_new("MATCHED >LINE FIELD USERS KIND TEXT");
		putchar('\n');
		for (size_t i = 0; i < v->nmatches; i++)
			match_row(t, &v->matches[i]);
		table_print(&t, tty);
	}
	free(users);
}

static json_t *json_users(const struct config_users *users)
{
	json_t *list = json_array();

	for (size_t i = 0; i < users->n; i++)
		json_array_append_new(list, json_string(users->v[i]->name));
	return list;
}

/* JSON wants UTF-8, and an address may be of any bytes. */
static json_t *json_text(const char *s)
{
	struct buf b;

	buf_init(&b, 8192);
	header_decode(&b, slice_of(s));
	json_t *text = json_string(buf_str(&b));
	buf_free(&b);
	return text;
}

static json_t *json_match(const struct sorter_match *m)
{
	const struct config_rule *r = m->rule;

	if (r == NULL)
		return json_pack("{s:s, s:s, s:o}", "user", m->user->name, "field", m->field, "address",
		                 json_text(m->text));
	return json_pack("{s:s, s:i, s:s, s:o, s:o, s:b, s:b, s:b}", "rule", r->label, "line", (int)r->line, "field",
	                 m->field, "text", json_text(m->text), "deliver", json_users(&r->deliver), "copy", r->copy,
	                 "stop", r->stop, "not", r->invert);
}

static void print_json(const struct explanation *x)
{
	const struct sorter_verdict *v = &x->verdict;
	json_t *rules = json_array(), *addresses = json_array(), *runaway = json_array();

	for (size_t i = 0; i < v->nmatches; i++)
		json_array_append_new(v->matches[i].rule != NULL ? rules : addresses, json_match(&v->matches[i]));
	for (size_t i = 0; i < v->nrunaway; i++)
		json_array_append_new(runaway, json_string(v->runaway[i]->label));
	char *hint = advice(x);
	json_t *all =
	    json_pack("{s:o, s:s?, s:o, s:s, s:o, s:o, s:o, s:s?}", "file", json_text(x->file), "account",
	              x->account != NULL ? x->account->label : NULL, "users", json_users(&v->users), "why",
	              why_word(v->why), "rules", rules, "addresses", addresses, "runaway", runaway, "advice", hint);
	free(hint);
	client_dump_json(all, JSON_INDENT(1));
	json_decref(all);
}

static void explain(const struct ctl_options *o, struct explanation *x, struct slice bytes)
{
	struct sorter *s = sorter_new(x->c);
	struct sorter_scratch *sc = sorter_scratch_new(s);

	header_scan(&x->header, without_stamp(x, bytes));
	sorter_sort(s, sc, &x->header, x->account, true, &x->verdict);
	if (o->json)
		print_json(x);
	else
		print_people(x, o->out_is_tty);
	sorter_verdict_free(&x->verdict);
	header_free(&x->header);
	sorter_scratch_free(&sc);
	sorter_free(&s);
}

static int run(const struct ctl_options *o, const char *file, const char *account)
{
	struct explanation x = {.file = file};
	struct config *c = local_config(o);
	struct buf bytes;
	int rc = 1;

	if (c == NULL)
		return 1;
	x.c = c;
	x.account = account != NULL ? config_account_by_label(c, slice_of(account)) : NULL;
	if (account != NULL && x.account == NULL) {
		ctl_error("there is no [account %s] in %s (ofmctl account lists them)", account, o->file);
	} else if (message_file_head(file, &bytes)) {
		explain(o, &x, buf_slice(&bytes));
		buf_free(&bytes);
		rc = 0;
	}
	config_unref(&c);
	return rc;
}

int ctl_explain(const struct ctl_options *o, int argc, char **argv)
{
	const char *file = NULL, *account = NULL;

	for (int i = 1; i < argc; i++) {
		if (strcmp(argv[i], "--account") == 0) {
			if (++i == argc)
				return ctl_usage(argv[0], "--account wants a name");
			account = argv[i];
		} else if (strncmp(argv[i], "--account=", 10) == 0) {
			account = argv[i] + 10;
		} else if (argv[i][0] == '-' && argv[i][1] != '\0') {
			return ctl_usage(argv[0], "there is no option %s", argv[i]);
		} else if (file != NULL) {
			return ctl_usage(argv[0], "one message at a time");
		} else {
			file = argv[i];
		}
	}
	if (file == NULL)
		return ctl_usage(argv[0], "which message? name its file, or - for the standard input");
	return run(o, file, account);
}
