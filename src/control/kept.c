/* Ids that the sender of a message was told ("250 … kept as ID") made into those of the outqueue: the journal knows. */
#include "base/alloc.h"
#include "control/control_internal.h"
#include "journal/query.h"

#include <stdlib.h>
#include <string.h>

enum { ID_SHORTEST = 22 };

struct asking {
	char *id;
	struct strlist found;
	void (*done)(void *arg, const struct strlist *ids, const struct err *e);
	void *arg;
};

bool control_kept_is_id(const char *text)
{
	size_t n = strlen(text);

	return n >= ID_SHORTEST && strspn(text, "0123456789abcdef.") == n && strchr(text, '.') != NULL;
}

static int look(struct db_conn *c, void *arg, struct err *e)
{
	struct asking *a = arg;

	return journal_queued_by(c, a->id, &a->found, e);
}

static void on_looked(void *arg, int rc, const struct err *e)
{
	struct asking *a = arg;

	a->done(a->arg, &a->found, rc == 0 ? NULL : e);
	strlist_free(&a->found);
	free(a->id);
	free(a);
}

void control_kept_find(struct control *c, const char *id,
                       void (*done)(void *arg, const struct strlist *ids, const struct err *e), void *arg)
{
	struct asking *a = xcalloc(1, sizeof *a);

	a->id = xstrdup(id);
	a->done = done;
	a->arg = arg;
	journal_ask(c->deps.journal, look, on_looked, a);
}
