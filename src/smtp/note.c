#include "smtp/note.h"

#include "base/alloc.h"
#include "route/noted.h"

#include <stdlib.h>

static void set_sender(struct journal_note *n, const struct address *from)
{
	char *sender = address_format(from);

	journal_note_set(n, JOURNAL_SENDER, sender);
	free(sender);
}

static struct journal_note *note(enum journal_kind kind, const struct transaction *t, const struct smtp_client *client)
{
	struct journal_note *n = journal_note_new(kind);
	const struct config_user *user = route_sender(t->config, &t->from);
	char ip[46];

	ip_addr_format(&client->ip, ip);
	journal_note_set(n, JOURNAL_ID, t->id);
	journal_note_set(n, JOURNAL_PEER, ip);
	journal_note_set(n, JOURNAL_USER, user != NULL ? user->name : t->login != NULL ? t->login->name : "");
	set_sender(n, &t->from);
	for (size_t i = 0; i < t->nrecipients; i++)
		strlist_add(&n->recipients, t->recipients[i].address);
	n->size = t->size;
	if (t->gather != NULL)
		noted_head(n, gather_head(t->gather));
	return n;
}

struct journal_note *smtp_note_accepted(const struct transaction *t, const struct smtp_client *client)
{
	return note(JOURNAL_ACCEPTED, t, client);
}

struct journal_note *smtp_note_refused(const struct transaction *t, const struct smtp_client *client, const char *reply)
{
	struct journal_note *n = note(JOURNAL_REFUSED, t, client);

	journal_note_set(n, JOURNAL_REPLY, reply);
	return n;
}

void smtp_note_reject(struct journal *j, const char *ip, const char *login, const struct address *from, const char *to,
                      const char *reply)
{
	struct journal_note *n = journal_note_new(JOURNAL_REFUSED);

	set_sender(n, from);
	journal_note_set(n, JOURNAL_PEER, ip);
	journal_note_set(n, JOURNAL_USER, login);
	journal_note_set(n, JOURNAL_REPLY, reply);
	if (to[0] != '\0')
		strlist_add(&n->recipients, to);
	journal_add(j, &n);
}
