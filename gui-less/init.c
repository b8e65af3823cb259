/* ofmctl init: the few questions that matter, the log-ins tried, a commented ini file written. */
#include "init.h"

#include "args.h"
#include "base/alloc.h"
#include "config/values.h"
#include "local.h"
#include "message_file.h"
#include "probe.h"
#include "providers.h"
#include "show.h"
#include "store/passwords.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/stat.h>
#include <unistd.h>

/* ---- which answers do ---- */

static bool port_fits(const void *arg, const char *s)
{
	uint64_t n;

	(void)arg;
	return value_number(slice_of(s), 65535, &n) && n > 0;
}

static bool security_fits(const void *arg, const char *s)
{
	static const char *const words[] = {"tls", "starttls", "opportunistic", "none"};
	bool fits = false;

	(void)arg;
	for (size_t i = 0; i < sizeof words / sizeof *words; i++)
		fits |= strcasecmp(s, words[i]) == 0;
	return fits;
}

static bool keep_fits(const void *arg, const char *s)
{
	int64_t span;

	(void)arg;
	return strcasecmp(s, "forever") == 0 || value_duration(slice_of(s), &span);
}

static bool host_fits(const void *arg, const char *s)
{
	(void)arg;
	return value_host(slice_of(s));
}

static bool host_or_none_fits(const void *arg, const char *s)
{
	return s[0] == '\0' || host_fits(arg, s);
}

static bool domain_fits(const void *arg, const char *s)
{
	(void)arg;
	return value_domain(slice_of(s));
}

static bool address_or_none_fits(const void *arg, const char *s)
{
	(void)arg;
	return s[0] == '\0' || value_address(slice_of(s));
}

static bool is_user(const struct init_answers *a, struct slice name)
{
	for (size_t i = 0; i < a->nusers; i++)
		if (slice_eq_nocase(name, slice_of(a->users[i].name)))
			return true;
	return false;
}

static bool new_user_fits(const void *answers, const char *s)
{
	return s[0] == '\0' || (value_user_name(slice_of(s)) && strcasecmp(s, "daemon") != 0 &&
	                        !is_user((const struct init_answers *)answers, slice_of(s)));
}

static bool users_fit(const void *answers, const char *s)
{
	for (;;) {
		size_t n = strcspn(s, ",");
		if (!is_user((const struct init_answers *)answers, slice_trim(slice_make(s, n))))
			return false;
		if (s[n] == '\0')
			return true;
		s += n + 1;
	}
}

static bool postmaster_fits(const void *answers, const char *s)
{
	return strcasecmp(s, "postmaster") == 0 || is_user((const struct init_answers *)answers, slice_of(s));
}

static bool secret_fits(const void *arg, const char *s)
{
	struct buf b;
	struct err e;

	(void)arg;
	buf_init(&b, 4096);
	bool fits = config_quote(s, &b, &e) == 0;
	buf_free(&b);
	return fits;
}

static const struct dialog_fit port_wanted = {port_fits, NULL, "a port from 1 to 65535"},
                               security_wanted = {security_fits, NULL, "one of those words"},
                               keep_wanted = {keep_fits, NULL, "0, forever or a time like 14d"},
                               host_wanted = {host_fits, NULL, "a server's name or address"},
                               host_or_none_wanted = {host_or_none_fits, NULL, "a server's name or address"},
                               domain_wanted = {domain_fits, NULL, "a domain like office.lan"},
                               address_wanted = {address_or_none_fits, NULL, "an address like info@firm.example"},
                               secret_wanted = {secret_fits, NULL, "one that has not both kinds of quotes"};

/* ---- what is asked ---- */

static void ask_login(struct dialog *d, struct init_login *l, const char *what, const char *host, uint16_t port,
                      const char *security)
{
	char *question = xasprintf("The provider's %s server", what), number[8];

	snprintf(number, sizeof number, "%u", port);
	l->host = dialog_ask_fit(d, question, host, &host_wanted);
	l->port = dialog_ask_fit(d, "  its port", number, &port_wanted);
	l->security =
	    dialog_ask_fit(d, "  its security (tls, starttls, opportunistic, none)", security, &security_wanted);
	free(question);
}

static void ask_account(struct dialog *d, struct init_answers *a, const struct provider *p)
{
	ask_login(d, &a->account, "POP3", p->pop3, p->pop3_port, p->pop3_security);
	a->account.user = dialog_ask(d, "  user name there", a->address);
	if (p->note[0] != '\0')
		dialog_say("  (%s)\n", p->note);
	if (p->token)
		a->account.command = dialog_ask(d, "  the command that prints a token", "");
	else
		a->account.password = dialog_secret(d, "  password there", &secret_wanted);
	a->keep = dialog_ask_fit(d, "  how long collected mail stays there (0 = goes at once, 14d, forever)", "14d",
	                         &keep_wanted);
}

static void ask_relay(struct dialog *d, struct init_answers *a, const struct provider *p)
{
	if (!dialog_yes(d, "Shall mail to the outside go through the same provider", true)) {
		char *host = dialog_ask_fit(d, "The SMTP server that takes it (empty = nothing goes outside)", "",
		                            &host_or_none_wanted);
		if (host[0] == '\0') {
			free(host);
			return;
		}
		ask_login(d, &a->relay, "SMTP", host, 587, "starttls");
		free(host);
		a->relay.user = dialog_ask(d, "  user name there (empty = no log-in)", "");
		if (a->relay.user[0] != '\0')
			a->relay.password = dialog_secret(d, "  password there", &secret_wanted);
		return;
	}
	ask_login(d, &a->relay, "SMTP", p->smtp, p->smtp_port, p->smtp_security);
	a->relay_is_account = true;
}

static void ask_provider(struct dialog *d, struct init_answers *a, bool use_dns)
{
	struct provider p;

	a->address =
	    dialog_ask_fit(d, "The mail address whose mailbox is collected (empty = none yet)", "", &address_wanted);
	if (a->address[0] == '\0')
		return;
	const char *at = strrchr(a->address, '@');
	provider_find(at != NULL ? at + 1 : "", use_dns, &p);
	if (p.from_dns)
		dialog_say("  (DNS names the servers of this domain; they are suggested)\n");
	ask_account(d, a, &p);
	ask_relay(d, a, &p);
}

static void ask_users(struct dialog *d, struct init_answers *a)
{
	const struct dialog_fit name_wanted = {new_user_fits, a, "a new name of a-z, 0-9, dots, _ and -"};

	while (!d->ended && a->nusers < INIT_MOST) {
		char *name = dialog_ask_fit(
		    d, a->nusers == 0 ? "A user on the LAN (a-z, 0-9)" : "Another user (empty = no more)", "",
		    &name_wanted);
		if (name[0] == '\0') {
			free(name);
			if (a->nusers > 0 || d->ended)
				return;
			dialog_say("At least one is needed.\n");
			continue;
		}
		struct init_user *u = &a->users[a->nusers++];
		u->name = name;
		u->alias = dialog_ask_fit(d, "  their Internet address, which the outside sees (empty = none)",
		                          a->nusers == 1 && a->address != NULL ? a->address : "", &address_wanted);
		u->password = dialog_secret(d, "  their password for reading mail here", NULL);
	}
}

static void ask_rules(struct dialog *d, struct init_answers *a)
{
	const struct dialog_fit users_wanted = {users_fit, a, "one or more of the users above, with commas,"};

	while (!d->ended && a->nrules < INIT_MOST) {
		char *text = dialog_ask(d, "A rule: mail whose subject contains (empty = no more)", "");
		if (text[0] == '\0') {
			free(text);
			return;
		}
		a->rules[a->nrules].text = text;
		a->rules[a->nrules++].deliver =
		    dialog_ask_fit(d, "  goes to (users, with commas)", a->users[0].name, &users_wanted);
	}
}

static void ask_all(struct dialog *d, struct init_answers *a, bool use_dns)
{
	const struct dialog_fit postmaster_wanted = {postmaster_fits, a, "one of the users above"};

	a->domain = dialog_ask_fit(d, "The domain of the addresses on the LAN, which need not exist outside",
	                           "office.lan", &domain_wanted);
	ask_provider(d, a, use_dns);
	ask_users(d, a);
	if (a->nusers == 0)
		return;
	ask_rules(d, a);
	a->postmaster = dialog_ask_fit(d, "Who looks after the gateway: gets its reports, and mail that is nobody's",
	                               a->users[0].name, &postmaster_wanted);
}

/* What ask_provider has set. */
static void forget_provider(struct init_answers *a)
{
	struct init_login *logins[] = {&a->account, &a->relay};

	for (int i = 0; i < 2; i++) {
		free(logins[i]->host);
		free(logins[i]->port);
		free(logins[i]->security);
		free(logins[i]->user);
		free(logins[i]->password);
		free(logins[i]->command);
		*logins[i] = (struct init_login){0};
	}
	free(a->address);
	free(a->keep);
	a->address = a->keep = NULL;
	a->relay_is_account = false;
}

void init_answers_free(struct init_answers *a)
{
	forget_provider(a);
	for (size_t i = 0; i < a->nusers; i++) {
		free(a->users[i].name);
		free(a->users[i].alias);
		free(a->users[i].password);
	}
	for (size_t i = 0; i < a->nrules; i++) {
		free(a->rules[i].text);
		free(a->rules[i].deliver);
	}
	free(a->domain);
	free(a->postmaster);
	*a = (struct init_answers){0};
}

/* ---- trying ---- */

static bool try_one(const struct probe *p)
{
	dialog_say("Trying %s on %s …\n", p->label, p->login->host);
	fflush(stdout);
	return probe_run(p, NULL);
}

static bool try_all(const struct config *c)
{
	bool ok = true;

	if (c->naccounts > 0)
		ok = try_one(&(struct probe){.protocol = OUTSIDE_POP3,
		                             .label = "the account",
		                             .login = &c->accounts[0].login,
		                             .proxy = c->proxy,
		                             .hello = "",
		                             .home = c->home,
		                             .pipelining_off = c->accounts[0].pipelining_off});
	if (c->relays[0].login.host[0] != '\0')
		ok = try_one(&(struct probe){.protocol = OUTSIDE_SMTP,
		                             .label = "the relay",
		                             .login = &c->relays[0].login,
		                             .proxy = c->proxy,
		                             .hello = c->hostname,
		                             .home = c->home,
		                             .pipelining_off = c->relays[0].pipelining_off,
		                             .sender = probe_sender(c, &c->relays[0])}) &&
		     ok;
	return ok;
}

/* ---- writing ---- */

/* It belongs to whom the home belongs to: the program's user, who has to write there. */
static int make_folder(const char *home, const char *name)
{
	char *path = xasprintf("%s/%s", home, name);
	struct stat st;
	int rc = 0;

	if (mkdir(path, 0700) == 0) {
		if (geteuid() == 0 && stat(home, &st) == 0 && lchown(path, st.st_uid, st.st_gid) != 0)
			rc = ctl_error("%s cannot be given to the owner of %s: %s", path, home, strerror(errno));
	} else if (errno != EEXIST) {
		rc = ctl_error("%s: %s", path, strerror(errno));
	}
	free(path);
	return rc;
}

/* The file as it was installed: nobody's work is lost with it. */
static bool untouched_sample(const char *path)
{
	struct buf here, sample;
	bool same;

	if (!message_file_whole(path, 1024 * 1024, &here))
		return false;
	buf_init(&sample, 1024 * 1024);
	config_sample_write(&sample);
	same = slice_is(buf_slice(&here), buf_str(&sample));
	buf_free(&sample);
	buf_free(&here);
	return same;
}

static int hash_passwords(struct init_answers *a)
{
	struct err e = {.text = ""};
	char hash[256];

	for (size_t i = 0; i < a->nusers; i++) {
		struct init_user *u = &a->users[i];
		if (u->password[0] == '\0')
			continue;
		if (passwords_hash(u->password, hash, &e) != 0)
			return ctl_error("%s", e.text);
		explicit_bzero(u->password, strlen(u->password));
		free(u->password);
		u->password = xstrdup(hash);
	}
	return 0;
}

static void say_faults(const struct ctl_options *o, const struct config_findings *found)
{
	for (size_t i = 0; i < found->n; i++) {
		char *line = config_finding_format(o->file, &found->v[i]);
		show_line(stderr, line);
		free(line);
	}
}

/* *again: a log-in failed, and whoever sits there wants to answer the provider's questions anew. */
static int check_try_write(const struct ctl_options *o, struct dialog *d, const struct buf *text, bool tries,
                           bool *again)
{
	struct config_findings found;
	struct config *c = config_load_text(buf_slice(text), o->file, o->home, NULL, &found);
	int rc = 0;

	say_faults(o, &found);
	config_findings_free(&found);
	if (c == NULL)
		return ctl_error("these answers make no sound configuration; nothing was written");
	if (tries && !try_all(c)) {
		*again =
		    isatty(STDIN_FILENO) == 1 && dialog_yes(d, "Answer the questions about the provider anew", true);
		if (!*again && !dialog_yes(d, "Write the file all the same", false))
			rc = ctl_error("nothing was written");
	}
	if (rc == 0 && !*again)
		rc = init_write(o->file, buf_slice(text));
	if (rc == 0 && !*again)
		init_say_next(o, c);
	config_unref(&c);
	return rc;
}

static int run(const struct ctl_options *o, struct dialog *d, struct init_answers *a, bool use_dns, bool tries)
{
	bool again;
	int rc;

	dialog_say("%s is going to be written. An empty answer takes what stands in [brackets].\n\n", o->file);
	ask_all(d, a, use_dns);
	if (a->nusers == 0)
		return ctl_error("the answers ended before there was a user; nothing was written");
	if (make_folder(o->home, "mailboxes") != 0 || make_folder(o->home, "outqueue") != 0 || hash_passwords(a) != 0)
		return 1;
	do {
		struct buf text;
		again = false;
		buf_init(&text, 1024 * 1024);
		rc = init_text(a, &text);
		if (rc == 0)
			rc = check_try_write(o, d, &text, tries, &again);
		buf_free(&text);
		if (again) {
			forget_provider(a);
			ask_provider(d, a, use_dns);
		}
	} while (again);
	return rc;
}

int ctl_init(const struct ctl_options *o, int argc, char **argv)
{
	struct init_answers a = {0};
	struct dialog d = {false};
	bool force = false, no_test = false, no_dns = false;
	const struct args_option options[] = {
	    {"--force", NULL, &force}, {"--no-test", NULL, &no_test}, {"--no-dns", NULL, &no_dns}, {NULL, NULL, NULL}};

	if (args_all(argv[0], options, 1, argc, argv, 0) < 0)
		return 1;
	if (!force && access(o->file, F_OK) == 0 && !untouched_sample(o->file))
		return ctl_error("%s exists already; --force writes it anew, all its lines", o->file);
	int rc = run(o, &d, &a, !no_dns, !no_test);
	init_answers_free(&a);
	return rc;
}
