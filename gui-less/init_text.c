#include "base/alloc.h"
#include "base/io.h"
#include "base/random.h"
#include "init.h"

#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <libgen.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

/* "key = value", quoted: an answer may hold anything. False where the ini file cannot carry it. */
static bool put(struct buf *out, const char *key, const char *value)
{
	const char *mark = strchr(value, '"') == NULL ? "\"" : "'";
	struct err e;

	buf_printf(out, "%s = ", key);
	if (value[strcspn(value, ";#\\\"' ")] == '\0') {
		buf_add_str(out, value);
	} else if (strpbrk(value, mark) == NULL) {
		buf_printf(out, "%s%s%s", mark, value, mark);
	} else if (config_quote(value, out, &e) != 0) {
		ctl_error("%s: %s", key, e.text);
		return false;
	}
	buf_add_char(out, '\n');
	return true;
}

static bool put_login(struct buf *out, const struct init_login *l)
{
	return put(out, "host", l->host) && put(out, "port", l->port) && put(out, "security", l->security);
}

/* A label may not hold [ ] : ". */
static void put_section(struct buf *out, const char *kind, const char *label)
{
	size_t n = 0;

	buf_printf(out, "\n[%s ", kind);
	for (; *label != '\0' && n < 40; label++)
		if (strchr("[]:\"\\;#", *label) == NULL) {
			buf_add_char(out, *label);
			n++;
		}
	buf_add_str(out, "]\n");
}

static bool put_secret(struct buf *out, const struct init_login *l)
{
	if (l->command == NULL)
		return put(out, "password", l->password);
	return put(out, "auth", "xoauth2") && put(out, "password_command", l->command);
}

static bool put_account(struct buf *out, const struct init_answers *a)
{
	char *label = xstrndup(a->address, strcspn(a->address, "@"));
	bool ok;

	buf_add_str(out, "\n; The external mailbox. Mail is fetched, stored safely here, and only then deleted there.");
	put_section(out, "account", label[0] != '\0' ? label : "mail");
	ok = put_login(out, &a->account) && put(out, "user", a->account.user) && put_secret(out, &a->account) &&
	     put(out, "keep", a->keep);
	buf_add_str(out,
	            "; Mail that no rule takes goes to whom it is addressed to, by alias, else to postmaster. Where\n"
	            "; somebody shall get all of it, write: deliver = NAME\n");
	free(label);
	return ok;
}

static bool put_relay(struct buf *out, const struct init_answers *a)
{
	bool ok;

	buf_add_str(out, "\n; The provider's SMTP server, through which mail leaves.\n[relay]\n");
	ok = put_login(out, &a->relay);
	if (a->relay_is_account) {
		char *label = xstrndup(a->address, strcspn(a->address, "@"));
		buf_add_str(out, "; user and password are the account's:\n");
		ok = ok && put(out, "account", label[0] != '\0' ? label : "mail");
		if (a->account.command != NULL)
			ok = ok && put(out, "auth", "xoauth2");
		free(label);
	} else if (ok && a->relay.user[0] != '\0') {
		ok = put(out, "user", a->relay.user) && put(out, "password", a->relay.password);
	}
	if (ok && a->address[0] != '\0') {
		buf_add_str(out, "; the address under which scanners and others without an alias send:\n");
		ok = put(out, "sender", a->address);
	}
	return ok;
}

static bool put_users(struct buf *out, const struct init_answers *a)
{
	buf_add_str(out, "\n; The people on the LAN. `ofmctl passwd NAME` changes a password.\n");
	for (size_t i = 0; i < a->nusers; i++) {
		const struct init_user *u = &a->users[i];
		buf_printf(out, "%s[user %s]\n", i > 0 ? "\n" : "", u->name);
		if (u->password[0] != '\0' && !put(out, "password", u->password))
			return false;
		if (u->alias[0] != '\0' && !put(out, "alias", u->alias))
			return false;
	}
	return true;
}

static bool put_rules(struct buf *out, const struct init_answers *a)
{
	if (a->nrules > 0)
		buf_add_str(
		    out,
		    "\n; Rules are tried in this order. `ofmctl rule add` writes more, `ofmctl explain` tries them.");
	for (size_t i = 0; i < a->nrules; i++) {
		put_section(out, "rule", a->rules[i].text);
		if (!put(out, "field", "Subject") || !put(out, "contains", a->rules[i].text) ||
		    !put(out, "deliver", a->rules[i].deliver))
			return false;
	}
	return true;
}

/* Many relays refuse a client whose name has no dot. */
static bool put_hostname(struct buf *out, const struct init_answers *a)
{
	char machine[256] = "";
	static const char letters[] = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-";

	if (gethostname(machine, sizeof machine - 1) != 0 || machine[strspn(machine, letters)] != '\0' ||
	    machine[0] == '\0' || strcmp(machine, "localhost") == 0)
		strcpy(machine, "gate");
	char *full = xasprintf("%s.%s", machine, a->domain);
	buf_add_str(out, "; the name by which this machine greets other servers\n");
	bool ok = put(out, "hostname", full);
	free(full);
	return ok;
}

static bool machine_has_full_name(void)
{
	char machine[256] = "";

	return gethostname(machine, sizeof machine - 1) == 0 && strchr(machine, '.') != NULL;
}

int init_text(const struct init_answers *a, struct buf *out)
{
	buf_add_str(
	    out,
	    "; Configuration of ofmsrv, written by `ofmctl init`. Lines are yours to change: `ofmctl check` finds\n"
	    "; mistakes, `ofmctl reload` puts changes into force, `ofmctl check --sample` shows every key there is.\n"
	    "\n[server]\n; addresses NAME@domain are people on the LAN\n");
	bool ok = put(out, "domain", a->domain) && (machine_has_full_name() || put_hostname(out, a));
	buf_add_str(out, "\n[special]\n; gets the gateway's reports, and mail that is nobody's\n");
	ok = ok && put(out, "postmaster", a->postmaster);
	buf_add_str(out,
	            "\n[sync]\n; how often mail is collected; mail that was written leaves at once\nevery = 10m\n");
	ok = ok && (a->account.host == NULL || put_account(out, a));
	ok = ok && (a->relay.host == NULL || put_relay(out, a));
	return ok && put_users(out, a) && put_rules(out, a) ? 0 : 1;
}

/* ---- the file ---- */

/* The daemon, which gives up root, has to read it. */
static void give_to_group(int fd)
{
	// cppcheck-suppress getgrnamCalled ; there is no other thread
	const struct group *g = geteuid() == 0 ? getgrnam("ofmsrv") : NULL;

	if (g != NULL && fchown(fd, 0, g->gr_gid) != 0)
		ctl_error("the file could not be given to the group ofmsrv: %s", strerror(errno));
}

static int write_new(const char *fresh, struct slice text)
{
	int fd = open(fresh, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC | O_NOFOLLOW, 0640);

	if (fd < 0)
		return -1;
	give_to_group(fd);
	int rc = io_write_all(fd, text) == 0 && fsync(fd) == 0 ? 0 : -1;
	int saved = errno;
	close(fd);
	errno = saved;
	return rc;
}

int init_write(const char *path, struct slice text)
{
	char unique[RANDOM_NAME_MAX];
	char *folder = xstrdup(path);

	random_name(unique);
	char *fresh = xasprintf("%s.%s", path, unique);
	int rc = 0;
	if (mkdir(dirname(folder), 0750) != 0 && errno != EEXIST)
		rc = ctl_error("%s: %s", folder, strerror(errno));
	else if (write_new(fresh, text) != 0 || rename(fresh, path) != 0) {
		rc = ctl_error("%s cannot be written: %s", path, strerror(errno));
		unlink(fresh);
	}
	free(folder);
	free(fresh);
	return rc;
}

void init_say_next(const struct ctl_options *o, const struct config *c)
{
	const struct config_user *u = NULL;

	for (size_t i = 0; i < c->nusers && u == NULL; i++)
		if (c->users[i]->listed && !c->users[i]->is_daemon)
			u = c->users[i];
	printf("\n%s is written.\n\n"
	       "In Thunderbird (Add mail account, Configure manually), for each user:\n"
	       "  e-mail address   %s@%s\n"
	       "  incoming         POP3, server %s, port %u, security None, password transmitted insecurely\n"
	       "  outgoing         SMTP, server %s, port %u, security None, no authentication\n"
	       "  user name        %s\n"
	       "Where %s is not found on the LAN, this machine's address does as well.\n\n"
	       "Start it (`sudo systemctl restart ofmsrv` with the package, else `sudo ofmsrv`), then look at\n"
	       "`sudo ofmctl status`. `sudo ofmctl sync` collects at once.\n",
	       o->file, u != NULL ? u->name : "NAME", c->domain, c->hostname, c->pop3.port, c->hostname, c->smtp.port,
	       u != NULL ? u->name : "NAME", c->hostname);
}
