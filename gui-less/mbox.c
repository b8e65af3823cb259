#include "mbox.h"

#include <string.h>
#include <time.h>

static const char from_word[] = "From ";
enum { FROM_LENGTH = 5 };

/* ---- lines ---- */

/* Takes bytes at p as long as the line's kind is open; returns how many. It is known behind ">>From " (all the
 * letters), or at the first byte that fits neither. */
static size_t take_start(struct mbox_line *l, const char *p, size_t n)
{
	size_t i = 0;

	while (i < n && !l->inside) {
		if (l->from == 0 && p[i] == '>') {
			l->marks++;
			i++;
		} else if (p[i] == from_word[l->from]) {
			i++;
			l->inside = ++l->from == FROM_LENGTH;
		} else {
			l->inside = true;
		}
	}
	return i;
}

static bool is_from_line(const struct mbox_line *l)
{
	return l->from == FROM_LENGTH;
}

/* ---- writing ---- */

void mbox_write_begin(struct mbox_writer *w, FILE *f, int64_t arrived)
{
	char date[64];
	time_t t = (time_t)arrived;
	struct tm tm;

	*w = (struct mbox_writer){.f = f};
	if (gmtime_r(&t, &tm) == NULL)
		memset(&tm, 0, sizeof tm);
	strftime(date, sizeof date, "%a %b %e %H:%M:%S %Y", &tm);
	fprintf(f, "From MAILER-DAEMON %s\n", date);
}

/* What was held back while the line's kind was open. */
static void write_start(struct mbox_writer *w)
{
	uint64_t marks = w->line.marks + is_from_line(&w->line);

	while (marks-- > 0)
		fputc('>', w->f);
	fwrite(from_word, 1, w->line.from, w->f);
	w->line.marks = 0;
	w->line.from = 0;
	w->line.inside = true;
}

static void write_line_end(struct mbox_writer *w)
{
	if (!w->line.inside)
		write_start(w);
	fputc('\n', w->f);
	w->line = (struct mbox_line){0};
	w->any = false;
}

/* Part of a line, without its end. */
static void write_part(struct mbox_writer *w, const char *p, size_t n)
{
	w->any = true;
	if (w->line.cr)
		fputc('\r', w->f);
	w->line.cr = false;
	if (!w->line.inside) {
		size_t taken = take_start(&w->line, p, n);
		p += taken;
		n -= taken;
		if (!w->line.inside)
			return;
		write_start(w);
	}
	if (n > 0 && p[n - 1] == '\r') {
		w->line.cr = true;
		n--;
	}
	fwrite(p, 1, n, w->f);
}

void mbox_write(struct mbox_writer *w, struct slice piece)
{
	while (piece.n > 0) {
		size_t n = slice_find(piece, '\n');
		if (n > 0)
			write_part(w, piece.p, n);
		if (n < piece.n)
			write_line_end(w);
		piece = slice_sub(piece, n + 1, piece.n);
	}
}

void mbox_write_end(struct mbox_writer *w)
{
	if (w->any)
		write_line_end(w);
	fputc('\n', w->f);
}

/* ---- reading ---- */

static int give(struct mbox_reader *r, const char *p, size_t n)
{
	r->open = true;
	return n > 0 ? r->data(r->arg, slice_make(p, n)) : 0;
}

/* The message, if there is one, is over. An empty line in front of the next one is the file's, not the message's. */
static int close_message(struct mbox_reader *r)
{
	int rc = r->open ? r->end(r->arg) : 0;

	r->open = r->empty = false;
	return rc;
}

/* What was held back while the line's kind was open: one ">" of a quoted line goes. */
static int give_start(struct mbox_reader *r)
{
	static const char many[] = ">>>>>>>>>>>>>>>>>>>>>>>>>>>>>>>>";
	uint64_t marks = r->line.marks - (r->mbox && is_from_line(&r->line) && r->line.marks > 0);
	int rc = 0;

	for (size_t n; marks > 0 && rc == 0; marks -= n) {
		n = marks < sizeof many - 1 ? (size_t)marks : sizeof many - 1;
		rc = give(r, many, n);
	}
	if (rc == 0)
		rc = give(r, from_word, r->line.from);
	r->line.marks = 0;
	r->line.from = 0;
	r->line.inside = true;
	return rc;
}

/* The line's kind is known, or nothing more of it comes. */
static int begin_line(struct mbox_reader *r)
{
	bool from = is_from_line(&r->line) && r->line.marks == 0;

	if (!r->started)
		r->mbox = from;
	if (r->mbox && from && (!r->started || r->empty)) {
		r->started = r->separator = r->line.inside = true;
		return close_message(r);
	}
	r->started = true;
	if (r->empty && give(r, "\r\n", 2) != 0)
		return -1;
	r->empty = false;
	return give_start(r);
}

static int end_line(struct mbox_reader *r)
{
	bool nothing = !r->any || (r->line.cr && !r->line.inside && r->line.marks == 0 && r->line.from == 0);
	int rc = 0;

	if (r->separator) {
		;
	} else if (nothing && r->mbox) {
		if (r->empty)
			rc = give(r, "\r\n", 2);
		r->empty = true;
	} else {
		if (!r->line.inside)
			rc = begin_line(r);
		if (rc == 0 && !r->separator)
			rc = give(r, "\r\n", 2);
	}
	r->line = (struct mbox_line){0};
	r->any = r->separator = false;
	return rc;
}

/* Part of a line, without its end. */
static int read_part(struct mbox_reader *r, const char *p, size_t n)
{
	int rc = 0;

	r->any = true;
	if (r->line.cr) {
		if (!r->line.inside)
			rc = begin_line(r);
		if (rc == 0 && !r->separator)
			rc = give(r, "\r", 1);
		r->line.cr = false;
	}
	if (rc == 0 && !r->line.inside) {
		size_t taken = take_start(&r->line, p, n);
		p += taken;
		n -= taken;
		if (!r->line.inside)
			return 0;
		/* A lone CR so far may be an empty line's end. */
		if (n == 1 && *p == '\r' && r->line.marks == 0 && r->line.from == 0) {
			r->line.inside = false;
			r->line.cr = true;
			return 0;
		}
		rc = begin_line(r);
	}
	if (n > 0 && p[n - 1] == '\r') {
		r->line.cr = true;
		n--;
	}
	return rc == 0 && !r->separator ? give(r, p, n) : rc;
}

int mbox_read(struct mbox_reader *r, struct slice piece)
{
	int rc = 0;

	while (piece.n > 0 && rc == 0) {
		size_t n = slice_find(piece, '\n');
		if (n > 0)
			rc = read_part(r, piece.p, n);
		if (rc == 0 && n < piece.n)
			rc = end_line(r);
		piece = slice_sub(piece, n + 1, piece.n);
	}
	return rc;
}

int mbox_read_end(struct mbox_reader *r, struct err *e)
{
	int rc = 0;

	if (r->any && r->mbox)
		return err_set(e, 0, "it ends in the middle of a line, so it was cut off");
	if (r->any)
		rc = end_line(r);
	if (rc == 0)
		rc = close_message(r);
	return rc;
}
