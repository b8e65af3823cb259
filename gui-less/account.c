/* ofmctl account: external mailboxes listed, added, switched, and collected again after a hold. */
#include "args.h"
#include "base/alloc.h"
#include "client.h"
#include "local.h"
#include "secret.h"
#include "table.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static int resume(const struct ctl_options *o, int argc, char **argv)
{
	struct control_request r = {.verb = CONTROL_RESUME};
	bool all = false;
	const struct args_option options[] = {{"--known", NULL, &r.known}, {"--all", NULL, &all}, {NULL, NULL, NULL}};
	int words = args_all(argv[0], options, 2, argc, argv, 1);

	if (words < 0)
		return 1;
	if (words != 1)
		return ctl_usage(argv[0], "an account's NAME is needed");
	if (r.known == all)
		return ctl_usage(argv[0], "one of --known and --all is needed");
	r.what = argv[2];
	json_t *reply = client_simple(o, &r, CLIENT_PATIENCE);
	if (reply == NULL)
		return 1;
	json_decref(reply);
	printf("%s is collected again; what its server lists now is %s.\n", r.what,
	       r.known ? "taken as known" : "taken as new");
	return 0;
}

/* ---- list ---- */

static const char *security_word(enum config_security s)
{
	static const char *const words[] = {[SECURITY_NONE] = "none",
	                                    [SECURITY_OPPORTUNISTIC] = "opportunistic",
	                                    [SECURITY_STARTTLS] = "starttls",
	                                    [SECURITY_TLS] = "tls"};

	return words[s];
}

static void print_table(const struct config *c, bool tty)
{
	struct table *t = table_new("ACCOUNT ENABLED HOST >PORT SECURITY USER");
	char port[8];

	for (size_t i = 0; i < c->naccounts; i++) {
		const struct config_account *a = &c->accounts[i];
		snprintf(port, sizeof port, "%u", a->login.port);
		table_cell(t, a->label);
		table_cell(t, a->enabled ? "yes" : "no");
		table_cell(t, a->login.host);
		table_cell(t, port);
		table_cell(t, security_word(a->login.security));
		table_cell(t, a->login.user);
	}
	table_print(&t, tty);
}

static void print_json(const struct config *c)
{
	json_t *list = json_array(), *wrap = json_object();

	for (size_t i = 0; i < c->naccounts; i++) {
		const struct config_account *a = &c->accounts[i];
		json_array_append_new(list,
		                      json_pack("{s:s, s:b, s:s, s:i, s:s, s:s}", "name", a->label, "enabled",
		                                a->enabled, "host", a->login.host, "port", (int)a->login.port,
		                                "security", security_word(a->login.security), "user", a->login.user));
	}
	json_object_set_new(wrap, "accounts", list);
	client_print_json(wrap);
	json_decref(wrap);
}

static int list(const struct ctl_options *o)
{
	struct config *c = local_config(o);

	if (c == NULL)
		return 1;
	if (o->json)
		print_json(c);
	else if (c->naccounts == 0)
		puts("There are no accounts.");
	else
		print_table(c, o->out_is_tty);
	config_unref(&c);
	return 0;
}

/* ---- add, enable, disable ---- */

struct wanted {
	const char *host, *port, *security, *user, *password_file, *password_command, *keep, *first, *deliver;
};

enum { SETTINGS_MAX = 10 };

static size_t settings_of(const struct wanted *w, const char *password, struct config_setting out[static SETTINGS_MAX])
{
	const struct config_setting all[SETTINGS_MAX] = {{"host", w->host},
	                                                 {"port", w->port},
	                                                 {"security", w->security},
	                                                 {"user", w->user},
	                                                 {"password", password},
	                                                 {"password_file", w->password_file},
	                                                 {"password_command", w->password_command},
	                                                 {"keep", w->keep},
	                                                 {"first", w->first},
	                                                 {"deliver", w->deliver}};
	size_t n = 0;

	for (size_t i = 0; i < SETTINGS_MAX; i++)
		if (all[i].value != NULL)
			out[n++] = all[i];
	return n;
}

/* Before a password is typed in vain. */
static int check_new(const struct ctl_options *o, const char *label)
{
	struct config *c = local_changeable(o) == 0 ? local_config(o) : NULL;
	int rc = c == NULL;

	if (c != NULL && config_account_by_label(c, slice_of(label)) != NULL)
		rc = ctl_error("there is a [account %s] already (ofmctl account lists them)", label);
	config_unref(&c);
	return rc;
}

static int add_wanted(const struct ctl_options *o, const char *label, const struct wanted *w)
{
	struct config_setting set[SETTINGS_MAX];
	char password[SECRET_MAX] = "";
	bool asks = w->password_file == NULL && w->password_command == NULL;

	if (check_new(o, label) != 0)
		return 1;
	if (asks && secret_read("Password at the provider: ", NULL, password) != 0)
		return 1;
	if (asks && password[0] == '\0')
		return ctl_error("an account without a password cannot log in; nothing was changed");
	struct config_edit ed = {.kind = "account", .label = label, .add = true, .set = set};
	ed.n = settings_of(w, asks ? password : NULL, set);
	char *done = xasprintf("Account %s was added", label);
	int rc = local_edit(o, &ed, done);
	free(done);
	explicit_bzero(password, sizeof password);
	if (rc != 0)
		return rc;
	if (w->keep == NULL)
		puts("Its mail is deleted at the provider once it is safe here; keep = 14d in its section leaves it "
		     "there.");
	printf("Try it: ofmctl test account \"%s\"\n", label);
	return 0;
}

static int add(const struct ctl_options *o, int argc, char **argv)
{
	struct wanted w = {0};
	const struct args_option options[] = {{"--host", &w.host, NULL},
	                                      {"--port", &w.port, NULL},
	                                      {"--security", &w.security, NULL},
	                                      {"--user", &w.user, NULL},
	                                      {"--password-file", &w.password_file, NULL},
	                                      {"--password-command", &w.password_command, NULL},
	                                      {"--keep", &w.keep, NULL},
	                                      {"--first", &w.first, NULL},
	                                      {"--deliver", &w.deliver, NULL},
	                                      {NULL, NULL, NULL}};
	int words = args_all(argv[0], options, 2, argc, argv, 1);

	if (words < 0)
		return 1;
	if (words != 1 || w.host == NULL || w.user == NULL)
		return ctl_usage(argv[0], "add needs a NAME, --host and --user");
	return add_wanted(o, argv[2], &w);
}

static int enable(const struct ctl_options *o, int argc, char **argv, bool on)
{
	const struct config_setting set = {"enabled", on ? "yes" : "no"};
	struct config_edit ed = {.kind = "account", .set = &set, .n = 1};

	if (argc != 3 || argv[2][0] == '-')
		return ctl_usage(argv[0], "an account's NAME is needed");
	ed.label = argv[2];
	char *done = xasprintf("Account %s is switched %s", argv[2], on ? "on" : "off");
	int rc = local_edit(o, &ed, done);
	free(done);
	return rc;
}

int ctl_account(const struct ctl_options *o, int argc, char **argv)
{
	const char *what = argc > 1 ? argv[1] : "list";

	if (strcmp(what, "list") == 0)
		return argc > 2 ? ctl_usage(argv[0], "list takes no %s", argv[2]) : list(o);
	if (o->json)
		return ctl_usage(argv[0], "only list takes --json");
	if (strcmp(what, "resume") == 0)
		return resume(o, argc, argv);
	if (strcmp(what, "add") == 0)
		return add(o, argc, argv);
	if (strcmp(what, "enable") == 0 || strcmp(what, "disable") == 0)
		return enable(o, argc, argv, what[0] == 'e');
	if (strcmp(what, "remove") == 0 || strcmp(what, "delete") == 0)
		return ctl_usage(argv[0], "take the section out of %s, then: ofmctl reload", o->file);
	return ctl_unknown_part(argv[0], what,
	                        (const char *const[]){"list", "add", "enable", "disable", "resume", NULL});
}
