#include "store/maildir_internal.h"

#include "base/alloc.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/openat2.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

enum { PATH_BYTES = 64 + 8 + MAILDIR_NAME_MAX + 8 };

static const char *const subs[] = {"tmp", "new", "cur"};

struct maildir *maildir_open(const char *mailboxes, struct err *e)
{
	struct maildir *m = xcalloc(1, sizeof *m);

	pthread_mutex_init(&m->lock, NULL);
	m->fd = open(mailboxes, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (m->fd < 0) {
		err_errno(e, "the folder of the mailboxes, %s, cannot be opened", mailboxes);
		free(m);
		return NULL;
	}
	return m;
}

void maildir_free(struct maildir **m)
{
	if (*m == NULL)
		return;
	pthread_mutex_destroy(&(*m)->lock);
	close((*m)->fd);
	free(*m);
	*m = NULL;
}

int maildir_root_fd(const struct maildir *m)
{
	return m->fd;
}

struct slice maildir_base(const char *name)
{
	return slice_make(name, (size_t)(strchrnul(name, ':') - name));
}

/* One component of a path, never a way up or elsewhere. */
static bool harmless(const char *component)
{
	return component[0] != '\0' && component[0] != '.' && strchr(component, '/') == NULL;
}

/* Where the kernel has no openat2: step by step, each without following symlinks. */
static int open_stepwise(int root, const char *path, int flags)
{
	char part[MAILDIR_NAME_MAX + 1];
	int dir = root;

	for (;;) {
		size_t n = strcspn(path, "/");
		bool last = path[n] == '\0';
		int fd, saved;

		if (n >= sizeof part) {
			errno = ENAMETOOLONG;
			fd = -1;
		} else {
			memcpy(part, path, n);
			part[n] = '\0';
			fd = openat(dir, part, (last ? flags : O_PATH | O_DIRECTORY) | O_NOFOLLOW | O_CLOEXEC);
		}
		saved = errno;
		if (dir != root)
			close(dir);
		errno = saved;
		if (last || fd < 0)
			return fd;
		dir = fd;
		path += n + 1;
	}
}

static int open_beneath(const struct maildir *m, const char *path, int flags, uint64_t resolve)
{
	struct open_how how = {
	    .flags = (unsigned)(flags | O_NOFOLLOW | O_CLOEXEC),
	    .resolve = RESOLVE_BENEATH | RESOLVE_NO_SYMLINKS | resolve,
	};
	long fd = syscall(SYS_openat2, m->fd, path, &how, sizeof how);

	if (fd >= 0)
		return (int)fd;
	if (resolve == 0 && (errno == ENOSYS || errno == EPERM || errno == EINVAL))
		return open_stepwise(m->fd, path, flags);
	return -1;
}

static bool path_make(char out[static PATH_BYTES], const char *user, const char *sub, const char *name)
{
	int n;

	if (!harmless(user) || !harmless(sub) || !harmless(name))
		return false;
	n = snprintf(out, PATH_BYTES, "%s/%s/%s", user, sub, name);
	return n > 0 && n < PATH_BYTES;
}

int maildir_open_dir(struct maildir *m, const char *user, const char *sub, struct err *e)
{
	char path[PATH_BYTES];
	int fd;

	if (!harmless(user) || !harmless(sub) || snprintf(path, sizeof path, "%s/%s", user, sub) >= PATH_BYTES)
		return err_set(e, EINVAL, "\"%s\" cannot be the name of a mailbox", user);
	fd = open_beneath(m, path, O_RDONLY | O_DIRECTORY, 0);
	if (fd < 0)
		return err_errno(e, "folder %s of mailbox %s cannot be opened (symbolic links are not followed)", sub,
		                 user);
	return fd;
}

/* Makes one folder inside dir. Returns its descriptor. */
static int make_folder(struct maildir *m, int dir, const char *name)
{
	if (mkdirat(dir, name, 0700) == 0)
		atomic_store(&m->unflushed, true);
	else if (errno != EEXIST)
		return -1;
	return openat(dir, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
}

int maildir_create(struct maildir *m, const char *user, struct err *e)
{
	int box;

	if (!harmless(user))
		return err_set(e, EINVAL, "\"%s\" cannot be the name of a mailbox", user);
	box = make_folder(m, m->fd, user);
	if (box < 0)
		return err_errno(e, "mailbox %s cannot be made or opened", user);
	for (size_t i = 0; i < sizeof subs / sizeof *subs; i++) {
		int fd = make_folder(m, box, subs[i]);

		if (fd < 0) {
			err_errno(e, "folder %s of mailbox %s cannot be made or opened", subs[i], user);
			close(box);
			return -1;
		}
		close(fd);
	}
	close(box);
	return 0;
}

bool maildir_is_broken(int code)
{
	return code == ELOOP || code == ENOTDIR || code == EACCES || code == EPERM;
}

int maildir_flush(struct maildir *m, struct err *e)
{
	if (!atomic_exchange(&m->unflushed, false) || syncfs(m->fd) == 0)
		return 0;
	atomic_store(&m->unflushed, true);
	return err_errno(e, "new mailboxes cannot be flushed to disk");
}

DIR *maildir_stream(struct maildir *m, const char *user, const char *sub, struct err *e)
{
	int fd = maildir_open_dir(m, user, sub, e);
	DIR *d;

	if (fd < 0)
		return NULL;
	d = fdopendir(fd);
	if (d == NULL) {
		err_errno(e, "folder %s of mailbox %s cannot be read", sub, user);
		close(fd);
	}
	return d;
}

struct dirent *maildir_next(DIR *d)
{
	struct dirent *en;

	do {
		errno = 0;
		en = readdir(d);
	} while (en != NULL && (en->d_name[0] == '.' || (en->d_type != DT_REG && en->d_type != DT_UNKNOWN)));
	return en;
}

/* ---- finding one message, whose flags and folder another program may have changed ---- */

struct place {
	const char *sub;
	char name[MAILDIR_NAME_MAX + 1];
};

/* 1 and *at, 0, or -1 with e. */
static int seek_in(struct maildir *m, const char *user, const char *sub, struct slice base, struct place *at,
                   struct err *e)
{
	DIR *d = maildir_stream(m, user, sub, e);
	struct dirent *en;
	int rc = 0;

	if (d == NULL)
		return -1;
	while ((en = maildir_next(d)) != NULL)
		if (slice_eq(maildir_base(en->d_name), base)) {
			at->sub = sub;
			snprintf(at->name, sizeof at->name, "%s", en->d_name);
			rc = 1;
			break;
		}
	if (en == NULL && errno != 0)
		rc = err_errno(e, "folder %s of mailbox %s cannot be read", sub, user);
	closedir(d);
	return rc;
}

/* The places where it nearly always stands, without reading a folder. 1 or 0. */
static int guess(struct maildir *m, const char *user, struct slice base, struct place *at)
{
	static const struct {
		const char *sub, *suffix;
	} usual[] = {{"new", ""}, {"cur", ":2,"}, {"cur", ":2,S"}, {"cur", ""}};
	char path[PATH_BYTES];
	struct stat st;

	for (size_t i = 0; i < sizeof usual / sizeof *usual; i++) {
		int n = snprintf(at->name, sizeof at->name, "%.*s%s", (int)base.n, base.p, usual[i].suffix);
		int fd;

		if (n <= 0 || n > MAILDIR_NAME_MAX || !path_make(path, user, usual[i].sub, at->name))
			continue;
		fd = open_beneath(m, path, O_PATH, 0);
		if (fd < 0)
			continue;
		n = fstat(fd, &st);
		close(fd);
		if (n != 0 || !S_ISREG(st.st_mode))
			continue;
		at->sub = usual[i].sub;
		return 1;
	}
	return 0;
}

/* Looks through both folders. A rename while a folder is read can hide a name from us, so once more. */
static int seek(struct maildir *m, const char *user, struct slice base, struct place *at, struct err *e)
{
	int rc = guess(m, user, base, at);

	for (int tries = 0; rc == 0 && tries < 2; tries++) {
		rc = seek_in(m, user, "new", base, at, e);
		if (rc == 0)
			rc = seek_in(m, user, "cur", base, at, e);
	}
	return rc;
}

int maildir_has(struct maildir *m, const char *user, const char *base, struct err *e)
{
	struct place at;

	return seek(m, user, maildir_base(base), &at, e);
}

/* Opens without ever blocking on something that is no regular file (a FIFO). */
static int open_regular(struct maildir *m, const char *path, uint64_t resolve, uint64_t *size)
{
	int fd = open_beneath(m, path, O_RDONLY | O_NONBLOCK | O_NOCTTY, resolve);
	struct stat st;

	if (fd < 0)
		return -1;
	if (fstat(fd, &st) != 0 || !S_ISREG(st.st_mode)) {
		close(fd);
		errno = ENOENT;
		return -1;
	}
	*size = (uint64_t)st.st_size;
	return fd;
}

int maildir_open_message_cached(struct maildir *m, const char *user, const struct maildir_entry *en, uint64_t *size)
{
	char path[PATH_BYTES];

	if (!path_make(path, user, en->in_cur ? "cur" : "new", en->name))
		return -1;
	return open_regular(m, path, RESOLVE_CACHED, size);
}

int maildir_open_message(struct maildir *m, const char *user, const struct maildir_entry *en, struct err *e)
{
	char path[PATH_BYTES];
	struct place at = {.sub = en->in_cur ? "cur" : "new"};
	uint64_t size;

	snprintf(at.name, sizeof at.name, "%s", en->name);
	for (int tries = 0; tries < 3; tries++) {
		int fd, rc;

		if (!path_make(path, user, at.sub, at.name))
			return err_set(e, ENOENT, "no message of that name");
		fd = open_regular(m, path, 0, &size);
		if (fd >= 0)
			return fd;
		if (errno != ENOENT)
			return err_errno(e, "message %s cannot be opened", path);
		rc = seek(m, user, maildir_base(en->name), &at, e);
		if (rc < 0)
			return -1;
		if (rc == 0)
			break;
	}
	return err_set(e, ENOENT, "message %s is gone", en->name);
}

/* 1: unlinked, 0: not there, -1 with e. */
static int unlink_at(struct maildir *m, const char *user, const char *sub, const char *name, struct err *e)
{
	int fd = maildir_open_dir(m, user, sub, e);
	int rc;

	if (fd < 0)
		return -1;
	rc = unlinkat(fd, name, 0) == 0 ? 1 : errno == ENOENT ? 0 : err_errno(e, "%s/%s/%s", user, sub, name);
	close(fd);
	return rc;
}

int maildir_unlink(struct maildir *m, const char *user, const char *base, struct err *e)
{
	struct place at;
	int rc;

	for (int tries = 0; tries < 4; tries++) {
		rc = seek(m, user, maildir_base(base), &at, e);
		if (rc <= 0)
			return rc;
		if (unlink_at(m, user, at.sub, at.name, e) < 0)
			return -1;
	}
	return err_set(e, EBUSY, "message %s of mailbox %s is renamed again and again", base, user);
}

/* ---- many at once: QUIT after a client emptied its mailbox ---- */

static int unlink_listed(struct maildir *m, const char *user, const char *sub, const struct strlist *sorted,
                         struct err *e)
{
	DIR *d = maildir_stream(m, user, sub, e);
	struct dirent *en;
	int rc = 0;

	if (d == NULL)
		return -1;
	while ((en = maildir_next(d)) != NULL)
		if (maildir_among(sorted, en->d_name) && unlinkat(dirfd(d), en->d_name, 0) != 0 && errno != ENOENT)
			rc = err_errno(e, "%s/%s/%s", user, sub, en->d_name);
	if (errno != 0 && rc == 0)
		rc = err_errno(e, "folder %s of mailbox %s cannot be read", sub, user);
	closedir(d);
	return rc;
}

int maildir_unlink_list(struct maildir *m, const char *user, const struct strlist *bases, struct err *e)
{
	struct strlist rest = {NULL, 0};
	int fd, rc = 0;

	if (bases->n == 0)
		return 0;
	fd = maildir_open_dir(m, user, "new", e);
	if (fd < 0)
		return -1;
	for (size_t i = 0; i < bases->n; i++)
		if (!harmless(bases->v[i]) || unlinkat(fd, bases->v[i], 0) != 0)
			strlist_add_slice(&rest, maildir_base(bases->v[i]));
	close(fd);
	if (rest.n > 0) {
		maildir_sort(&rest);
		/* new/ before cur/, for that is the way messages move. */
		rc = unlink_listed(m, user, "new", &rest, e);
		if (rc == 0)
			rc = unlink_listed(m, user, "cur", &rest, e);
	}
	strlist_free(&rest);
	return rc;
}
