/* The ini loader: what the scan finds sound, iniparser reads alike; a snapshot or a fault, never both; every finding
 * is one harmless line; what a snapshot holds can be looked up. */
#include "base/text.h"
#include "config/config.h"
#include "config/scan.h"

#include <iniparser/iniparser.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static char home[] = "/tmp/ofm.fuzz.XXXXXX";

static void need(bool holds)
{
	if (!holds)
		abort();
}

static void remove_home(void)
{
	char path[64];

	snprintf(path, sizeof path, "%s/mailboxes", home);
	rmdir(path);
	snprintf(path, sizeof path, "%s/outqueue", home);
	rmdir(path);
	rmdir(home);
}

/* Once: the folders that a sound configuration needs. */
static void make_home(void)
{
	char path[64];

	if (home[strlen(home) - 1] != 'X')
		return;
	need(mkdtemp(home) != NULL);
	snprintf(path, sizeof path, "%s/mailboxes", home);
	need(mkdir(path, 0700) == 0);
	snprintf(path, sizeof path, "%s/outqueue", home);
	need(mkdir(path, 0700) == 0);
	atexit(remove_home);
}

static int __attribute__((format(printf, 1, 2))) complaint(const char *fmt, ...)
{
	(void)fmt;
	abort(); /* the scan has to find first whatever iniparser would complain about */
}

static dictionary *read_alike(struct slice text)
{
	char path[40];
	int fd = memfd_create("fuzz", MFD_CLOEXEC);

	need(fd >= 0 && write(fd, text.p, text.n) == (ssize_t)text.n);
	snprintf(path, sizeof path, "/proc/self/fd/%d", fd);
	iniparser_set_error_callback(complaint);
	dictionary *d = iniparser_load(path);
	close(fd);
	need(d != NULL);
	return d;
}

/* Of a key that stands there twice, in one section or in two of one name, iniparser keeps the last. */
static bool comes_again(const struct scan *s, size_t section, size_t entry)
{
	const char *name = s->v[section].name, *key = s->v[section].v[entry].key;

	for (size_t i = section; i < s->n; i++) {
		if (!slice_eq_nocase(slice_of(s->v[i].name), slice_of(name)))
			continue;
		for (size_t k = i == section ? entry + 1 : 0; k < s->v[i].n; k++)
			if (strcmp(s->v[i].v[k].key, key) == 0)
				return true;
	}
	return false;
}

static void compare(const struct scan *s, dictionary *d)
{
	char path[1100];

	for (size_t i = 0; i < s->n; i++)
		for (size_t k = 0; k < s->v[i].n; k++) {
			if (strlen(s->v[i].name) > 900 || comes_again(s, i, k))
				continue;
			snprintf(path, sizeof path, "%s:%s", s->v[i].name, s->v[i].v[k].key);
			const char *value = iniparser_getstring(d, path, NULL);
			need(value != NULL && strcmp(value, s->v[i].v[k].value) == 0);
		}
}

static void check_scan(struct slice text)
{
	struct config_findings found = {NULL, 0, 0};
	struct scan scan;

	scan_run(text, &scan, &found);
	if (found.faults == 0) {
		dictionary *d = read_alike(text);
		compare(&scan, d);
		iniparser_freedict(d);
	}
	scan_free(&scan);
	config_findings_free(&found);
}

static void check_finding(const struct config_finding *f)
{
	char *line = config_finding_format("ini", f);
	struct slice s = slice_of(line);

	need(f->line >= 1 && f->text[0] != '\0' && utf8_valid(s));
	for (size_t i = 0; i < s.n; i++)
		need((unsigned char)s.p[i] >= ' ' && s.p[i] != 0x7f);
	free(line);
}

static void check_users(const struct config *c, const struct config_users *u)
{
	for (size_t i = 0; i < u->n; i++) {
		need(config_user_by_name(c, slice_of(u->v[i]->name)) == u->v[i] && !u->v[i]->is_daemon);
		need(i == 0 || u->v[i - 1] < u->v[i]);
	}
}

static void check_snapshot(const struct config *c)
{
	need(c->postmaster->is_postmaster && c->daemon->is_daemon && c->postmaster != c->daemon);
	need(c->boss != c->daemon && c->naccounts <= CONFIG_MAX_ACCOUNTS && c->nrelays >= 1);
	for (size_t i = 0; i < c->nusers; i++) {
		need(config_user_by_name(c, slice_of(c->users[i]->name)) == c->users[i]);
		need(c->users[i]->alias[0] == '\0' || config_is_alias(c, slice_of(c->users[i]->alias)));
		check_users(c, &c->users[i]->forward_local);
	}
	for (size_t i = 0; i < c->nrules; i++) {
		need((c->rules[i].contains == NULL) != (c->rules[i].matches == NULL));
		need(c->rules[i].fields.n > 0 && c->rules[i].deliver.n > 0);
		check_users(c, &c->rules[i].deliver);
	}
	for (size_t i = 0; i < c->naccounts; i++) {
		need(config_account_by_label(c, slice_of(c->accounts[i].label)) == &c->accounts[i]);
		need(c->accounts[i].login.host[0] != '\0' && c->accounts[i].login.port != 0);
	}
	need(config_needs_restart(c, c) == NULL);
	config_relay_for(c, slice_of(c->users[0]->alias));
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct slice text = slice_make((const char *)data, size);
	struct config_findings found;

	make_home();
	check_scan(text);
	struct config *c = config_load_text(text, "ini", home, NULL, &found);
	need((c == NULL) == (found.faults > 0));
	for (size_t i = 0; i < found.n; i++) {
		check_finding(&found.v[i]);
		need(i == 0 || found.v[i - 1].line <= found.v[i].line);
	}
	if (c != NULL)
		check_snapshot(c);
	config_unref(&c);
	config_findings_free(&found);
	return 0;
}
