#include "config/schema.h"

#include "config/schema_rows.h"

#include <stdio.h>
#include <string.h>

const struct schema_section *schema_section(enum section_kind kind)
{
	return &schema_sections[kind];
}

const struct schema_row *schema_rows(enum section_kind kind, size_t *n)
{
	size_t from = 0, to;

	while (from < schema_table_size && schema_table[from].section < kind)
		from++;
	for (to = from; to < schema_table_size && schema_table[to].section == kind;)
		to++;
	*n = to - from;
	return &schema_table[from];
}

enum section_kind schema_kind_by_name(struct slice name)
{
	for (int k = 0; k < SECTION_KINDS; k++)
		if (slice_is_nocase(name, schema_sections[k].name))
			return (enum section_kind)k;
	return SECTION_NONE;
}

bool schema_is_list(enum value_type type)
{
	return type >= VALUE_NAMES && type < VALUE_TYPES;
}

static size_t min3(size_t a, size_t b, size_t c)
{
	size_t m = a < b ? a : b;

	return m < c ? m : c;
}

/* Levenshtein's distance of two short names. */
static size_t distance(const char *a, const char *b)
{
	size_t row[66];
	size_t na = strnlen(a, 64), nb = strnlen(b, 64);

	for (size_t k = 0; k <= nb; k++)
		row[k] = k;
	for (size_t i = 1; i <= na; i++) {
		size_t diagonal = row[0];
		row[0] = i;
		for (size_t k = 1; k <= nb; k++) {
			size_t change = diagonal + (a[i - 1] != b[k - 1]);
			diagonal = row[k];
			row[k] = min3(change, row[k] + 1, row[k - 1] + 1);
		}
	}
	return row[nb];
}

static void nearer(const char *name, const char *candidate, const char **best, size_t *least)
{
	size_t d = distance(name, candidate);

	if (d < *least && d <= strlen(candidate) / 2) {
		*least = d;
		*best = candidate;
	}
}

const char *schema_nearest_key(enum section_kind kind, const char *name)
{
	const char *best = NULL;
	size_t n, least = 4;
	const struct schema_row *rows = schema_rows(kind, &n);

	for (size_t i = 0; i < n; i++)
		nearer(name, rows[i].key, &best, &least);
	return best;
}

const char *schema_nearest_section(const char *name)
{
	const char *best = NULL;
	size_t least = 4;

	for (int k = 0; k < SECTION_KINDS; k++)
		nearer(name, schema_sections[k].name, &best, &least);
	return best;
}

static const char *const type_words[VALUE_TYPES] = {
    [VALUE_TEXT] = "text",
    [VALUE_OPTIONAL] = "text",
    [VALUE_PATH] = "a path",
    [VALUE_HOST] = "a host name or address",
    [VALUE_DOMAIN] = "a domain",
    [VALUE_ADDRESS] = "a mail address",
    [VALUE_USER_NAME] = "a user's name",
    [VALUE_PROXY] = "socks5h://host:port or http://host:port",
    [VALUE_SYSTEM_USER] = "a user of this machine",
    [VALUE_SWITCH] = "yes or no",
    [VALUE_DAILY] = "no or a time HH:MM",
    [VALUE_NAMES] = "a list",
    [VALUE_ADDRESSES] = "a list of IP addresses",
    [VALUE_FIELDS] = "a list of header fields",
    [VALUE_SENDERS] = "a list of addresses and *@domain",
    [VALUE_RANGES] = "a list of networks",
    [VALUE_TIMES] = "a list of times HH:MM",
    [VALUE_USERS] = "a list of users and groups",
    [VALUE_FORWARD] = "a list of users, groups and addresses",
    [VALUE_ACCOUNTS] = "a list of accounts",
};

static void describe_duration(int64_t seconds, char *out, size_t size)
{
	if (seconds == 0)
		snprintf(out, size, "0");
	else if (seconds % 86400 == 0)
		snprintf(out, size, "%lldd", (long long)seconds / 86400);
	else if (seconds % 3600 == 0)
		snprintf(out, size, "%lldh", (long long)seconds / 3600);
	else
		snprintf(out, size, "%llds", (long long)seconds);
}

static void describe_choices(const struct schema_choice *c, char *out, size_t size)
{
	out[0] = '\0';
	for (size_t i = 0; c[i].name != NULL; i++) {
		size_t used = strlen(out);
		const char *glue = i == 0 ? "" : c[i + 1].name == NULL ? " or " : ", ";
		snprintf(out + used, size - used, "%s%s", glue, c[i].name);
	}
}

void schema_describe(const struct schema_row *row, char *out, size_t size)
{
	char from[24], to[24];

	switch (row->type) {
	case VALUE_EITHER:
	case VALUE_CHOICE:
		describe_choices(row->choices, out, size);
		return;
	case VALUE_DURATION:
	case VALUE_KEEP:
	case VALUE_FIRST:
		describe_duration(row->min, from, sizeof from);
		describe_duration(row->max, to, sizeof to);
		snprintf(out, size, "%s%s to %s, with s, m, h or d behind the number",
		         row->type == VALUE_KEEP    ? "forever, or "
		         : row->type == VALUE_FIRST ? "all, new, or "
		                                    : "",
		         from, to);
		return;
	case VALUE_PORT:
		snprintf(out, size, "a port from %d to 65535", (int)row->min);
		return;
	case VALUE_COUNT:
	case VALUE_SIZE:
		snprintf(out, size, "a number from %lld to %lld", (long long)row->min, (long long)row->max);
		return;
	default:
		snprintf(out, size, "%s", type_words[row->type]);
	}
}
