#include "config/findings.h"

#include "base/alloc.h"
#include "base/text.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* Values come from a file that anybody may have written: one harmless line each. */
static char *harmless(const char *s, size_t max)
{
	struct buf b;

	buf_init(&b, 8 * max + 16);
	for (const char *p = s; *p != '\0' && b.n < max;) {
		size_t run = strcspn(p, "\"'\\");
		text_escape(&b, slice_make(p, run), max);
		p += run;
		if (*p != '\0')
			buf_add_char(&b, *p++);
	}
	return buf_steal(&b);
}

void findings_add(struct config_findings *f, bool fault, struct place at, const char *fmt, va_list ap)
{
	char text[1024];

	if (fault)
		f->faults++;
	if (f->n >= FINDINGS_MAX)
		return;
	vsnprintf(text, sizeof text, fmt, ap);
	if ((f->n & (f->n - 1)) == 0)
		f->v = xreallocarray(f->v, f->n != 0 ? f->n * 2 : 1, sizeof *f->v);
	f->v[f->n++] = (struct config_finding){.fault = fault,
	                                       .line = at.line,
	                                       .section = harmless(at.section, 160),
	                                       .key = harmless(at.key, 160),
	                                       .text = harmless(text, 800)};
}

void findings_fault(struct config_findings *f, struct place at, const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	findings_add(f, true, at, fmt, ap);
	va_end(ap);
}

void findings_warning(struct config_findings *f, struct place at, const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	findings_add(f, false, at, fmt, ap);
	va_end(ap);
}

struct ordered {
	struct config_finding f;
	size_t nr;
};

static int by_line(const void *va, const void *vb)
{
	const struct ordered *a = va, *b = vb;

	if (a->f.line != b->f.line)
		return a->f.line < b->f.line ? -1 : 1;
	return a->nr < b->nr ? -1 : 1;
}

void findings_sort(struct config_findings *f)
{
	struct ordered *o = xcalloc(f->n + 1, sizeof *o);

	for (size_t i = 0; i < f->n; i++)
		o[i] = (struct ordered){f->v[i], i};
	qsort(o, f->n, sizeof *o, by_line);
	for (size_t i = 0; i < f->n; i++)
		f->v[i] = o[i].f;
	free(o);
}

void config_findings_free(struct config_findings *found)
{
	for (size_t i = 0; i < found->n; i++) {
		free(found->v[i].section);
		free(found->v[i].key);
		free(found->v[i].text);
	}
	free(found->v);
	*found = (struct config_findings){NULL, 0, 0};
}

char *config_finding_format(const char *file, const struct config_finding *f)
{
	const char *kind = f->fault ? "" : "warning: ";

	if (f->section[0] == '\0' && f->key[0] == '\0')
		return xasprintf("%s:%u: %s%s", file, f->line, kind, f->text);
	if (f->key[0] == '\0')
		return xasprintf("%s:%u: [%s]: %s%s", file, f->line, f->section, kind, f->text);
	return xasprintf("%s:%u: [%s] %s: %s%s", file, f->line, f->section, f->key, kind, f->text);
}
