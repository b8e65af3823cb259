/* The schema as text: the sample file, and rows for manuals. */
#include "config/schema_rows.h"

#include <string.h>

static void key_info(const struct schema_row *row, char *range, size_t size, struct config_key_info *out)
{
	const struct schema_section *s = &schema_sections[row->section];

	schema_describe(row, range, size);
	*out = (struct config_key_info){
	    .section = s->name,
	    .label = s->sample,
	    .section_help = s->help,
	    .key = row->key,
	    .fallback = row->fallback,
	    .range = range,
	    .help = row->help,
	    .list = schema_is_list(row->type),
	    .required = (row->flags & ROW_REQUIRED) != 0,
	    .restart = (row->flags & ROW_RESTART) != 0,
	    .secret = (row->flags & ROW_SECRET) != 0,
	};
}

void config_each_key(void (*fn)(void *arg, const struct config_key_info *key), void *arg)
{
	struct config_key_info info;
	char range[256];

	for (size_t i = 0; i < schema_table_size; i++) {
		key_info(&schema_table[i], range, sizeof range, &info);
		fn(arg, &info);
	}
}

static const char intro[] =
    "; ofmsrv: the mail gateway of an office.\n"
    ";\n"
    "; Each key stands here with its default, behind a semicolon: take it away to change the value. Sections and keys\n"
    "; may be written in either case. Durations are 30s, 15m, 2h, 5d; switches yes or no; lists have commas and may "
    "go\n"
    "; on in KEY2, KEY3, ... A comment has a line of its own, or stands behind a value after a space. A value that "
    "holds\n"
    "; ; or # goes between quotes.\n"
    ";\n"
    "; Faults, each with its line: ofmctl check. A change comes into force by: ofmctl reload.\n";

/* Text in lines of at most 118 bytes, each behind "; ". */
static void add_wrapped(struct buf *out, const char *text)
{
	size_t column = 0;

	while (*text != '\0') {
		size_t word = strcspn(text, " ");
		if (column == 0 || column + 1 + word > 116) {
			buf_add_str(out, column == 0 ? "; " : "\n; ");
			column = 0;
		} else {
			buf_add_char(out, ' ');
			column++;
		}
		buf_add(out, text, word);
		column += word;
		text += word + (text[word] == ' ');
	}
	buf_add_char(out, '\n');
}

static void add_key(struct buf *out, const struct schema_row *row)
{
	char range[256];
	const char *value = row->sample != NULL ? row->sample : row->fallback;

	schema_describe(row, range, sizeof range);
	buf_printf(out, ";%s =%s%s\n", row->key, value[0] != '\0' ? " " : "", value);
	size_t start = out->n;
	buf_printf(out, ";     %s (%s%s)\n", row->help, range,
	           (row->flags & ROW_RESTART) != 0 ? "; needs a restart" : "");
	if (out->n - start <= 120)
		return;
	/* Too long for one line: the range goes onto the next. */
	out->n = start;
	buf_printf(out, ";     %s\n;     (%s%s)\n", row->help, range,
	           (row->flags & ROW_RESTART) != 0 ? "; needs a restart" : "");
}

static void add_section(struct buf *out, enum section_kind kind)
{
	const struct schema_section *s = &schema_sections[kind];
	size_t n;
	const struct schema_row *rows = schema_rows(kind, &n);

	buf_add_char(out, '\n');
	add_wrapped(out, s->help);
	/* Sections of somebody's own are only shown; the others are there, waiting for a key. */
	if (s->label == LABEL_MUST)
		buf_printf(out, ";[%s %s]\n", s->name, s->sample);
	else
		buf_printf(out, "[%s]\n", s->name);
	for (size_t i = 0; i < n; i++)
		if ((rows[i].flags & ROW_NAMED) == 0)
			add_key(out, &rows[i]);
	if (s->label == LABEL_MAY)
		buf_printf(out, ";[%s second]\n", s->name);
	for (size_t i = 0; i < n; i++)
		if ((rows[i].flags & ROW_NAMED) != 0)
			add_key(out, &rows[i]);
}

void config_sample_write(struct buf *out)
{
	buf_add_str(out, intro);
	for (int k = 0; k < SECTION_KINDS; k++)
		add_section(out, (enum section_kind)k);
}
