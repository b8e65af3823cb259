#include "base/text.h"
#include "show.h"
#include "top.h"

#include <curses.h>
#include <stdio.h>
#include <string.h>
#include <wchar.h>

enum { RED = 1, GREEN, YELLOW };

/* Text from column x on, at most `width` columns of it and none beyond the screen; harmless. */
static void put(int y, int x, int width, const char *text)
{
	struct buf b;
	uint32_t cp;
	int used = 0;

	if (x + width > COLS)
		width = COLS - x;
	if (y < 0 || y >= LINES || width <= 0)
		return;
	buf_init(&b, 64 * 1024);
	show_text(&b, slice_sub(slice_of(text), 0, 4000), true);
	struct slice s = buf_slice(&b);
	size_t at = 0;
	while (at < s.n) {
		size_t n = utf8_next(s, at, &cp);
		int columns = n > 0 ? wcwidth((wchar_t)cp) : 1;
		if (columns < 0 || used + columns > width)
			break;
		used += columns;
		at += n > 0 ? n : 1;
	}
	mvaddnstr(y, x, s.p != NULL ? s.p : "", (int)at);
	buf_free(&b);
}

static int style(const struct top *t, int colour)
{
	return t->colours ? COLOR_PAIR(colour) : colour == RED ? A_BOLD : A_NORMAL;
}

static void title(int y, const char *text)
{
	attron(A_BOLD);
	put(y, 0, COLS, text);
	attroff(A_BOLD);
}

/* ---- the head ---- */

static void draw_head(const struct top *t)
{
	const json_t *r = t->status, *c = json_object_get(r, "connections"), *s = json_object_get(r, "sync");
	int64_t now = client_int(r, "now"), next = client_int(s, "next_at");
	char up[SHOW_MAX], until[SHOW_MAX], line[400], sync[120];

	show_duration(now - client_int(r, "since"), up);
	show_until(next, now, until);
	if (client_bool(s, "running"))
		snprintf(sync, sizeof sync, "running (%.60s)", client_text(s, "reason"));
	else
		snprintf(sync, sizeof sync, "%s", next == 0 ? "by hand" : until);
	snprintf(line, sizeof line, "ofmsrv %.20s on %.100s  up %s  pop3 %lld  smtp %lld  sync %s",
	         client_text(r, "version"), client_text(r, "hostname"), up, (long long)client_int(c, "pop3"),
	         (long long)client_int(c, "smtp"), sync);
	attron(A_REVERSE);
	mvhline(0, 0, ' ', COLS);
	put(0, 0, COLS, line);
	attroff(A_REVERSE);
}

/* ---- accounts ---- */

static void progress(char *out, size_t size, int64_t done, int64_t total)
{
	enum { WIDTH = 10 };
	char bar[WIDTH + 1];

	for (int i = 0; i < WIDTH; i++)
		bar[i] = i < done * WIDTH / (total > 0 ? total : 1) ? '#' : '.';
	bar[WIDTH] = '\0';
	snprintf(out, size, "[%s] %lld/%lld", bar, (long long)done, (long long)total);
}

static void draw_account(const struct top *t, int y, const json_t *a, bool chosen)
{
	int64_t now = client_int(t->status, "now");
	const char *error = client_text(a, "last_error");
	bool bad = client_bool(a, "held") || (error[0] != '\0' && !client_bool(a, "running"));
	char last[SHOW_MAX], state[80], count[24];

	show_ago(client_int(a, "last_at"), now, last);
	if (client_bool(a, "running") && client_int(a, "total") > 0)
		progress(state, sizeof state, client_int(a, "done"), client_int(a, "total"));
	else
		snprintf(state, sizeof state, "%.30s",
		         !client_bool(a, "enabled")  ? "off"
		         : client_bool(a, "held")    ? "held"
		         : client_bool(a, "running") ? client_text(a, "state")
		         : error[0] != '\0'          ? "failed"
		                                     : "ok");
	snprintf(count, sizeof count, "%9lld", (long long)client_int(a, "collected"));
	if (chosen)
		attron(A_REVERSE);
	mvhline(y, 0, ' ', COLS);
	put(y, 1, 16, client_text(a, "name"));
	attron(style(t, bad ? RED : GREEN));
	put(y, 18, 22, state);
	attroff(style(t, bad ? RED : GREEN));
	put(y, 41, 10, last);
	put(y, 51, 9, count);
	put(y, 61, COLS - 61, error);
	if (chosen)
		attroff(A_REVERSE);
}

/* ---- queue ---- */

static void draw_message(const struct top *t, int y, const json_t *m, bool chosen)
{
	int64_t now = client_int(t->status, "now");
	char age[SHOW_MAX];
	int state = client_bool(m, "held") ? YELLOW : client_text(m, "last_reply")[0] != '\0' ? RED : GREEN;

	show_duration(now - client_int(m, "queued_at"), age);
	if (chosen)
		attron(A_REVERSE);
	mvhline(y, 0, ' ', COLS);
	put(y, 1, 20, client_text(m, "from")[0] != '\0' ? client_text(m, "from") : "<>");
	put(y, 22, 22, client_text(m, "to"));
	put(y, 45, 7, age);
	attron(style(t, state));
	put(y, 53, 7, client_text(m, "state"));
	attroff(style(t, state));
	put(y, 61, COLS - 61, client_text(m, "last_reply"));
	if (chosen)
		attroff(A_REVERSE);
}

/* So many of the list's rows that the chosen one is among them. Returns the next free line. */
static int draw_rows(const struct top *t, int y, int rows, const json_t *list, enum top_pane pane,
                     void (*draw)(const struct top *t, int y, const json_t *row, bool chosen))
{
	size_t n = json_array_size(list),
	       first = t->chosen[pane] >= (size_t)rows ? t->chosen[pane] - (size_t)rows + 1 : 0;

	for (size_t i = first; i < n && i < first + (size_t)rows; i++)
		draw(t, y++, json_array_get(list, i), t->pane == pane && !t->lost[pane] && t->chosen[pane] == i);
	return y;
}

/* ---- the last hour ---- */

/* A column a minute (or, on a narrow screen, for several), in eight heights that every terminal can show. */
static void draw_rate(const struct top *t, int y, const char *label, const char *kind)
{
	static const char heights[] = " .:-=+*#";
	const json_t *v = json_object_get(json_object_get(t->status, "rates"), kind);
	size_t n = json_array_size(v);
	json_int_t peak = 0, sum = 0;
	char line[40];

	for (size_t i = 0; i < n; i++) {
		json_int_t x = json_integer_value(json_array_get(v, i));
		peak = x > peak ? x : peak;
		sum += x;
	}
	put(y, 1, 10, label);
	for (size_t i = 0; i < n && 11 + (int)i < COLS; i++) {
		json_int_t x = json_integer_value(json_array_get(v, i));
		mvaddch(y, 11 + (int)i, (chtype)heights[x == 0 ? 0 : 1 + (x * 6) / (peak > 0 ? peak : 1)]);
	}
	snprintf(line, sizeof line, "%lld", (long long)sum);
	put(y, 12 + (int)n, 8, line);
}

static int draw_rates(const struct top *t, int y)
{
	title(y++, "Last hour (now is at the right)");
	draw_rate(t, y++, "accepted", "accepted");
	draw_rate(t, y++, "collected", "collected");
	draw_rate(t, y++, "sent", "sent");
	draw_rate(t, y++, "deferred", "deferred");
	return y;
}

/* ---- events ---- */

static void draw_events(const struct top *t, int y, int rows)
{
	size_t n = t->nevents < TOP_EVENTS ? t->nevents : TOP_EVENTS;
	size_t shown = n < (size_t)(rows > 0 ? rows : 0) ? n : (size_t)(rows > 0 ? rows : 0);

	for (size_t i = 0; i < shown; i++)
		put(y + (int)i, 1, COLS - 1, t->events[(t->nevents - shown + i) % TOP_EVENTS]);
}

static void draw_foot(const struct top *t)
{
	attron(A_REVERSE);
	mvhline(LINES - 1, 0, ' ', COLS);
	put(LINES - 1, 0, COLS,
	    t->note[0] != '\0' ? t->note
	                       : "s sync all  a sync account  r retry  h hold/release  d drop  Tab pane  q quit");
	attroff(A_REVERSE);
}

/* Accounts and queue share what the fixed parts leave, events get the rest. */
static void draw_panes(const struct top *t)
{
	const json_t *accounts = json_object_get(t->status, "accounts");
	int na = (int)json_array_size(accounts), nq = (int)json_array_size(t->queue);
	int spare = LINES - 12, rows_a, rows_q, y = 1;
	char head[21], line[80];

	spare = spare > 2 ? spare : 2;
	rows_a = na < spare / 2 ? na : spare / 2;
	rows_q = nq < spare - rows_a - 2 ? nq : spare - rows_a - 2;
	rows_q = rows_q > 1 ? rows_q : nq > 0 ? 1 : 0;
	snprintf(head, sizeof head, "QUEUE (%lld)",
	         (long long)client_int(json_object_get(t->status, "queue"), "length"));
	title(y++, " ACCOUNT          STATE                  LAST      COLLECTED LAST ERROR");
	y = draw_rows(t, y, rows_a, accounts, TOP_ACCOUNTS, draw_account);
	snprintf(line, sizeof line, " %-21sTO                     AGE     STATE   LAST REPLY", head);
	title(y++, line);
	y = draw_rows(t, y, rows_q, t->queue, TOP_QUEUE, draw_message);
	y = draw_rates(t, y);
	title(y++, "Last events");
	draw_events(t, y, LINES - 1 - y);
}

void top_draw(const struct top *t)
{
	erase();
	if (t->status != NULL) {
		draw_head(t);
		draw_panes(t);
	} else {
		title(0, "ofmsrv does not answer; trying on");
	}
	draw_foot(t);
	refresh();
}
