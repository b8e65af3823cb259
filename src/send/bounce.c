/* Bounces and delay warnings: read the original's beginning, write the report, commit it together with the states. */
#include "base/alloc.h"
#include "base/clock.h"
#include "base/log.h"
#include "base/random.h"
#include "route/report.h"
#include "send/dsn.h"
#include "send/sender_internal.h"

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum { DAY_MS = 24 * 3600 * 1000 };

struct bounce {
	struct message *m;
	struct record *rec; /* what it reports; the acceptance's */
	struct bounce_count *count;
	bool held_back;
	char *path, *user;
	char *bytes; /* the original's beginning */
	size_t n;
	bool whole;
};

static void bounce_free(struct bounce *b)
{
	free(b->path);
	free(b->user);
	free(b->bytes);
	free(b);
}

/* On a worker. An unreadable original makes a bounce without it. */
static void read_original(void *arg)
{
	struct bounce *b = arg;
	int fd = open(b->path, O_RDONLY | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK);

	b->bytes = xmalloc(DSN_ORIGINAL_MAX + 1);
	while (fd >= 0 && b->n <= DSN_ORIGINAL_MAX) {
		ssize_t got = read(fd, b->bytes + b->n, DSN_ORIGINAL_MAX + 1 - b->n);
		if (got <= 0)
			break;
		b->n += (size_t)got;
	}
	b->whole = b->n > 0 && b->n <= DSN_ORIGINAL_MAX;
	if (b->n > DSN_ORIGINAL_MAX)
		b->n = DSN_ORIGINAL_MAX;
	if (fd >= 0)
		close(fd);
}

static size_t collect(const struct message *m, struct dsn_recipient *v)
{
	size_t n = 0;

	for (size_t i = 0; i < m->q->nrecipients; i++) {
		const struct target *t = &m->t[i];
		if (m->warning ? !t->deferred : !t->reporting)
			continue;
		v[n++] = (struct dsn_recipient){.address = m->q->recipients[i].address,
		                                .status = t->status,
		                                .code = t->code,
		                                .reply = m->q->recipients[i].last_reply,
		                                .expired = t->expired};
	}
	return n;
}

static int64_t seconds_left(const struct message *m)
{
	const struct config_relay *r = config_relay_for(m->s->config, slice_of(m->q->entry.sender));
	int64_t max = r != NULL ? r->max_age : m->s->config->relays[0].max_age;

	return max > m->q->waited ? max - m->q->waited : 0;
}

static void format(const struct bounce *b, struct buf *out)
{
	const struct message *m = b->m;
	const struct config *c = m->s->config;
	struct dsn_recipient *v = xcalloc(m->q->nrecipients, sizeof *v);
	char *to = xasprintf("%s@%s", b->user, c->domain);
	char boundary[RANDOM_NAME_MAX];

	random_name(boundary);
	struct dsn d = {.warning = m->warning,
	                .russian = c->russian,
	                .hostname = c->hostname,
	                .domain = c->domain,
	                .to = to,
	                .from = m->q->entry.sender,
	                .id = m->q->id,
	                .relay = m->relay != NULL ? m->relay : "",
	                .queued_at = m->q->queued_at,
	                .now = clock_wall_s(),
	                .left = seconds_left(m),
	                .boundary = boundary,
	                .recipients = v,
	                .n = collect(m, v),
	                .original = slice_make(b->bytes, b->n),
	                .whole = b->whole};
	dsn_format(out, &d);
	free(to);
	free(v);
}

/* ---- the cap ---- */

struct bounce_count {
	char *user;
	int64_t day_ms;             /* monotonic: when the day of this count began */
	unsigned stored, under_way; /* of that day; on their way into the database */
	bool told, telling;         /* postmaster knows that this day has too many; the letter is on its way */
};

static struct bounce_count *count_of(struct sender *s, const char *user)
{
	int64_t now = clock_mono_ms();
	size_t i = 0;

	while (i < s->nbounces && strcmp(s->bounces[i]->user, user) != 0)
		i++;
	if (i == s->nbounces) {
		s->bounces = xreallocarray(s->bounces, s->nbounces + 1, sizeof *s->bounces);
		s->bounces[i] = xcalloc(1, sizeof *s->bounces[i]);
		*s->bounces[i] = (struct bounce_count){.user = xstrdup(user), .day_ms = now};
		s->nbounces++;
	}
	struct bounce_count *c = s->bounces[i];
	if (now - c->day_ms >= DAY_MS) {
		c->day_ms = now;
		c->stored = 0;
		c->told = false;
	}
	return c;
}

void bounce_forget(struct sender *s)
{
	for (size_t i = 0; i < s->nbounces; i++) {
		free(s->bounces[i]->user);
		free(s->bounces[i]);
	}
	free(s->bounces);
	s->bounces = NULL;
	s->nbounces = 0;
}

static void add_too_many(struct acceptance *a, const struct sender *s, const char *user)
{
	char most[16];
	const struct letter_value values[] = {{"user", user}, {"most", most}, {NULL, NULL}};

	snprintf(most, sizeof most, "%d", SENDER_BOUNCES_A_DAY);
	report_add(a, s->config, LETTER_MANY_BOUNCES, values);
}

/* ---- the commit ---- */

/* What there was to tell has been dropped by hand meanwhile. */
static void nothing_left(struct bounce *b)
{
	struct message *m = b->m;
	struct sender *s = m->s;

	m->committing = false;
	m->warning = false;
	bounce_free(b);
	attempt_settle(m);
	sender_check_stopped(s);
}

static void accepted(void *arg, enum acceptance_result r)
{
	struct bounce *b = arg;
	struct message *m = b->m;
	struct sender *s = m->s;
	bool stored = r == ACCEPTED || record_told(b->rec);

	if (b->held_back) {
		b->count->telling = false;
		b->count->told = stored;
	} else {
		b->count->under_way--;
	}
	m->committing = false;
	if (stored) {
		b->count->stored += !b->held_back;
		log_info(b->held_back ? "send.bounce_held_back"
		         : m->warning ? "send.warned"
		                      : "send.bounced",
		         kv_s("id", m->q->id), kv_s("told", b->user));
		record_done(m, b->rec);
		bounce_free(b);
		attempt_committed(m);
	} else {
		log_error("send.bounce", kv_s("id", m->q->id),
		          kv_s("error", "the bounce could not be stored; it will be"));
		record_failed(m, b->rec);
		bounce_free(b);
	}
	sender_check_stopped(s);
}

/* One commit has the report and what it reports: both are there, or neither. */
static void commit(void *arg)
{
	struct bounce *b = arg;
	struct message *m = b->m;
	struct buf text;

	if (!record_tells(m)) {
		b->count->under_way--;
		nothing_left(b);
		return;
	}
	b->rec = record_new(m, true);
	buf_init(&text, SIZE_MAX / 2);
	format(b, &text);
	struct acceptance *a = acceptance_new(m->s->d.delivery, DB_LANE_SEND);
	size_t n = acceptance_message(a, buf_slice(&text), NULL, 0, false);
	acceptance_to_mailbox(a, n, b->user);
	acceptance_extra(a, record_apply, record_undo, b->rec, record_free);
	acceptance_commit(&a, accepted, b);
	buf_free(&text);
}

/* The reader has had too many today. Postmaster gets a letter that says so, in the commit of the first, and lists of
 * them all (held_back.c). */
static void commit_held_back(struct bounce *b)
{
	struct message *m = b->m;

	b->held_back = true;
	b->rec = record_new(m, true);
	record_hold_back(b->rec, b->user);
	held_back_tell(m->s, HELD_BACK_SOON_MS);
	if (b->count->told || b->count->telling) {
		record_submit(b->rec);
		bounce_free(b);
		return;
	}
	b->count->telling = m->committing = true;
	struct acceptance *a = acceptance_new(m->s->d.delivery, DB_LANE_SEND);
	add_too_many(a, m->s, b->user);
	acceptance_extra(a, record_apply, record_undo, b->rec, record_free);
	acceptance_commit(&a, accepted, b);
}

/* Whom to tell: the sender; of what has no sender to tell, postmaster. */
static const char *reader(const struct message *m)
{
	const struct config *c = m->s->config;
	const struct config_user *u = config_user_by_name(c, slice_of(m->q->entry.local_sender));

	if (m->q->entry.sender[0] == '\0' || u == NULL || u->is_daemon)
		return c->postmaster->name;
	return u->name;
}

void bounce_send(struct message *m)
{
	struct bounce *b = xcalloc(1, sizeof *b);

	b->m = m;
	b->user = xstrdup(reader(m));
	b->count = count_of(m->s, b->user);
	if (b->count->stored + b->count->under_way >= SENDER_BOUNCES_A_DAY) {
		commit_held_back(b);
		return;
	}
	b->count->under_way++;
	b->path = message_path(m->s, m->q->id, ".eml");
	m->committing = true;
	workers_run(m->s->d.workers, read_original, commit, b);
}
