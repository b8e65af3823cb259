#include "journal/summary.h"

#include "base/alloc.h"
#include "disk/conn.h"

#include <stdlib.h>
#include <string.h>
#include <time.h>

_Static_assert(JOURNAL_DEFERRED == 5, "the statement below says 5");

static void add(struct journal_count *to, uint64_t bytes)
{
	to->n++;
	to->bytes += bytes;
}

static struct journal_person *person(struct journal_summary *s, struct slice name)
{
	for (size_t i = 0; i < s->npeople; i++)
		if (slice_is(name, s->people[i].name))
			return &s->people[i];
	s->people = xreallocarray(s->people, s->npeople + 1, sizeof *s->people);
	s->people[s->npeople] = (struct journal_person){.name = slice_dup(name)};
	return &s->people[s->npeople++];
}

static struct journal_source *source(struct journal_summary *s, const char *name)
{
	for (size_t i = 0; i < s->nsources; i++)
		if (strcmp(name, s->sources[i].name) == 0)
			return &s->sources[i];
	s->sources = xreallocarray(s->sources, s->nsources + 1, sizeof *s->sources);
	s->sources[s->nsources] = (struct journal_source){.name = xstrdup(name)};
	return &s->sources[s->nsources++];
}

static unsigned hour_of(int64_t ms)
{
	time_t t = (time_t)(ms / 1000);
	struct tm tm;

	return localtime_r(&t, &tm) != NULL ? (unsigned)tm.tm_hour : 0;
}

static void take_boxes(struct journal_summary *s, const char *lines, uint64_t size)
{
	struct slice rest = slice_of(lines != NULL ? lines : "");

	while (rest.n > 0) {
		struct slice name = slice_sub(rest, 0, slice_find(rest, '\n'));
		add(&person(s, name)->received, size);
		add(&s->delivered, size);
		rest = slice_sub(rest, name.n + 1, rest.n);
	}
}

static void take_message(struct journal_summary *s, sqlite3_stmt *st)
{
	enum journal_kind kind = (enum journal_kind)sqlite3_column_int(st, 1);
	uint64_t size = (uint64_t)sqlite3_column_int64(st, 2);
	const char *user = (const char *)sqlite3_column_text(st, 3),
	           *account = (const char *)sqlite3_column_text(st, 4);

	if ((unsigned)kind >= JOURNAL_SENT)
		return;
	add(&s->of[kind], size);
	if (kind == JOURNAL_ACCEPTED && user != NULL)
		add(&person(s, slice_of(user))->wrote, size);
	if (kind == JOURNAL_COLLECTED && account != NULL)
		add(&source(s, account)->collected, size);
	if (kind == JOURNAL_ACCEPTED || kind == JOURNAL_COLLECTED)
		s->came[hour_of(sqlite3_column_int64(st, 0))]++;
	take_boxes(s, (const char *)sqlite3_column_text(st, 5), size);
	take_boxes(s, (const char *)sqlite3_column_text(st, 6), size);
}

static void take_event(struct journal_summary *s, sqlite3_stmt *st)
{
	enum journal_kind kind = (enum journal_kind)sqlite3_column_int(st, 1);
	uint64_t size = (uint64_t)sqlite3_column_int64(st, 2);
	const char *user = (const char *)sqlite3_column_text(st, 3);

	if ((unsigned)kind < JOURNAL_SENT || (unsigned)kind >= JOURNAL_KINDS || kind == JOURNAL_DEFERRED)
		return;
	add(&s->of[kind], size);
	if (kind != JOURNAL_SENT)
		return;
	s->left[hour_of(sqlite3_column_int64(st, 0))]++;
	if (user != NULL)
		add(&person(s, slice_of(user))->sent, size);
}

/* Each recipient once, however often it was put off. */
static void take_deferred(struct journal_summary *s, sqlite3_stmt *st)
{
	s->of[JOURNAL_DEFERRED].n = (uint64_t)sqlite3_column_int64(st, 0);
	s->of[JOURNAL_DEFERRED].bytes = (uint64_t)sqlite3_column_int64(st, 1);
}

static int each_row(struct db_conn *c, const char *sql, struct journal_summary *s,
                    void (*take)(struct journal_summary *s, sqlite3_stmt *st), struct err *e)
{
	sqlite3_stmt *st = db_stmt(c, sql, e);
	int rc;

	if (st == NULL)
		return -1;
	sqlite3_bind_int64(st, 1, s->from * 1000);
	sqlite3_bind_int64(st, 2, s->to * 1000);
	while ((rc = sqlite3_step(st)) == SQLITE_ROW)
		take(s, st);
	if (rc != SQLITE_DONE)
		conn_error(c, "the journal", e);
	sqlite3_reset(st);
	return rc == SQLITE_DONE ? 0 : -1;
}

static int by_person(const void *a, const void *b)
{
	return strcmp(((const struct journal_person *)a)->name, ((const struct journal_person *)b)->name);
}

static int by_source(const void *a, const void *b)
{
	return strcmp(((const struct journal_source *)a)->name, ((const struct journal_source *)b)->name);
}

int journal_summarize(struct db_conn *c, struct journal_summary *s, struct err *e)
{
	if (each_row(c, "SELECT at, kind, size, user, account, boxes, copies FROM message WHERE at >= ? AND at < ?", s,
	             take_message, e) != 0 ||
	    each_row(c,
	             "SELECT v.at, v.kind, v.size, m.user FROM event AS v LEFT JOIN queued AS q ON q.id = v.id "
	             "LEFT JOIN message AS m ON m.n = q.n WHERE v.at >= ? AND v.at < ?",
	             s, take_event, e) != 0 ||
	    each_row(c,
	             "SELECT count(*), ifnull(sum(size), 0) FROM (SELECT DISTINCT id, recipient, size FROM event "
	             "WHERE at >= ? AND at < ? AND kind = 5)",
	             s, take_deferred, e) != 0)
		return -1;
	if (s->npeople > 1)
		qsort(s->people, s->npeople, sizeof *s->people, by_person);
	if (s->nsources > 1)
		qsort(s->sources, s->nsources, sizeof *s->sources, by_source);
	return 0;
}

void journal_summary_free(struct journal_summary *s)
{
	for (size_t i = 0; i < s->npeople; i++)
		free(s->people[i].name);
	for (size_t i = 0; i < s->nsources; i++)
		free(s->sources[i].name);
	free(s->people);
	free(s->sources);
	*s = (struct journal_summary){0};
}
