#include "route/forward.h"

#include "base/alloc.h"
#include "base/log.h"
#include "mail/header.h"
#include "route/submission.h"

#include <search.h>
#include <stdlib.h>

static int compare(const void *a, const void *b)
{
	return a < b ? -1 : a > b;
}

void user_set_add(struct user_set *s, const struct config_user *u)
{
	if (u->is_daemon || tfind(u, &s->seen, compare) != NULL)
		return;
	if (tsearch(u, &s->seen, compare) == NULL)
		abort();
	if ((s->n & (s->n - 1)) == 0)
		s->v = xreallocarray(s->v, s->n != 0 ? s->n * 2 : 1, sizeof *s->v);
	s->v[s->n++] = u;
}

/* The user here whom the address of a forward reaches; NULL where it goes outside. */
static const struct config_user *user_at(const struct config *c, const char *address)
{
	struct route r = {ROUTE_EXTERNAL, NULL};
	struct address a;

	if (address_parse(slice_of(address), &a))
		r = route_recipient(c, &a, NULL);
	address_free(&a);
	return r.kind == ROUTE_LOCAL ? r.user : NULL;
}

void user_set_follow(struct user_set *s, const struct config *c)
{
	for (size_t i = 0; i < s->n; i++) {
		const struct strlist *outside = &s->v[i]->forward_external;
		for (size_t k = 0; k < s->v[i]->forward_local.n; k++)
			user_set_add(s, s->v[i]->forward_local.v[k]);
		for (size_t k = 0; k < outside->n; k++) {
			const struct config_user *u = user_at(c, outside->v[k]);
			if (u != NULL)
				user_set_add(s, u);
		}
	}
}

static void keep(void *user)
{
	(void)user;
}

void user_set_free(struct user_set *s)
{
	tdestroy(s->seen, keep);
	free(s->v);
	*s = (struct user_set){NULL, 0, NULL};
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

/* What of l goes outside and is not yet sent to. */
static void pick(const struct config *c, const struct strlist *l, struct strset *sent, struct strlist *out)
{
	for (size_t i = 0; i < l->n; i++)
		if (user_at(c, l->v[i]) == NULL && strset_add(sent, l->v[i]))
			strlist_add(out, l->v[i]);
}

static bool too_large(const struct forward *f)
{
	uint64_t kib = f->config->smtp_max_message_kib;

	return kib > 0 && f->size / 1024 >= kib && f->size > kib * 1024;
}

static bool plan_one(const struct forward *f, const struct config_user *u, struct strset *sent, struct plan *p)
{
	const char *why_not;
	const char *sender = forward_sender(f, u, &why_not);
	struct plan_message *m = plan_add(p, "forward");

	pick(f->config, &u->forward_external, sent, &m->entry.recipients);
	if (m->entry.recipients.n == 0) {
		plan_drop_last(p);
		return true;
	}
	if (sender != NULL && too_large(f)) {
		why_not = "larger than [smtp] max_message_kib";
		strlist_add(&p->too_large, u->name);
		sender = NULL;
	}
	if (sender == NULL) {
		log_warning("forward.skipped", kv_s("user", u->name), kv_s("reason", why_not));
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

bool forward_plan(const struct forward *f, const struct user_set *users, struct strset *sent, struct plan *p)
{
	bool any = false;

	for (size_t i = 0; i < users->n && !any; i++)
		any = users->v[i]->forward_external.n > 0;
	if (!any || was_forwarded(f->head))
		return true;
	bool ok = true;
	p->config = f->config;
	for (size_t i = 0; i < users->n && ok; i++)
		if (users->v[i]->forward_external.n > 0)
			ok = plan_one(f, users->v[i], sent, p);
	return ok;
}
