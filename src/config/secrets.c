/* The forms of a password: in the ini file, in a file of its own, from a command, or another section's. */
#include "config/load.h"

#include "base/alloc.h"
#include "base/text.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

enum { SECRET_MAX = 65536 }; /* tokens pass 4,096 bytes */

static ssize_t read_file(const char *path, char *to, size_t max)
{
	/* Without O_NONBLOCK a named pipe would stop the program here. */
	int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY);
	struct stat st;
	size_t n = 0;

	if (fd < 0)
		return -1;
	if (fstat(fd, &st) != 0 || !S_ISREG(st.st_mode)) {
		close(fd);
		errno = EINVAL;
		return -1;
	}
	while (n < max) {
		ssize_t r = read(fd, to + n, max - n);
		if (r < 0 && errno == EINTR)
			continue;
		if (r < 0)
			n = SIZE_MAX;
		if (r <= 0)
			break;
		n += (size_t)r;
	}
	close(fd);
	return n == SIZE_MAX ? -1 : (ssize_t)n;
}

/* The one line of a password file, without its end. */
static bool one_line(struct slice *s)
{
	if (s->n > 0 && s->p[s->n - 1] == '\n')
		s->n--;
	if (s->n > 0 && s->p[s->n - 1] == '\r')
		s->n--;
	for (size_t i = 0; i < s->n; i++)
		if ((unsigned char)s->p[i] < ' ' || s->p[i] == 0x7f)
			return false;
	return s->n > 0;
}

/* Permissions that say yes where opening says no: the running program has confined itself. */
static const char *mend(const char *path, int error)
{
	if (error == EACCES && faccessat(AT_FDCWD, path, R_OK, AT_EACCESS) == 0)
		return "the running program cannot reach it: needs a restart, or move it out of the home";
	return "make it, readable for the gateway";
}

static void read_password_file(struct loader *l, const struct section *s, const char *path, char **password)
{
	char *bytes = xmalloc(SECRET_MAX);
	struct place at = section_place(s, "password_file");
	ssize_t n = read_file(path, bytes, SECRET_MAX);
	struct slice line = {bytes, n > 0 ? (size_t)n : 0};
	int error = errno;

	strlist_add(&l->c->files, path);
	if (n < 0)
		findings_fault(l->found, at, "%s cannot be read (%s); %s", path,
		               error == EINVAL ? "it is no regular file" : strerror(error), mend(path, error));
	else if (n == SECRET_MAX || !one_line(&line))
		findings_fault(l->found, at,
		               "%s must hold one line, the password, without control characters; write it anew", path);
	else {
		free(*password);
		*password = slice_dup(line);
	}
	explicit_bzero(bytes, SECRET_MAX);
	free(bytes);
}

static bool is_written(const struct section *s, const char *key)
{
	const struct entry *e = section_entry(s, key);

	return e != NULL && (e->scan->value[0] != '\0' || e->scan->bad);
}

static void check_forms(struct loader *l, const struct section *s)
{
	static const char *const forms[] = {"password", "password_file", "password_command", "account"};
	const char *first = NULL;

	for (size_t i = 0; s != NULL && i < sizeof forms / sizeof forms[0]; i++) {
		if (!is_written(s, forms[i]))
			continue;
		if (first != NULL)
			findings_fault(l->found, section_place(s, forms[i]), "%s stands here too; keep one of them",
			               first);
		else
			first = forms[i];
	}
	if (s != NULL && is_written(s, "account") && is_written(s, "user"))
		findings_fault(l->found, section_place(s, "user"),
		               "account stands here too, and it brings a user; keep one");
}

static void take_account(struct loader *l, const struct section *s, struct config_relay *r, const char *label)
{
	const struct config_account *a = NULL;

	for (size_t i = 0; i < l->c->naccounts && a == NULL; i++)
		if (text_eq_nocase(slice_of(l->c->accounts[i].label), slice_of(label)))
			a = &l->c->accounts[i];
	if (a == NULL) {
		findings_fault(l->found, section_place(s, "account"),
		               "there is no account %s; add [account %s] or correct the name", label, label);
		return;
	}
	free(r->login.user);
	free(r->login.password);
	free(r->login.password_command);
	r->login.user = xstrdup(a->login.user);
	r->login.password = xstrdup(a->login.password);
	r->login.password_command = xstrdup(a->login.password_command);
}

static void relay_secrets(struct loader *l)
{
	const struct sections *all = &l->of[SECTION_RELAY];
	const struct section *base = load_single(l, SECTION_RELAY);
	size_t r = 1;

	for (size_t i = 0; i < all->n; i++) {
		const struct section *s = all->v[i];
		size_t nr = s == base ? 0 : r++;
		struct config_relay *relay = &l->c->relays[nr];
		check_forms(l, s);
		if (l->relays[nr].password_file[0] != '\0')
			read_password_file(l, section_entry(s, "password_file") != NULL ? s : base,
			                   l->relays[nr].password_file, &relay->login.password);
		if (l->relays[nr].account[0] != '\0')
			take_account(l, section_entry(s, "account") != NULL ? s : base, relay, l->relays[nr].account);
	}
}

void load_secrets(struct loader *l)
{
	for (size_t i = 0; i < l->of[SECTION_USER].n; i++) {
		const struct section *s = l->of[SECTION_USER].v[i];
		check_forms(l, s);
		if (l->users[i].password_file[0] != '\0')
			read_password_file(l, s, l->users[i].password_file, &l->c->users[i]->password);
	}
	for (size_t i = 0; i < l->of[SECTION_ACCOUNT].n; i++) {
		const struct section *s = l->of[SECTION_ACCOUNT].v[i];
		check_forms(l, s);
		if (l->accounts[i].password_file[0] != '\0')
			read_password_file(l, s, l->accounts[i].password_file, &l->c->accounts[i].login.password);
	}
	relay_secrets(l);
}
