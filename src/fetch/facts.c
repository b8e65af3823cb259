#include "fetch/facts.h"

#include "base/alloc.h"
#include "base/clock.h"

#include <stdlib.h>

void facts_init(struct facts *f, const struct config_account *a)
{
	*f = (struct facts){.host = xstrdup(a->mailbox_host), .user = xstrdup(a->login.user), .from = xstrdup("")};
}

struct ledger_key facts_key(const struct facts *f)
{
	return (struct ledger_key){f->host, f->user};
}

char *facts_name(const struct facts *f, enum fact_name n)
{
	static const char *const names[] = {
	    [FACT_VISITED] = "visited", [FACT_HOLD] = "hold",     [FACT_RESUME] = "resume", [FACT_TOLD] = "told",
	    [FACT_HARD] = "hard",       [FACT_COPIES] = "copies", [FACT_GONE] = "gone"};

	return xasprintf("fetch.%s.%s/%s", names[n], f->host, f->user);
}

static int get(struct db_conn *c, const struct facts *f, enum fact_name n, char **value, struct err *e)
{
	char *name = facts_name(f, n);
	int rc = fact_get(c, name, value, e);

	free(name);
	return rc;
}

static int get_flag(struct db_conn *c, const struct facts *f, enum fact_name n, bool *flag, struct err *e)
{
	char *value;
	int rc = get(c, f, n, &value, e);

	*flag = rc == 0 && value != NULL;
	free(value);
	return rc;
}

int facts_set(struct db_conn *c, const struct facts *f, enum fact_name n, const char *value, struct err *e)
{
	char *name = facts_name(f, n);
	int rc = fact_set(c, name, value, e);

	free(name);
	return rc;
}

int facts_load(struct db_conn *c, struct facts *f, struct err *e)
{
	struct ledger_key key = facts_key(f);

	if (ledger_any(c, &key, &f->any, e) != 0 || ledger_add_open(c, &key, &f->records, e) != 0 ||
	    ledger_add_aged(c, &key, clock_wall_s() - LEDGER_AGED_S, &f->from, &f->records, e) != 0)
		return -1;
	ledger_sort(&f->records);
	if (get_flag(c, f, FACT_VISITED, &f->visited, e) != 0 || get_flag(c, f, FACT_HOLD, &f->hold, e) != 0 ||
	    get_flag(c, f, FACT_TOLD, &f->told, e) != 0 || get_flag(c, f, FACT_COPIES, &f->copied, e) != 0)
		return -1;
	char *hard;
	if (get(c, f, FACT_HARD, &hard, e) != 0)
		return -1;
	hard_read(&f->hard, hard);
	free(hard);
	char *gone;
	if (get(c, f, FACT_GONE, &gone, e) != 0)
		return -1;
	gone_read(&f->gone, gone);
	free(gone);
	return get(c, f, FACT_RESUME, &f->resume, e);
}

/* Twins, and what has no UIDL, get names by their headers, which are not known yet. */
static bool named(const struct listing *l, bool has_uidl)
{
	bool all = has_uidl;

	for (size_t i = 0; i < l->n && all; i++)
		all = l->v[i].uidl != NULL && !l->v[i].twice;
	return all;
}

static bool unread(const struct ledger_records *r, const struct listed *l)
{
	return l->uidl == NULL || l->twice || ledger_find(r, slice_of(l->uidl)) == NULL;
}

bool facts_lack(const struct facts *f, const struct listing *l)
{
	bool lack = false;

	for (size_t i = 0; i < l->n && !lack; i++)
		lack = unread(&f->records, &l->v[i]);
	return f->any && lack;
}

static int match_each(struct db_conn *c, const struct ledger_key *key, const struct ledger_records *known,
                      const struct listing *l, struct ledger_records *more, bool *twins, struct err *e)
{
	for (size_t i = 0; i < l->n && !*twins; i++)
		if (unread(known, &l->v[i]) && ledger_add_closed(c, key, l->v[i].uidl, more, twins, e) != 0)
			return -1;
	return 0;
}

static void join(struct ledger_records *to, struct ledger_records *more)
{
	to->v = xreallocarray(to->v, to->n + more->n + 1, sizeof *to->v);
	for (size_t i = 0; i < more->n; i++)
		to->v[to->n++] = more->v[i];
	more->n = 0;
	to->cap = to->n + 1;
	ledger_sort(to);
}

static int by_number(const void *a, const void *b)
{
	const uint64_t *x = a, *y = b;

	return *x < *y ? -1 : *x > *y;
}

/* The sizes of what is listed and unknown, or deleted, sorted; the caller frees. */
static uint64_t *sizes_of_unknown(const struct facts *f, const struct listing *l, size_t *n)
{
	uint64_t *sizes = xcalloc(l->n + 1, sizeof *sizes);

	*n = 0;
	for (size_t i = 0; i < l->n; i++) {
		const struct ledger_record *rec =
		    l->v[i].uidl != NULL ? ledger_find(&f->records, slice_of(l->v[i].uidl)) : NULL;

		if (rec == NULL || rec->closed)
			sizes[(*n)++] = l->v[i].size;
	}
	qsort(sizes, *n, sizeof *sizes, by_number);
	return sizes;
}

/* Some have the sizes of what was deleted last: the closed records of such sizes are needed. */
static int match_returned(struct db_conn *c, struct facts *f, const struct listing *l, bool all, struct err *e)
{
	struct ledger_key key = facts_key(f);
	struct ledger_records more = {0};
	size_t n;
	uint64_t *sizes = sizes_of_unknown(f, l, &n);
	size_t found = gone_count(&f->gone, sizes, n);
	int rc = 0;

	f->returned = found > 0;
	f->many_returned = gone_is_much(&f->gone, found);
	if (f->returned && !all)
		rc = ledger_add_closed_sized(c, &key, sizes, n, &f->records, &more, e);
	if (rc == 0 && more.n > 0)
		join(&f->records, &more);
	ledger_records_free(&more);
	free(sizes);
	return rc;
}

int facts_match(struct db_conn *c, struct facts *f, const struct listing *l, bool has_uidl, struct err *e)
{
	struct ledger_key key = facts_key(f);
	struct ledger_records more = {0};
	bool twins = !named(l, has_uidl);
	int rc = twins ? 0 : match_each(c, &key, &f->records, l, &more, &twins, e);

	if (rc == 0 && twins) {
		ledger_records_free(&f->records);
		rc = ledger_load(c, &key, &f->records, e);
	} else if (rc == 0) {
		join(&f->records, &more);
	}
	ledger_records_free(&more);
	return rc == 0 ? match_returned(c, f, l, twins, e) : rc;
}

void facts_free(struct facts *f)
{
	free(f->host);
	free(f->user);
	free(f->resume);
	free(f->from);
	hard_free(&f->hard);
	gone_free(&f->gone);
	ledger_records_free(&f->records);
	*f = (struct facts){0};
}
