#include "app/app_internal.h"
#include "app/process.h"
#include "base/alloc.h"
#include "base/log.h"
#include "sort/sorter.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static void note_secret(void *arg, const char *secret)
{
	(void)arg;
	log_secret(secret);
}

void app_note_secrets(const struct config *c)
{
	config_secrets(c, note_secret, NULL);
}

int app_open_log(const struct config *c, struct err *e)
{
	return log_open(c->log_path, c->log_size_kib, c->log_level, e);
}

static void add_finding(struct buf *faults, const char *file, const struct config_finding *f)
{
	char *line = config_finding_format(file, f);

	if (f->fault)
		buf_printf(faults, "%s\n", line);
	else
		log_warning("config", kv_s("finding", line));
	free(line);
}

struct config *app_load_config(const struct options *o, char **text)
{
	static const struct config_hooks hooks = {.pattern_error = sorter_pattern_error};
	struct config_findings found = {0};
	struct buf faults;

	buf_init(&faults, 1024 * 1024);
	struct config *c = config_load_with(o->file, o->home, &hooks, &found);
	for (size_t i = 0; i < found.n; i++)
		add_finding(&faults, o->file, &found.v[i]);
	config_findings_free(&found);
	*text = buf_steal(&faults);
	return c;
}

int app_create_mailboxes(struct app *a, const struct config *c, struct err *e)
{
	for (size_t i = 0; i < c->nusers; i++) {
		const char *user = c->users[i]->name;
		if (c->users[i]->is_daemon || maildir_create(a->maildir, user, e) == 0)
			continue;
		if (!maildir_is_broken(e->code))
			return -1;
		log_error("mailbox.refused", kv_s("user", user), kv_s("error", e->text));
		if (a->delivery != NULL)
			app_mailbox_trouble(a, user, e->code);
	}
	return maildir_flush(a->maildir, e);
}

int app_servers_bind(struct app *a, const struct config *c, struct err *e)
{
	if (smtp_service_prepare(a->smtp, c, e) == 0 && pop3_service_prepare(a->pop3, c, e) == 0 &&
	    ports_pool_open(a->ports, e) == 0)
		return 0;
	app_servers_abort(a);
	return -1;
}

void app_servers_commit(struct app *a)
{
	/* Who has come by now is still the old configuration's. */
	ports_pool_switch(a->ports);
	smtp_service_commit(a->smtp);
	pop3_service_commit(a->pop3);
}

void app_servers_abort(struct app *a)
{
	smtp_service_abort(a->smtp);
	pop3_service_abort(a->pop3);
	ports_pool_let_go(a->ports);
}

/* Everything that can fail comes before the first thing that changes. */
static int try_switch(struct app *a, const struct config *c, struct err *e)
{
	const char *key = config_needs_restart(a->config, c);

	if (key != NULL)
		return err_set(e, 0, "%s:%u: [server] %s: needs a restart; the old configuration stays in force",
		               c->file, config_server_line(c, key), key);
	if (process_reaches(c, e) != 0 || app_create_mailboxes(a, c, e) != 0 || app_servers_bind(a, c, e) != 0)
		return -1;
	if (app_open_log(c, e) == 0)
		return 0;
	if (e->code == EACCES && strcmp(a->config->log_path, c->log_path) != 0)
		err_set(e, EACCES,
		        "%s:%u: [server] log: %s cannot be written; another folder for the log needs a restart",
		        c->file, config_server_line(c, "log"), c->log_path);
	app_servers_abort(a);
	return -1;
}

int app_reload(void *arg, char **text)
{
	struct app *a = arg;
	struct err e = {0, ""};

	if (a->stopping) { /* nothing may be opened any more */
		*text = xstrdup("the program is stopping; nothing was reloaded\n");
		log_error("reload.refused", kv_s("fault", "the program is stopping"));
		return -1;
	}
	struct config *c = app_load_config(a->options, text);

	if (c == NULL) {
		log_error("reload.refused", kv_s("faults", *text));
		return -1;
	}
	if (try_switch(a, c, &e) != 0) {
		free(*text);
		*text = xasprintf("%s\n", e.text);
		log_error("reload.refused", kv_s("fault", e.text));
		config_unref(&c);
		return -1;
	}
	app_servers_commit(a);
	log_secrets_forget();
	app_note_secrets(c);
	passwords_forget(a->passwords);
	fetcher_configure(a->fetcher, c);
	sender_configure(a->sender, c);
	sync_configure(a->sync, c);
	digest_configure(a->digest, c);
	config_unref(&a->config);
	a->config = c;
	log_info("reload.done", kv_u("users", c->nusers), kv_u("accounts", c->naccounts), kv_u("rules", c->nrules));
	return 0;
}
