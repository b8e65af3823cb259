#include "table.h"

#include "base/alloc.h"
#include "base/strlist.h"
#include "show.h"

#include <stdlib.h>
#include <string.h>

enum { COLUMNS_MAX = 16, CELL_MAX = 400 };

struct table {
	size_t columns;
	char *titles[COLUMNS_MAX];
	bool right[COLUMNS_MAX];
	size_t width[COLUMNS_MAX];
	struct strlist cells; /* row by row */
};

static void add_column(struct table *t, struct slice title)
{
	size_t i = t->columns++;

	if (title.n > 0 && title.p[0] == '>') {
		t->right[i] = true;
		title = slice_sub(title, 1, title.n);
	}
	t->titles[i] = slice_dup(title);
	for (char *p = t->titles[i]; *p != '\0'; p++)
		if (*p == '_')
			*p = ' ';
	t->width[i] = title.n;
}

struct table *table_new(const char *columns)
{
	struct table *t = xcalloc(1, sizeof *t);
	struct slice rest = slice_of(columns);

	while (rest.n > 0 && t->columns < COLUMNS_MAX) {
		size_t n = slice_find(rest, ' ');
		add_column(t, slice_sub(rest, 0, n));
		rest = slice_sub(rest, n + 1, rest.n);
	}
	return t;
}

void table_cell(struct table *t, const char *text)
{
	struct buf b;
	size_t column = t->cells.n % t->columns;

	buf_init(&b, (size_t)CELL_MAX * 8);
	struct slice s = slice_of(text != NULL ? text : "");
	show_text(&b, slice_sub(s, 0, CELL_MAX), true);
	size_t width = show_width(buf_slice(&b));
	if (width > t->width[column])
		t->width[column] = width;
	strlist_add(&t->cells, buf_str(&b));
	buf_free(&b);
}

size_t table_rows(const struct table *t)
{
	return t->cells.n / t->columns;
}

static void pad(size_t n)
{
	while (n-- > 0)
		putchar(' ');
}

/* No blanks at a line's end. */
static void print_row(const struct table *t, char **cells)
{
	for (size_t i = 0; i < t->columns; i++) {
		size_t gap = t->width[i] - show_width(slice_of(cells[i]));
		bool last = i + 1 == t->columns;
		if (t->right[i])
			pad(gap);
		fputs(cells[i], stdout);
		if (!t->right[i] && !last)
			pad(gap);
		if (!last)
			fputs("  ", stdout);
	}
}

void table_print(struct table **tp, bool tty)
{
	struct table *t = *tp;

	fputs(tty ? "\033[1m" : "", stdout);
	print_row(t, t->titles);
	puts(tty ? "\033[0m" : "");
	for (size_t i = 0; i + t->columns <= t->cells.n; i += t->columns) {
		print_row(t, t->cells.v + i);
		putchar('\n');
	}
	table_free(tp);
}

void table_free(struct table **tp)
{
	struct table *t = *tp;

	if (t == NULL)
		return;
	for (size_t i = 0; i < t->columns; i++)
		free(t->titles[i]);
	strlist_free(&t->cells);
	free(t);
	*tp = NULL;
}
