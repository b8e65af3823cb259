/* One row per key: its default, what a good value does, and what a bad one is told. */
#include "base/alloc.h"
#include "config/config.h"
#include "config_home.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

enum shape {
	STRING,
	FILE_PATH,
	BOOLEAN,
	NUMBER32,
	NUMBER64,
	NUMBER16,
	LIST,
	PEOPLE,
	RANGES_ALLOW,
	RANGES_DENY,
	TIMES,
	DAILY
};
enum base { MAIN, USER, RELAY, NAMED_RELAY, ACCOUNT, RULE, SPECIAL, GROUP };

struct row {
	const char *section, *key;
	enum base base;
	enum shape shape;
	size_t offset;
	const char *fallback; /* as rendered by show(); "$HOME" stands for the home */
	const char *good, *effect;
	const char *bad, *told; /* NULL: there is no bad value */
};

#define C(m) offsetof(struct config, m)
#define U(m) offsetof(struct config_user, m)
#define R(m) offsetof(struct config_relay, m)
#define A(m) offsetof(struct config_account, m)
#define L(m) offsetof(struct config_rule, m)

/* clang-format off */
static const struct row rows[] = {
    {"server", "hostname", MAIN, STRING, C(hostname), "$MACHINE", "gate.firm.example", "gate.firm.example", "a b", "\"a b\" is wrong; write a host name"},
    {"server", "domain", MAIN, STRING, C(domain), "office.lan", "firm.lan", "firm.lan", "firm..lan", "write a domain"},
    {"server", "unknown_local", MAIN, BOOLEAN, C(unknown_local_relay), "no", "relay", "yes", "bounce", "write refuse or relay"},
    {"server", "alias_local", MAIN, BOOLEAN, C(alias_local), "yes", "No", "no", "nope", "write yes or no"},
    {"server", "mailboxes", MAIN, FILE_PATH, C(mailboxes), "$HOME/mailboxes", "boxes", "$HOME/boxes", "nowhere", "mkdir"},
    {"server", "outqueue", MAIN, FILE_PATH, C(outqueue), "$HOME/outqueue", "boxes", "$HOME/boxes", "nowhere", "mkdir"},
    {"server", "state", MAIN, FILE_PATH, C(state), "$HOME/state", "/var/x", "/var/x", "", "the value is empty"},
    {"server", "control", MAIN, FILE_PATH, C(control), "$HOME/state/control.sock", "/run/x", "/run/x",
     "/0123456789012345678901234567890123456789012345678901234567890123456789012345678901234567890123456789012345678", "shorter"},
    {"server", "log", MAIN, FILE_PATH, C(log_path), "$HOME/ofmsrv.log", "\"my log\"", "$HOME/my log", "", "the value is empty"},
    {"server", "log_size_kib", MAIN, NUMBER32, C(log_size_kib), "100", "999", "999", "1000", "write a number from 0 to 999"},
    {"server", "log_level", MAIN, NUMBER32, C(log_level), "2", "DEBUG", "3", "loud", "write error, warning, info or debug"},
    {"server", "run_as", MAIN, STRING, C(run_as), "", "root", "root", "no_such_user_here", "adduser"},
    {"server", "language", MAIN, BOOLEAN, C(russian), "no", "ru", "yes", "de", "write en or ru"},
    {"pop3", "bind", MAIN, LIST, C(pop3.bind), "0.0.0.0,::", "127.0.0.1, [::1]", "127.0.0.1,::1", "eth0", "no IP address"},
    {"pop3", "port", MAIN, NUMBER16, C(pop3.port), "110", "0", "0", "65536", "write a port from 0 to 65535"},
    {"pop3", "tls_port", MAIN, NUMBER16, C(pop3.tls_port), "0", "0", "0", "995", "certificate and key"},
    {"pop3", "timeout", MAIN, NUMBER64, C(pop3.timeout), "600", "15m", "900", "10", "1s to 1d"},
    {"pop3", "max_connections", MAIN, NUMBER32, C(pop3.max_connections), "1000", "1", "1", "0", "from 1 to 100000"},
    {"pop3", "auth_tls", MAIN, BOOLEAN, C(pop3.auth_tls), "no", "yes", "yes", "true", "yes or no"},
    {"smtp", "bind", MAIN, LIST, C(smtp.bind), "0.0.0.0,::", "10.0.0.1", "10.0.0.1", "10.0.0", "no IP address"},
    {"smtp", "port", MAIN, NUMBER16, C(smtp.port), "25", "2525", "2525", "25x", "\"25x\" is wrong"},
    {"smtp", "tls_port", MAIN, NUMBER16, C(smtp.tls_port), "0", "0", "0", "010", "\"010\" is wrong"},
    {"smtp", "timeout", MAIN, NUMBER64, C(smtp.timeout), "300", "1h", "3600", "2d", "1s to 1d"},
    {"smtp", "max_connections", MAIN, NUMBER32, C(smtp.max_connections), "1000", "100000", "100000", "-1", "from 1 to 100000"},
    {"smtp", "max_message_kib", MAIN, NUMBER64, C(smtp_max_message_kib), "0", "10240", "10240", "10M", "a number from 0"},
    {"smtp", "max_recipients", MAIN, NUMBER32, C(smtp_max_recipients), "1000", "50", "50", "0", "from 1 to 100000"},
    {"smtp", "auth", MAIN, NUMBER32, C(smtp_auth), "1", "required", "2", "yes", "off, optional or required"},
    {"smtp", "auth_tls", MAIN, BOOLEAN, C(smtp.auth_tls), "no", "yes", "yes", "1", "yes or no"},
    {"tls", "certificate", MAIN, FILE_PATH, C(tls_certificate), "", "pem", "$HOME/pem", "none.pem", "No such file"},
    {"tls", "key", MAIN, FILE_PATH, C(tls_key), "", "pem", "$HOME/pem", "boxes", "is no file"},
    {"ip_filter", "enabled", MAIN, BOOLEAN, C(ip_filter.enabled), "yes", "no", "no", "off", "yes or no"},
    {"ip_filter", "allow", MAIN, RANGES_ALLOW, 0, "8", "10.0.0.0/255.0.0.0, ::1", "2", "10.0.0.1/8", "10.0.0.0/8 is meant"},
    {"ip_filter", "deny", MAIN, RANGES_DENY, 0, "0", "10.0.0.5-10.0.0.9", "1", "10.0.0.9-10.0.0.5", "upside down"},
    {"special", "postmaster", SPECIAL, STRING, 0, "postmaster", "U", "u", "daemon", "cannot be postmaster"},
    {"special", "daemon", SPECIAL, STRING, 1, "daemon", "robot", "robot", "ro bot", "write a user's name"},
    {"special", "boss", SPECIAL, STRING, 2, "", "u", "u", "nobody", "there is no user nobody"},
    {"special", "daily_report", MAIN, DAILY, C(daily_report), "no", "7:05", "07:05", "yes", "no or a time HH:MM"},
    {"special", "daemon_reply", MAIN, BOOLEAN, C(daemon_reply), "no", "yes", "yes", "07:00", "yes or no"},
    {"user", "password", USER, STRING, U(password), "", "\" a;b \"", " a;b ", "#Qw1", "password_file"},
    {"user", "password_file", USER, STRING, U(password), "", "secret", "from a file", "none", "cannot be read"},
    {"user", "name", USER, STRING, U(full_name), "", "Anna \"A\" I", "Anna \"A\" I", "\"Anna", "never closed"},
    {"user", "alias", USER, STRING, U(alias), "", "Anna@Firm.example", "Anna@Firm.example", "anna@", "write a mail address"},
    {"user", "forward", USER, LIST, U(forward_external), "", "v, x@y.example", "x@y.example", "x@y z", "users, groups and addresses"},
    {"user", "keep", USER, NUMBER64, U(keep), "9223372036854775807", "90d", "7776000", "0", "forever, or 1s"},
    {"group", "members", GROUP, PEOPLE, 0, "", "v, u", "u,v", "x", "there is no user or group x"},
    {"connection", "type", MAIN, BOOLEAN, C(link_command), "no", "lan", "no", "modem", "lan or command"},
    {"connection", "up", MAIN, STRING, C(link_up), "", "pon dsl", "pon dsl", "a;b", "would be cut"},
    {"connection", "down", MAIN, STRING, C(link_down), "", "\"poff; true\"", "poff; true", "x#", "would be cut"},
    {"connection", "timeout", MAIN, NUMBER64, C(link_timeout), "120", "5m", "300", "0", "1s to 1d"},
    {"connection", "proxy", MAIN, STRING, C(proxy), "", "socks5h://[::1]:1080", "socks5h://[::1]:1080", "socks5://x:1", "socks5h://host:port"},
    {"sync", "every", MAIN, NUMBER64, C(every), "900", "0", "0", "15 m", "0 to 365d"},
    {"sync", "at", MAIN, TIMES, 0, "", "13:30, 9:00", "09:00,13:30", "24:00", "times HH:MM"},
    {"sync", "on_send", MAIN, NUMBER32, C(on_send), "2", "no", "1", "maybe", "yes, no or auto"},
    {"sync", "parallel", MAIN, NUMBER32, C(parallel), "16", "100", "100", "101", "from 1 to 100"},
    {"sync", "min_interval", MAIN, NUMBER64, C(min_interval), "10", "0", "0", "-1s", "0 to 1d"},
    {"relay", "host", RELAY, STRING, R(login.host), "", "[2001:db8::1]", "2001:db8::1", "smtp.example:25", "a key of its own"},
    {"relay", "port", RELAY, NUMBER16, R(login.port), "587", "25", "25", "0", "from 1 to 65535"},
    {"relay", "security", RELAY, NUMBER32, R(login.security), "2", "tls", "3", "ssl", "none, opportunistic, starttls or tls"},
    {"relay", "tls_verify", RELAY, BOOLEAN, R(login.tls_verify), "yes", "no", "no", "never", "yes or no"},
    {"relay", "ca_file", RELAY, FILE_PATH, R(login.ca_file), "", "pem", "$HOME/pem", "none.pem", "No such file"},
    {"relay", "auth", RELAY, NUMBER32, R(login.auth), "0", "login", "3", "apop", "cram-md5, ntlm or xoauth2"},
    {"relay", "user", RELAY, STRING, R(login.user), "", "u@x.example", "u@x.example", "u;x", "would be cut"},
    {"relay", "password", RELAY, STRING, R(login.password), "", "'p\"w'", "p\"w", ";pw", "begins with ;"},
    {"relay", "password_file", RELAY, STRING, R(login.password), "", "secret", "from a file", "boxes", "no regular file"},
    {"relay", "password_command", RELAY, STRING, R(login.password_command), "", "token", "token", "'x' y", "behind the closing quote"},
    {"relay", "sender", RELAY, STRING, R(sender), "", "scan@firm.example", "scan@firm.example", "scan", "a mail address"},
    {"relay", "null_sender", RELAY, BOOLEAN, R(null_sender_alias), "no", "alias", "yes", "drop", "keep or alias"},
    {"relay", "connections", RELAY, NUMBER32, R(connections), "4", "1", "1", "1.5", "from 1 to 100"},
    {"relay", "pipelining", RELAY, BOOLEAN, R(pipelining_off), "no", "OFF", "yes", "on", "auto or off"},
    {"relay", "chunking", RELAY, BOOLEAN, R(chunking_off), "no", "off", "yes", "no", "auto or off"},
    {"relay", "rate", RELAY, NUMBER32, R(rate), "0", "840", "840", "14/s", "from 0 to 1000000"},
    {"relay", "messages_per_connection", RELAY, NUMBER32, R(messages_per_connection), "0", "10", "10", "-1", "from 0 to 1000000"},
    {"relay", "retry", RELAY, NUMBER64, R(retry), "300", "30s", "30", "5h", "1s to 4h"},
    {"relay", "max_age", RELAY, NUMBER64, R(max_age), "432000", "1d", "86400", "1w", "1s to 365d"},
    {"relay", "senders", NAMED_RELAY, LIST, R(senders), "", "*@b.example, x@c.example", "*@b.example,x@c.example", "*", "*@domain"},
    {"relay", "account", NAMED_RELAY, STRING, R(login.user), "", "A", "pop user", "b", "there is no account b"},
    {"account", "host", ACCOUNT, STRING, A(login.host), "pop.example", "Mail.Example", "Mail.Example", "pop3://x", "without scheme"},
    {"account", "port", ACCOUNT, NUMBER16, A(login.port), "995", "1100", "1100", "pop3", "a port from 1"},
    {"account", "security", ACCOUNT, NUMBER32, A(login.security), "3", "none", "0", "yes", "none, opportunistic"},
    {"account", "tls_verify", ACCOUNT, BOOLEAN, A(login.tls_verify), "yes", "no", "no", "0", "yes or no"},
    {"account", "ca_file", ACCOUNT, FILE_PATH, A(login.ca_file), "", "pem", "$HOME/pem", "none.pem", "No such file"},
    {"account", "auth", ACCOUNT, NUMBER32, A(login.auth), "0", "apop", "4", "login", "auto, plain, apop"},
    {"account", "user", ACCOUNT, STRING, A(login.user), "pop user", "x y", "x y", "", "no default"},
    {"account", "password", ACCOUNT, STRING, A(login.password), "", "a b", "a b", "a#b", "would be cut"},
    {"account", "password_file", ACCOUNT, STRING, A(login.password), "", "secret", "from a file", "twolines", "one line"},
    {"account", "password_command", ACCOUNT, STRING, A(login.password_command), "", "token", "token", "a;", "would be cut"},
    {"account", "enabled", ACCOUNT, BOOLEAN, A(enabled), "yes", "no", "no", "", "the value is empty"},
    {"account", "keep", ACCOUNT, NUMBER64, A(keep), "0", "forever", "9223372036854775807", "14", "forever, or 0 to"},
    {"account", "first", ACCOUNT, NUMBER64, A(first_age), "0", "30d", "2592000", "none", "all, new, or"},
    {"account", "max_message_kib", ACCOUNT, NUMBER64, A(max_message_kib), "0", "5", "5", "99999999999999999999", "a number from 0"},
    {"account", "timeout", ACCOUNT, NUMBER64, A(timeout), "300", "90s", "90", "0", "1s to 1d"},
    {"account", "pipelining", ACCOUNT, BOOLEAN, A(pipelining_off), "no", "off", "yes", "yes", "auto or off"},
    {"account", "every", ACCOUNT, NUMBER64, A(every), "0", "1h", "3600", "1", "0 to 365d"},
    {"account", "deliver", ACCOUNT, PEOPLE, A(deliver), "", "g, u", "u,v", "daemon", "owns no mailbox"},
    {"account", "envelope", ACCOUNT, LIST, A(envelope), "Delivered-To,X-Original-To,X-Envelope-To,Envelope-To", "", "", "To:", "header fields"},
    {"account", "envelope_hops", ACCOUNT, NUMBER32, A(envelope_hops), "0", "2", "2", "two", "from 0 to 100"},
    {"account", "envelope_prefix", ACCOUNT, STRING, A(envelope_prefix), "", "firm-", "firm-", "a;", "would be cut"},
    {"rule", "field", RULE, LIST, L(fields), "Subject", "To, Cc", "To,Cc", "", "no default"},
    {"rule", "contains", RULE, STRING, L(contains), "x", "\"#5\"", "#5", "#5", "takes it for a comment"},
    {"rule", "matches", RULE, STRING, L(matches), NULL, "^a+", "^a+", "(", "this is no PCRE2 pattern"},
    {"rule", "account", RULE, LIST, L(accounts), "", "A", "A", "b", "there is no such account"},
    {"rule", "not", RULE, BOOLEAN, L(invert), "no", "yes", "yes", "not", "yes or no"},
    {"rule", "deliver", RULE, PEOPLE, L(deliver), "u", "*", "u,v,postmaster", "u,,v", "empty item"},
    {"rule", "copy", RULE, BOOLEAN, L(copy), "no", "yes", "yes", "y", "yes or no"},
    {"rule", "stop", RULE, BOOLEAN, L(stop), "no", "YES", "yes", "n", "yes or no"},
    {"sorter", "by_alias", MAIN, BOOLEAN, C(by_alias), "yes", "no", "no", "2", "yes or no"},
    {"sorter", "unmatched", MAIN, PEOPLE, C(unmatched), "", "v", "v", "w", "there is no user or group w"},
};
/* clang-format on */

static char *pattern_error(const char *pattern)
{
	return strcmp(pattern, "(") == 0 ? xstrdup("missing closing parenthesis") : NULL;
}

static const struct config_hooks hooks = {.pattern_error = pattern_error};

static void write_file(const char *name, const char *text)
{
	char path[128];

	snprintf(path, sizeof path, "%s/%s", home, name);
	FILE *f = fopen(path, "w");
	assert_non_null(f);
	fputs(text, f);
	fclose(f);
}

/* What must stand in a section beside the key under test. */
static const char *beside(const struct row *r)
{
	if (strcmp(r->key, "certificate") == 0)
		return "key = pem\n";
	if (strcmp(r->key, "key") == 0)
		return "certificate = pem\n";
	return "";
}

static void add_unless(struct buf *b, const struct row *r, const char *key, const char *line)
{
	if (strcmp(r->key, key) != 0)
		buf_add_str(b, line);
}

static void add_key(struct buf *b, const struct row *r, const char *value)
{
	if (value != NULL)
		buf_printf(b, "%s%s = %s\n", beside(r), r->key, value);
}

/* A whole file with the key set to value, or left out (NULL). Its line is where the value stands. */
static char *compose(const struct row *r, const char *value)
{
	struct buf b;

	buf_init(&b, 65536);
	if (r->base == MAIN || r->base == SPECIAL) {
		buf_printf(&b, "[%s]\n", r->section);
		add_key(&b, r, value);
	}
	buf_add_str(&b, "[user u]\n");
	if (r->base == USER)
		add_key(&b, r, value);
	buf_add_str(&b, "[user v]\n[group g]\n");
	if (r->base == GROUP)
		add_key(&b, r, value);
	else
		buf_add_str(&b, "members = u, v\n");
	buf_add_str(&b, "[account A]\n");
	if (r->base == ACCOUNT) {
		if (value != NULL || strcmp(r->key, "host") != 0)
			add_unless(&b, r, "host", "host = pop.example\n");
		add_unless(&b, r, "user", "user = pop user\n");
		if (value != NULL)
			add_key(&b, r, value);
		else if (strcmp(r->key, "host") == 0)
			buf_add_str(&b, "host = pop.example\n");
		else if (strcmp(r->key, "user") == 0)
			buf_add_str(&b, "user = pop user\n");
	} else {
		buf_printf(&b, "host = pop.example\nuser = pop user\n%s", r->base == GROUP ? "deliver = g\n" : "");
	}
	if (r->base == RELAY || r->base == NAMED_RELAY) {
		buf_add_str(&b, r->base == RELAY ? "[relay]\n" : "[relay B]\n");
		add_key(&b, r, value);
	}
	if (r->base != RULE)
		return buf_steal(&b);
	buf_add_str(&b, "[rule one]\n");
	if (value != NULL || strcmp(r->key, "field") != 0)
		add_unless(&b, r, "field", "field = Subject\n");
	if (strcmp(r->key, "matches") != 0 || value == NULL)
		add_unless(&b, r, "contains", "contains = x\n");
	add_unless(&b, r, "deliver", "deliver = u\n");
	add_key(&b, r, value);
	if (value == NULL && strcmp(r->key, "matches") != 0)
		buf_printf(&b, "%s",
		           strcmp(r->key, "field") == 0      ? "field = Subject\n"
		           : strcmp(r->key, "contains") == 0 ? "contains = x\n"
		           : strcmp(r->key, "deliver") == 0  ? "deliver = u\n"
		                                             : "");
	return buf_steal(&b);
}

static char *join(const struct strlist *l)
{
	struct buf b;

	buf_init(&b, 4096);
	for (size_t i = 0; i < l->n; i++)
		buf_printf(&b, "%s%s", i > 0 ? "," : "", l->v[i]);
	return buf_steal(&b);
}

static char *names(const struct config_users *u)
{
	struct strlist l = {NULL, 0};

	for (size_t i = 0; i < u->n; i++)
		strlist_add(&l, u->v[i]->name);
	char *s = join(&l);
	strlist_free(&l);
	return s;
}

static char *times(const struct config *c)
{
	struct buf b;

	buf_init(&b, 4096);
	for (size_t i = 0; i < c->nat; i++)
		buf_printf(&b, "%s%02u:%02u", i > 0 ? "," : "", c->at[i].hour, c->at[i].minute);
	return buf_steal(&b);
}

static const void *base_of(const struct config *c, const struct row *r)
{
	switch (r->base) {
	case USER:
		return c->users[0];
	case RELAY:
		return &c->relays[0];
	case NAMED_RELAY:
		return &c->relays[1];
	case ACCOUNT:
		return &c->accounts[0];
	case RULE:
		return &c->rules[0];
	default:
		return c;
	}
}

static const char *special_name(const struct config *c, size_t nr)
{
	const struct config_user *u[] = {c->postmaster, c->daemon, c->boss};

	return u[nr] != NULL ? u[nr]->name : "";
}

static char *show(const struct config *c, const struct row *r)
{
	const char *at = (const char *)base_of(c, r) + r->offset;
	const char *s;

	if (r->base == SPECIAL)
		return xstrdup(special_name(c, r->offset));
	switch (r->shape) {
	case STRING:
	case FILE_PATH:
		s = *(char *const *)(const void *)at;
		return s != NULL ? xstrdup(s) : NULL;
	case BOOLEAN:
		return xstrdup(*(const bool *)at ? "yes" : "no");
	case NUMBER16:
		return xasprintf("%u", (unsigned)*(const uint16_t *)(const void *)at);
	case NUMBER32:
		return xasprintf("%u", *(const unsigned *)(const void *)at);
	case NUMBER64:
		return xasprintf("%lld", (long long)*(const int64_t *)(const void *)at);
	case LIST:
		return join((const void *)at);
	case PEOPLE:
		return names(r->base == GROUP ? &c->accounts[0].deliver : (const void *)at);
	case RANGES_ALLOW:
		return xasprintf("%zu", c->ip_filter.nallow);
	case RANGES_DENY:
		return xasprintf("%zu", c->ip_filter.ndeny);
	case TIMES:
		return times(c);
	case DAILY:
		return c->daily_report.on ? xasprintf("%02u:%02u", c->daily_report.at.hour, c->daily_report.at.minute)
		                          : xstrdup("no");
	}
	return NULL;
}

static void fail_with(const struct row *r, const char *text, const struct config_findings *found)
{
	print_error("[%s] %s, in:\n%s", r->section, r->key, text);
	for (size_t i = 0; i < found->n; i++) {
		char *line = config_finding_format("ini", &found->v[i]);
		print_error("%s\n", line);
		free(line);
	}
	fail();
}

static char *expand(const char *s)
{
	char machine[256] = "";

	if (s != NULL && strncmp(s, "$HOME", 5) == 0)
		return xasprintf("%s%s", home, s + 5);
	if (s == NULL || strcmp(s, "$MACHINE") != 0)
		return s != NULL ? xstrdup(s) : NULL;
	FILE *f = fopen("/proc/sys/kernel/hostname", "r");
	assert_non_null(f);
	assert_non_null(fgets(machine, sizeof machine, f));
	fclose(f);
	machine[strcspn(machine, "\n")] = '\0';
	return xstrdup(machine);
}

static void expect(const struct row *r, const char *value, const char *effect)
{
	struct config_findings found;
	char *text = compose(r, value), *want = expand(effect);
	struct config *c = config_load_text(slice_of(text), "ini", home, &hooks, &found);

	if (c == NULL)
		fail_with(r, text, &found);
	char *got = show(c, r);
	if ((want == NULL) != (got == NULL) || (want != NULL && strcmp(want, got) != 0)) {
		print_error("got %s, want %s\n", got != NULL ? got : "NULL", want != NULL ? want : "NULL");
		fail_with(r, text, &found);
	}
	free(got);
	free(want);
	free(text);
	config_unref(&c);
	config_findings_free(&found);
}

static unsigned line_of(const char *text, const char *key, const char *value)
{
	char *line = xasprintf("%s = %s\n", key, value);
	const char *at = strstr(text, line);
	unsigned nr = 1;

	assert_non_null(at);
	for (const char *p = text; p < at; p++)
		nr += *p == '\n';
	free(line);
	return nr;
}

static void expect_fault(const struct row *r)
{
	struct config_findings found;
	char *text = compose(r, r->bad);
	struct config *c = config_load_text(slice_of(text), "ini", home, &hooks, &found);
	unsigned line = line_of(text, r->key, r->bad);
	bool told = false;

	for (size_t i = 0; i < found.n; i++)
		told =
		    told || (found.v[i].fault && found.v[i].line == line && strstr(found.v[i].text, r->told) != NULL &&
		             strncmp(found.v[i].section, r->section, strlen(r->section)) == 0);
	if (c != NULL || !told)
		fail_with(r, text, &found);
	free(text);
	config_findings_free(&found);
}

static void defaults(void **state)
{
	(void)state;
	for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++)
		expect(&rows[i], NULL, rows[i].fallback);
}

static void good_values(void **state)
{
	(void)state;
	for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++)
		expect(&rows[i], rows[i].good, rows[i].effect);
}

static void bad_values(void **state)
{
	(void)state;
	for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++)
		expect_fault(&rows[i]);
}

static void find_row(void *arg, const struct config_key_info *k)
{
	unsigned *missing = arg;

	for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++)
		if (strcmp(rows[i].section, k->section) == 0 && strcmp(rows[i].key, k->key) == 0)
			return;
	print_error("no row for [%s] %s\n", k->section, k->key);
	++*missing;
}

static void every_key_has_a_row(void **state)
{
	unsigned missing = 0;

	(void)state;
	config_each_key(find_row, &missing);
	assert_int_equal(missing, 0);
}

static int make_files(void **state)
{
	assert_int_equal(make_home(state), 0);
	write_file("pem", "x");
	write_file("secret", "from a file\n");
	write_file("twolines", "one\ntwo\n");
	return 0;
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(every_key_has_a_row),
	    cmocka_unit_test(defaults),
	    cmocka_unit_test(good_values),
	    cmocka_unit_test(bad_values),
	};

	return cmocka_run_group_tests(tests, make_files, remove_home);
}
