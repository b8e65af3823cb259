/* The only file that knows iniparser.
 *
 * iniparser reads files by name, so it gets a memory file: the very bytes that were scanned, without a byte order
 * mark, which it would take for part of the first section's name. Its dictionary is searched from end to end for every
 * key set or asked for, so it gets some hundred lines at a time, and ten thousand rules take no quadratic time. */
#include "config/load.h"

#include "base/alloc.h"
#include "base/io.h"

#include <errno.h>
#include <iniparser/iniparser.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

enum { BLOCK_ENTRIES = 300 };

/* Everything that iniparser complains about was told by the scan; it must not write to stderr. */
static int __attribute__((format(printf, 1, 2))) say_nothing(const char *fmt, ...)
{
	(void)fmt;
	return 0;
}

static dictionary *parse(struct slice text)
{
	dictionary *d = NULL;
	char path[40];
	int fd = memfd_create("ofmsrv.ini", MFD_CLOEXEC);

	if (fd < 0)
		return NULL;
	snprintf(path, sizeof path, "/proc/self/fd/%d", fd);
	iniparser_set_error_callback(say_nothing);
	if (io_write_all(fd, text) == 0)
		d = iniparser_load(path);
	close(fd);
	return d;
}

static void read_entry(struct loader *l, dictionary *d, const struct section *s, struct scan_entry *e)
{
	char *path = xasprintf("%s:%s", s->scan->name, e->key);
	const char *value = iniparser_getstring(d, path, NULL);

	if (value == NULL || strcmp(value, e->value) != 0) {
		findings_fault(l->found, (struct place){e->line, s->scan->name, e->key},
		               "iniparser reads something else than what stands here; put the value between quotes");
		e->bad = true;
	} else {
		free(e->value);
		e->value = xstrdup(value);
	}
	free(path);
}

/* Sections [from, to): their lines follow one another in the file. */
static void read_block(struct loader *l, size_t from, size_t to)
{
	const char *begin = l->sections[from].scan->text.p;
	struct slice last = l->sections[to - 1].scan->text;
	dictionary *d = parse(slice_make(begin, (size_t)(last.p + last.n - begin)));

	if (d == NULL) {
		findings_fault(
		    l->found, (struct place){l->sections[from].scan->line, "", ""},
		    "iniparser cannot read the file from this line on (memory files and /proc are needed): %s",
		    strerror(errno));
		return;
	}
	for (size_t i = from; i < to; i++)
		for (size_t k = 0; k < l->sections[i].n; k++)
			read_entry(l, d, &l->sections[i], l->sections[i].v[k].scan);
	iniparser_freedict(d);
}

void load_iniparser(struct loader *l)
{
	size_t from = 0, entries = 0;

	for (size_t i = 0; i < l->nsections; i++) {
		entries += l->sections[i].n;
		if (entries < BLOCK_ENTRIES && i + 1 < l->nsections)
			continue;
		read_block(l, from, i + 1);
		from = i + 1;
		entries = 0;
	}
}
