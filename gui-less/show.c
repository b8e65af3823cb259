#include "show.h"

#include "base/amount.h"
#include "base/text.h"

#include <poll.h>
#include <time.h>
#include <unistd.h>
#include <wchar.h>

/* Controls, and the marks that reorder or hide what follows them. */
bool show_unsafe(uint32_t cp)
{
	return cp < 0x20 || (cp >= 0x7f && cp < 0xa0) || (cp >= 0x200b && cp <= 0x200f) ||
	       (cp >= 0x2028 && cp <= 0x202e) || (cp >= 0x2060 && cp <= 0x206f) || cp == 0xfeff || cp == 0x61c;
}

void show_text(struct buf *out, struct slice s, bool one_line)
{
	uint32_t cp;

	for (size_t at = 0; at < s.n;) {
		size_t n = utf8_next(s, at, &cp);
		if (n == 0) {
			buf_printf(out, "\\x%02x", (unsigned char)s.p[at++]);
			continue;
		}
		if (cp == '\n' || cp == '\t')
			buf_add_char(out, one_line ? ' ' : (char)cp);
		else if (show_unsafe(cp))
			buf_printf(out, cp < 0x100 ? "\\x%02x" : "\\u{%x}", cp);
		else
			buf_add(out, s.p + at, n);
		at += n;
	}
}

void show_line(FILE *f, const char *text)
{
	struct buf b;

	buf_init(&b, 1024 * 1024);
	show_text(&b, slice_of(text), true);
	fprintf(f, "%s\n", buf_str(&b));
	buf_free(&b);
}

size_t show_width(struct slice s)
{
	size_t width = 0;
	uint32_t cp;

	for (size_t at = 0; at < s.n;) {
		size_t n = utf8_next(s, at, &cp);
		int columns = n > 0 ? wcwidth((wchar_t)cp) : 1;
		width += columns >= 0 ? (size_t)columns : 1;
		at += n > 0 ? n : 1;
	}
	return width;
}

void show_size(uint64_t bytes, char out[static SHOW_MAX])
{
	amount_size(bytes, out);
}

void show_duration(int64_t seconds, char out[static SHOW_MAX])
{
	long long s = seconds > 0 ? seconds : 0;

	if (s < 60)
		snprintf(out, SHOW_MAX, "%llds", s);
	else if (s < 3600)
		snprintf(out, SHOW_MAX, "%lldm", s / 60);
	else if (s < 86400)
		snprintf(out, SHOW_MAX, s / 60 % 60 != 0 && s < 36000 ? "%lldh %lldm" : "%lldh", s / 3600, s / 60 % 60);
	else
		snprintf(out, SHOW_MAX, s / 3600 % 24 != 0 ? "%lldd %lldh" : "%lldd", s / 86400, s / 3600 % 24);
}

void show_ago(int64_t at, int64_t now, char out[static SHOW_MAX])
{
	char span[SHOW_MAX];

	if (at == 0) {
		snprintf(out, SHOW_MAX, "never");
		return;
	}
	show_duration(now - at, span);
	if (now - at < 1)
		snprintf(out, SHOW_MAX, "just now");
	else
		snprintf(out, SHOW_MAX, "%.30s ago", span);
}

void show_until(int64_t at, int64_t now, char out[static SHOW_MAX])
{
	char span[SHOW_MAX];

	show_duration(at - now, span);
	if (at <= now)
		snprintf(out, SHOW_MAX, "now");
	else
		snprintf(out, SHOW_MAX, "in %.30s", span);
}

void show_moment(int64_t at, char out[static SHOW_MAX])
{
	time_t t = (time_t)at;
	struct tm tm;

	if (localtime_r(&t, &tm) == NULL || strftime(out, SHOW_MAX, "%Y-%m-%d %H:%M:%S", &tm) == 0)
		snprintf(out, SHOW_MAX, "%lld", (long long)at);
}

bool show_reader_left(void)
{
	struct pollfd p = {.fd = STDOUT_FILENO};

	return poll(&p, 1, 0) > 0 && (p.revents & (POLLERR | POLLHUP)) != 0;
}
