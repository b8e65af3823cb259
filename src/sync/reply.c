#include "sync/reply.h"

#include "base/alloc.h"
#include "base/log.h"
#include "base/text.h"
#include "route/phrase.h"
#include "route/report.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

struct collected {
	char *account, *error;
	uint64_t n;
};

struct reply {
	struct sync *sync;
	struct strlist users;
	struct collected *v;
	size_t n;
	char *line_error, *send_error;
	struct journal_totals before; /* what had been sent when the sync began */
};

static void replace(char **to, const char *s)
{
	free(*to);
	*to = xstrdup(s);
}

static void on_fetch(void *arg, const struct fetch_progress *p)
{
	struct reply *y = arg;
	struct collected *c = NULL;

	for (size_t i = 0; i < y->n && c == NULL; i++)
		if (strcmp(y->v[i].account, p->account) == 0)
			c = &y->v[i];
	if (c == NULL) {
		y->v = xreallocarray(y->v, y->n + 1, sizeof *y->v);
		c = &y->v[y->n++];
		*c = (struct collected){.account = xstrdup(p->account), .error = xstrdup("")};
	}
	/* The last word of an account comes without its counts. */
	c->n = p->done > c->n ? p->done : c->n;
	replace(&c->error, p->error);
}

static void on_send(void *arg, const struct send_progress *p)
{
	replace(&((struct reply *)arg)->send_error, p->error);
}

static void on_line(void *arg, const char *state)
{
	if (strstr(state, "failed") != NULL)
		replace(&((struct reply *)arg)->line_error, state);
}

/* ---- words ---- */

/* What was sent since `before`; the journal counts recipients. */
static uint64_t since(const struct reply *y, const struct journal_totals *now, enum journal_kind kind)
{
	return now->of[kind].n - y->before.of[kind].n;
}

static struct journal_totals totals_of(const struct sync *s)
{
	const struct journal *j = delivery_journal(s->deps.delivery);

	return j != NULL ? *journal_totals(j) : (struct journal_totals){0};
}

static char *subject_of(const struct reply *y, bool ru, bool failed, const struct journal_totals *now)
{
	uint64_t collected = 0, sent = since(y, now, JOURNAL_SENT);

	for (size_t i = 0; i < y->n; i++)
		collected += y->v[i].n;
	if (failed)
		return xasprintf(ru ? "Сеанс связи завершён с ошибками: собрано %" PRIu64 ", отправлено %" PRIu64
		                    : "Sync failed in part: %" PRIu64 " collected, %" PRIu64 " sent",
		                 collected, sent);
	return xasprintf(ru ? "Сеанс связи завершён: собрано %" PRIu64 ", отправлено %" PRIu64
	                    : "Sync done: %" PRIu64 " collected, %" PRIu64 " sent",
	                 collected, sent);
}

static void write_collected(struct buf *out, const struct reply *y, bool ru)
{
	size_t width = 20;

	for (size_t i = 0; i < y->n; i++)
		width = text_chars(slice_of(y->v[i].account)) > width ? text_chars(slice_of(y->v[i].account)) : width;
	buf_add_str(out, ru ? "Собрано:\n" : "Collected:\n");
	for (size_t i = 0; i < y->n; i++) {
		char *error = phrase_in(y->v[i].error, ru);
		buf_add_str(out, "  ");
		text_pad(out, y->v[i].account, width, false);
		buf_printf(out, " %" PRIu64 "%s%s\n", y->v[i].n, error[0] != '\0' ? "  " : "", error);
		free(error);
	}
	if (y->n == 0)
		buf_add_str(out, ru ? "  учётных записей нет\n" : "  no account is collected\n");
}

static void write_body(struct buf *out, const struct reply *y, bool ru, bool failed, const struct journal_totals *now)
{
	char *line = phrase_in(y->line_error != NULL ? y->line_error : "", ru);
	char *send = phrase_in(y->send_error != NULL ? y->send_error : "", ru);

	if (line[0] != '\0')
		buf_printf(out, ru ? "Линия: %s\n\n" : "The line: %s\n\n", line);
	write_collected(out, y, ru);
	buf_printf(out,
	           ru ? "\nОтправлено наружу, получателям: %" PRIu64 "; отложено: %" PRIu64
	                "; окончательно отказано: %" PRIu64 "\n"
	              : "\nSent outside, by recipients: %" PRIu64 "; put off until later: %" PRIu64
	                "; refused for good: %" PRIu64 "\n",
	           since(y, now, JOURNAL_SENT), since(y, now, JOURNAL_DEFERRED), since(y, now, JOURNAL_BOUNCED));
	if (send[0] != '\0')
		buf_printf(out, "  %s\n", send);
	free(line);
	free(send);
	buf_printf(out, ru ? "Ещё ждёт в очереди: %zu\n" : "Still waiting in the queue: %zu\n",
	           sender_length(y->sync->deps.sender));
	if (failed)
		buf_add_str(
		    out, ru ? "\nТо, что не удалось, повторится в следующем сеансе. Если ошибка остаётся, сообщите "
		              "администратору шлюза.\n"
		            : "\nWhat failed is tried again at the next sync. If it keeps failing, tell whoever looks "
		              "after the gateway.\n");
}

/* ---- the end ---- */

static void on_committed(void *arg, enum acceptance_result r)
{
	if (r != ACCEPTED)
		log_error("sync.reply", kv_s("user", arg), kv_s("error", "it could not be stored"));
	free(arg);
}

static void write_to(const struct reply *y, const struct config *c, const char *user, const char *subject,
                     const char *body)
{
	struct acceptance *a = acceptance_new(y->sync->deps.delivery, DB_LANE_SYSTEM);
	struct buf mail;

	report_format(&mail, c, user, subject, body);
	size_t m = acceptance_message(a, buf_slice(&mail), NULL, 0, false);
	acceptance_to_mailbox(a, m, user);
	acceptance_commit(&a, on_committed, xstrdup(user));
	buf_free(&mail);
}

static void write_all(const struct reply *y, bool failed)
{
	const struct config *c = y->sync->config;
	struct journal_totals now = totals_of(y->sync);
	char *subject = subject_of(y, c->russian, failed, &now);
	struct buf body;

	buf_init(&body, 256 * 1024);
	write_body(&body, y, c->russian, failed, &now);
	for (size_t i = 0; i < y->users.n; i++) {
		const struct config_user *u = config_user_by_name(c, slice_of(y->users.v[i]));
		if (u != NULL && !u->is_daemon)
			write_to(y, c, u->name, subject, buf_str(&body));
	}
	buf_free(&body);
	free(subject);
}

static void on_done(void *arg, bool failed)
{
	struct reply *y = arg;

	if (!y->sync->stopping)
		write_all(y, failed);
	for (size_t i = 0; i < y->n; i++) {
		free(y->v[i].account);
		free(y->v[i].error);
	}
	free(y->v);
	free(y->line_error);
	free(y->send_error);
	strlist_free(&y->users);
	free(y);
}

void sync_reply_watch(struct run *r, const struct strlist *users)
{
	struct reply *y;

	if (!r->sync->config->daemon_reply || users->n == 0)
		return;
	y = xcalloc(1, sizeof *y);
	y->sync = r->sync;
	strlist_copy(&y->users, users);
	y->before = totals_of(r->sync);
	sync_run_watch(
	    r, &(struct sync_watcher){.fetch = on_fetch, .send = on_send, .line = on_line, .done = on_done, .arg = y});
}
