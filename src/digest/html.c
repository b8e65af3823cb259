#include "base/amount.h"
#include "digest/text.h"
#include "digest/words.h"

#include <string.h>

enum { CHART_H = 80, COLUMN = 24, BAR_W = 200 };

#define BLUE "#2b6cb0"
#define ORANGE "#dd6b20"

static void escape(struct buf *out, const char *s)
{
	for (; *s != '\0'; s++) {
		const char *instead = *s == '<'   ? "&lt;"
		                      : *s == '>' ? "&gt;"
		                      : *s == '&' ? "&amp;"
		                      : *s == '"' ? "&quot;"
		                                  : NULL;
		if (instead != NULL)
			buf_add_str(out, instead);
		else
			buf_add_char(out, *s);
	}
}

static void cell(struct buf *out, const char *text, bool right)
{
	buf_printf(out, "<td%s>", right ? " align=\"right\"" : "");
	escape(out, text);
	buf_add_str(out, "</td>");
}

static void count_cells(struct buf *out, const struct journal_count *c)
{
	char size[AMOUNT_MAX];

	amount_size(c->bytes, size);
	buf_printf(out, "<td align=\"right\">%llu</td>", (unsigned long long)c->n);
	cell(out, size, true);
}

static void rect(struct buf *out, int x, unsigned n, unsigned peak, const char *colour)
{
	unsigned h = (n * CHART_H + peak - 1) / peak;

	if (n > 0)
		buf_printf(out,
		           "<rect x=\"%d\" y=\"%u\" width=\"9\" height=\"%u\" fill=\"%s\"><title>%u</title></rect>", x,
		           CHART_H - h, h, colour, n);
}

static void chart(struct buf *out, const struct journal_summary *s, const struct digest_words *w)
{
	unsigned peak = digest_peak(s);

	buf_printf(out,
	           "<h3>%s</h3>\n<svg xmlns=\"http://www.w3.org/2000/svg\" width=\"%d\" height=\"%d\" "
	           "font-family=\"sans-serif\" font-size=\"10\">\n",
	           w->by_hour, 24 * COLUMN, CHART_H + 16);
	for (int h = 0; h < 24; h++) {
		rect(out, h * COLUMN + 2, s->came[h], peak, BLUE);
		rect(out, h * COLUMN + 12, s->left[h], peak, ORANGE);
		buf_printf(out, "<text x=\"%d\" y=\"%d\">%02d</text>\n", h * COLUMN + 4, CHART_H + 12, h);
	}
	buf_printf(out,
	           "</svg>\n<p><span style=\"color:" BLUE "\">&#9632;</span> %s "
	           "<span style=\"color:" ORANGE "\">&#9632;</span> %s</p>\n",
	           w->in, w->out);
}

static void sums(struct buf *out, const struct journal_summary *s, const struct digest_words *w)
{
	buf_add_str(out, "<table cellpadding=\"3\">\n");
	for (size_t i = 0; i < DIGEST_ROWS; i++) {
		buf_add_str(out, "<tr>");
		cell(out, w->rows[i], false);
		count_cells(out, digest_row(s, i));
		buf_add_str(out, "</tr>\n");
	}
	buf_add_str(out, "</table>\n");
}

static void people(struct buf *out, const struct journal_summary *s, const struct digest_words *w)
{
	if (s->npeople == 0)
		return;
	buf_printf(out,
	           "<h3>%s</h3>\n<table cellpadding=\"3\">\n<tr><th></th><th colspan=\"2\">%s</th>"
	           "<th colspan=\"2\">%s</th><th colspan=\"2\">%s</th></tr>\n",
	           w->users, w->wrote, w->sent, w->received);
	for (size_t i = 0; i < s->npeople && i < DIGEST_PEOPLE; i++) {
		buf_add_str(out, "<tr>");
		cell(out, s->people[i].name, false);
		count_cells(out, &s->people[i].wrote);
		count_cells(out, &s->people[i].sent);
		count_cells(out, &s->people[i].received);
		buf_add_str(out, "</tr>\n");
	}
	buf_add_str(out, "</table>\n");
	if (s->npeople > DIGEST_PEOPLE)
		buf_printf(out, "<p>+%zu</p>\n", s->npeople - DIGEST_PEOPLE);
}

static void accounts(struct buf *out, const struct digest_facts *f, const struct digest_words *w)
{
	if (f->naccounts == 0)
		return;
	buf_printf(out, "<h3>%s</h3>\n<table cellpadding=\"3\">\n", w->accounts);
	for (size_t i = 0; i < f->naccounts; i++) {
		buf_add_str(out, "<tr>");
		cell(out, f->accounts[i].name, false);
		cell(out, f->accounts[i].error[0] != '\0' ? f->accounts[i].error : w->works, false);
		buf_add_str(out, "</tr>\n");
	}
	buf_add_str(out, "</table>\n");
}

static void boxes(struct buf *out, const struct digest_facts *f, const struct digest_words *w)
{
	buf_printf(out, "<h3>%s</h3>\n<table cellpadding=\"3\">\n", w->boxes);
	for (size_t i = 0; i < f->nboxes && i < DIGEST_BOXES && f->boxes[i].bytes > 0; i++) {
		const struct digest_box *b = &f->boxes[i];
		char size[AMOUNT_MAX];
		amount_size(b->bytes, size);
		buf_add_str(out, "<tr>");
		cell(out, b->name, false);
		buf_printf(
		    out,
		    "<td><svg xmlns=\"http://www.w3.org/2000/svg\" width=\"%d\" height=\"10\"><rect width=\"%llu\" "
		    "height=\"10\" fill=\"" BLUE "\"/></svg></td>",
		    BAR_W, (unsigned long long)(b->bytes * BAR_W / f->boxes[0].bytes));
		cell(out, size, true);
		buf_printf(out, "<td align=\"right\">%llu %s</td></tr>\n", (unsigned long long)b->messages,
		           w->messages);
	}
	buf_add_str(out, "</table>\n");
}

void digest_html(struct buf *out, const struct digest_facts *f, bool russian)
{
	const struct digest_words *w = digest_words(russian);
	char from[24], to[24];

	digest_moment(f->sum.from, from);
	digest_moment(f->sum.to, to);
	buf_printf(out,
	           "<!DOCTYPE html>\n<html lang=\"%s\"><head><meta charset=\"utf-8\"></head>\n"
	           "<body style=\"font-family:sans-serif\">\n<p>%s %s %s %s</p>\n",
	           russian ? "ru" : "en", w->from, from, w->to, to);
	sums(out, &f->sum, w);
	chart(out, &f->sum, w);
	people(out, &f->sum, w);
	accounts(out, f, w);
	if (f->queued > 0) {
		digest_moment(f->oldest, from);
		buf_printf(out, "<p>%s: %zu, %s %s</p>\n", w->queue, f->queued, w->oldest, from);
	} else {
		buf_printf(out, "<p>%s: %s</p>\n", w->queue, w->queue_empty);
	}
	boxes(out, f, w);
	buf_add_str(out, "</body></html>\n");
}
