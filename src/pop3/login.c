/* Log-in: who, the password, the lock, what is still on its way into the mailbox, and then the mailbox itself. */
#include "pop3/session.h"

#include "base/alloc.h"
#include "base/clock.h"
#include "mail/address.h"

#include <errno.h>
#include <stdlib.h>

static const struct config_user *user_named(const struct config *c, struct slice name)
{
	const struct config_user *u = config_user_by_name(c, name);
	size_t at = name.n;

	if (u == NULL) {
		while (at > 0 && name.p[at - 1] != '@')
			at--;
		if (at > 0 && slice_is_nocase(slice_sub(name, at, name.n), c->domain))
			u = config_user_by_name(c, slice_sub(name, 0, at - 1));
	}
	if (u == NULL)
		u = config_user_by_alias(c, name);
	return u != NULL && !u->is_daemon ? u : NULL;
}

/* A domain in another alphabet is kept in ASCII, and people type either form. */
const struct config_user *pop3_login_user(const struct config *c, struct slice name)
{
	char *ascii = address_to_ascii(name);
	const struct config_user *u = user_named(c, slice_of(ascii));

	free(ascii);
	return u;
}

int64_t pop3_login_days(const struct config_user *u)
{
	int64_t days = u->keep / 86400;

	if (u->keep == CONFIG_FOREVER)
		return -1;
	/* 0 would mean that mail goes once it was read. */
	return days > 0 ? days : 1;
}

/* ---- refusals ---- */

static void say_refused(struct pop3_session *s, enum pop3_login why)
{
	struct buf *out = pop3_service_scratch(s->service);

	s->failures++;
	pop3_core_login(&s->core, why, NULL, 0, out);
	if (s->failures >= POP3_LOGIN_TRIES) {
		stream_write(s->stream, out->p, out->n);
		pop3_session_end(s, "too many wrong passwords", true);
		return;
	}
	pop3_session_answered(s, out);
}

static void say_wrong(struct pop3_session *s)
{
	say_refused(s, POP3_LOGIN_WRONG);
}

/* The same text after the same time whatever was wrong. */
static void wrong(struct pop3_session *s, const char *user, const char *why)
{
	int64_t now = clock_mono_ms(), spent = now - s->login_started;
	int64_t penalty = brake_failed(pop3_service_deps(s->service)->brake, &s->peer, user, s->failures + 1, now);
	char ip[46];

	ip_addr_format(&s->peer, ip);
	log_warning("pop3.login_failed", kv_s("sid", s->sid), kv_s("ip", ip), kv_s("user", s->core.login_user),
	            kv_s("why", why));
	pop3_session_timer(s, spent < penalty ? penalty - spent : 0, say_wrong);
}

static void refuse(struct pop3_session *s, enum pop3_login r)
{
	struct buf *out = pop3_service_scratch(s->service);

	pop3_locks_release(pop3_service_locks(s->service), &s->claim);
	maildir_list_free(&s->list);
	free(s->user);
	s->user = NULL;
	pop3_core_login(&s->core, r, NULL, 0, out);
	pop3_session_answered(s, out);
}

/* ---- 4. the mailbox ---- */

struct opening {
	struct pop3_session *s;
	struct maildir *maildir;
	const char *user;
	struct maildir_list list;
	struct err e;
	int rc;
};

static void open_mailbox(void *arg)
{
	struct opening *o = arg;

	o->rc = maildir_create(o->maildir, o->user, &o->e);
	if (o->rc == 0)
		o->rc = maildir_scan(o->maildir, o->user, &o->list, &o->e);
}

static void opened(void *arg)
{
	struct opening o = *(struct opening *)arg;
	struct pop3_session *s = o.s;
	const struct config_user *u;

	free(arg);
	if (!pop3_session_leave(s)) {
		maildir_list_free(&o.list);
		return;
	}
	if (o.rc != 0) {
		log_error("pop3.mailbox", kv_s("sid", s->sid), kv_s("user", s->user), kv_s("error", o.e.text));
		refuse(s, POP3_LOGIN_TEMP);
		return;
	}
	s->list = o.list;
	u = config_user_by_name(pop3_service_config(s->service), slice_of(s->user));
	log_info("pop3.login", kv_s("sid", s->sid), kv_s("user", s->user), kv_u("messages", s->list.n),
	         kv_u("octets", s->list.total));
	struct buf *out = pop3_service_scratch(s->service);

	pop3_core_login(&s->core, POP3_LOGIN_OK, &s->list, u != NULL ? pop3_login_days(u) : -1, out);
	pop3_session_answered(s, out);
}

static void begin_open(struct pop3_session *s)
{
	const struct pop3_service_deps *d = pop3_service_deps(s->service);
	struct opening *o = xcalloc(1, sizeof *o);

	s->settled = true;
	o->s = s;
	o->maildir = d->maildir;
	o->user = s->user;
	pop3_session_enter(s);
	workers_run(d->workers, open_mailbox, opened, o);
}

/* ---- 3. what was accepted for it must be in it ---- */

static void settle_timeout(struct pop3_session *s)
{
	log_warning("pop3.unsettled", kv_s("sid", s->sid), kv_s("user", s->user));
	begin_open(s);
}

static void settled(void *arg)
{
	struct pop3_session *s = arg;

	if (!pop3_session_leave(s) || s->settled)
		return;
	loop_timer_cancel(s->timer);
	begin_open(s);
}

/* ---- 2. the lock ---- */

static void granted(void *arg, bool ok)
{
	struct pop3_session *s = arg;

	if (!ok) {
		log_warning("pop3.in_use", kv_s("sid", s->sid), kv_s("user", s->user));
		refuse(s, POP3_LOGIN_IN_USE);
		return;
	}
	s->settled = false;
	pop3_session_timer(s, POP3_SETTLE_MAX_MS, settle_timeout);
	pop3_session_enter(s);
	delivery_settled(pop3_service_deps(s->service)->delivery, s->user, settled, s);
}

static void acquire(struct pop3_session *s)
{
	s->claim.user = s->user;
	s->claim.granted = granted;
	pop3_locks_acquire(pop3_service_locks(s->service), &s->claim);
}

/* ---- 1. the password ---- */

/* A reload may have come while the password was looked at. */
static bool still_allowed(const struct pop3_session *s)
{
	const struct config_user *u = config_user_by_name(pop3_service_config(s->service), slice_of(s->user));

	return u != NULL && !u->is_daemon && pop3_service_offer(s->service, stream_is_tls(s->stream)).login;
}

static void checked(void *arg, bool ok)
{
	struct pop3_session *s = arg;
	char *user = s->user;

	if (!pop3_session_leave(s))
		return;
	if (ok && !still_allowed(s)) {
		refuse(s, POP3_LOGIN_TEMP);
		return;
	}
	if (ok) {
		s->failures = 0;
		brake_succeeded(pop3_service_deps(s->service)->brake, &s->peer, user, clock_mono_ms());
		acquire(s);
		return;
	}
	s->user = NULL;
	wrong(s, user, "password");
	free(user);
}

void pop3_login_begin(struct pop3_session *s)
{
	const struct pop3_service_deps *d = pop3_service_deps(s->service);
	const struct config_user *u = pop3_login_user(pop3_service_config(s->service), slice_of(s->core.login_user));

	s->login_started = clock_mono_ms();
	if (!brake_admits(d->brake, &s->peer, u != NULL ? u->name : s->core.login_user, s->login_started)) {
		say_refused(s, POP3_LOGIN_BANNED);
		return;
	}
	if (u == NULL) {
		wrong(s, s->core.login_user, "unknown user");
		return;
	}
	s->user = xstrdup(u->name);
	pop3_session_enter(s);
	passwords_check(d->passwords, u, slice_make(s->core.login_password, s->core.login_password_len),
	                !u->is_postmaster && !u->is_boss, checked, s);
}
