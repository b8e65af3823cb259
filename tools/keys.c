/* Prints the manual's list of keys from the schema, in Markdown. */
#include "config/config.h"

#include <stdio.h>
#include <string.h>

struct place {
	char section[64];
};

static void cell(const char *s)
{
	for (; *s != '\0'; s++) {
		if (*s == '|')
			putchar('\\');
		putchar(*s);
	}
}

static void head(struct place *at, const struct config_key_info *k)
{
	if (strcmp(at->section, k->section) == 0)
		return;
	snprintf(at->section, sizeof at->section, "%s", k->section);
	printf("\n### [%s%s%s]\n\n%s\n\n", k->section, k->label != NULL ? " " : "", k->label != NULL ? "NAME" : "",
	       k->section_help);
	puts("| key | default | what may stand there | meaning |\n| --- | --- | --- | --- |");
}

static void key(void *arg, const struct config_key_info *k)
{
	head(arg, k);
	printf("| `%s` | ", k->key);
	if (k->required)
		printf("*needed*");
	else if (k->fallback[0] != '\0')
		printf("`%s`", k->fallback);
	printf(" | ");
	cell(k->range);
	printf(" | ");
	cell(k->help);
	printf("%s |\n", k->restart ? "; needs a restart" : "");
}

int main(void)
{
	struct place at = {""};

	config_each_key(key, &at);
	return 0;
}
