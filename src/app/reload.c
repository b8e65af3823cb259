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

static int bind_servers(struct app *a, const struct config *c, struct err *e)
{
	if (smtp_service_prepare(a->smtp, c, e) != 0)
		return -1;
	if (pop3_service_prepare(a->pop3, c, e) != 0) {
		smtp_service_abort(a->smtp);
		return -1;
	}
	return 0;
}

/* Everything that can fail comes before the first thing that changes. */
static int try_switch(struct app *a, const struct config *c, struct err *e)
{
	const char *key = config_needs_restart(a->config, c);

	if (key != NULL)
		return err_set(e, 0, "%s:%u: [server] %s: needs a restart; the old configuration stays in force",
		               c->file, config_server_line(c, key), key);
	if (process_reaches(c, e) != 0 || app_create_mailboxes(a, c, e) != 0 || bind_servers(a, c, e) != 0)
		return -1;
	if (app_open_log(c, e) == 0)
		return 0;
	if (e->code == EACCES && strcmp(a->config->log_path, c->log_path) != 0)
		err_set(e, EACCES,
		        "%s:%u: [server] log: %s cannot be written; another folder for the log needs a restart",
		        c->file, config_server_line(c, "log"), c->log_path);
	smtp_service_abort(a->smtp);
	pop3_service_abort(a->pop3);
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
	smtp_service_commit(a->smtp);
	pop3_service_commit(a->pop3);
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
