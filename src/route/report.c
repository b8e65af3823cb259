#include "route/report.h"

#include "base/alloc.h"
#include "base/clock.h"
#include "base/log.h"
#include "base/random.h"
#include "mail/rewrite.h"
#include "store/ledger.h"

#include <stdlib.h>

enum { REPORT_MAX = 4 * 1024 * 1024, LINE_MOST = 990 };

/* How much of the line fits into one of those that RFC 5322 2.1.1 allows: up to a space, or a whole character. */
static size_t fitting(struct slice line)
{
	size_t n = LINE_MOST;

	if (line.n <= LINE_MOST)
		return line.n;
	while (n > LINE_MOST / 2 && line.p[n] != ' ')
		n--;
	if (line.p[n] != ' ')
		for (n = LINE_MOST; n > 1 && ((unsigned char)line.p[n] & 0xc0) == 0x80; n--)
			;
	return n;
}

static void add_body(struct buf *out, struct slice body)
{
	while (body.n > 0) {
		struct slice line = slice_sub(body, 0, slice_find(body, '\n'));
		size_t n = fitting(line);
		body = slice_sub(body, n < line.n ? n : line.n + 1, body.n);
		line.n = n;
		buf_add_slice(out, line);
		buf_add_str(out, "\r\n");
	}
}

/* "Mail gateway", in the language of those who read it. */
static void add_from(struct buf *out, const struct config *c)
{
	buf_printf(out, "From: %s <%s@%s>\r\n",
	           c->russian ? "=?utf-8?B?0J/QvtGH0YLQvtCy0YvQuSDRiNC70Y7Qtw==?=" : "Mail gateway",
	           c->postmaster->name, c->domain);
}

void report_format_as(struct buf *out, const struct config *c, const char *to_user, const char *subject,
                      const char *type, const char *body)
{
	char date[40], id[RANDOM_NAME_MAX];

	buf_init(out, REPORT_MAX);
	clock_rfc5322(clock_wall_s(), date);
	random_name(id);
	buf_printf(out, "Return-Path: <>\r\nDate: %s\r\nMessage-ID: <%s@%s>\r\n", date, id, c->hostname);
	add_from(out, c);
	buf_printf(out, "To: <%s@%s>\r\n", to_user, c->domain);
	rewrite_add_field(out, "Subject", subject);
	buf_printf(out,
	           "Auto-Submitted: auto-generated\r\nMIME-Version: 1.0\r\nContent-Type: %s\r\n"
	           "Content-Transfer-Encoding: 8bit\r\n\r\n",
	           type);
	add_body(out, slice_of(body));
}

void report_format(struct buf *out, const struct config *c, const char *to_user, const char *subject, const char *body)
{
	report_format_as(out, c, to_user, subject, "text/plain; charset=utf-8", body);
}

static void add_to_postmaster(struct acceptance *a, const struct config *c, const char *subject, const char *body)
{
	struct buf out;

	report_format(&out, c, c->postmaster->name, subject, body);
	size_t m = acceptance_message(a, buf_slice(&out), NULL, 0, false);
	acceptance_to_mailbox(a, m, c->postmaster->name);
	buf_free(&out);
}

static char *filled(const char *text, const struct letter_value *values)
{
	struct buf out;

	buf_init(&out, REPORT_MAX);
	letter_fill(&out, text, values);
	return buf_steal(&out);
}

void report_add(struct acceptance *a, const struct config *c, enum letter_kind k, const struct letter_value *values)
{
	struct letter_text t = letter_text(k, c->russian);
	char *subject = filled(t.subject, values), *body = filled(t.body, values);

	add_to_postmaster(a, c, subject, body);
	free(subject);
	free(body);
}

/* ---- reports of their own ---- */

struct report {
	struct delivery *d;
	struct config *c;
	char *once_key, *subject, *body;
	bool told;
};

static void report_free(struct report *r)
{
	delivery_report_ends(r->d);
	config_unref(&r->c);
	free(r->once_key);
	free(r->subject);
	free(r->body);
	free(r);
}

static void on_committed(void *arg, enum acceptance_result result)
{
	struct report *r = arg;

	if (result != ACCEPTED && !r->told)
		log_error("report.lost", kv_s("subject", r->subject));
	report_free(r);
}

static int read_told(struct db_conn *c, void *arg, struct err *e)
{
	struct report *r = arg;
	char *value = NULL;

	if (fact_get(c, r->once_key, &value, e) != 0)
		return -1;
	r->told = value != NULL;
	free(value);
	return 0;
}

static int set_told(struct db_conn *c, void *arg, struct err *e)
{
	struct report *r = arg;

	if (read_told(c, r, e) != 0)
		return -1;
	/* Another report of the same trouble was quicker. */
	return r->told ? err_set(e, 0, "told already") : fact_set(c, r->once_key, "told", e);
}

static int unset_told(struct db_conn *c, void *arg, struct err *e)
{
	return fact_set(c, ((struct report *)arg)->once_key, NULL, e);
}

static void send_report(struct report *r)
{
	struct acceptance *a = acceptance_new(r->d, DB_LANE_SYSTEM);

	log_warning("report", kv_s("subject", r->subject));
	add_to_postmaster(a, r->c, r->subject, r->body);
	if (r->once_key != NULL)
		acceptance_extra(a, set_told, unset_told, r, NULL);
	acceptance_commit(&a, on_committed, r);
}

static void on_told(void *arg, int rc, const struct err *e)
{
	struct report *r = arg;

	(void)e;
	/* When in doubt, tell. */
	if (rc == 0 && r->told)
		report_free(r);
	else
		send_report(r);
}

void report_postmaster(struct delivery *d, const struct config *c, const char *once_key, enum letter_kind k,
                       const struct letter_value *values)
{
	struct report *r = xcalloc(1, sizeof *r);
	struct letter_text t = letter_text(k, c->russian);

	*r = (struct report){
	    .d = d, .c = config_ref(c), .subject = filled(t.subject, values), .body = filled(t.body, values)};
	delivery_report_begins(d);
	if (once_key == NULL) {
		send_report(r);
		return;
	}
	r->once_key = xstrdup(once_key);
	database_read(delivery_database(d), read_told, on_told, r);
}

static int forget(struct db_conn *c, void *arg, struct err *e)
{
	return fact_set(c, arg, NULL, e);
}

static void forgotten(void *arg, enum db_outcome outcome, const struct err *e)
{
	(void)outcome;
	(void)e;
	free(arg);
}

void report_forget(struct database *db, const char *once_key)
{
	struct db_job job = {forget, NULL, forgotten, xstrdup(once_key), DB_LANE_SYSTEM, 64};

	database_submit(db, &job);
}
