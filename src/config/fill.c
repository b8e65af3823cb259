/* One section's rows into the structs, by the table: each type has one function for one value or list item. */
#include "config/load.h"

#include "base/alloc.h"
#include "base/text.h"
#include "config/values.h"
#include "mail/address.h"
#include "mail/idna.h"

#include <pwd.h>
#include <stdlib.h>
#include <string.h>

enum { QUOTED_MAX = 100 };

struct filling {
	struct loader *l;
	const struct schema_row *row;
	struct place at;
	bool given; /* written in the file, not a default */
};

/* true: taken. false: not such a value; *why may say more than "must be ...". */
typedef bool taker(const struct filling *f, struct slice text, void *to, struct err *why);

static void put_string(void *to, char *owned)
{
	char **s = to;

	free(*s);
	*s = owned;
}

static bool take_text(const struct filling *f, struct slice text, void *to, struct err *why)
{
	(void)f, (void)why;
	put_string(to, slice_dup(text));
	return true;
}

static bool take_optional(const struct filling *f, struct slice text, void *to, struct err *why)
{
	(void)f, (void)why;
	put_string(to, text.n != 0 ? slice_dup(text) : NULL);
	return true;
}

static bool take_path(const struct filling *f, struct slice text, void *to, struct err *why)
{
	(void)why;
	if (text.n == 0 || text.p[0] == '/')
		put_string(to, slice_dup(text));
	else
		put_string(to, xasprintf("%s/%.*s", f->l->c->home, (int)text.n, text.p));
	return true;
}

static bool take_checked(struct slice text, void *to, bool ok)
{
	if (text.n > 0 && !ok)
		return false;
	put_string(to, slice_dup(text));
	return true;
}

static bool take_host(const struct filling *f, struct slice text, void *to, struct err *why)
{
	(void)f;
	if (text.n > 2 && text.p[0] == '[' && text.p[text.n - 1] == ']')
		text = slice_sub(text, 1, text.n - 2);
	if (text.n > 0 && !value_host(text) && (slice_find(text, ':') < text.n || slice_find(text, '/') < text.n))
		err_set(why, 0, "only the name stands here, without scheme and port; the port has a key of its own");
	return take_checked(text, to, value_host(text));
}

/* Names in other alphabets are kept in ASCII, as servers write them. */
static bool take_domain(const struct filling *f, struct slice text, void *to, struct err *why)
{
	char *ascii = idna_to_ascii(text);
	bool ok;

	(void)f, (void)why;
	if (ascii != NULL)
		text = slice_of(ascii);
	ok = take_checked(text, to, value_domain(text));
	free(ascii);
	return ok;
}

static bool take_address(const struct filling *f, struct slice text, void *to, struct err *why)
{
	char *ascii = address_to_ascii(text);
	bool ok = take_checked(slice_of(ascii), to, value_address(slice_of(ascii)));

	(void)f, (void)why;
	free(ascii);
	return ok;
}

static bool take_user_name(const struct filling *f, struct slice text, void *to, struct err *why)
{
	(void)f, (void)why;
	if (!take_checked(text, to, value_user_name(text)))
		return false;
	ascii_lower_in_place(*(char **)to);
	return true;
}

static bool take_proxy(const struct filling *f, struct slice text, void *to, struct err *why)
{
	(void)f, (void)why;
	return take_checked(text, to, value_proxy(text));
}

static bool take_system_user(const struct filling *f, struct slice text, void *to, struct err *why)
{
	char *name = slice_dup(text);
	// cppcheck-suppress getpwnamCalled ; the thread that loads alone asks
	bool known = text.n == 0 || getpwnam(name) != NULL;

	(void)f;
	put_string(to, name);
	if (!known)
		err_set(why, 0, "there is no such user on this machine; make one: adduser --system NAME");
	return known;
}

static bool take_switch(const struct filling *f, struct slice text, void *to, struct err *why)
{
	(void)f, (void)why;
	return value_switch(text, to);
}

static const struct schema_choice *choose(const struct filling *f, struct slice text)
{
	for (const struct schema_choice *c = f->row->choices; c->name != NULL; c++)
		if (slice_is_nocase(text, c->name))
			return c;
	return NULL;
}

static bool take_either(const struct filling *f, struct slice text, void *to, struct err *why)
{
	const struct schema_choice *c = choose(f, text);

	(void)why;
	if (c != NULL)
		*(bool *)to = c->value != 0;
	return c != NULL;
}

static bool take_choice(const struct filling *f, struct slice text, void *to, struct err *why)
{
	const struct schema_choice *c = choose(f, text);

	(void)why;
	if (c != NULL)
		memcpy(to, &c->value, sizeof c->value); /* enums are as wide as int */
	return c != NULL;
}

static bool take_duration(const struct filling *f, struct slice text, void *to, struct err *why)
{
	int64_t seconds = 0;

	(void)why;
	if (text.n > 0 && !value_duration(text, &seconds))
		return false;
	if (text.n > 0 && (seconds < f->row->min || seconds > f->row->max))
		return false;
	*(int64_t *)to = seconds;
	return true;
}

static bool take_keep(const struct filling *f, struct slice text, void *to, struct err *why)
{
	if (!slice_is_nocase(text, "forever"))
		return text.n > 0 && take_duration(f, text, to, why);
	*(int64_t *)to = CONFIG_FOREVER;
	return true;
}

static bool take_daily(const struct filling *f, struct slice text, void *to, struct err *why)
{
	struct config_daily *d = to;

	(void)f, (void)why;
	d->on = !slice_is_nocase(text, "no");
	return !d->on || value_time(text, &d->at);
}

static bool take_first(const struct filling *f, struct slice text, void *to, struct err *why)
{
	struct config_account *a = to;

	a->first = FIRST_AGE;
	a->first_age = 0;
	if (slice_is_nocase(text, "all"))
		a->first = FIRST_ALL;
	else if (slice_is_nocase(text, "new"))
		a->first = FIRST_NEW;
	else
		return text.n > 0 && take_duration(f, text, &a->first_age, why);
	return true;
}

static bool take_number(const struct filling *f, struct slice text, uint64_t *n)
{
	return value_number(text, (uint64_t)f->row->max, n) && *n >= (uint64_t)f->row->min;
}

static bool take_port(const struct filling *f, struct slice text, void *to, struct err *why)
{
	uint64_t n;

	(void)why;
	if (!value_number(text, 65535, &n) || n < (uint64_t)f->row->min)
		return false;
	*(uint16_t *)to = (uint16_t)n;
	return true;
}

static bool take_count(const struct filling *f, struct slice text, void *to, struct err *why)
{
	uint64_t n;

	(void)why;
	if (!take_number(f, text, &n))
		return false;
	*(unsigned *)to = (unsigned)n;
	return true;
}

static bool take_size(const struct filling *f, struct slice text, void *to, struct err *why)
{
	(void)why;
	return take_number(f, text, to);
}

static bool item_name(const struct filling *f, struct slice text, void *to, struct err *why)
{
	(void)f, (void)why;
	strlist_add_slice(to, text);
	return true;
}

static bool item_ip(const struct filling *f, struct slice text, void *to, struct err *why)
{
	struct ip_addr a;

	if (text.n > 2 && text.p[0] == '[' && text.p[text.n - 1] == ']')
		text = slice_sub(text, 1, text.n - 2);
	return ip_addr_parse(text, &a, why) == 0 && item_name(f, text, to, why);
}

static bool item_field(const struct filling *f, struct slice text, void *to, struct err *why)
{
	return value_field_name(text) && item_name(f, text, to, why);
}

static bool item_sender(const struct filling *f, struct slice text, void *to, struct err *why)
{
	char *ascii = address_to_ascii(text);
	struct slice s = slice_of(ascii);
	bool ok = s.n > 2 && s.p[0] == '*' && s.p[1] == '@' ? value_domain(slice_sub(s, 2, s.n)) : value_address(s);

	ok = ok && item_name(f, s, to, why);
	free(ascii);
	return ok;
}

static bool item_range(const struct filling *f, struct slice text, void *to, struct err *why)
{
	struct range_list *list = to;
	struct ip_range r;

	(void)f;
	if (ip_range_parse(text, &r, why) != 0)
		return false;
	if ((list->n & (list->n - 1)) == 0)
		list->v = xreallocarray(list->v, list->n != 0 ? list->n * 2 : 1, sizeof *list->v);
	list->v[list->n++] = r;
	return true;
}

static bool item_time(const struct filling *f, struct slice text, void *to, struct err *why)
{
	struct time_list *list = to;
	struct config_time_of_day t;
	size_t i;

	(void)f, (void)why;
	if (!value_time(text, &t))
		return false;
	if (list->n >= 1440)
		return true; /* every minute is named already */
	for (i = 0; i < list->n; i++)
		if (list->v[i].hour == t.hour && list->v[i].minute == t.minute)
			return true;
	list->v = xreallocarray(list->v, list->n + 1, sizeof *list->v);
	for (; i > 0 && (list->v[i - 1].hour * 60 + list->v[i - 1].minute) > t.hour * 60 + t.minute; i--)
		list->v[i] = list->v[i - 1];
	list->v[i] = t;
	list->n++;
	return true;
}

static bool item_user(const struct filling *f, struct slice text, void *to, struct err *why)
{
	(void)why;
	users_add_named(f->l, to, text, f->at);
	return true;
}

/* A local user by name or at our domain, or an address outside. */
static bool item_forward(const struct filling *f, struct slice text, void *to, struct err *why)
{
	struct config_user *u = to;
	char *ascii = address_to_ascii(text);
	struct slice s = slice_of(ascii);
	size_t at = slice_find(s, '@');
	bool ok = true;

	if (at == s.n || slice_is_nocase(slice_sub(s, at + 1, s.n), f->l->c->domain))
		ok = item_user(f, slice_sub(s, 0, at), &u->forward_local, why);
	else if (value_address(s))
		strlist_add_slice(&u->forward_external, s);
	else
		ok = false;
	free(ascii);
	return ok;
}

static bool item_account(const struct filling *f, struct slice text, void *to, struct err *why)
{
	const struct sections *all = &f->l->of[SECTION_ACCOUNT];

	for (size_t i = 0; i < all->n; i++)
		if (text_eq_nocase(slice_of(all->v[i]->label), text))
			return item_name(f, slice_of(all->v[i]->label), to, why);
	err_set(why, 0, "there is no such account; add [account %.*s] or correct the name", (int)text.n, text.p);
	return false;
}

static taker *const takers[VALUE_TYPES] = {
    [VALUE_TEXT] = take_text,       [VALUE_OPTIONAL] = take_optional,
    [VALUE_PATH] = take_path,       [VALUE_HOST] = take_host,
    [VALUE_DOMAIN] = take_domain,   [VALUE_ADDRESS] = take_address,
    [VALUE_DAILY] = take_daily,     [VALUE_USER_NAME] = take_user_name,
    [VALUE_PROXY] = take_proxy,     [VALUE_SYSTEM_USER] = take_system_user,
    [VALUE_SWITCH] = take_switch,   [VALUE_EITHER] = take_either,
    [VALUE_CHOICE] = take_choice,   [VALUE_DURATION] = take_duration,
    [VALUE_KEEP] = take_keep,       [VALUE_FIRST] = take_first,
    [VALUE_PORT] = take_port,       [VALUE_COUNT] = take_count,
    [VALUE_SIZE] = take_size,       [VALUE_NAMES] = item_name,
    [VALUE_ADDRESSES] = item_ip,    [VALUE_FIELDS] = item_field,
    [VALUE_SENDERS] = item_sender,  [VALUE_RANGES] = item_range,
    [VALUE_TIMES] = item_time,      [VALUE_USERS] = item_user,
    [VALUE_FORWARD] = item_forward, [VALUE_ACCOUNTS] = item_account,
};

/* What stands before the @ of a proxy's URL may be a password. */
static struct slice quotable(const struct filling *f, struct slice text)
{
	if (f->row->type == VALUE_PROXY)
		while (slice_find(text, '@') < text.n)
			text = slice_sub(text, slice_find(text, '@') + 1, text.n);
	return slice_sub(text, 0, QUOTED_MAX);
}

static void refuse(const struct filling *f, struct slice value, const struct err *why)
{
	struct slice text = quotable(f, value);
	char words[256];

	if (f->l->quiet)
		return;
	if (why->text[0] != '\0') {
		findings_fault(f->l->found, f->at, "%.*s: %s", (int)text.n, text.p, why->text);
		return;
	}
	schema_describe(f->row, words, sizeof words);
	if (text.n == 0)
		findings_fault(f->l->found, f->at, "the value is empty; write %s, or remove the line (default: %s)",
		               words, f->row->fallback);
	else
		findings_fault(f->l->found, f->at, "\"%.*s\" is wrong; write %s", (int)text.n, text.p, words);
}

static void take(const struct filling *f, struct slice text, void *to)
{
	struct err why = {0, ""};

	if (!takers[f->row->type](f, text, to, &why))
		refuse(f, text, &why);
}

static void take_list(const struct filling *f, struct slice text, void *to)
{
	if (slice_trim(text).n == 0)
		return;
	for (size_t at = 0; at <= text.n;) {
		struct slice rest = slice_sub(text, at, text.n);
		size_t comma = slice_find(rest, ',');
		struct slice item = slice_trim(slice_sub(rest, 0, comma));
		if (item.n > 0)
			take(f, item, to);
		else if (!f->l->quiet)
			findings_fault(f->l->found, f->at, "the list has an empty item; remove the comma");
		at += comma + 1;
	}
}

/* Spaces within quotes are part of passwords and other texts; nowhere else do they mean anything. */
static void take_value(const struct filling *f, const char *value, void *to)
{
	struct slice text = slice_of(value);
	bool may_be_empty = !f->given || f->row->fallback[0] == '\0' || (f->row->flags & ROW_EMPTY) != 0;

	if (f->row->type != VALUE_TEXT && f->row->type != VALUE_OPTIONAL)
		text = slice_trim(text);
	if (text.n == 0 && !may_be_empty)
		refuse(f, text, &(struct err){0, ""});
	else if (schema_is_list(f->row->type))
		take_list(f, text, to);
	else
		take(f, text, to);
}

static bool written(const struct section *s, const struct schema_row *row)
{
	for (size_t i = 0; s != NULL && i < s->n; i++)
		if (s->v[i].row == row)
			return true;
	return false;
}

/* Whether s has a log-in of its own, so that it inherits no part of another's. */
static bool own_login(const struct section *s)
{
	for (size_t i = 0; s != NULL && i < s->n; i++)
		if ((s->v[i].row->flags & ROW_LOGIN) != 0 && strcmp(s->v[i].row->key, "user") != 0)
			return true;
	return false;
}

static const struct section *source(const struct section *s, const struct section *inherit,
                                    const struct schema_row *row)
{
	bool login = (row->flags & ROW_LOGIN) != 0;

	if (written(s, row))
		return s;
	if (login && strcmp(row->key, "user") == 0 && section_entry(s, "account") != NULL)
		return NULL;
	if (login && strcmp(row->key, "user") != 0 && own_login(s))
		return NULL;
	if (strcmp(row->key, "account") == 0 && section_entry(s, "user") != NULL)
		return NULL;
	return written(inherit, row) ? inherit : NULL;
}

static void fill_row(struct loader *l, const struct section *from, const struct schema_row *row, void *to)
{
	struct filling f = {.l = l, .row = row, .at = {0, "", row->key}};

	/* The default comes first, so that a faulty value leaves something sound behind for the checks to come. */
	if (from == NULL || !schema_is_list(row->type))
		take_value(&f, row->fallback, to);
	f.given = true;
	for (size_t i = 0; from != NULL && i < from->n; i++) {
		const struct entry *e = &from->v[i];
		if (e->row != row || e->scan->bad)
			continue;
		f.at = (struct place){e->scan->line, from->scan->name, e->scan->key};
		take_value(&f, e->scan->value, to);
	}
}

static void require(struct loader *l, const struct section *s, const struct schema_row *row)
{
	for (size_t i = 0; i < s->n; i++)
		if (s->v[i].row == row && (s->v[i].scan->bad || s->v[i].scan->value[0] != '\0'))
			return;
	findings_fault(l->found, section_place(s, row->key), "%s and has no default; write %s = %s",
	               written(s, row) ? "the value is empty" : "the key is missing", row->key,
	               row->sample != NULL ? row->sample : "...");
}

static void finish_row(struct loader *l, const struct section *s, const struct schema_row *row, void *to)
{
	if (row->type == VALUE_USERS)
		users_settle(to);
	else if (row->type == VALUE_FORWARD)
		users_settle(&((struct config_user *)to)->forward_local);
	if ((row->flags & ROW_REQUIRED) != 0 && s != NULL)
		require(l, s, row);
}

void fill_section(struct loader *l, const struct section *s, enum section_kind kind, const struct section *inherit,
                  void *base, void *extra)
{
	size_t n;
	const struct schema_row *rows = schema_rows(kind, &n);

	for (size_t i = 0; i < n; i++) {
		char *to = (char *)((rows[i].flags & ROW_EXTRA) != 0 ? extra : base) + rows[i].offset;
		const struct section *from = source(s, inherit, &rows[i]);
		l->quiet = from != s;
		fill_row(l, from, &rows[i], to);
		l->quiet = false;
		finish_row(l, s, &rows[i], to);
	}
}
