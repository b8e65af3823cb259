/* A configuration from a text, for tests. */
#ifndef OFM_TESTS_CONFIG_TEXT_H
#define OFM_TESTS_CONFIG_TEXT_H

#include "config/config.h"

#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

static inline struct config *config_from_text(const char *text)
{
	char home[] = "/tmp/ofm.cfgtext.XXXXXX", file[64], sub[64];
	struct config_findings found = {NULL, 0, 0};

	if (mkdtemp(home) == NULL)
		abort();
	snprintf(file, sizeof file, "%s/t.ini", home);
	FILE *f = fopen(file, "w");
	if (f == NULL)
		abort();
	fputs(text, f);
	fclose(f);
	for (int i = 0; i < 2; i++) {
		snprintf(sub, sizeof sub, "%s/%s", home, i == 0 ? "mailboxes" : "outqueue");
		mkdir(sub, 0700);
	}
	struct config *c = config_load(file, home, &found);
	for (size_t i = 0; i < found.n && c == NULL; i++)
		fprintf(stderr, "line %u: [%s] %s: %s\n", found.v[i].line, found.v[i].section, found.v[i].key,
		        found.v[i].text);
	config_findings_free(&found);
	unlink(file);
	for (int i = 0; i < 2; i++) {
		snprintf(sub, sizeof sub, "%s/%s", home, i == 0 ? "mailboxes" : "outqueue");
		rmdir(sub);
	}
	rmdir(home);
	return c;
}

#endif
