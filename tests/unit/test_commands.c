/* Which commands the helper runs: what the ini file says now, and what it said before. */
#include "app/commands.h"

#include "base/alloc.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

static const char ini[] = "[server]\nmailboxes = m\noutqueue = q\n"
                          "[connection]\ntype = command\nup = \"raise it\"\n%s"
                          "[relay]\nhost = relay.example\nuser = u\npassword_command = \"relay token\"\n"
                          "[account a]\nhost = pop.example\nuser = u\npassword_command = \"%s\"\n%s";

static void write_ini(const char *file, const char *down, const char *token, const char *rest)
{
	FILE *f = fopen(file, "w");

	assert_non_null(f);
	char *text = xasprintf(ini, down, token, rest);
	fputs(text, f);
	free(text);
	fclose(f);
}

static void make_folders(const char *home, bool make)
{
	for (size_t i = 0; i < 2; i++) {
		char *path = xasprintf("%s/%c", home, "mq"[i]);
		assert_int_equal(make ? mkdir(path, 0700) : rmdir(path), 0);
		free(path);
	}
}

static void only_what_stands_in_the_file(void **state)
{
	char home[] = "/tmp/ofm.commands.XXXXXX";
	struct config_findings found;
	struct commands c;

	(void)state;
	assert_non_null(mkdtemp(home));
	struct options o = {.home = home, .file = xasprintf("%s/f.ini", home)};
	make_folders(home, true);
	write_ini(o.file, "", "first token", "");
	struct config *config = config_load(o.file, home, &found);
	assert_non_null(config);
	config_findings_free(&found);
	commands_init(&c, &o, config);
	config_unref(&config);
	assert_true(commands_allowed(&c, "raise it"));
	assert_true(commands_allowed(&c, "relay token"));
	assert_true(commands_allowed(&c, "first token"));
	assert_false(commands_allowed(&c, "first token; id"));
	assert_false(commands_allowed(&c, "first"));
	assert_false(commands_allowed(&c, ""));
	assert_false(commands_allowed(&c, "second token"));

	write_ini(o.file, "down = \"drop it\"\n", "second token", "");
	assert_true(commands_allowed(&c, "second token"));
	assert_true(commands_allowed(&c, "drop it"));
	assert_true(commands_allowed(&c, "first token")); /* in force until the reload */

	write_ini(o.file, "", "third token", "no such key = 1\n");
	assert_false(commands_allowed(&c, "third token")); /* a faulty file is no file */
	assert_true(commands_allowed(&c, "second token"));
	remove(o.file);
	assert_true(commands_allowed(&c, "second token"));
	assert_false(commands_allowed(&c, "third token"));
	commands_free(&c);
	make_folders(home, false);
	rmdir(home);
	free(o.file);
}

int main(void)
{
	const struct CMUnitTest tests[] = {cmocka_unit_test(only_what_stands_in_the_file)};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
