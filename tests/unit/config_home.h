/* A home folder of its own for tests of the configuration, with the folders that a sound ini file finds there. */
#ifndef OFM_TESTS_CONFIG_HOME_H
#define OFM_TESTS_CONFIG_HOME_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include <cmocka.h>

static char home[] = "/tmp/ofm.config.XXXXXX";

/* Group set-up and tear-down for cmocka. */
static inline int make_home(void **state)
{
	char path[128];

	(void)state;
	assert_non_null(mkdtemp(home));
	for (const char *const *d = (const char *const[]){"mailboxes", "outqueue", "boxes", NULL}; *d != NULL; d++) {
		snprintf(path, sizeof path, "%s/%s", home, *d);
		assert_int_equal(mkdir(path, 0700), 0);
	}
	return 0;
}

static inline int remove_home(void **state)
{
	char command[128];

	(void)state;
	snprintf(command, sizeof command, "rm -rf %s", home);
	return system(command);
}

#endif
