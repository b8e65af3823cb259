/* One line of the ini file written anew: every other byte, the mode and the owner stay. */
#include "base/alloc.h"
#include "config/config.h"
#include "config_home.h"

#include <dirent.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define HASH "$y$j9T$salt$hash/."

static char file[64];

static void put(const char *text)
{
	FILE *f = fopen(file, "w");

	assert_non_null(f);
	fputs(text, f);
	fclose(f);
}

static char *get(void)
{
	char *text = xcalloc(1, 1 << 20);
	FILE *f = fopen(file, "r");

	assert_non_null(f);
	assert_true(fread(text, 1, (1 << 20) - 1, f) < (1 << 20) - 1);
	fclose(f);
	return text;
}

static unsigned files_in_home(void)
{
	DIR *d = opendir(home);
	unsigned n = 0;

	assert_non_null(d);
	while (readdir(d) != NULL)
		n++;
	closedir(d);
	return n - 2;
}

static void one_line_changes(void **state)
{
	static const struct {
		const char *before, *user, *after;
	} cases[] = {
	    {"[user anna]\npassword = old\n", "anna", "[user anna]\npassword = " HASH "\n"},
	    {"[user anna]\npassword = old", "ANNA", "[user anna]\npassword = " HASH},
	    {"\xef\xbb\xbf; x\r\n\r\n [ USER  Anna ]\r\n\tPassWord\t=\t'o;d' ;keep me \r\nname=A\r\n", "anna",
	     "\xef\xbb\xbf; x\r\n\r\n [ USER  Anna ]\r\n\tPassWord\t= " HASH " ;keep me \r\nname=A\r\n"},
	    {"[user a]\npassword =   ; plain\n[user b]\npassword = x\n", "a",
	     "[user a]\npassword = " HASH "   ; plain\n[user b]\npassword = x\n"},
	    {"[user a]\npassword = x\n[user b]\npassword=\"y\"#z", "b",
	     "[user a]\npassword = x\n[user b]\npassword= " HASH " #z"},
	    {"[user a]\nname = x\n", "a", "[user a]\npassword = " HASH "\nname = x\n"},
	    {"[user a]", "a", "[user a]\npassword = " HASH "\n"},
	    {"[server]\n", "postmaster", "[server]\n\n[user postmaster]\npassword = " HASH "\n"},
	    {"", "postmaster", "\n[user postmaster]\npassword = " HASH "\n"},
	    {"[special]\r\npostmaster = Pm", "PM",
	     "[special]\r\npostmaster = Pm\r\n\r\n[user pm]\r\npassword = " HASH "\r\n"},
	    {"[user a]\npassword_file =\n", "a", "[user a]\npassword = " HASH "\npassword_file =\n"},
	};

	(void)state;
	for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
		struct err e = {0, ""};
		put(cases[i].before);
		if (config_set_password(file, cases[i].user, HASH, &e) != 0)
			fail_msg("case %zu: %s", i, e.text);
		char *text = get();
		assert_string_equal(text, cases[i].after);
		free(text);
		assert_int_equal(files_in_home(), 1);
	}
}

static void refusals(void **state)
{
	static const struct {
		const char *before, *user, *hash, *told;
	} cases[] = {
	    {"[user a]\n", "b", HASH, "there is no user b"},
	    {"[user a]\npassword_file = f\n", "a", HASH, "stands in f"},
	    {"[user a]\npassword = \"\n", "a", HASH, "has faults"},
	    {"[user daemon]\n", "daemon", HASH, "cannot log in"},
	    {"[special]\ndaemon = d\n[user d]\n", "D", HASH, "cannot log in"},
	    {"[special]\npostmaster = d\n", "postmaster", HASH, "there is no user"},
	    {"[user a]\n", "a]\n[user b", HASH, "no user's name"},
	    {"[user a]\n", "a", "x\ny", "characters"},
	    {"[user a]\n", "a", "x;y", "characters"},
	    {"[user a]\n", "a", "", "characters"},
	};

	(void)state;
	for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
		struct err e = {0, ""};
		put(cases[i].before);
		assert_int_equal(config_set_password(file, cases[i].user, cases[i].hash, &e), -1);
		assert_non_null(strstr(e.text, cases[i].told));
		char *text = get();
		assert_string_equal(text, cases[i].before);
		free(text);
		assert_int_equal(files_in_home(), 1);
	}
}

static void mode_owner_and_links_stay(void **state)
{
	char link_path[128];
	struct stat st;

	(void)state;
	put("[user a]\n");
	assert_int_equal(chmod(file, 0640), 0);
	if (getuid() == 0)
		assert_int_equal(chown(file, 12345, 54321), 0);
	snprintf(link_path, sizeof link_path, "%s/link.ini", home);
	assert_int_equal(symlink("x.ini", link_path), 0);
	assert_int_equal(config_set_password(link_path, "a", HASH, NULL), 0);
	assert_int_equal(lstat(link_path, &st), 0);
	assert_true(S_ISLNK(st.st_mode));
	assert_int_equal(stat(file, &st), 0);
	assert_int_equal(st.st_mode & 07777, 0640);
	if (getuid() == 0) {
		assert_int_equal(st.st_uid, 12345);
		assert_int_equal(st.st_gid, 54321);
	}
	unlink(link_path);
}

static void *set_many(void *arg)
{
	const char *user = arg;

	for (int i = 0; i < 20; i++)
		if (config_set_password(file, user, HASH, NULL) != 0)
			return arg;
	return NULL;
}

static void two_at_once(void **state)
{
	pthread_t a, b;
	void *ra, *rb;

	(void)state;
	put("[user a]\n[user b]\n");
	assert_int_equal(pthread_create(&a, NULL, set_many, (char[]){"a"}), 0);
	assert_int_equal(pthread_create(&b, NULL, set_many, (char[]){"b"}), 0);
	pthread_join(a, &ra);
	pthread_join(b, &rb);
	assert_null(ra);
	assert_null(rb);
	char *text = get();
	assert_string_equal(text, "[user a]\npassword = " HASH "\n[user b]\npassword = " HASH "\n");
	free(text);
}

static int make_files(void **state)
{
	(void)state;
	assert_non_null(mkdtemp(home)); /* and nothing in it: what is left behind is counted */
	snprintf(file, sizeof file, "%s/x.ini", home);
	return 0;
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(one_line_changes),
	    cmocka_unit_test(refusals),
	    cmocka_unit_test(mode_owner_and_links_stay),
	    cmocka_unit_test(two_at_once),
	};

	return cmocka_run_group_tests(tests, make_files, remove_home);
}
