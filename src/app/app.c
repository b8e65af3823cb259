#include "app/app.h"

#include "app/app_internal.h"
#include "app/process.h"
#include "base/alloc.h"
#include "base/clock.h"
#include "base/log.h"
#include "store/installation.h"
#include "store/learnt.h"
#include "store/ledger.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum { MAIL_WORKERS = 4, OTHER_WORKERS = 4, CREW_MAX = 4, STOP_MS = 30 * 1000, STOP_DELIVERY_MS = 10 * 1000 };

static const char *const schemas[] = {delivery_schema, tombstone_schema, outqueue_schema, ledger_schema,
                                      fact_schema,     learnt_schema,    sync_schema,     NULL};

/* ---- what one room tells another ---- */

static void on_queued(void *arg, const char *id)
{
	struct app *a = arg;

	sender_queued(a->sender, id);
	sync_mail_queued(a->sync);
}

static void on_stuck(void *arg, const char *id)
{
	sender_stuck(((struct app *)arg)->sender, id);
}

static void on_daemon_called(void *arg, const char *user)
{
	sync_daemon_called(((struct app *)arg)->sync, user);
}

static const struct config *current_config(void *arg)
{
	return ((struct app *)arg)->config;
}

/* ---- start ---- */

static int check_folders(const struct config *c, bool *lost, struct err *e)
{
	const int flags = O_RDONLY | O_DIRECTORY | O_CLOEXEC;
	int m = open(c->mailboxes, flags), q = open(c->outqueue, flags), s = open(c->state, flags);
	enum installation what = INSTALLATION_NEW;
	int rc = m >= 0 && q >= 0 && s >= 0 ? installation_check(m, q, s, &what, e) : err_errno(e, "[server] folders");

	*lost = what == INSTALLATION_STATE_LOST;
	for (int i = 0; i < 3; i++) {
		int fd = (int[]){m, q, s}[i];
		if (fd >= 0)
			close(fd);
	}
	return rc;
}

static char *database_path(const struct app *a)
{
	return xasprintf("%s/ofmsrv.db", a->config->state);
}

static int open_database(struct app *a, struct err *e)
{
	char *path = database_path(a);

	a->db = database_open(path, schemas, e);
	free(path);
	return a->db != NULL ? 0 : -1;
}

static int recover(struct app *a, bool lost, struct err *e)
{
	if (delivery_recover(a->delivery, e) != 0)
		return -1;
	return delivery_rebuild(a->delivery, a->config, lost, &a->rebuilt, e);
}

static void open_journal(struct app *a)
{
	char *path = xasprintf("%s/journal.db", a->config->state);

	if (a->journal == NULL)
		a->journal = journal_new(a->loop, path);
	journal_on_aside(a->journal, app_journal_aside, a);
	delivery_set_journal(a->delivery, a->journal);
	free(path);
}

static int open_delivery(struct app *a, bool lost, struct err *e)
{
	if (open_database(a, e) != 0)
		return -1;
	a->delivery = delivery_new(a->loop, a->mail_workers, a->db, a->maildir, a->config, e);
	if (a->delivery == NULL)
		return -1;
	open_journal(a);
	delivery_on_queued(a->delivery, on_queued, a);
	delivery_on_stuck(a->delivery, on_stuck, a);
	delivery_on_trouble(a->delivery, app_mailbox_trouble, a);
	delivery_on_well_again(a->delivery, app_well_again, a);
	return recover(a, lost, e);
}

/* A damaged database costs no settled mail: it is put aside, and the folders tell what they can. */
static int put_aside(struct app *a, struct err *e)
{
	char *path = database_path(a);
	char *aside = xasprintf("%s.damaged-%lld", path, (long long)clock_wall_s());

	log_error("database.damaged", kv_s("error", e->text), kv_s("moved_to", aside));
	delivery_free(&a->delivery);
	database_free(&a->db);
	int rc = database_set_aside(path, aside, e);
	free(path);
	free(aside);
	return rc;
}

static void sweep_mailboxes(struct app *a)
{
	for (size_t i = 0; i < a->config->nusers; i++)
		if (!a->config->users[i]->is_daemon)
			maildir_sweep_tmp(a->maildir, a->config->users[i]->name, clock_wall_s());
}

static int open_store(struct app *a, struct err *e)
{
	bool lost = false;

	if (check_folders(a->config, &lost, e) != 0 || (a->maildir = maildir_open(a->config->mailboxes, e)) == NULL ||
	    app_create_mailboxes(a, a->config, e) != 0)
		return -1;
	sweep_mailboxes(a);
	if (open_delivery(a, lost, e) == 0)
		return 0;
	return database_is_damage(e) && put_aside(a, e) == 0 ? open_delivery(a, true, e) : -1;
}

static int open_outside(struct app *a, struct err *e)
{
	struct db_conn *c = database_conn(a->db);

	if ((a->learnt_pop3 = learnt_load(c, "pop3", e)) == NULL ||
	    (a->learnt_smtp = learnt_load(c, "smtp", e)) == NULL)
		return -1;
	const struct fetcher_deps fetch = {a->loop, a->delivery, a->db, a->other_workers, a->runner, a->learnt_pop3};
	const struct sender_deps send = {a->loop, a->delivery, a->db, a->other_workers, a->runner, a->learnt_smtp};

	a->fetcher = fetcher_new(&fetch);
	a->sender = sender_new(&send);
	fetcher_configure(a->fetcher, a->config);
	sender_configure(a->sender, a->config);
	if (sender_load(a->sender, e) != 0)
		return -1;
	const struct sync_deps deps = {a->loop, a->fetcher, a->sender, a->delivery, a->db, a->runner};
	a->sync = sync_new(&deps);
	sync_configure(a->sync, a->config);
	return 0;
}

static struct digest_deps digest_deps(const struct app *a)
{
	return (struct digest_deps){.loop = a->loop,
	                            .journal = a->journal,
	                            .sender = a->sender,
	                            .fetcher = a->fetcher,
	                            .maildir = a->maildir,
	                            .workers = a->other_workers,
	                            .delivery = a->delivery};
}

static void make_servers(struct app *a)
{
	const struct smtp_service_deps smtp = {a->loop, a->delivery, a->passwords, a->brake, a->ports, on_daemon_called,
	                                       a};
	const struct pop3_service_deps pop3 = {a->loop,          a->delivery, a->passwords, a->maildir,
	                                       a->other_workers, a->brake,    a->ports};

	a->smtp = smtp_service_new(&smtp);
	a->pop3 = pop3_service_new(&pop3);
}

static int open_control(struct app *a, struct err *e)
{
	const struct control_deps deps = {.digest = digest_deps(a),
	                                  .loop = a->loop,
	                                  .sync = a->sync,
	                                  .sender = a->sender,
	                                  .fetcher = a->fetcher,
	                                  .smtp = a->smtp,
	                                  .pop3 = a->pop3,
	                                  .maildir = a->maildir,
	                                  .journal = a->journal,
	                                  .workers = a->other_workers,
	                                  .reload = app_reload,
	                                  .stop = app_stop,
	                                  .config = current_config,
	                                  .landlock = a->landlock,
	                                  .arg = a};

	a->control = control_new(&deps, a->config->control, e);
	return a->control != NULL ? 0 : -1;
}

static void on_signal(evutil_socket_t number, short what, void *arg)
{
	char *text = NULL;

	(void)what;
	if (number == SIGHUP)
		app_reload(arg, &text);
	else
		app_stop(arg);
	free(text);
}

static void watch_signals(struct app *a)
{
	static const int numbers[APP_SIGNALS] = {SIGTERM, SIGINT, SIGHUP};

	signal(SIGPIPE, SIG_IGN);
	for (int i = 0; i < APP_SIGNALS; i++) {
		a->signals[i] = evsignal_new(loop_base(a->loop), numbers[i], on_signal, a);
		evsignal_add(a->signals[i], NULL);
	}
}

static void on_crew(void *crew, void (*work)(void *arg), void (*done)(void *arg), void *arg)
{
	workers_run(crew, work, done, arg);
}

/* As many as there are processors, since they compute; few, since they compete with the loop. Nobody's file waits
 * behind a hundred handshakes. */
static void start_crew(struct app *a)
{
	long n = sysconf(_SC_NPROCESSORS_ONLN);

	a->crew = workers_new(a->loop, n < 1 ? 1 : n > CREW_MAX ? CREW_MAX : (unsigned)n);
	loop_set_crew(a->loop, on_crew, a->crew);
}

/* The order matters: the helper is forked first, while there are no threads and all rights; the log is opened by the
 * user that the program becomes; recovery comes before anything listens. */
static int start(struct app *a, struct err *e)
{
	/* Commands of the ini file run in the home, wherever the program was started. */
	if (chdir(a->options->home) != 0)
		return err_errno(e, "home %s", a->options->home);
	process_guard_memory();
	commands_init(&a->commands, a->options, a->config);
	if ((a->runner = runner_start(commands_allowed, &a->commands)) == NULL)
		return err_set(e, 0, "cannot start the helper process");
	process_limits();
	if (process_become(a->config, e) != 0 || (a->lock_fd = process_lock(a->config, e)) < 0 ||
	    app_open_log(a->config, e) != 0)
		return -1;
	app_note_secrets(a->config);
	if (process_confine(a->config, &a->landlock, e) != 0)
		return -1;
	if ((a->loop = loop_new()) == NULL)
		return err_set(e, 0, "cannot make an event loop");
	runner_attach(a->runner, a->loop);
	a->mail_workers = workers_new(a->loop, MAIL_WORKERS);
	a->other_workers = workers_new(a->loop, OTHER_WORKERS);
	start_crew(a);
	a->passwords = passwords_new(a->loop, a->other_workers);
	a->brake = brake_new();
	a->ports = ports_pool_new(a->loop);
	watch_signals(a);
	if (open_store(a, e) != 0 || open_outside(a, e) != 0)
		return -1;
	make_servers(a);
	/* Ports last: whoever finds them open finds all the rest there. */
	if (open_control(a, e) != 0 || app_servers_bind(a, a->config, e) != 0)
		return -1;
	database_start(a->db, a->loop);
	delivery_start(a->delivery);
	/* Once more, now that postmaster can be told of those that cannot be used. The ports are open: a folder that
	 * the disk refuses at this moment is made when mail comes for it. */
	if (app_create_mailboxes(a, a->config, e) != 0)
		log_error("mailbox.not_made", kv_s("error", e->text));
	app_servers_commit(a);
	sync_start(a->sync);
	const struct digest_deps deps = digest_deps(a);
	a->digest = digest_new(&deps, a->db);
	digest_configure(a->digest, a->config);
	app_report_rebuild(a);
	return 0;
}

struct app *app_start(const struct options *o)
{
	struct app *a = xcalloc(1, sizeof *a);
	struct err e = {0, ""};
	char *faults = NULL;

	a->options = o;
	a->lock_fd = -1;
	a->config = app_load_config(o, &faults);
	if (a->config == NULL) {
		fputs(faults, stderr);
		free(faults);
		free(a);
		return NULL;
	}
	free(faults);
	if (start(a, &e) != 0) {
		fprintf(stderr, "ofmsrv: %s\n", e.text);
		log_error("start.failed", kv_s("error", e.text));
		/* Nothing listens and nothing was accepted: the process ends, and with it all that was opened. */
		_exit(1);
	}
	log_info("start", kv_s("version", OFM_VERSION), kv_s("home", o->home), kv_u("users", a->config->nusers),
	         kv_u("accounts", a->config->naccounts));
	return a;
}

/* ---- stop ---- */

static void on_delivery_stopped(void *arg)
{
	struct app *a = arg;

	a->clean = true;
	loop_stop(a->loop);
}

static void on_part_stopped(void *arg)
{
	struct app *a = arg;

	if (--a->stops == 0)
		delivery_stop(a->delivery, STOP_DELIVERY_MS, on_delivery_stopped, a);
}

void app_stop(void *arg)
{
	struct app *a = arg;

	if (a->stopping)
		return;
	a->stopping = true;
	log_info("stop");
	digest_stop(a->digest);
	a->stops = 5;
	smtp_service_stop(a->smtp, STOP_MS, on_part_stopped, a);
	pop3_service_stop(a->pop3, STOP_MS, on_part_stopped, a);
	sync_stop(a->sync, STOP_MS, on_part_stopped, a);
	fetcher_stop(a->fetcher, STOP_MS, on_part_stopped, a);
	sender_stop(a->sender, STOP_MS, on_part_stopped, a);
}

void app_run(struct app *a)
{
	loop_run(a->loop);
}

void app_free(struct app **ap)
{
	struct app *a = *ap;

	if (a == NULL)
		return;
	*ap = NULL;
	control_free(&a->control);
	workers_stop(a->crew);
	loop_set_crew(a->loop, NULL, NULL);
	workers_stop(a->other_workers);
	workers_stop(a->mail_workers);
	database_stop(a->db);
	delivery_retire(a->delivery);
	loop_drain(a->loop);
	delivery_set_journal(a->delivery, NULL);
	journal_free(&a->journal);
	loop_drain(a->loop);
	digest_free(&a->digest);
	sync_free(&a->sync);
	fetcher_free(&a->fetcher);
	sender_free(&a->sender);
	learnt_free(&a->learnt_pop3);
	learnt_free(&a->learnt_smtp);
	smtp_service_free(&a->smtp);
	pop3_service_free(&a->pop3);
	passwords_free(&a->passwords);
	brake_free(&a->brake);
	ports_pool_free(&a->ports);
	delivery_free(&a->delivery);
	workers_free(&a->crew);
	workers_free(&a->other_workers);
	workers_free(&a->mail_workers);
	maildir_free(&a->maildir);
	database_free(&a->db);
	runner_stop(&a->runner);
	commands_free(&a->commands);
	for (int i = 0; i < APP_SIGNALS; i++)
		event_free(a->signals[i]);
	loop_free(&a->loop);
	config_unref(&a->config);
	close(a->lock_fd);
	log_info("stopped");
	log_close();
	free(a);
}
