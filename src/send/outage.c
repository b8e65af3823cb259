/* What postmaster hears of a relay that takes no mail: once an outage, and once when it is over. */
#include "base/alloc.h"
#include "route/phrase.h"
#include "route/report.h"
#include "send/sender_internal.h"
#include "store/ledger.h"

#include <stdio.h>
#include <stdlib.h>

static char *once_key(const struct lane *l)
{
	return xasprintf("relay.%s.down", l->label);
}

int outage_load(struct sender *s, struct db_conn *c, struct err *e)
{
	for (size_t i = 0; i < s->config->nrelays; i++) {
		struct lane *l = lane_get(s, s->config->relays[i].label);
		char *key = once_key(l), *value = NULL;
		int rc = fact_get(c, key, &value, e);

		l->told = value != NULL;
		free(value);
		free(key);
		if (rc != 0)
			return -1;
	}
	return 0;
}

void outage_tell(struct lane *l, const struct lane_loss *loss)
{
	const struct config *c = l->s->config;
	const struct config_relay *r = lane_relay(l);
	char port[8], waiting[24];

	if (r == NULL)
		return;
	bool login = loss->trouble == MEND_LOGIN || loss->trouble == MEND_WANTS_LOGIN || loss->trouble == MEND_TOKEN;
	char *key = once_key(l), *why = phrase_in(loss->text, c->russian);
	snprintf(port, sizeof port, "%u", (unsigned)r->login.port);
	snprintf(waiting, sizeof waiting, "%zu", l->s->n);
	const struct letter_value values[] = {
	    {"host", r->login.host},
	    {"port", port},
	    {"why", why},
	    {"mend", mend_text(loss->trouble, r->login.host, r->login.port, c->russian)},
	    {"waiting", waiting},
	    {NULL, NULL}};

	l->told = true;
	report_postmaster(l->s->d.delivery, c, key, login ? LETTER_RELAY_LOGIN : LETTER_RELAY_DOWN, values);
	free(why);
	free(key);
}

void outage_over(struct lane *l)
{
	const struct config_relay *r = lane_relay(l);
	const struct letter_value values[] = {{"host", r != NULL ? r->login.host : l->label}, {NULL, NULL}};
	char *key = once_key(l);

	l->told = false;
	report_forget(l->s->d.database, key);
	report_postmaster(l->s->d.delivery, l->s->config, NULL, LETTER_RELAY_WORKS, values);
	free(key);
}
