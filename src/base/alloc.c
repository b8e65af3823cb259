#include "base/alloc.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static void *need(void *p)
{
	if (p == NULL) {
		static const char why[] = "ofmsrv: out of memory\n";
		fputs(why, stderr);
		abort();
	}
	return p;
}

void *xmalloc(size_t n)
{
	return need(malloc(n != 0 ? n : 1));
}

void *xcalloc(size_t n, size_t size)
{
	return need(calloc(n != 0 ? n : 1, size != 0 ? size : 1));
}

void *xrealloc(void *p, size_t n)
{
	return need(realloc(p, n != 0 ? n : 1));
}

void *xreallocarray(void *p, size_t n, size_t size)
{
	return need(reallocarray(p, n != 0 ? n : 1, size != 0 ? size : 1));
}

char *xstrdup(const char *s)
{
	return need(strdup(s));
}

char *xstrndup(const char *s, size_t n)
{
	return need(strndup(s, n));
}

char *xasprintf(const char *fmt, ...)
{
	char *s = NULL;
	va_list ap;

	va_start(ap, fmt);
	if (vasprintf(&s, fmt, ap) < 0)
		s = NULL;
	va_end(ap);
	return need(s);
}
