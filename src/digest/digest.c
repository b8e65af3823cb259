#include "digest/digest.h"

#include "base/alloc.h"
#include "base/clock.h"
#include "base/log.h"
#include "base/random.h"
#include "digest/text.h"
#include "route/report.h"
#include "store/ledger.h"
#include "sync/schedule.h"

#include <inttypes.h>
#include <stdlib.h>

enum { LOOK_MS = 30 * 1000, RETRY_MS = 10 * 60 * 1000 };

/* The moment of the last report, or of the key's first appearance: decimal wall seconds. */
static const char served_fact[] = "digest.served";

struct digest {
	struct digest_deps d;
	struct database *db;
	struct config *config;
	struct loop_timer *timer;
	bool remembered; /* `served` has been read */
	bool busy, stopping;
	int64_t served; /* wall seconds; 0 = never on */
};

struct writing { /* one report on its way; outlives the digest */
	struct digest *g;
	struct config *config;
	int64_t owed;
};

static void look(void *arg);

/* ---- the message ---- */

void digest_mail(struct buf *out, const struct config *c, const struct digest_facts *f)
{
	struct buf subject, body;
	char boundary[RANDOM_NAME_MAX], *type;

	buf_init(&subject, 1024);
	buf_init(&body, 2 * DIGEST_MAX + 4096);
	random_name(boundary);
	digest_subject(&subject, f, c->russian);
	type = xasprintf("multipart/alternative; boundary=\"%s\"", boundary);
	buf_printf(&body, "--%s\nContent-Type: text/plain; charset=utf-8\nContent-Transfer-Encoding: 8bit\n\n",
	           boundary);
	digest_text(&body, f, c->russian);
	buf_printf(&body, "\n--%s\nContent-Type: text/html; charset=utf-8\nContent-Transfer-Encoding: 8bit\n\n",
	           boundary);
	digest_html(&body, f, c->russian);
	buf_printf(&body, "\n--%s--\n", boundary);
	report_format_as(out, c, c->postmaster->name, buf_str(&subject), type, buf_str(&body));
	free(type);
	buf_free(&subject);
	buf_free(&body);
}

static int put_served(struct db_conn *c, void *arg, struct err *e)
{
	return fact_set(c, served_fact, arg, e);
}

static void on_committed(void *arg, enum acceptance_result r)
{
	struct writing *w = arg;

	w->g->busy = false;
	if (r == ACCEPTED)
		w->g->served = w->owed;
	log_info("digest", kv_s("result", r == ACCEPTED ? "ok" : "no room: it is tried again"));
	loop_timer_set(w->g->timer, r == ACCEPTED ? 0 : RETRY_MS);
	config_unref(&w->config);
	free(w);
}

static void on_gathered(void *arg, struct digest_facts *f, const struct err *e)
{
	struct writing *w = arg;
	struct buf mail;

	if (f == NULL || w->g->stopping) {
		if (f == NULL)
			log_error("digest", kv_s("error", e->text));
		w->g->busy = false;
		loop_timer_set(w->g->timer, RETRY_MS);
		digest_facts_free(&f);
		config_unref(&w->config);
		free(w);
		return;
	}
	struct acceptance *a = acceptance_new(w->g->d.delivery, DB_LANE_SYSTEM);
	digest_mail(&mail, w->config, f);
	size_t m = acceptance_message(a, buf_slice(&mail), NULL, 0, false);
	acceptance_to_mailbox(a, m, w->config->postmaster->name);
	acceptance_extra(a, put_served, NULL, xasprintf("%" PRId64, w->owed), free);
	acceptance_commit(&a, on_committed, w);
	buf_free(&mail);
	digest_facts_free(&f);
}

/* ---- when ---- */

static void write_report(struct digest *g, int64_t owed)
{
	struct writing *w = xcalloc(1, sizeof *w);

	*w = (struct writing){g, config_ref(g->config), owed};
	g->busy = true;
	digest_gather(&g->d, g->config, schedule_at_before(&g->config->daily_report.at, owed), owed, on_gathered, w);
}

static void forget_text(void *arg, enum db_outcome outcome, const struct err *e)
{
	(void)outcome;
	(void)e;
	free(arg);
}

/* The key was just switched on: what lies before is not owed. */
static void begin_serving(struct digest *g)
{
	struct db_job job = {.apply = put_served, .done = forget_text, .lane = DB_LANE_SYSTEM, .bytes = 64};

	g->served = clock_wall_s();
	job.arg = xasprintf("%" PRId64, g->served);
	database_submit(g->db, &job);
}

static void look(void *arg)
{
	struct digest *g = arg;
	int64_t now = clock_wall_s();

	if (g->busy || g->stopping || !g->remembered)
		return;
	if (g->config->daily_report.on) {
		if (g->served == 0)
			begin_serving(g);
		int64_t owed = schedule_at_owed(&g->config->daily_report.at, 1, g->served, now);
		if (owed != 0) {
			write_report(g, owed);
			return;
		}
	}
	/* The wall's clock may be set at any time, so it is looked at this often. */
	int64_t next =
	    g->config->daily_report.on ? schedule_at_next(&g->config->daily_report.at, 1, now) - now : LOOK_MS;
	loop_timer_set(g->timer, next * 1000 < LOOK_MS ? next * 1000 : LOOK_MS);
}

struct memory {
	struct digest *g;
	char *served;
};

static int read_served(struct db_conn *c, void *arg, struct err *e)
{
	return fact_get(c, served_fact, &((struct memory *)arg)->served, e);
}

static void on_served(void *arg, int rc, const struct err *e)
{
	struct memory *m = arg;

	if (rc != 0)
		log_error("digest", kv_s("error", e->text));
	if (m->served != NULL)
		m->g->served = strtoll(m->served, NULL, 10);
	m->g->remembered = true;
	loop_timer_set(m->g->timer, 0);
	free(m->served);
	free(m);
}

struct digest *digest_new(const struct digest_deps *d, struct database *db)
{
	struct digest *g = xcalloc(1, sizeof *g);

	g->d = *d;
	g->db = db;
	g->timer = loop_timer_new(d->loop, look, g);
	return g;
}

void digest_configure(struct digest *g, const struct config *c)
{
	bool first = g->config == NULL;

	if (!first && !g->config->daily_report.on && c->daily_report.on)
		g->served = 0;
	config_unref(&g->config);
	g->config = config_ref(c);
	if (first) {
		struct memory *m = xcalloc(1, sizeof *m);
		m->g = g;
		database_read(g->db, read_served, on_served, m);
	} else if (!g->busy) {
		loop_timer_set(g->timer, 0);
	}
}

void digest_stop(struct digest *g)
{
	g->stopping = true;
	loop_timer_cancel(g->timer);
}

void digest_free(struct digest **gp)
{
	struct digest *g = *gp;

	if (g == NULL)
		return;
	loop_timer_free(&g->timer);
	config_unref(&g->config);
	free(g);
	*gp = NULL;
}
