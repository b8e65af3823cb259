#include "route/forward.h"

#include "base/alloc.h"
#include "base/log.h"
#include "mail/header.h"
#include "route/submission.h"

#include <stdlib.h>

void user_set_add(struct user_set *s, const struct config_user *u)
{
	if (u->is_daemon)
		return;
	for (size_t i = 0; i < s->n; i++)
		if (s->v[i] == u)
			return;
	s->v = xreallocarray(s->v, s->n + 1, sizeof *s->v);
	s->v[s->n++] = u;
}

void user_set_follow(struct user_set *s)
{
	for (size_t i = 0; i < s->n; i++)
		for (size_t k = 0; k < s->v[i]->forward_local.n; k++)
			user_set_add(s, s->v[i]->forward_local.v[k]);
}

void user_set_free(struct user_set *s)
{
	free(s->v);
	*s = (struct user_set){NULL, 0};
}

static bool was_forwarded(struct slice head)
{
	struct header h;

	header_scan(&h, head);
	bool yes = header_find(&h, SUBMISSION_LOOP_HEADER, 0) != NULL;
	header_free(&h);
	return yes;
}

/* The sender that a forward of u leaves with, or NULL with the reason: the user's alias, so that the relay knows it
 * and SPF holds; "" for mail from nobody. */
static const char *forward_sender(const struct forward *f, const struct config_user *u, const char **why_not)
{
	const char *sender = u->alias;
	const struct config_relay *r;

	if (sender[0] == '\0' && f->config->nrelays > 0)
		sender = f->config->relays[0].sender;
	if (f->null_sender)
		sender = "";
	r = config_relay_for(f->config, slice_of(sender));
	*why_not = NULL;
	if (r == NULL)
		*why_not = "no relay";
	else if (f->null_sender && r->null_sender_alias)
		*why_not = "the relay takes no mail from <>";
	else if (!f->null_sender && sender[0] == '\0')
		*why_not = "no alias";
	return *why_not == NULL ? sender : NULL;
}

/* What of l is not yet sent to. */
static void pick(const struct strlist *l, struct strlist *sent, struct strlist *out)
{
	for (size_t i = 0; i < l->n; i++) {
		if (strlist_has_nocase(sent, l->v[i]))
			continue;
		strlist_add(sent, l->v[i]);
		strlist_add(out, l->v[i]);
	}
}

static bool plan_one(const struct forward *f, const struct config_user *u, struct strlist *sent, struct plan *p)
{
	const char *why_not;
	const char *sender = forward_sender(f, u, &why_not);

	if (sender == NULL) {
		log_warning("forward.skipped", kv_s("user", u->name), kv_s("reason", why_not));
		return true;
	}
	struct plan_message *m = plan_add(p, "forward");
	pick(&u->forward_external, sent, &m->entry.recipients);
	if (m->entry.recipients.n == 0) {
		plan_drop_last(p);
		return true;
	}
	m->entry.sender = xstrdup(sender);
	m->entry.local_sender = xstrdup(f->null_sender ? "" : u->name);
	m->entry.eight_bit = f->eight_bit;
	m->outgoing = true;
	m->normalize = true;
	char *field = xasprintf("%s: %s@%s\r\n", SUBMISSION_LOOP_HEADER, u->name, f->config->hostname);
	bool ok = f->render(f->arg, field, m);
	free(field);
	return ok;
}

bool forward_plan(const struct forward *f, const struct user_set *users, struct strlist *sent, struct plan *p)
{
	bool any = false;

	for (size_t i = 0; i < users->n && !any; i++)
		any = users->v[i]->forward_external.n > 0;
	if (!any || was_forwarded(f->head))
		return true;
	bool ok = true;
	for (size_t i = 0; i < users->n && ok; i++)
		if (users->v[i]->forward_external.n > 0)
			ok = plan_one(f, users->v[i], sent, p);
	return ok;
}
