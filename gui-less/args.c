#include "args.h"

#include "ctl.h"
#include "suggest.h"

#include <string.h>

int args_take(const char *command, const struct args_option *options, int argc, char **argv, int *i)
{
	for (const struct args_option *o = options; o->name != NULL; o++) {
		size_t n = strlen(o->name);
		const char *a = argv[*i];
		if (strncmp(a, o->name, n) != 0 || (a[n] != '\0' && a[n] != '='))
			continue;
		if (o->text == NULL && a[n] == '\0') {
			*o->on = true;
			return 1;
		}
		const char *value = o->text == NULL ? "" : a[n] == '=' ? a + n + 1 : *i + 1 < argc ? argv[++*i] : "";
		if (value[0] == '\0') {
			ctl_usage(command, o->text != NULL ? "%s wants a value" : "%s takes no value", o->name);
			return -1;
		}
		*o->text = value;
		return 1;
	}
	return 0;
}

static int unknown(const char *command, const struct args_option *options, const char *word)
{
	const char *near = NULL;
	size_t best = 3;

	for (const struct args_option *o = options; o->name != NULL; o++) {
		size_t d = suggest_distance(word, o->name);
		if (d < best) {
			best = d;
			near = o->name;
		}
	}
	if (near != NULL)
		ctl_usage(command, "there is no option %s; did you mean %s?", word, near);
	else
		ctl_usage(command, "there is no option %s", word);
	return -1;
}

int args_all(const char *command, const struct args_option *options, int from, int argc, char **argv, int max)
{
	int words = 0;

	for (int i = from; i < argc; i++) {
		int taken = args_take(command, options, argc, argv, &i);
		if (taken < 0)
			return -1;
		if (taken > 0)
			continue;
		if (argv[i][0] == '-' && argv[i][1] != '\0')
			return unknown(command, options, argv[i]);
		if (words == max) {
			ctl_usage(command, "what is %s?", argv[i]);
			return -1;
		}
		argv[from + words++] = argv[i];
	}
	return words;
}
