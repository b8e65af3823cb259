/* Every fault and warning by its text: the line, the section, the key, and a piece of what is said. */
#include "base/alloc.h"
#include "config/config.h"
#include "config_home.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

struct finding_case {
	const char *text;
	unsigned line;
	const char *section, *key;
	const char *told; /* NULL: nothing is found at all */
};

#define OK_USERS "[user postmaster]\npassword = p\n[user u]\npassword = p\n"
#define RULE "[rule r]\nfield = To\ncontains = x\ndeliver = u\n"
#define ACCOUNT "[account a]\nhost = pop.example\nuser = u\npassword = p\nkeep = 0\n"

static const struct finding_case structure[] = {
    {"[nowhere]\nx = 1\n", 1, "nowhere", "", "unknown section"},
    {"[acount x]\n", 1, "acount x", "", "is [account] meant?"},
    {"[server]\nhostnme = x\n", 2, "server", "hostnme", "is hostname meant?"},
    {"[server]\nzzzzzzzzzz = x\n", 2, "server", "zzzzzzzzzz", "unknown key"},
    {"[pop3]\nmax_recipients = 5\n", 2, "pop3", "max_recipients", "belongs to [smtp]"},
    {"[server]\nlog_level2 = info\n", 2, "server", "log_level2", "unknown key"},
    {"[pop3]\nbind1 = ::1\n", 2, "pop3", "bind1", "unknown key"},
    {"[pop3]\nbind02 = ::1\n", 2, "pop3", "bind02", "unknown key"},
    {"[relay]\nsenders = *@x.example\n", 2, "relay", "senders", "[relay NAME] alone"},
    {"[server x]\n", 1, "server x", "", "has no label"},
    {"[user]\n", 1, "user", "", "needs a label"},
    {"[rule]\n", 1, "rule", "", "needs a label"},
    {"[user Anna Maria]\n", 1, "user Anna Maria", "", "user's name"},
    {"[user .x]\n", 1, "user .x", "", "user's name"},
    {"[group 0123456789012345678901234567890123456789012345678901234567890123a]\n", 1,
     "group 0123456789012345678901234567890123456789012345678901234567890123a", "", "longer than 64"},
    {"[group a:b]\n", 1, "group a:b", "", "cannot hold"},
    {"[group a\"b]\n", 1, "group a\"b", "", "cannot hold"},
    {"[group a[b]\n", 1, "group a[b", "", "cannot hold"},
    {"[]\n", 1, "", "", "no name"},
    {"[server\n", 1, "server", "", "no closing ]"},
    {"[server] x\n", 1, "server", "", "text behind the section header"},
    {"[server] ; the server\n", 1, "server", "", "comment behind a section header"},
    {"[server] # see [tls]\n", 1, "server", "", "comment behind a section header"},
    {"[server]\n[pop3]\n[SERVER]\n", 3, "SERVER", "", "second time, first in line 1"},
    {"[group a b]\n[group A  B]\n[GROUP a b]\n", 3, "GROUP a b", "", "second time"},
    {"[group Счёт]\n[group сЧЁт]\n", 2, "group сЧЁт", "", "second time"},
    {"[server]\ndomain = a\nDomain = b\n", 3, "server", "domain", "second time, first in line 2"},
    {"[pop3]\nbind2 = ::1\nBIND2 = ::2\n", 3, "pop3", "bind2", "KEY2"},
    {"domain = x\n[server]\n", 1, "", "domain", "before the first section"},
    {"[server]\nhello\n", 2, "server", "", "neither"},
    {"[server]\n= x\n", 2, "server", "", "no key"},
    {"[server]\na:b = x\n", 2, "server", "", "no key"},
    {"[server]\ndom\xc3\xa4in = x\n", 2, "server", "", "no key"},
    {"[server]\ndomain = \xff\n", 2, "server", "domain", "no UTF-8"},
    {"; \xcf\xf0\xe8\xe2\xe5\xf2\n", 1, "", "", "iconv"},
    {"[server]\ndomain = a\vb\n", 2, "server", "domain", "control character (0x0b)"},
    {"[server]\ndomain = a\rb\n", 2, "server", "domain", "control character (0x0d)"},
    {"[server]\n; a path C:\\\n", 2, "server", "", "even from a comment"},
    {"[server]\nLog = C:\\ \t\n", 2, "server", "log", "ends in \\"},
    {"[server]\r\nlog = C:\\\r\n", 2, "server", "log", "ends in \\"},
    {"[connection]\nup = \"abc\n", 2, "connection", "up", "never closed; add the closing \""},
    {"[connection]\nup = 'abc\n", 2, "connection", "up", "never closed; add the closing '"},
    {"[connection]\nup = \"abc\" d\n", 2, "connection", "up", "behind the closing quote"},
    {"[connection]\nup = \"\"x\n", 2, "connection", "up", "behind the closing quote"},
    {"[user u]\npassword = #Qw1\n", 2, "user u", "password", "password_file"},
    {"[user u]\npassword = ;Qw1\n", 2, "user u", "password", "between quotes"},
    {"[user u]\npassword =; x\n", 2, "user u", "password", "takes it for a comment"},
    {"[user u]\npassword = abc#d\n", 2, "user u", "password", "would be cut at the #"},
    {"[user u]\npassword = abc;d\n", 2, "user u", "password", "would be cut at the ;"},
    {"[user u]\npassword = abc; d\n", 2, "user u", "password", "would be cut at the ;"},
    /* and what is sound */
    {"", 0, "", "", NULL},
    {"\xef\xbb\xbf[server]\ndomain = a.lan\n", 0, "", "", NULL},
    {"  [ server ]  \r\n\t domain=a.lan\t; words \"quoted\" and [more] = \r\n#x\n;y\n\n", 0, "", "", NULL},
    {"[server]\ndomain = \"a.lan\";x\nlog = 'b c' # y\nhostname =   ; z\nrun_as = # a\n", 0, "", "", NULL},
    {"[connection]\ntype = command\nup = a=b \"c\" d'e\ndown = ''\n", 0, "", "", NULL},
    {"[server]\nlog = \"C:\\\"\n", 0, "", "", NULL},
};

static const struct finding_case meaning[] = {
    {"[rule r]\nfield = To\ncontains = x\ndeliver = anna\n", 4, "rule r", "deliver", "add [user anna]"},
    {RULE "matches = y\n", 5, "rule r", "matches", "contains stands here too"},
    {"[rule r]\nfield = To\ndeliver = u\n", 1, "rule r", "", "needs contains"},
    {"[rule r]\nfield = To\nmatches = (\ndeliver = u\n", 3, "rule r", "matches", "no PCRE2 pattern: bad"},
    {"[rule r]\ncontains = x\ndeliver = u\n", 1, "rule r", "field", "missing"},
    {"[rule r]\nfield = To\ncontains = x\n", 1, "rule r", "deliver", "missing"},
    {"[rule r]\nfield = To, *\ncontains = x\ndeliver = u\n", 2, "rule r", "field", "* is every field"},
    {"[group g]\nmembers =\n[rule r]\nfield = To\ncontains = x\ndeliver = g\n", 6, "rule r", "deliver", "nobody"},
    {RULE "account = b\n", 5, "rule r", "account", "no such account"},
    {"[group g]\nmembers = h\n[group h]\nmembers = u, g\n", 4, "group h", "members", "member of itself"},
    {"[group g]\nmembers = g\n", 2, "group g", "members", "member of itself"},
    {"[group u]\nmembers = u\n", 1, "group u", "", "a user has this name"},
    {"[group Postmaster]\nmembers = u\n", 1, "group Postmaster", "", "a user has this name"},
    {"[group *]\nmembers = u\n", 1, "group *", "", "without a comma"},
    {"[special]\npostmaster = x\ndaemon = X\n", 3, "special", "daemon", "cannot be postmaster"},
    {"[special]\nboss = daemon\n", 2, "special", "boss", "cannot be the boss"},
    {"[special]\nboss = x\n", 2, "special", "boss", "there is no user x"},
    {"[special]\nboss =\npostmaster =\n", 3, "special", "postmaster", "the value is empty"},
    {"[group g]\nmembers = daemon\n", 2, "group g", "members", "owns no mailbox"},
    {"[sorter]\nunmatched = u\nunmatched2 = u, w\n", 3, "sorter", "unmatched2", "there is no user or group w"},
    {"[user x]\npassword = a\npassword_file = secret\n", 3, "user x", "password_file", "password stands here too"},
    {"[user x]\npassword_file = nofile\n", 2, "user x", "password_file", "cannot be read"},
    {"[user x]\npassword_file = mailboxes\n", 2, "user x", "password_file", "no regular file"},
    {ACCOUNT "password_command = x\n", 6, "account a", "password_command", "password stands here too"},
    {"[account a]\nuser = u\npassword = p\nkeep = 0\n", 1, "account a", "host", "missing"},
    {"[account a]\nhost = x.example\npassword = p\nkeep = 0\n", 1, "account a", "user", "missing"},
    {"[relay]\naccount = b\n", 2, "relay", "account", "there is no account b"},
    {ACCOUNT "[relay r]\nsenders = a@b.c\naccount = a\nuser = x\n", 9, "relay r", "user", "it brings a user"},
    {ACCOUNT "[relay r]\nsenders = a@b.c\naccount = a\npassword = x\n", 8, "relay r", "account",
     "password stands here"},
    {"[account a]\nhost = localhost\nport = 110\nuser = u\npassword = p\nkeep = 0\nsecurity = none\n", 2, "account a",
     "host", "this gateway itself"},
    {"[account a]\nhost = 127.0.0.2\nport = 110\nuser = u\npassword = p\nkeep = 0\nsecurity = none\nenabled = no\n", 2,
     "account a", "host", "this gateway itself"},
    {"[server]\nhostname = gate.example\n[relay]\nhost = Gate.example\nport = 25\nuser = x\npassword = y\n", 4, "relay",
     "host", "this gateway itself"},
    {"[smtp]\nbind = 10.1.2.3\n[relay]\nhost = 10.1.2.3\nport = 25\n", 4, "relay", "host", "this gateway itself"},
    {"[tls]\ncertificate = pem\n", 1, "tls", "key", "belong together"},
    {"[tls]\nkey = pem\n", 1, "tls", "certificate", "belong together"},
    {"[tls]\ncertificate = nopem\nkey = pem\n", 2, "tls", "certificate", "No such file"},
    {"[smtp]\ntls_port = 465\n", 2, "smtp", "tls_port", "needs certificate"},
    {"[smtp]\nport = 110\n", 2, "smtp", "port", "[pop3] port is 110 too"},
    {"[server]\noutqueue = mailboxes\n", 2, "server", "outqueue", "same folder"},
    {"[server]\nmailboxes = pem\n", 2, "server", "mailboxes", "is no folder"},
    {"[server]\ndomain =\n", 2, "server", "domain", "default: office.lan"},
    {"[pop3]\nbind =\n", 2, "pop3", "bind", "the value is empty"},
    {"[user x]\npassword = p\nforward = daemon\n", 3, "user x", "forward", "owns no mailbox"},
    {"[user x]\npassword = p\nforward = nobody@office.lan\n", 3, "user x", "forward",
     "there is no user or group nobody"},
};

static const struct finding_case warnings[] = {
    {"[user x]\n", 1, "user x", "password", "everybody on the LAN"},
    {"[user x]\npassword =\n", 2, "user x", "password", "ofmctl passwd x"},
    {"[user x]\n[special]\nboss = x\n", 1, "user x", "password", "nobody can log in"},
    {"[special]\npostmaster = pm\n", 2, "special", "postmaster", "pm has no password"},
    {"[account a]\nhost = x.example\nuser = u\nkeep = 0\n", 1, "account a", "password", "the password is empty"},
    {"[account a]\nhost = x.example\nuser = u\npassword = p\n", 1, "account a", "keep", "keep is not written"},
    {"[relay]\nhost = x.example\n[user x]\npassword = p\n", 3, "user x", "alias", "is refused"},
    {"[relay]\nhost = x.example\nsender = s@x.example\n[user x]\npassword = p\n", 4, "user x", "alias",
     "[relay] sender"},
    {"[relay]\nhost = x.example\nuser = y\n", 1, "relay", "password", "the password is empty"},
    {"[server]\ndomain = firm.example\n[user x]\npassword = p\nalias = x@Firm.example\n", 2, "server", "domain",
     "x@Firm.example is in this domain"},
    {"[server]\ndomain = firm.example\n" ACCOUNT
     "[account b]\nhost = x.example\nuser = i@firm.example\npassword = p\nkeep = 0\n",
     2, "server", "domain", "i@firm.example is in this domain"},
    {ACCOUNT "security = none\nport = 110\n", 6, "account a", "security", "readable for everybody"},
    {ACCOUNT "security = opportunistic\nport = 110\n", 6, "account a", "security", "perhaps readable"},
    {"[relay]\nhost = 8.8.8.8\nsecurity = none\n", 3, "relay", "security", "readable for everybody"},
    {ACCOUNT "tls_verify = no\n", 6, "account a", "tls_verify", "without verification"},
    {"[relay]\ntls_verify = no\n", 2, "relay", "tls_verify", "without verification"},
    {ACCOUNT "security = starttls\n", 6, "account a", "security", "security = tls"},
    {ACCOUNT "[account b]\nhost = POP.example\nuser = u\npassword = p\nkeep = 0\n", 8, "account b", "user",
     "same mailbox"},
    {"[relay r]\nhost = x.example\n", 1, "relay r", "senders", "no sender is served"},
    {"[ip_filter]\nenabled = no\n", 2, "ip_filter", "enabled", "everybody who reaches"},
    {"[ip_filter]\nallow =\n", 2, "ip_filter", "allow", "nobody is served"},
    {"[pop3]\nauth_tls = yes\n", 2, "pop3", "auth_tls", "without a certificate"},
    {"[connection]\nup = x\n", 2, "connection", "up", "never run"},
    {"[connection]\ntype = command\n", 2, "connection", "type", "no command raises the line"},
};

/* What looks like one of the above and is meant so. */
static const char *const quiet[] = {
    ACCOUNT "[account b]\nhost = 192.168.1.1\nport = 110\nuser = u\npassword = p\nkeep = 1d\nsecurity = none\n",
    "[account b]\nhost = localhost\nport = 1100\nuser = u\npassword = p\nkeep = forever\nsecurity = none\n",
    "[pop3]\nbind = 127.0.0.1\n[account b]\nhost = 127.0.0.2\nport = 110\nuser = u\npassword = p\nkeep = 0\nsecurity = "
    "none\n",
    "[server]\ndomain = firm.example\nunknown_local = relay\n[user x]\npassword = p\nalias = x@firm.example\n",
    "[smtp]\nbind = 10.0.0.1\nport = 110\n[pop3]\nbind = 10.0.0.2\n",
    "[smtp]\nport = 0\n[pop3]\nport = 0\n",
    "[user x]\npassword_file = secret\n[user daemon]\n",
    "[relay]\nhost =\n",
    "[group a]\nmembers = b, u\n[group b]\nmembers = u, *\n",
    "[group Весь отдел]\nmembers = U\n[sorter]\nunmatched = весь ОТДЕЛ\n",
    "[account Почта]\nhost = pop.example\nuser = u\npassword = p\nkeep = 0\n" RULE "account = почта\n",
};

static char *pattern_error(const char *pattern)
{
	return strcmp(pattern, "(") == 0 ? xstrdup("bad") : NULL;
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

static void complain(const char *text, const struct config_findings *found)
{
	print_error("in:\n%s---\n", text);
	for (size_t i = 0; i < found->n; i++) {
		char *line = config_finding_format("ini", &found->v[i]);
		print_error("%s\n", line);
		free(line);
	}
	fail();
}

static bool matches(const struct config_finding *f, const struct finding_case *c, bool fault)
{
	return f->fault == fault && f->line == c->line && strcmp(f->section, c->section) == 0 &&
	       strcmp(f->key, c->key) == 0 && strstr(f->text, c->told) != NULL;
}

/* The case's finding is there, and no other fault (structure) or nothing else at all (only). */
static void run(const struct finding_case *cases, size_t n, const char *behind, bool fault)
{
	for (size_t i = 0; i < n; i++) {
		struct config_findings found;
		char *text = xasprintf("%s%s", cases[i].text, behind);
		struct config *c = config_load_text(slice_of(text), "ini", home, &hooks, &found);
		size_t hits = 0, others = 0;
		for (size_t k = 0; k < found.n; k++) {
			bool hit = cases[i].told != NULL && matches(&found.v[k], &cases[i], fault);
			hits += hit;
			others += !hit && found.v[k].fault;
		}
		bool good = cases[i].told == NULL ? found.faults == 0 : hits == 1 && others == 0;
		if (!good || (c == NULL) != (found.faults > 0))
			complain(text, &found);
		free(text);
		config_unref(&c);
		config_findings_free(&found);
	}
}

static void structural_faults(void **state)
{
	(void)state;
	run(structure, sizeof structure / sizeof structure[0], "", true);
}

static void faults_of_meaning(void **state)
{
	(void)state;
	run(meaning, sizeof meaning / sizeof meaning[0], "[user postmaster]\npassword = p\n[user u]\npassword = p\n",
	    true);
}

static void all_warnings(void **state)
{
	(void)state;
	run(warnings, sizeof warnings / sizeof warnings[0], "", false);
}

static void nothing_to_warn_of(void **state)
{
	(void)state;
	for (size_t i = 0; i < sizeof quiet / sizeof quiet[0]; i++) {
		struct config_findings found;
		char *text = xasprintf("%s%s", quiet[i], OK_USERS);
		struct config *c = config_load_text(slice_of(text), "ini", home, &hooks, &found);
		if (c == NULL || found.n != 0)
			complain(text, &found);
		free(text);
		config_unref(&c);
		config_findings_free(&found);
	}
}

static bool has(const struct config_findings *found, unsigned line, const char *told)
{
	for (size_t i = 0; i < found->n; i++)
		if (found->v[i].fault && found->v[i].line == line && strstr(found->v[i].text, told) != NULL)
			return true;
	return false;
}

static void nul_and_long_lines(void **state)
{
	struct config_findings found;
	static const char nul[] = "[server]\ndomain = a\0b\nlog_size_kib = x\n";
	char line[1100];

	(void)state;
	assert_null(config_load_text(slice_make(nul, sizeof nul - 1), "ini", home, NULL, &found));
	assert_true(has(&found, 2, "NUL"));
	assert_true(has(&found, 3, "from 0 to 999"));
	config_findings_free(&found);
	for (size_t n = 1020; n <= 1026; n++) {
		memset(line, 'x', sizeof line);
		memcpy(line, "[connection]\ntype = command\nup = ", 33);
		char *text = xasprintf("%.*s\n", (int)(33 - 5 + n), line);
		struct config *c = config_load_text(slice_of(text), "ini", home, NULL, &found);
		if (n <= 1022)
			assert_int_equal(strlen(c->link_up), n - 5);
		else
			assert_true(c == NULL && has(&found, 3, "bytes, and iniparser reads 1022"));
		config_unref(&c);
		config_findings_free(&found);
		/* The same without a newline at the end of the file. */
		text[strlen(text) - 1] = '\0';
		c = config_load_text(slice_of(text), "ini", home, NULL, &found);
		assert_int_equal(c != NULL, n <= 1022);
		config_unref(&c);
		config_findings_free(&found);
		free(text);
	}
}

static void all_in_one_pass(void **state)
{
	struct config_findings found;

	(void)state;
	assert_null(config_load_text(
	    slice_of("[sever]\n[pop3]\nport = x\nport = 1\n[user a]\n[account b]\nhost = a:b\n[rule q]\n"
	             "deliver = zz\n"),
	    "ini", home, NULL, &found));
	assert_true(has(&found, 1, "[server]"));
	assert_true(has(&found, 3, "a port"));
	assert_true(has(&found, 4, "second time"));
	assert_true(has(&found, 7, "key of its own"));
	assert_true(has(&found, 6, "user = info"));
	assert_true(has(&found, 8, "field"));
	assert_true(has(&found, 9, "zz"));
	for (size_t i = 1; i < found.n; i++)
		assert_true(found.v[i - 1].line <= found.v[i].line);
	config_findings_free(&found);
}

static void a_hundred_accounts(void **state)
{
	struct config_findings found;
	struct buf b;

	(void)state;
	buf_init(&b, 1 << 20);
	for (int i = 0; i < 100; i++)
		buf_printf(&b, "[account a%d]\nhost = pop.example\nuser = u%d\npassword = p\nkeep = 0\nenabled = no\n",
		           i, i);
	struct config *c = config_load_text(buf_slice(&b), "ini", home, NULL, &found);
	assert_int_equal(c->naccounts, 100);
	config_unref(&c);
	config_findings_free(&found);
	buf_add_str(&b, "[account a100]\nhost = pop.example\nuser = u\npassword = p\nkeep = 0\nenabled = no\n");
	assert_null(config_load_text(buf_slice(&b), "ini", home, NULL, &found));
	assert_true(has(&found, 601, "101 accounts and 100 are the most, disabled ones included"));
	config_findings_free(&found);
	buf_free(&b);
}

static void no_file(void **state)
{
	struct config_findings found;

	(void)state;
	assert_null(config_load("/nonexistent/x.ini", home, &found));
	assert_true(has(&found, 1, "No such file"));
	config_findings_free(&found);
	assert_null(config_load(home, home, &found));
	assert_true(has(&found, 1, "directory"));
	config_findings_free(&found);
	assert_null(config_load("/dev/zero", home, &found));
	assert_true(has(&found, 1, "not a file"));
	config_findings_free(&found);
}

static void the_format(void **state)
{
	struct config_findings found;

	(void)state;
	assert_null(config_load_text(slice_of("[user a\x1b[1m]\npassword = \"\n[pop3]\nport=\x07\n"), "x.ini", home,
	                             NULL, &found));
	char *line = config_finding_format("x.ini", &found.v[0]);
	assert_string_equal(line, "x.ini:1: there is a control character (0x1b) in this line; remove it");
	free(line);
	bool seen = false;
	for (size_t i = 0; i < found.n; i++) {
		line = config_finding_format("x.ini", &found.v[i]);
		assert_null(strchr(line, '\x1b'));
		assert_null(strchr(line, '\x07'));
		seen = seen ||
		       strcmp(line, "x.ini:2: [user a\\x1b[1m] password: the quote that opens here is never closed; "
		                    "add the closing \"") == 0;
		free(line);
	}
	assert_true(seen);
	config_findings_free(&found);
}

static void secrets_stay_out_of_findings(void **state)
{
	static const char *const texts[] = {"[user u]\npassword = tOpSeCrEt#x\n", "[user u]\npassword = 'tOpSeCrEt\n",
	                                    "[account u]\npassword = \"tOpSeCrEt\" x\n",
	                                    "[relay]\npasword = tOpSeCrEt\n"};

	(void)state;
	for (size_t i = 0; i < 4; i++) {
		struct config_findings found;
		assert_null(config_load_text(slice_of(texts[i]), "x.ini", home, NULL, &found));
		for (size_t k = 0; k < found.n; k++)
			assert_null(strstr(found.v[k].text, "tOpSeCrEt"));
		config_findings_free(&found);
	}
}

static int make_files(void **state)
{
	assert_int_equal(make_home(state), 0);
	write_file("pem", "x");
	write_file("secret", "s\n");
	return 0;
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(structural_faults),  cmocka_unit_test(faults_of_meaning),
	    cmocka_unit_test(all_warnings),       cmocka_unit_test(nothing_to_warn_of),
	    cmocka_unit_test(nul_and_long_lines), cmocka_unit_test(all_in_one_pass),
	    cmocka_unit_test(a_hundred_accounts), cmocka_unit_test(no_file),
	    cmocka_unit_test(the_format),         cmocka_unit_test(secrets_stay_out_of_findings),
	};

	return cmocka_run_group_tests(tests, make_files, remove_home);
}
