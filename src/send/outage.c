/* What postmaster hears of a relay that takes no mail: once an outage, and once when it is over. */
#include "base/alloc.h"
#include "route/report.h"
#include "send/sender_internal.h"
#include "store/ledger.h"

#include <stdlib.h>

struct words {
	const char *login, *down, *works; /* subjects, before the host's name */
	const char *cannot[2];            /* around host and port */
	const char *waits[2];             /* around a number */
	const char *leaves;
};

static const struct words english = {
    .login = "No log-in at relay ",
    .down = "Mail cannot leave through ",
    .works = "Mail leaves again through ",
    .cannot = {"The gateway cannot send mail to the outside through ", ":"},
    .waits = {"Nothing is lost: ", " message(s) wait in the queue, and the relay is tried again by itself.\n"
                                   "You will be told when it works again, and not before.\n"},
    .leaves = "The relay works again; what had waited is being sent.\n",
};

static const struct words russian = {
    .login = "Нет входа на сервер ",
    .down = "Почта не уходит через ",
    .works = "Почта снова уходит через ",
    .cannot = {"Шлюз не может отправить почту наружу через ", ":"},
    .waits = {"Ничего не потеряно: в очереди писем: ", ". Попытки продолжаются сами.\n"
                                                       "Следующее сообщение придёт, когда сервер снова заработает.\n"},
    .leaves = "Сервер снова работает; всё, что ждало, отправляется.\n",
};

static const struct words *words_of(const struct lane *l)
{
	return l->s->config->russian ? &russian : &english;
}

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
	const struct words *w = words_of(l);

	if (r == NULL)
		return;
	bool login = loss->trouble == MEND_LOGIN || loss->trouble == MEND_WANTS_LOGIN;
	char *key = once_key(l), *subject = xasprintf("%s%s", login ? w->login : w->down, r->login.host);
	char *body =
	    xasprintf("%s%s:%u%s\n\n  %s\n\n%s\n%s%zu%s", w->cannot[0], r->login.host, (unsigned)r->login.port,
	              w->cannot[1], loss->text, mend_text(loss->trouble, r->login.host, r->login.port, c->russian),
	              w->waits[0], l->s->n, w->waits[1]);

	l->told = true;
	report_postmaster(l->s->d.delivery, c, key, subject, body);
	free(body);
	free(subject);
	free(key);
}

void outage_over(struct lane *l)
{
	const struct config_relay *r = lane_relay(l);
	const struct words *w = words_of(l);
	char *key = once_key(l), *subject = xasprintf("%s%s", w->works, r != NULL ? r->login.host : l->label);

	l->told = false;
	report_forget(l->s->d.database, key);
	report_postmaster(l->s->d.delivery, l->s->config, NULL, subject, w->leaves);
	free(subject);
	free(key);
}
