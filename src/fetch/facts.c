#include "fetch/facts.h"

#include "base/alloc.h"

#include <stdlib.h>

void facts_init(struct facts *f, const struct config_account *a)
{
	*f = (struct facts){.host = xstrdup(a->mailbox_host), .user = xstrdup(a->login.user)};
}

struct ledger_key facts_key(const struct facts *f)
{
	return (struct ledger_key){f->host, f->user};
}

char *facts_name(const struct facts *f, enum fact_name n)
{
	static const char *const names[] = {
	    [FACT_VISITED] = "visited", [FACT_HOLD] = "hold", [FACT_RESUME] = "resume", [FACT_TOLD] = "told"};

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

int facts_load(struct db_conn *c, void *arg, struct err *e)
{
	struct facts *f = arg;
	struct ledger_key key = facts_key(f);

	if (ledger_load(c, &key, &f->records, e) != 0 || get_flag(c, f, FACT_VISITED, &f->visited, e) != 0 ||
	    get_flag(c, f, FACT_HOLD, &f->hold, e) != 0 || get_flag(c, f, FACT_TOLD, &f->told, e) != 0)
		return -1;
	return get(c, f, FACT_RESUME, &f->resume, e);
}

void facts_free(struct facts *f)
{
	free(f->host);
	free(f->user);
	free(f->resume);
	ledger_records_free(&f->records);
	*f = (struct facts){0};
}
