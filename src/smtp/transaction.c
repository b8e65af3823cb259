#include "smtp/transaction.h"

#include "base/alloc.h"
#include "base/clock.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

static const char *mail_refusal(const struct config *c, const struct config_user *login)
{
	if (c->smtp_auth == AUTH_OFFER_REQUIRED && login == NULL)
		return "530 5.7.0 log in first";
	return NULL;
}

static uint64_t size_limit(const struct config *c)
{
	uint64_t kib = c->smtp_max_message_kib;

	return kib == 0 || kib > UINT64_MAX / 1024 ? UINT64_MAX : kib * 1024;
}

struct transaction *transaction_new(const struct config *c, const struct smtp_client *client, const struct smtp_mail *m,
                                    const char **refusal)
{
	const struct config_user *login = NULL;

	if (client->login[0] != '\0')
		login = config_user_by_name(c, slice_of(client->login)); /* NULL where a reload removed them */
	if (login != NULL && login->is_daemon)
		login = NULL; /* a reload gave them another task */
	*refusal = mail_refusal(c, login);
	if (*refusal != NULL)
		return NULL;
	struct transaction *t = xcalloc(1, sizeof *t);
	t->config = config_ref(c);
	random_name(t->id);
	t->from = (struct address){xstrdup(m->from.local), xstrdup(m->from.domain)};
	t->login = login;
	t->has_size = m->has_size;
	t->utf8 = m->utf8;
	t->too_large = m->has_size && m->size > size_limit(c);
	return t;
}

void transaction_free(struct transaction **t)
{
	struct transaction *x = *t;

	if (x == NULL)
		return;
	for (size_t i = 0; i < x->nrecipients; i++)
		free(x->recipients[i].address);
	free(x->recipients);
	address_free(&x->from);
	gather_free(&x->gather);
	config_unref(&x->config);
	free(x);
	*t = NULL;
}

/* ---- recipients ---- */

/* Whether the envelope sender may send outside at all: it needs an address that exists there. */
static const char *sender_refusal(const struct transaction *t)
{
	char *sender = route_outgoing_sender(t->config, &t->from);
	const char *refusal = NULL;

	if (sender == NULL)
		refusal = "550 5.7.1 this sender has no address outside: no alias, and no [relay] sender";
	else if (config_relay_for(t->config, slice_of(sender)) == NULL)
		refusal = "550 5.7.1 nothing can go outside: no [relay] host is configured";
	free(sender);
	return refusal;
}

static const char *external_refusal(const struct transaction *t, const struct smtp_client *client)
{
	if (client->global && t->login == NULL)
		return t->config->smtp_auth == AUTH_OFFER_OFF ? "550 5.7.1 no relaying for distant clients"
		                                              : "530 5.7.0 log in first to send outside";
	const char *refusal = sender_refusal(t);
	if (refusal == NULL && t->too_large)
		refusal = "552 5.3.4 larger than what may go outside";
	return refusal;
}

static const struct config_user *local_sender(const struct transaction *t)
{
	return t->login != NULL ? t->login : route_sender(t->config, &t->from);
}

static const char *route_refusal(const struct transaction *t, const struct smtp_client *client, struct route r)
{
	switch (r.kind) {
	case ROUTE_UNKNOWN:
		return "550 5.1.1 no such user here";
	case ROUTE_NO_DOT:
		return "550 5.1.2 no such domain: it has no dot";
	case ROUTE_DAEMON:
		return local_sender(t) != NULL ? NULL : "550 5.7.1 only local users may call the daemon";
	case ROUTE_EXTERNAL:
		return external_refusal(t, client);
	case ROUTE_LOCAL:
		break;
	}
	return NULL;
}

static void add_recipient(struct transaction *t, const struct address *to, struct route r)
{
	if (t->nrecipients == t->cap) {
		t->cap = t->cap != 0 ? t->cap * 2 : 2;
		t->recipients = xreallocarray(t->recipients, t->cap, sizeof *t->recipients);
	}
	t->recipients[t->nrecipients++] = (struct submission_recipient){address_format(to), r.kind, r.user};
	t->external += r.kind == ROUTE_EXTERNAL;
	if (r.kind == ROUTE_DAEMON)
		t->daemon_caller = local_sender(t);
}

const char *transaction_rcpt(struct transaction *t, const struct smtp_client *client, const struct address *to)
{
	char our_ip[46];

	if (t->nrecipients >= t->config->smtp_max_recipients)
		return "452 4.5.3 too many recipients";
	ip_addr_format(&client->our_ip, our_ip);
	struct route r = route_recipient(t->config, to, our_ip);
	const char *refusal = route_refusal(t, client, r);
	if (refusal == NULL)
		add_recipient(t, to, r);
	return refusal;
}

/* ---- content ---- */

void transaction_begin(struct transaction *t, struct delivery *d)
{
	t->gather = gather_new(d);
}

void transaction_content(struct transaction *t, struct slice run)
{
	t->size += run.n;
	if (t->size > size_limit(t->config))
		t->too_large = true;
	if (t->too_large && t->external > 0)
		return; /* it is read to its end and refused */
	gather_add(t->gather, run);
}

const char *transaction_caller(const struct transaction *t)
{
	if (t->daemon_caller == NULL)
		return NULL;
	bool answerable = t->from.local[0] != '\0' && !submission_is_automatic(gather_head(t->gather));
	return answerable ? t->daemon_caller->name : "";
}

const char *transaction_verdict(const struct transaction *t)
{
	if (t->too_large && t->external > 0)
		return "552 5.3.4 larger than what may go outside";
	if (gather_failed(t->gather))
		return gather_error(t->gather) == ENOSPC || gather_error(t->gather) == EDQUOT
		           ? "452 4.3.1 no room now, try later"
		           : "451 4.3.0 the disk of this server fails, try later";
	if (submission_loops(gather_head(t->gather)))
		return "554 5.4.6 it goes round in circles: too many Received fields";
	return NULL;
}

static const char *protocol(const struct transaction *t, const struct smtp_client *client)
{
	static const char *const names[2][2][2] = {{{"ESMTP", "ESMTPA"}, {"ESMTPS", "ESMTPSA"}},
	                                           {{"UTF8SMTP", "UTF8SMTPA"}, {"UTF8SMTPS", "UTF8SMTPSA"}}};

	if (!client->extended)
		return "SMTP";
	return names[t->utf8][client->secure][t->login != NULL];
}

char *transaction_received(const struct transaction *t, const struct smtp_client *client, int64_t wall_s)
{
	char ip[46], date[40];

	ip_addr_format(&client->ip, ip);
	clock_rfc5322(wall_s, date);
	return xasprintf("Received: from %s ([%s%s])\r\n\tby %s with %s id %s;\r\n\t%s\r\n", client->helo,
	                 strchr(ip, ':') != NULL ? "IPv6:" : "", ip, t->config->hostname, protocol(t, client), t->id,
	                 date);
}

bool transaction_plan(const struct transaction *t, const struct smtp_client *client, struct plan *p)
{
	char *received = transaction_received(t, client, clock_wall_s());
	struct submission s = {.config = t->config,
	                       .sender = &t->from,
	                       .login = t->login,
	                       .recipients = t->recipients,
	                       .nrecipients = t->nrecipients,
	                       .received = received,
	                       .head = gather_head(t->gather),
	                       .size = gather_size(t->gather),
	                       .eight_bit = gather_eight_bit(t->gather)};
	bool ok = submission_plan(&s, p);

	for (size_t i = 0; i < p->n; i++)
		p->v[i].entry.smtputf8 = t->utf8;
	free(received);
	return ok;
}
