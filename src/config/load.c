/* A load, step by step. */
#include "config/load.h"

#include "base/alloc.h"
#include "config/index.h"
#include "config/schema_rows.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

enum { FILE_MAX = 32 << 20 };

static void free_extras(struct loader *l)
{
	for (size_t i = 0; l->users != NULL && i < l->c->nusers; i++)
		free(l->users[i].password_file);
	for (size_t i = 0; l->relays != NULL && i < l->c->nrelays; i++) {
		free(l->relays[i].password_file);
		free(l->relays[i].account);
	}
	for (size_t i = 0; l->accounts != NULL && i < l->c->naccounts; i++)
		free(l->accounts[i].password_file);
	for (size_t i = 0; l->groups != NULL && i < l->of[SECTION_GROUP].n; i++)
		free(l->groups[i].extra.members.v);
	free(l->main.postmaster);
	free(l->main.daemon);
	free(l->main.boss);
	free(l->users);
	free(l->relays);
	free(l->accounts);
	free(l->groups);
	free(l->names);
}

static void free_loader(struct loader *l)
{
	free_extras(l);
	for (size_t i = 0; i < l->nsections; i++) {
		free(l->sections[i].label);
		free(l->sections[i].v);
	}
	free(l->sections);
	for (int k = 0; k < SECTION_KINDS; k++)
		free(l->of[k].v);
	scan_free(&l->scan);
}

/* For what is found wrong only later, against the running configuration. */
static void keep_server_lines(struct loader *l)
{
	size_t n;
	const struct schema_row *rows = schema_rows(SECTION_SERVER, &n);

	l->c->server_lines = xcalloc(n, sizeof *l->c->server_lines);
	for (size_t i = 0; i < n; i++)
		l->c->server_lines[i] = section_place(load_single(l, SECTION_SERVER), rows[i].key).line;
}

struct config *config_load_text(struct slice text, const char *file, const char *home, const struct config_hooks *hooks,
                                struct config_findings *found)
{
	struct loader l = {.found = found, .hooks = hooks, .c = xcalloc(1, sizeof *l.c)};

	*found = (struct config_findings){NULL, 0, 0};
	l.c->refs = 1;
	l.c->file = xstrdup(file);
	l.c->home = xstrdup(home);
	if (text.n >= 3 && memcmp(text.p, "\xef\xbb\xbf", 3) == 0)
		text = slice_sub(text, 3, text.n);
	scan_run(text, &l.scan, found);
	load_match(&l);
	/* Else there will be no snapshot, and the scan's own values do for the checks; of a key that stands there twice
	 * iniparser would know the last. */
	if (found->faults == 0)
		load_iniparser(&l);
	load_names(&l);
	load_fill(&l);
	load_secrets(&l);
	index_build(l.c);
	keep_server_lines(&l);
	load_check(&l);
	load_warn(&l);
	findings_sort(found);
	free_loader(&l);
	if (found->faults != 0)
		config_unref(&l.c);
	return l.c;
}

static int read_all(const char *file, struct buf *to, struct err *e)
{
	char chunk[65536];
	int fd = open(file, O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY);
	struct stat st;
	ssize_t n;

	if (fd < 0)
		return err_errno(e, "the file cannot be opened");
	if (fstat(fd, &st) == 0 && !S_ISREG(st.st_mode)) {
		close(fd);
		return err_set(e, 0, "this is %s, not a file; name the ini file itself",
		               S_ISDIR(st.st_mode) ? "a directory" : "something else");
	}
	while ((n = read(fd, chunk, sizeof chunk)) != 0) {
		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0 || !buf_add(to, chunk, (size_t)n))
			break;
	}
	if (n < 0)
		err_errno(e, "the file cannot be read");
	else if (n > 0)
		err_set(e, 0, "the file is larger than %d MiB; is it an ini file?", FILE_MAX >> 20);
	close(fd);
	return n == 0 ? 0 : -1;
}

struct config *config_load_with(const char *file, const char *home, const struct config_hooks *hooks,
                                struct config_findings *found)
{
	struct config *c = NULL;
	struct buf text;
	struct err e;

	*found = (struct config_findings){NULL, 0, 0};
	buf_init(&text, FILE_MAX);
	if (read_all(file, &text, &e) != 0)
		findings_fault(found, (struct place){1, "", ""}, "%s", e.text);
	else
		c = config_load_text(buf_slice(&text), file, home, hooks, found);
	buf_free(&text);
	return c;
}

struct config *config_load(const char *file, const char *home, struct config_findings *found)
{
	return config_load_with(file, home, NULL, found);
}
