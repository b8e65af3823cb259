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
		if (m->warning ? !t->deferred : !t->failed)
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

static void accepted(void *arg, enum acceptance_result r)
{
	struct bounce *b = arg;
	struct message *m = b->m;

	m->committing = false;
	if (r == ACCEPTED) {
		log_info(m->warning ? "send.warned" : "send.bounced", kv_s("id", m->q->id), kv_s("told", b->user));
		bounce_free(b);
		attempt_over(m);
		return;
	}
	log_error("send.bounce", kv_s("id", m->q->id), kv_s("error", "the bounce could not be stored; it will be"));
	for (size_t i = 0; i < m->q->nrecipients; i++)
		m->t[i].dirty = true;
	m->dirty = m->mend = true;
	sender_mend_later(m->s);
	bounce_free(b);
	sender_check_stopped(m->s);
}

static void commit(void *arg)
{
	struct bounce *b = arg;
	struct message *m = b->m;
	struct buf text;

	buf_init(&text, SIZE_MAX / 2);
	format(b, &text);
	struct acceptance *a = acceptance_new(m->s->d.delivery, DB_LANE_SEND);
	size_t n = acceptance_message(a, buf_slice(&text), NULL, 0, false);
	acceptance_to_mailbox(a, n, b->user);
	acceptance_extra(a, record_apply, record_undo, record_new(m), record_free);
	acceptance_commit(&a, accepted, b);
	buf_free(&text);
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

/* ---- the cap ---- */

struct bounce_count {
	char *user;
	int64_t day_ms; /* monotonic: when the day of this count began */
	unsigned n;
};

static struct bounce_count *count_of(struct sender *s, const char *user)
{
	for (size_t i = 0; i < s->nbounces; i++)
		if (strcmp(s->bounces[i].user, user) == 0)
			return &s->bounces[i];
	s->bounces = xreallocarray(s->bounces, s->nbounces + 1, sizeof *s->bounces);
	s->bounces[s->nbounces] = (struct bounce_count){.user = xstrdup(user), .day_ms = clock_mono_ms()};
	return &s->bounces[s->nbounces++];
}

void bounce_forget(struct sender *s)
{
	for (size_t i = 0; i < s->nbounces; i++)
		free(s->bounces[i].user);
	free(s->bounces);
	s->bounces = NULL;
	s->nbounces = 0;
}

static void tell_capped(struct sender *s, const char *user)
{
	char most[16];
	const struct letter_value values[] = {{"user", user}, {"most", most}, {NULL, NULL}};

	snprintf(most, sizeof most, "%d", SENDER_BOUNCES_A_DAY);
	report_postmaster(s->d.delivery, s->config, NULL, LETTER_MANY_BOUNCES, values);
}

/* A day's bounces to one reader are capped: whoever sends to 10,000 wrong addresses is told of the first thousand. */
static bool within_cap(struct sender *s, const char *user)
{
	struct bounce_count *c = count_of(s, user);
	int64_t now = clock_mono_ms();

	if (now - c->day_ms >= DAY_MS) {
		c->day_ms = now;
		c->n = 0;
	}
	if (c->n <= SENDER_BOUNCES_A_DAY && ++c->n > SENDER_BOUNCES_A_DAY)
		tell_capped(s, user);
	return c->n <= SENDER_BOUNCES_A_DAY;
}

void bounce_send(struct message *m)
{
	const char *user = reader(m);

	if (!within_cap(m->s, user)) {
		log_warning("send.bounce_capped", kv_s("id", m->q->id), kv_s("user", user));
		record_commit(m);
		return;
	}
	struct bounce *b = xcalloc(1, sizeof *b);
	b->m = m;
	b->user = xstrdup(user);
	b->path = message_path(m->s, m->q->id, ".eml");
	m->committing = true;
	m->again = false;
	workers_run(m->s->d.workers, read_original, commit, b);
}
