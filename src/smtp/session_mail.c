/* What the engine asks of a session: transactions, log-ins, and their answers when they come. */
#include "smtp/session_internal.h"

#include "base/alloc.h"
#include "base/clock.h"
#include "base/log.h"
#include "smtp/note.h"
#include "store/ledger.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct smtp_pending { /* a message whose commit is under way; outlives its session */
	LIST_ENTRY(smtp_pending) link;
	struct smtp_service *service; /* NULL: gone */
	struct smtp_session *session; /* NULL: gone */
	struct transaction *transaction;
	const char *caller; /* of the daemon, as transaction_caller() says */
	char sid[12];
};

struct smtp_login {
	struct smtp_session *session; /* NULL: gone */
	char *user;
	int64_t started;
};

static void options(void *arg, struct smtp_options *out)
{
	const struct smtp_session *s = arg;
	const struct config *c = s->service->config;

	*out = (struct smtp_options){.hostname = c->hostname,
	                             .tls_offered = s->service->tls != NULL,
	                             .secure = stream_is_tls(s->stream),
	                             .auth = c->smtp_auth,
	                             .auth_tls = c->smtp.auth_tls};
}

/* ---- log ---- */

static void log_reject(const struct smtp_session *s, const struct address *from, const char *to, const char *reply)
{
	char ip[46];
	char *sender = address_format(from);

	ip_addr_format(&s->ip, ip);
	log_info("smtp.reject", kv_s("sid", s->sid), kv_s("peer", ip), kv_s("from", sender), kv_s("to", to),
	         kv_s("reason", reply));
	free(sender);
	smtp_note_reject(delivery_journal(s->service->deps.delivery), ip, s->login, from, to, reply);
}

static void log_message(const char *event, const char *sid, const struct transaction *t, const char *reply)
{
	char *from = address_format(&t->from);

	log_info(event, kv_s("sid", sid), kv_s("id", t->id), kv_s("from", from),
	         kv_s("to", t->nrecipients > 0 ? t->recipients[0].address : ""), kv_u("recipients", t->nrecipients),
	         kv_u("external", t->external), kv_u("size", t->size),
	         kv_s("login", t->login != NULL ? t->login->name : ""), kv_s("reply", reply));
	free(from);
}

/* ---- envelope ---- */

static const char *hook_mail(void *arg, const struct smtp_mail *m)
{
	struct smtp_session *s = arg;
	struct smtp_client client;
	const char *refusal = NULL;

	smtp_session_client(s, &client);
	if (m->has_size && !delivery_has_room(s->service->deps.delivery, m->size))
		refusal = "452 4.3.1 no room now, try later";
	if (refusal == NULL)
		s->transaction = transaction_new(s->service->config, &client, m, &refusal);
	if (refusal != NULL)
		log_reject(s, &m->from, "", refusal);
	return refusal;
}

static const char *hook_rcpt(void *arg, const struct address *to)
{
	struct smtp_session *s = arg;
	struct smtp_client client;

	smtp_session_client(s, &client);
	const char *refusal = transaction_rcpt(s->transaction, &client, to);
	if (refusal != NULL) {
		char *text = address_format(to);
		log_reject(s, &s->transaction->from, text, refusal);
		free(text);
	}
	return refusal;
}

static void hook_reset(void *arg)
{
	struct smtp_session *s = arg;

	transaction_free(&s->transaction);
}

/* ---- content ---- */

static const char *hook_content_begin(void *arg)
{
	struct smtp_session *s = arg;

	transaction_begin(s->transaction, s->service->deps.delivery);
	return NULL;
}

static void hook_content(void *arg, struct slice run)
{
	struct smtp_session *s = arg;

	transaction_content(s->transaction, run);
}

static void answer(struct smtp_pending *p, enum acceptance_result r)
{
	struct smtp_session *s = p->session;
	char reply[80];

	snprintf(reply, sizeof reply, "250 2.0.0 ok, kept as %s", p->transaction->id);
	if (r == ACCEPT_NO_SPACE)
		snprintf(reply, sizeof reply, "452 4.3.1 no room now, try later");
	else if (r == ACCEPT_DISK_ERROR)
		snprintf(reply, sizeof reply, "451 4.3.0 the disk of this server fails, try later");
	log_message(r == ACCEPTED ? "smtp.message" : "smtp.deferred", p->sid, p->transaction,
	            r == ACCEPT_UNKNOWN ? "" : reply);
	if (s == NULL)
		return;
	s->pending = NULL;
	if (r == ACCEPT_UNKNOWN) { /* nothing that we might say would be sure to be true */
		smtp_session_free(&s);
		return;
	}
	smtp_core_content_done(s->core, reply);
	smtp_session_pump(s);
}

static void on_committed(void *arg, enum acceptance_result r)
{
	struct smtp_pending *p = arg;
	struct smtp_service *v = p->service;
	const char *caller = p->caller;

	if (v != NULL)
		LIST_REMOVE(p, link);
	if (v != NULL && r == ACCEPTED && caller != NULL && v->deps.daemon_called != NULL)
		v->deps.daemon_called(v->deps.arg, caller);
	answer(p, r);
	transaction_free(&p->transaction);
	free(p);
	if (v != NULL)
		v->changed(v);
}

static int want_sync(struct db_conn *c, void *arg, struct err *e)
{
	return fact_set(c, "sync_wanted", arg, e);
}

static void commit(struct smtp_session *s, const struct smtp_client *client, const struct plan *plan)
{
	struct smtp_service *v = s->service;
	struct smtp_pending *p = xcalloc(1, sizeof *p);
	struct acceptance *a = acceptance_new(v->deps.delivery, DB_LANE_SMTP);
	struct journal_note *n = smtp_note_accepted(s->transaction, client);

	p->service = v;
	p->session = s;
	p->transaction = s->transaction;
	p->caller = transaction_caller(s->transaction);
	memcpy(p->sid, s->sid, sizeof p->sid);
	s->transaction = NULL;
	s->pending = p;
	LIST_INSERT_HEAD(&v->pendings, p, link);
	plan_fill(plan, a, p->transaction->gather);
	acceptance_note(a, &n);
	/* A wish that is found again after a failed commit costs a sync too many; so it needs no undoing. */
	if (p->caller != NULL)
		acceptance_extra(a, want_sync, NULL, xstrdup(p->caller), free);
	acceptance_commit(&a, on_committed, p);
}

static void refuse(struct smtp_session *s, const struct smtp_client *client, const char *refusal)
{
	struct journal_note *n = smtp_note_refused(s->transaction, client, refusal);

	log_message("smtp.refused", s->sid, s->transaction, refusal);
	journal_add(delivery_journal(s->service->deps.delivery), &n);
	transaction_free(&s->transaction);
	smtp_core_content_done(s->core, refusal);
}

static void hook_content_end(void *arg)
{
	struct smtp_session *s = arg;
	struct smtp_client client;
	struct plan plan = {.n = 0};
	const char *refusal = transaction_verdict(s->transaction);

	smtp_session_client(s, &client);
	if (refusal == NULL && !transaction_plan(s->transaction, &client, &plan))
		refusal = "554 5.6.0 header section too large";
	if (refusal == NULL)
		commit(s, &client, &plan);
	else
		refuse(s, &client, refusal);
	plan_free(&plan);
}

/* ---- log-in ---- */

static void on_penalty(void *arg)
{
	struct smtp_session *s = arg;

	smtp_core_login_done(s->core, false);
	smtp_session_pump(s);
}

/* The same text after the same time whatever was wrong. */
static void login_failed(struct smtp_session *s, const struct smtp_login *l)
{
	int64_t now = clock_mono_ms(), spent = now - l->started;
	int64_t ms = brake_failed(s->service->deps.brake, &s->ip, l->user, ++s->failures, now);
	char ip[46];

	ip_addr_format(&s->ip, ip);
	log_warning("smtp.login_failed", kv_s("sid", s->sid), kv_s("peer", ip), kv_s("user", l->user));
	if (s->penalty == NULL)
		s->penalty = loop_timer_new(s->service->deps.loop, on_penalty, s);
	loop_timer_set(s->penalty, spent < ms ? ms - spent : 0);
}

/* A reload may have come while the password was looked at. */
static bool still_allowed(const struct smtp_session *s, const char *user)
{
	const struct config *c = s->service->config;
	const struct config_user *u = config_user_by_name(c, slice_of(user));
	struct smtp_options o;

	options((void *)(uintptr_t)s, &o);
	return u != NULL && !u->is_daemon && o.auth != AUTH_OFFER_OFF && (o.secure || !o.auth_tls);
}

static void logged_in(struct smtp_session *s, const char *user)
{
	char ip[46];

	ip_addr_format(&s->ip, ip);
	if (!still_allowed(s, user)) {
		smtp_core_login_refused(s->core, "454 4.7.0 the configuration has changed, try again");
	} else {
		log_info("smtp.login", kv_s("sid", s->sid), kv_s("peer", ip), kv_s("user", user));
		brake_succeeded(s->service->deps.brake, &s->ip, user, clock_mono_ms());
		free(s->login);
		s->login = xstrdup(user);
		smtp_core_login_done(s->core, true);
	}
	smtp_session_pump(s);
}

static void on_checked(void *arg, bool ok)
{
	struct smtp_login *l = arg;
	struct smtp_session *s = l->session;

	if (s != NULL)
		s->check = NULL;
	if (s != NULL && ok)
		logged_in(s, l->user);
	else if (s != NULL)
		login_failed(s, l);
	free(l->user);
	free(l);
}

static void hook_login(void *arg, struct slice name, struct slice password)
{
	struct smtp_session *s = arg;
	const struct config_user *u = route_login(s->service->config, name);
	int64_t now = clock_mono_ms();

	char *user = u != NULL ? xstrdup(u->name) : slice_dup(name);
	if (!brake_admits(s->service->deps.brake, &s->ip, user, now)) {
		free(user);
		smtp_core_login_refused(s->core, "454 4.7.0 too many failed log-ins from your address, try later");
		return;
	}
	struct smtp_login *l = xcalloc(1, sizeof *l);
	*l = (struct smtp_login){.session = s, .user = user, .started = now};
	s->check = l;
	if (u == NULL)
		on_checked(l, false);
	else
		passwords_check(s->service->deps.passwords, u, password, false, on_checked, l);
}

static void hook_forget_login(void *arg)
{
	struct smtp_session *s = arg;

	free(s->login);
	s->login = NULL;
}

static void hook_start_tls(void *arg)
{
	struct smtp_session *s = arg;

	s->start_tls = true;
}

const struct smtp_hooks smtp_session_hooks = {.options = options,
                                              .mail = hook_mail,
                                              .rcpt = hook_rcpt,
                                              .content_begin = hook_content_begin,
                                              .content = hook_content,
                                              .content_end = hook_content_end,
                                              .reset = hook_reset,
                                              .login = hook_login,
                                              .start_tls = hook_start_tls,
                                              .forget_login = hook_forget_login};

void smtp_session_detach(struct smtp_session *s)
{
	if (s->pending != NULL)
		s->pending->session = NULL;
	if (s->check != NULL)
		s->check->session = NULL;
	s->pending = NULL;
	s->check = NULL;
}

void smtp_pendings_orphan(struct smtp_service *v)
{
	struct smtp_pending *p;

	while ((p = LIST_FIRST(&v->pendings)) != NULL) {
		LIST_REMOVE(p, link);
		p->service = NULL;
	}
}
