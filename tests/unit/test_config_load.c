#include "config/config.h"
#include "config_home.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

static const char whole[] = "\xef\xbb\xbf[server]\n"
                            "hostname = gate.office.example\n"
                            "log_level = DEBUG ; loud\n"
                            "[user Anna]\n"
                            "password = \"a;b#c\"\n"
                            "alias = anna@firm.example\r\n"
                            "[user boris]\n"
                            "password = x\n"
                            "alias = shared@firm.example\n"
                            "forward = anna, boris@elsewhere.example, Anna@office.lan\n"
                            "[user clara]\n"
                            "password = 'say \"hi\"'\n"
                            "alias = Shared@Firm.example\n"
                            "[special]\n"
                            "boss = clara\n"
                            "[group Sales Team]\n"
                            "members = boris, inner\n"
                            "[group inner]\n"
                            "members = anna\n"
                            "[relay]\n"
                            "host = smtp.provider.example\n"
                            "user = firm\n"
                            "password = secret\n"
                            "[relay second]\n"
                            "senders = *@second.example\n"
                            "senders2 = bob@firm.example\n"
                            "account = info\n"
                            "port = 465\n"
                            "security = tls\n"
                            "[account info]\n"
                            "host = pop.provider.example\n"
                            "user = info@firm.example\n"
                            "password = pw\n"
                            "keep = 14d\n"
                            "first = 30d\n"
                            "[rule \xd0\xa1\xd1\x87\xd0\xb5\xd1\x82\xd0\xb0 2]\n"
                            "field = Subject, X-Spam\n"
                            "contains = \xd1\x81\xd1\x87\xd1\x91\xd1\x82\n"
                            "account = INFO\n"
                            "deliver = sales team, clara, anna\n"
                            "deliver2 = *\n"
                            "[sync]\n"
                            "at = 13:30, 9:00, 09:00\n";

static void show(const struct config_findings *found)
{
	for (size_t i = 0; i < found->n; i++) {
		char *line = config_finding_format("test.ini", &found->v[i]);
		print_message("%s\n", line);
		free(line);
	}
}

static struct config *load(const char *text, struct config_findings *found)
{
	struct config *c = config_load_text(slice_of(text), "test.ini", home, NULL, found);

	if (c == NULL)
		show(found);
	return c;
}

static void a_whole_file(void **state)
{
	struct config_findings found;
	struct config *c = load(whole, &found);

	(void)state;
	assert_non_null(c);
	assert_string_equal(c->hostname, "gate.office.example");
	assert_int_equal(c->log_level, LOG_DEBUG);
	assert_string_equal(config_user_by_name(c, slice_of("ANNA"))->password, "a;b#c");
	assert_string_equal(config_user_by_name(c, slice_of("clara"))->password, "say \"hi\"");
	assert_ptr_equal(config_user_by_alias(c, slice_of("ANNA@firm.example")),
	                 config_user_by_name(c, slice_of("anna")));
	assert_null(config_user_by_alias(c, slice_of("shared@firm.example")));
	assert_true(config_is_alias(c, slice_of("shared@firm.example")));
	assert_true(config_user_by_name(c, slice_of("boris"))->alias_shared);
	assert_false(config_user_by_name(c, slice_of("anna"))->alias_shared);
	assert_ptr_equal(c->boss, config_user_by_name(c, slice_of("clara")));
	assert_string_equal(c->daemon->name, "daemon");
	assert_string_equal(c->postmaster->name, "postmaster");
	assert_int_equal(c->nusers, 5);
	const struct config_user *boris = config_user_by_name(c, slice_of("boris"));
	assert_int_equal(boris->forward_local.n, 1);
	assert_string_equal(boris->forward_local.v[0]->name, "anna");
	assert_int_equal(boris->forward_external.n, 1);
	assert_int_equal(c->nat, 2);
	assert_int_equal(c->at[0].hour, 9);
	config_findings_free(&found);
	config_unref(&c);
	assert_null(c);
}

static void rules_relays_and_accounts(void **state)
{
	struct config_findings found;
	struct config *c = load(whole, &found);

	(void)state;
	assert_non_null(c);
	const struct config_rule *r = &c->rules[0];
	assert_int_equal(r->fields.n, 2);
	assert_int_equal(r->deliver.n, 4); /* anna, boris, clara, postmaster; * leaves the boss out, clara is named */
	assert_string_equal(r->deliver.v[0]->name, "anna");
	assert_string_equal(r->deliver.v[3]->name, "postmaster");
	assert_null(r->matches);
	assert_int_equal(c->nrelays, 2);
	assert_string_equal(c->relays[1].login.host, "smtp.provider.example");
	assert_string_equal(c->relays[1].login.user, "info@firm.example");
	assert_string_equal(c->relays[1].login.password, "pw");
	assert_int_equal(c->relays[1].login.port, 465);
	assert_ptr_equal(config_relay_for(c, slice_of("x@SECOND.example")), &c->relays[1]);
	assert_ptr_equal(config_relay_for(c, slice_of("Bob@firm.example")), &c->relays[1]);
	assert_ptr_equal(config_relay_for(c, slice_of("anna@firm.example")), &c->relays[0]);
	assert_ptr_equal(config_relay_for(c, slice_of("")), &c->relays[0]);
	const struct config_account *a = config_account_by_label(c, slice_of("Info"));
	assert_int_equal(a->keep, 14 * 86400);
	assert_int_equal(a->first, FIRST_AGE);
	assert_int_equal(a->first_age, 30 * 86400);
	assert_int_equal(a->envelope.n, 4);
	struct config *again = config_ref(c);
	config_findings_free(&found);
	config_unref(&c);
	assert_string_equal(again->domain, "office.lan");
	config_unref(&again);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(a_whole_file),
	    cmocka_unit_test(rules_relays_and_accounts),
	};

	return cmocka_run_group_tests(tests, make_home, remove_home);
}
