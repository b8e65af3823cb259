/* Who an address is. */
#include "config_text.h"
#include "route/router.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>

#include <cmocka.h>

#define USERS                                                                                                          \
	"[user anna]\npassword = x\nalias = Anna@Firm.example\n"                                                       \
	"[user boris]\npassword = x\nalias = office@firm.example\n"                                                    \
	"[user clara]\npassword = x\nalias = office@firm.example\n"                                                    \
	"[user dora]\npassword = x\n"                                                                                  \
	"[relay]\nhost = relay.example\n"

static const char plain[] = "[server]\nhostname = gate.firm.example\ndomain = office.lan\n" USERS;
static const char real_domain[] =
    "[server]\nhostname = gate.firm.example\ndomain = firm.example\nunknown_local = relay\n" USERS;
static const char far_alias[] = "[server]\nhostname = gate.firm.example\nalias_local = no\n" USERS;
static const char special[] =
    "[server]\nhostname = gate.firm.example\n[special]\npostmaster = anna\ndaemon = sync\n"
    "[user anna]\npassword = x\nalias = anna@firm.example\n[relay]\nhost = r.example\nsender = scan@firm.example\n"
    "[relay other]\nsenders = *@till.example\nsender = till@shop.example\n";

static struct address parse(const char *text)
{
	struct address a;
	struct slice rest;

	if (!address_parse_path(slice_of(text), &a, &rest)) /* as in an envelope */
		fail_msg("no address: %s", text);
	return a;
}

/* One name in two alphabets. */
#define POCHTA "\xd0\xbf\xd0\xbe\xd1\x87\xd1\x82\xd0\xb0.\xd1\x80\xd1\x84"
#define PUNY "xn--80a1acny.xn--p1ai"
static const char alphabets[] = "[server]\nhostname = gate.firm.example\ndomain = office." POCHTA "\n"
                                "[user anna]\npassword = x\nalias = anna@" POCHTA "\n"
                                "[user boris]\npassword = x\nalias = boris@" PUNY "\n"
                                "[relay]\nhost = relay.example\nsender = scan@" POCHTA "\n"
                                "[relay other]\nsenders = *@" POCHTA "\nsender = till@" POCHTA "\n";

struct row {
	const char *config, *address;
	enum route_kind kind;
	const char *user;
};

static const struct row recipients[] = {
    {plain, "anna", ROUTE_LOCAL, "anna"},
    {plain, "ANNA@Office.LAN", ROUTE_LOCAL, "anna"},
    {plain, "anna@firm.EXAMPLE", ROUTE_LOCAL, "anna"},
    {plain, "office@firm.example", ROUTE_EXTERNAL, NULL}, /* shared: for sending alone */
    {plain, "nobody@office.lan", ROUTE_UNKNOWN, NULL},
    {plain, "nobody", ROUTE_UNKNOWN, NULL},
    {plain, "anna@printer", ROUTE_NO_DOT, NULL},
    {plain, "bob@firm.example", ROUTE_EXTERNAL, NULL},
    {plain, "anna@gate.firm.example", ROUTE_EXTERNAL, NULL},
    {plain, "postmaster", ROUTE_LOCAL, "postmaster"},
    {plain, "Postmaster@office.lan", ROUTE_LOCAL, "postmaster"},
    {plain, "postmaster@GATE.firm.example", ROUTE_LOCAL, "postmaster"},
    {plain, "postmaster@[127.0.0.1]", ROUTE_LOCAL, "postmaster"},
    {plain, "anna@[127.0.0.1]", ROUTE_UNKNOWN, NULL},
    {plain, "postmaster@[127.0.0.2]", ROUTE_EXTERNAL, NULL},
    {plain, "x@[IPv6:fe80::1]", ROUTE_EXTERNAL, NULL},
    {plain, "daemon", ROUTE_DAEMON, "daemon"},
    {plain, "Daemon@office.lan", ROUTE_DAEMON, "daemon"},
    {plain, "daemon@firm.example", ROUTE_EXTERNAL, NULL},
    {real_domain, "anna@firm.example", ROUTE_LOCAL, "anna"},
    {real_domain, "nobody@firm.example", ROUTE_EXTERNAL, NULL},
    {real_domain, "nobody", ROUTE_UNKNOWN, NULL},
    {far_alias, "anna@firm.example", ROUTE_EXTERNAL, NULL},
    {far_alias, "anna@office.lan", ROUTE_LOCAL, "anna"},
    {alphabets, "anna@" POCHTA, ROUTE_LOCAL, "anna"},
    {alphabets, "anna@XN--80A1ACNY.xn--p1ai", ROUTE_LOCAL, "anna"},
    {alphabets, "boris@" POCHTA, ROUTE_LOCAL, "boris"},
    {alphabets, "anna@office." POCHTA, ROUTE_LOCAL, "anna"},
    {alphabets, "anna@office." PUNY, ROUTE_LOCAL, "anna"},
    {special, "postmaster@office.lan", ROUTE_LOCAL, "anna"},
    {special, "postmaster@[127.0.0.1]", ROUTE_LOCAL, "anna"},
    {special, "sync", ROUTE_DAEMON, "sync"},
    {special, "daemon", ROUTE_UNKNOWN, NULL},
};

static void recipients_are_known(void **state)
{
	(void)state;
	for (size_t i = 0; i < sizeof recipients / sizeof *recipients; i++) {
		const struct row *row = &recipients[i];
		struct config *c = config_from_text(row->config);
		struct address a = parse(row->address);
		assert_non_null(c);
		struct route r = route_recipient(c, &a, "127.0.0.1");
		if (r.kind != row->kind)
			fail_msg("%s: kind %d, not %d", row->address, (int)r.kind, (int)row->kind);
		if (row->user == NULL)
			assert_null(r.user);
		else
			assert_string_equal(r.user->name, row->user);
		address_free(&a);
		config_unref(&c);
	}
}

struct sender_row {
	const char *config, *address;
	const char *user;    /* route_sender */
	const char *alias;   /* route_alias */
	const char *outside; /* route_outgoing_sender */
	const char *login;   /* route_login */
};

static const struct sender_row senders[] = {
    {plain, "anna", "anna", "Anna@Firm.example", "Anna@Firm.example", "anna"},
    {plain, "ANNA@office.lan", "anna", "Anna@Firm.example", "Anna@Firm.example", "anna"},
    {plain, "anna@firm.example", "anna", NULL, "anna@firm.example", "anna"},
    {plain, "office@firm.example", "boris", NULL, "office@firm.example", NULL},
    {plain, "dora@office.lan", "dora", NULL, NULL, "dora"},
    {plain, "daemon@office.lan", NULL, NULL, NULL, NULL},
    {plain, "x@elsewhere.example", NULL, NULL, NULL, NULL},
    {plain, "anna@gate.firm.example", NULL, NULL, NULL, NULL},
    {real_domain, "dora@firm.example", "dora", NULL, "dora@firm.example", "dora"},
    {real_domain, "dora", "dora", NULL, NULL, "dora"},
    {real_domain, "new@firm.example", NULL, NULL, "new@firm.example", NULL},
    {alphabets, "anna@office." POCHTA, "anna", "anna@" PUNY, "anna@" PUNY, "anna"},
    {alphabets, "anna@" POCHTA, "anna", NULL, "anna@" PUNY, "anna"},
    {alphabets, "x@far.example", NULL, NULL, "scan@" PUNY, NULL},
    {alphabets, "x@" PUNY, NULL, NULL, "till@" PUNY, NULL},
    {special, "scanner@office.lan", NULL, NULL, "scan@firm.example", NULL},
    {special, "one@till.example", NULL, NULL, "till@shop.example", NULL},
    {special, "postmaster", "anna", "anna@firm.example", "anna@firm.example", NULL},
};

static void same(const char *what, const char *of, const char *got, const char *wanted)
{
	if ((got == NULL) != (wanted == NULL) || (got != NULL && strcmp(got, wanted) != 0))
		fail_msg("%s of %s: %s, not %s", what, of, got != NULL ? got : "none",
		         wanted != NULL ? wanted : "none");
}

static void senders_are_known(void **state)
{
	(void)state;
	for (size_t i = 0; i < sizeof senders / sizeof *senders; i++) {
		const struct sender_row *row = &senders[i];
		struct config *c = config_from_text(row->config);
		struct address a = parse(row->address);
		assert_non_null(c);
		const struct config_user *u = route_sender(c, &a), *l = route_login(c, slice_of(row->address));
		char *outside = route_outgoing_sender(c, &a);
		same("sender", row->address, u != NULL ? u->name : NULL, row->user);
		same("alias", row->address, route_alias(c, &a), row->alias);
		same("outgoing sender", row->address, outside, row->outside);
		same("log-in", row->address, l != NULL ? l->name : NULL, row->login);
		free(outside);
		address_free(&a);
		config_unref(&c);
	}
}

static void nobody_stays_nobody(void **state)
{
	struct config *c = config_from_text(special);
	char none[] = "";
	struct address a = {none, none};

	(void)state;
	assert_null(route_sender(c, &a));
	assert_null(route_alias(c, &a));
	char *outside = route_outgoing_sender(c, &a);
	assert_string_equal(outside, "");
	free(outside);
	config_unref(&c);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(recipients_are_known),
	    cmocka_unit_test(senders_are_known),
	    cmocka_unit_test(nobody_stays_nobody),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
