#include "route/submission.h"

#include "base/alloc.h"
#include "mail/rewrite.h"
#include "route/forward.h"
#include "route/outgoing.h"

#include <stdlib.h>
#include <string.h>

const struct config_user *submission_user(const struct submission *s)
{
	const struct config_user *u = route_sender(s->config, s->sender);

	return u != NULL ? u : s->login;
}

bool submission_loops(struct slice head)
{
	struct header h;

	header_scan(&h, head);
	bool loops = header_count(&h, "Received") >= SUBMISSION_MAX_RECEIVED;
	header_free(&h);
	return loops;
}

bool submission_is_automatic(struct slice head)
{
	struct header h;

	header_scan(&h, head);
	const struct header_field *f = header_find(&h, "Auto-Submitted", 0);
	bool automatic = f != NULL && !slice_is_nocase(slice_trim(f->value), "no");
	header_free(&h);
	return automatic;
}

static void add_return_path(struct buf *b, const struct address *sender)
{
	char *text = address_format(sender);

	buf_printf(b, "Return-Path: <%s>\r\n", text);
	free(text);
}

static void plan_local(const struct submission *s, const struct user_set *users, const struct config_user *not_him,
                       struct plan *p)
{
	struct plan_message *m = plan_add(p, "local");

	for (size_t i = 0; i < users->n; i++)
		if (users->v[i] != not_him)
			strlist_add(&m->users, users->v[i]->name);
	if (m->users.n == 0) {
		plan_drop_last(p);
		return;
	}
	add_return_path(&m->prefix, s->sender);
	buf_add_str(&m->prefix, s->received);
}

/* One field for each recipient, so that no line gets too long and none has to be taken apart. */
static void plan_boss(const struct submission *s, struct plan *p)
{
	struct plan_message *m = plan_add(p, "boss");
	char *sender = address_format(s->sender);

	strlist_add(&m->users, s->config->boss->name);
	add_return_path(&m->prefix, s->sender);
	buf_add_str(&m->prefix, s->received);
	buf_printf(&m->prefix, "X-Envelope-From: <%s>\r\n", sender);
	for (size_t i = 0; i < s->nrecipients; i++)
		buf_printf(&m->prefix, "%s<%s>%s\r\n", i == 0 ? "X-Envelope-To: " : "\t", s->recipients[i].address,
		           i + 1 < s->nrecipients ? "," : "");
	free(sender);
}

/* The alias of the user in From, for a receipt from <> and a relay that refuses <>; else NULL. A bounce keeps its <>:
 * it must not be answered. */
static const char *null_sender_alias(const struct submission *s)
{
	const struct config_user *u = outgoing_from_user(s->config, s->head);
	struct header h;
	bool bounce = false;

	if (u == NULL || u->alias[0] == '\0')
		return NULL;
	const struct config_relay *r = config_relay_for(s->config, slice_of(u->alias));
	if (r == NULL || !r->null_sender_alias)
		return NULL;
	header_scan(&h, s->head);
	const struct header_field *f = header_find(&h, "Content-Type", 0);
	if (f != NULL) {
		char *type = slice_dup(f->value);
		bounce = strcasestr(type, "delivery-status") != NULL;
		free(type);
	}
	header_free(&h);
	return bounce ? NULL : u->alias;
}

/* The envelope sender of what leaves. Never NULL: recipients outside were refused where there is none. */
static char *outgoing_sender(const struct submission *s)
{
	if (s->sender->local[0] == '\0') {
		const char *alias = null_sender_alias(s);
		return xstrdup(alias != NULL ? alias : "");
	}
	char *sender = route_outgoing_sender(s->config, s->sender);
	return sender != NULL ? sender : address_format(s->sender);
}

/* Renders the message as it leaves into m; s's sender is already what it becomes. */
static bool render(const struct submission *s, const char *sender, const char *fields, struct plan_message *m)
{
	char *written = address_format(s->sender);
	const char *instead = route_relay_sender(s->config, s->sender);
	struct outgoing o = {s->config, sender, instead, false, fields, s->head, s->size};

	o.instead_for_all = instead != NULL && written[0] != '\0' && route_sender(s->config, s->sender) == NULL;
	free(written);
	m->normalize = true;
	m->outgoing = true;
	return outgoing_render(&o, &m->prefix, &m->skip);
}

static void add_recipient(struct strlist *l, const char *address)
{
	if (!strlist_has_nocase(l, address))
		strlist_add(l, address);
}

static bool plan_outgoing(const struct submission *s, struct strlist *sent, struct plan *p)
{
	for (size_t i = 0; i < s->nrecipients; i++)
		if (s->recipients[i].kind == ROUTE_EXTERNAL)
			add_recipient(sent, s->recipients[i].address);
	if (sent->n == 0)
		return true;
	const struct config_user *u = submission_user(s);
	struct plan_message *m = plan_add(p, "outgoing");
	m->entry.sender = outgoing_sender(s);
	m->entry.local_sender = xstrdup(u != NULL && s->sender->local[0] != '\0' ? u->name : "");
	m->entry.eight_bit = s->eight_bit;
	strlist_copy(&m->entry.recipients, sent);
	return render(s, m->entry.sender, s->received, m);
}

/* ---- forwards of mail from the LAN ---- */

static bool render_forward(void *arg, const char *loop_field, struct plan_message *m)
{
	const struct submission *s = arg;
	char *fields = xasprintf("%s%s", loop_field, s->received);
	bool ok = render(s, m->entry.sender, fields, m);

	free(fields);
	return ok;
}

static void local_users(const struct submission *s, struct user_set *users)
{
	for (size_t i = 0; i < s->nrecipients; i++)
		if (s->recipients[i].kind == ROUTE_LOCAL)
			user_set_add(users, s->recipients[i].user);
	user_set_follow(users);
}

static bool all_daemon(const struct submission *s)
{
	for (size_t i = 0; i < s->nrecipients; i++)
		if (s->recipients[i].kind != ROUTE_DAEMON)
			return false;
	return true;
}

bool submission_plan(const struct submission *s, struct plan *p)
{
	struct user_set users = {NULL, 0};
	struct strlist sent = {NULL, 0};
	const struct config_user *boss = s->config->boss;
	struct forward f = {s->config, s->head, s->sender->local[0] == '\0', s->eight_bit, render_forward, (void *)s};

	if (all_daemon(s))
		return true;
	local_users(s, &users);
	plan_local(s, &users, boss, p);
	if (boss != NULL)
		plan_boss(s, p);
	bool ok = plan_outgoing(s, &sent, p) && forward_plan(&f, &users, &sent, p);
	user_set_free(&users);
	strlist_free(&sent);
	return ok;
}

/* ---- collected mail ---- */

struct collected {
	struct slice prefix;
};

static bool render_collected(void *arg, const char *loop_field, struct plan_message *m)
{
	const struct collected *c = arg;

	return buf_add_str(&m->prefix, loop_field) && buf_add_slice(&m->prefix, c->prefix);
}

/* Whether the provider's final delivery noted the null sender: Return-Path stands above the first Received. */
static bool from_null(struct slice head)
{
	struct header h;

	header_scan(&h, head);
	const struct header_field *f = header_find(&h, "Return-Path", 0);
	bool null = f != NULL && slice_is(slice_trim(f->value), "<>");
	header_free(&h);
	return null;
}

void submission_plan_collected(struct plan *p, const struct config *c, const struct config_users *users,
                               struct slice prefix, struct slice head, bool eight_bit)
{
	struct user_set set = {NULL, 0};
	struct strlist sent = {NULL, 0};
	struct collected collected = {prefix};
	struct forward f = {c, head, from_null(head), eight_bit, render_collected, &collected};
	struct plan_message *m = plan_add(p, "local");

	for (size_t i = 0; i < users->n; i++)
		user_set_add(&set, users->v[i]);
	user_set_follow(&set);
	buf_add_slice(&m->prefix, prefix);
	for (size_t i = 0; i < set.n; i++)
		strlist_add(&m->users, set.v[i]->name);
	forward_plan(&f, &set, &sent, p);
	user_set_free(&set);
	strlist_free(&sent);
}

void submission_collected(struct acceptance *a, const struct config *c, const struct config_users *users,
                          struct slice prefix, struct gather *g)
{
	struct plan p = {NULL, 0};

	submission_plan_collected(&p, c, users, prefix, gather_head(g), gather_eight_bit(g));
	plan_fill(&p, a, g);
	plan_free(&p);
}
