#include "pop3/sweep.h"

#include "base/alloc.h"
#include "base/clock.h"
#include "pop3/session.h"

#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

enum { DAY_S = 86400, WEEK_S = 7 * DAY_S, JUMP_S = 600, SWEEPS_A_DAY = 24, SLOW_SHARE = 20 };

struct pop3_sweep {
	struct pop3_service *sv;
	struct loop_timer *timer;
	struct clock_watch clock;
	bool under_way, freed;
	size_t user; /* index of the next */
	struct pop3_claim claim;
	/* one mailbox */
	struct maildir *maildir;
	char *name;
	struct pop3_sweep_rule rule;
	struct strlist old;
};

size_t pop3_sweep_count(const struct pop3_sweep_rule *r, const struct maildir_list *list)
{
	size_t old = 0;

	if (r->jumped || r->keep == CONFIG_FOREVER)
		return 0;
	while (old < list->n && r->now - list->v[old].arrived > r->keep)
		old++;
	if (old > list->n / 2 && !r->confirmed) {
		size_t few = list->n / SLOW_SHARE / SWEEPS_A_DAY + 1;

		old = !r->steady ? 0 : old < few ? old : few;
	}
	return old < POP3_SWEEP_AT_ONCE ? old : POP3_SWEEP_AT_ONCE;
}

/* ---- one mailbox ---- */

/* A name may say anything where it is not ours: the file must be old as well. */
static bool file_is_old(struct pop3_sweep *s, const struct maildir_entry *en)
{
	struct stat st;
	int fd;
	bool old;

	if (en->ours)
		return true;
	fd = maildir_open_message(s->maildir, s->name, en, NULL);
	if (fd < 0)
		return false;
	old = fstat(fd, &st) == 0 && s->rule.now - st.st_mtim.tv_sec > s->rule.keep;
	close(fd);
	return old;
}

static void find_old(void *arg)
{
	struct pop3_sweep *s = arg;
	struct maildir_list list;
	size_t n;

	if (maildir_scan(s->maildir, s->name, &list, NULL) != 0)
		return; /* no mailbox yet */
	n = pop3_sweep_count(&s->rule, &list);
	for (size_t i = 0; i < n; i++)
		if (file_is_old(s, &list.v[i])) {
			struct slice name = slice_of(list.v[i].name);

			strlist_add_slice(&s->old, slice_sub(name, 0, slice_find(name, ':')));
		}
	maildir_list_free(&list);
}

static void next_user(struct pop3_sweep *s);

static void box_done(struct pop3_sweep *s)
{
	struct pop3_service *sv = s->sv;

	s->under_way = false;
	pop3_locks_release(pop3_service_locks(sv), &s->claim);
	strlist_free(&s->old);
	free(s->name);
	s->name = NULL;
	if (s->freed)
		free(s);
	else
		next_user(s);
	pop3_service_forget(sv);
}

static void removed(void *arg, bool ok)
{
	struct pop3_sweep *s = arg;

	log_info("pop3.expired", kv_s("user", s->name), kv_u("messages", s->old.n), kv_s("ok", ok ? "yes" : "no"));
	box_done(s);
}

static void found_old(void *arg)
{
	struct pop3_sweep *s = arg;

	if (s->old.n > 0 && !s->freed)
		delivery_delete(pop3_service_deps(s->sv)->delivery, s->name, &s->old, removed, s);
	else
		box_done(s);
}

static int64_t never_silent(void *arg)
{
	(void)arg;
	return 0;
}

static void granted(void *arg, bool ok)
{
	(void)arg;
	(void)ok; /* it was free */
}

/* ---- the round ---- */

static void look_at_clock(struct pop3_sweep *s)
{
	int64_t by;

	clock_watch_jumped(&s->clock, &by);
	if (by != 0)
		log_warning("pop3.clock_jumped", kv_i("seconds", by));
}

static struct pop3_sweep_rule rule_for(const struct pop3_sweep *s, const struct config *c, const struct config_user *u)
{
	struct pop3_sweep_rule r = {.now = clock_wall_s(), .keep = u->keep, .jumped = s->clock.jumped};
	struct stat st;

	r.steady = clock_mono_ms() / 1000 - s->clock.mono_s >= DAY_S;
	r.confirmed =
	    stat(c->file, &st) == 0 && st.st_mtim.tv_sec <= r.now + JUMP_S && r.now - st.st_mtim.tv_sec < WEEK_S;
	return r;
}

/* A mailbox in use has its turn in an hour. */
static const struct config_user *pick(struct pop3_sweep *s, const struct config *c)
{
	while (s->user < c->nusers) {
		const struct config_user *u = c->users[s->user++];

		if (u->keep != CONFIG_FOREVER && !u->is_daemon && !pop3_locks_held(pop3_service_locks(s->sv), u->name))
			return u;
	}
	return NULL;
}

static void next_user(struct pop3_sweep *s)
{
	const struct pop3_service_deps *d = pop3_service_deps(s->sv);
	const struct config *c = pop3_service_config(s->sv);
	const struct config_user *u = pick(s, c);

	if (u == NULL) {
		s->user = 0;
		loop_timer_set(s->timer, POP3_SWEEP_EVERY_MS);
		return;
	}
	s->maildir = d->maildir;
	s->name = xstrdup(u->name);
	s->rule = rule_for(s, c, u);
	s->claim = (struct pop3_claim){.user = s->name, .granted = granted, .silent = never_silent, .arg = s};
	s->under_way = true;
	pop3_locks_acquire(pop3_service_locks(s->sv), &s->claim);
	pop3_service_remember(s->sv);
	workers_run(d->workers, find_old, found_old, s);
}

static void on_timer(void *arg)
{
	struct pop3_sweep *s = arg;

	if (s->under_way)
		return;
	look_at_clock(s);
	next_user(s);
}

struct pop3_sweep *pop3_sweep_new(struct pop3_service *sv)
{
	struct pop3_sweep *s = xcalloc(1, sizeof *s);

	s->sv = sv;
	clock_watch_start(&s->clock);
	s->timer = loop_timer_new(pop3_service_deps(sv)->loop, on_timer, s);
	loop_timer_set(s->timer, POP3_SWEEP_FIRST_MS);
	return s;
}

void pop3_sweep_free(struct pop3_sweep **sp)
{
	struct pop3_sweep *s = *sp;

	if (s == NULL)
		return;
	*sp = NULL;
	loop_timer_free(&s->timer);
	s->freed = true;
	if (!s->under_way)
		free(s);
}
