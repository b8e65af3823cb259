#include "endpoint.h"

#include "base/alloc.h"
#include "base/slice.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { INI_MAX = 4 * 1024 * 1024 };

/* Quotes go; so does a comment behind blanks. */
static struct slice value_of(struct slice v)
{
	v = slice_trim(v);
	if (v.n > 0 && (v.p[0] == '"' || v.p[0] == '\'')) {
		struct slice rest = slice_sub(v, 1, v.n);
		return slice_sub(rest, 0, slice_find(rest, v.p[0]));
	}
	for (size_t i = 0; i < v.n; i++)
		if (v.p[i] == ';' || v.p[i] == '#')
			return slice_trim(slice_sub(v, 0, i));
	return v;
}

static bool opens_server(struct slice line)
{
	struct slice name = slice_sub(line, 1, slice_find(line, ']') - 1);

	return slice_is_nocase(slice_trim(name), "server");
}

char *endpoint_scan(const char *ini)
{
	struct slice rest = slice_of(ini);
	bool server = false;

	if (rest.n >= 3 && memcmp(rest.p, "\xef\xbb\xbf", 3) == 0)
		rest = slice_sub(rest, 3, rest.n);
	while (rest.n > 0) {
		size_t n = slice_find(rest, '\n');
		struct slice line = slice_trim(slice_sub(rest, 0, n));
		rest = slice_sub(rest, n + 1, rest.n);
		if (line.n > 0 && line.p[0] == '[')
			server = opens_server(line);
		size_t eq = slice_find(line, '=');
		if (!server || eq == line.n || !slice_is_nocase(slice_trim(slice_sub(line, 0, eq)), "control"))
			continue;
		struct slice value = value_of(slice_sub(line, eq + 1, line.n));
		return value.n > 0 ? slice_dup(value) : NULL;
	}
	return NULL;
}

static char *read_ini(const char *path)
{
	FILE *f = fopen(path, "re");

	if (f == NULL)
		return NULL;
	char *text = xmalloc(INI_MAX + 1);
	size_t n = fread(text, 1, INI_MAX, f);
	fclose(f);
	text[n] = '\0';
	return text;
}

char *endpoint_default(const struct ctl_options *o)
{
	return xasprintf("%s/state/control.sock", o->home);
}

char *endpoint_find(const struct ctl_options *o)
{
	char *ini = read_ini(o->file);
	char *value = ini != NULL ? endpoint_scan(ini) : NULL;
	char *path;

	if (value == NULL)
		path = endpoint_default(o);
	else
		path = value[0] == '/' ? xstrdup(value) : xasprintf("%s/%s", o->home, value);
	free(value);
	free(ini);
	return path;
}
