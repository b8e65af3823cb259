#include "progress.h"

#include "base/clock.h"

#include <stdio.h>
#include <unistd.h>

enum { PATIENCE_MS = 1000, APART_MS = 100, WIDTH = 30 };

struct progress_bar progress_begin(const char *what)
{
	return (struct progress_bar){
	    .what = what, .since = clock_mono_ms(), .tty = isatty(STDERR_FILENO) == 1 ? 1 : -1};
}

static void draw_bar(uint64_t done, uint64_t total)
{
	int filled = (int)(done >= total ? WIDTH : done * WIDTH / total);

	fputs(" [", stderr);
	for (int i = 0; i < WIDTH; i++)
		fputc(i < filled ? '#' : '.', stderr);
	fprintf(stderr, "] %llu/%llu", (unsigned long long)done, (unsigned long long)total);
}

void progress_show(struct progress_bar *p, uint64_t done, uint64_t total)
{
	int64_t now = clock_mono_ms();

	if (p->tty < 0 || now - p->since < PATIENCE_MS || now - p->drawn < APART_MS)
		return;
	p->drawn = now;
	fprintf(stderr, "\r\033[K%s", p->what);
	if (total > 0)
		draw_bar(done, total);
	else
		fprintf(stderr, " %c %llds", "|/-\\"[now / 250 % 4], (long long)(now - p->since) / 1000);
	fflush(stderr);
}

void progress_end(struct progress_bar *p)
{
	if (p->drawn == 0)
		return;
	fputs("\r\033[K", stderr);
	fflush(stderr);
	p->drawn = 0;
}
