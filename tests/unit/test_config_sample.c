/* The committed sample file is what the schema writes, and is sound; large files load quickly. */
#include "base/alloc.h"
#include "config/config.h"
#include "config_home.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>

static char *sample(void)
{
	struct buf out;

	buf_init(&out, 1 << 20);
	config_sample_write(&out);
	return buf_steal(&out);
}

static void the_committed_file_is_the_schemas(void **state)
{
	char *want = sample(), *got = xcalloc(1, 1 << 20);
	FILE *f = fopen("etc/ofmsrv.ini", "r"); /* tests run in the checkout's root */

	(void)state;
	assert_non_null(f);
	assert_true(fread(got, 1, (1 << 20) - 1, f) > 0);
	fclose(f);
	assert_string_equal(got, want); /* else: ./ofmctl check --sample >etc/ofmsrv.ini */
	free(got);
	free(want);
}

static void it_checks_without_fault(void **state)
{
	struct config_findings found;
	struct config *c = config_load("etc/ofmsrv.ini", home, &found);

	(void)state;
	assert_non_null(c);
	assert_int_equal(found.faults, 0);
	assert_string_equal(c->domain, "office.lan");
	config_unref(&c);
	config_findings_free(&found);
}

/* Every key of the sample, its semicolon taken away, is a line that can be read. */
static void it_checks_with_every_key_switched_on(void **state)
{
	struct config_findings found;
	char *text = sample();

	(void)state;
	for (char *p = text; (p = strstr(p, "\n;")) != NULL; p++)
		if (p[2] == '[' || (p[2] >= 'a' && p[2] <= 'z'))
			p[1] = ' ';
	struct config *c = config_load_text(slice_of(text), "ini", home, NULL, &found);
	for (size_t i = 0; i < found.n; i++)
		if (found.v[i].fault)
			print_error("%u %s %s\n", found.v[i].line, found.v[i].key, found.v[i].text);
	assert_non_null(c);
	assert_string_equal(c->users[0]->alias, "anna@firm.example");
	assert_int_equal(c->nrules, 1);
	config_unref(&c);
	config_findings_free(&found);
	free(text);
}

static void restart_is_needed_for_these_alone(void **state)
{
	static const char *const keys[] = {"mailboxes", "outqueue", "state", "control", "run_as"};
	struct config_findings found;
	struct config *before = config_load_text(slice_of(""), "ini", home, NULL, &found);

	(void)state;
	config_findings_free(&found);
	for (size_t i = 0; i < 5; i++) {
		char *text = xasprintf("[server]\nlanguage = ru\n%s = %s\n", keys[i],
		                       i == 0   ? "outqueue/../mailboxes"
		                       : i == 1 ? "mailboxes/../outqueue"
		                       : i == 4 ? "root"
		                                : "x");
		struct config *now = config_load_text(slice_of(text), "ini", home, NULL, &found);
		assert_non_null(now);
		assert_string_equal(config_needs_restart(before, now), keys[i]);
		assert_null(config_needs_restart(now, now));
		assert_int_equal(config_server_line(now, keys[i]), 3);
		assert_int_equal(config_server_line(now, "domain"), 1);
		config_unref(&now);
		config_findings_free(&found);
		free(text);
	}
	struct config *now = config_load_text(
	    slice_of("[pop3]\nport = 1\n[ip_filter]\ndeny = ::1\n[server]\nlog = y\n"), "ini", home, NULL, &found);
	assert_null(config_needs_restart(before, now));
	config_unref(&now);
	config_unref(&before);
	config_findings_free(&found);
}

static void count_secret(void *arg, const char *secret)
{
	struct buf *b = arg;

	buf_printf(b, "%s;", secret);
}

static void secrets_are_all_named(void **state)
{
	struct config_findings found;
	struct buf b;
	struct config *c = config_load_text(
	    slice_of("[user a]\npassword = one\n[user b]\n[relay]\nhost = r.lan\nuser = x\npassword = two\n"
	             "[account c]\nhost = h.lan\nuser = u\npassword = three\n"),
	    "ini", home, NULL, &found);

	(void)state;
	assert_non_null(c);
	buf_init(&b, 1000);
	config_secrets(c, count_secret, &b);
	assert_string_equal(buf_str(&b), "one;two;three;");
	buf_free(&b);
	config_unref(&c);
	config_findings_free(&found);
}

/* 10,000 rules and 1,000 users, well under a second; sanitizers get some more. */
static void large_files_load_quickly(void **state)
{
	struct config_findings found;
	struct buf b;

	(void)state;
	buf_init(&b, 8 << 20);
	for (int i = 0; i < 1000; i++)
		buf_printf(&b, "[user u%d]\npassword = p%d\nalias = u%d@firm.example\nname = User %d\n", i, i, i, i);
	for (int i = 0; i < 10000; i++)
		buf_printf(&b, "[rule r%d]\nfield = Subject\ncontains = text %d\ndeliver = u%d, u%d\nstop = yes\n", i,
		           i, i % 1000, i * 7 % 1000);
	clock_t start = clock();
	struct config *c = config_load_text(buf_slice(&b), "ini", home, NULL, &found);
	clock_t took = clock() - start;
	assert_non_null(c);
	assert_int_equal(c->nrules, 10000);
	assert_string_equal(c->rules[9999].contains, "text 9999");
	assert_string_equal(config_user_by_alias(c, slice_of("u777@FIRM.example"))->name, "u777");
	assert_true(took / CLOCKS_PER_SEC < 5);
	config_unref(&c);
	config_findings_free(&found);
	buf_free(&b);
}

/* What costs nothing to write must not cost much to read: each of these is one or two megabytes. */
static void hostile_files_load_quickly(void **state)
{
	struct config_findings found;
	struct buf b[5];

	(void)state;
	for (size_t k = 0; k < 5; k++)
		buf_init(&b[k], 8 << 20);
	for (int i = 0; i < 50000; i++) {
		buf_add_str(&b[0], "[rule r]\n");
		buf_printf(&b[1], "%smembers%d = u\n", i == 0 ? "[group g]\n" : "", i + 2);
		buf_printf(&b[2], "%snokey%d = u\n", i == 0 ? "[group g]\n" : "", i);
		buf_add_str(&b[3], "x\n");
	}
	for (int i = 0; i < 20000; i++)
		buf_printf(&b[4], "[group g%d]\nmembers = g%d\n", i, i + 1);
	for (size_t k = 0; k < 5; k++) {
		clock_t start = clock();
		struct config *c = config_load_text(buf_slice(&b[k]), "ini", home, NULL, &found);
		clock_t took = clock() - start;
		assert_null(c);
		assert_true(found.faults > 0 && found.n <= 10000);
		assert_true(took / CLOCKS_PER_SEC < 5);
		config_findings_free(&found);
		buf_free(&b[k]);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(the_committed_file_is_the_schemas),
	    cmocka_unit_test(it_checks_without_fault),
	    cmocka_unit_test(it_checks_with_every_key_switched_on),
	    cmocka_unit_test(restart_is_needed_for_these_alone),
	    cmocka_unit_test(secrets_are_all_named),
	    cmocka_unit_test(large_files_load_quickly),
	    cmocka_unit_test(hostile_files_load_quickly),
	};

	return cmocka_run_group_tests(tests, make_home, remove_home);
}
