#include "route/submission.h"

#include "base/alloc.h"
#include "mail/rewrite.h"
#include "route/forward.h"
#include "route/outgoing.h"
#include "route/section.h"

#include <stdlib.h>
#include <string.h>

const struct config_user *submission_user(const struct submission *s)
{
	return s->login != NULL ? s->login : route_sender(s->config, s->sender);
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

static void plan_local(const struct submission *s, struct section at, const struct user_set *users,
                       const struct config_user *not_him, struct plan *p)
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
	if (at.missing)
		buf_add_str(&m->prefix, "\r\n");
	m->blind = at.blind;
}

/* One field for each recipient, so that no line gets too long and none has to be taken apart. */
static void plan_boss(const struct submission *s, struct section at, struct plan *p)
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
	if (at.missing)
		buf_add_str(&m->prefix, "\r\n");
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
	bool goes_on;
	bool ok = outgoing_render(&o, &m->prefix, &m->skip, &goes_on);
	m->blind = goes_on ? SECTION_OPEN : 0;
	return ok;
}

static bool plan_outgoing(const struct submission *s, struct strset *sent, struct plan *p)
{
	struct plan_message *m = plan_add(p, "outgoing");

	for (size_t i = 0; i < s->nrecipients; i++)
		if (s->recipients[i].kind == ROUTE_EXTERNAL && strset_add(sent, s->recipients[i].address))
			strlist_add(&m->entry.recipients, s->recipients[i].address);
	if (m->entry.recipients.n == 0) {
		plan_drop_last(p);
		return true;
	}
	const struct config_user *u = submission_user(s);
	m->entry.sender = outgoing_sender(s);
	m->entry.local_sender = xstrdup(u != NULL && s->sender->local[0] != '\0' ? u->name : "");
	m->entry.eight_bit = s->eight_bit;
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
	user_set_follow(users, s->config);
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
	struct user_set users = {.n = 0};
	struct strset sent = {NULL};
	const struct config_user *boss = s->config->boss;
	struct forward f = {s->config,    s->head,        s->size,  s->sender->local[0] == '\0',
	                    s->eight_bit, render_forward, (void *)s};

	if (all_daemon(s))
		return true;
	struct section at = section_look(s->head, s->size);
	local_users(s, &users);
	plan_local(s, at, &users, boss, p);
	if (boss != NULL)
		plan_boss(s, at, p);
	bool ok = plan_outgoing(s, &sent, p) && forward_plan(&f, &users, &sent, p);
	user_set_free(&users);
	strset_free(&sent);
	return ok;
}

/* ---- collected mail ---- */

struct collected {
	struct slice prefix;
	struct section at;
};

static bool add_prefix(const struct collected *c, struct plan_message *m)
{
	return buf_add_slice(&m->prefix, c->prefix) && (!c->at.missing || buf_add_str(&m->prefix, "\r\n"));
}

static bool render_collected(void *arg, const char *loop_field, struct plan_message *m)
{
	const struct collected *c = arg;

	m->blind = c->at.blind;
	return buf_add_str(&m->prefix, loop_field) && add_prefix(c, m);
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
                               struct slice prefix, struct slice head, uint64_t size, bool eight_bit)
{
	struct user_set set = {.n = 0};
	struct strset sent = {NULL};
	struct collected collected = {prefix, section_look(head, size)};
	struct forward f = {c, head, size, from_null(head), eight_bit, render_collected, &collected};
	struct plan_message *m = plan_add(p, "local");

	for (size_t i = 0; i < users->n; i++)
		user_set_add(&set, users->v[i]);
	user_set_follow(&set, c);
	add_prefix(&collected, m);
	for (size_t i = 0; i < set.n; i++)
		strlist_add(&m->users, set.v[i]->name);
	forward_plan(&f, &set, &sent, p);
	user_set_free(&set);
	strset_free(&sent);
}

void submission_collected(struct acceptance *a, const struct config *c, const struct config_users *users,
                          struct slice prefix, struct gather *g)
{
	struct plan p = {.n = 0};

	submission_plan_collected(&p, c, users, prefix, gather_head(g), gather_size(g), gather_eight_bit(g));
	plan_fill(&p, a, g);
	plan_free(&p);
}
