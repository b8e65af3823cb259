#include "mbox.h"

#include "base/alloc.h"
#include "base/buf.h"
#include "base/io.h"
#include "base/random.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

/* "From ", ">From ", ">>From ", … */
static bool is_from_line(struct slice line)
{
	size_t at = 0;

	while (at < line.n && line.p[at] == '>')
		at++;
	return line.n - at >= 5 && memcmp(line.p + at, "From ", 5) == 0;
}

static struct slice next_line(struct slice *rest)
{
	size_t n = slice_find(*rest, '\n');
	struct slice line = slice_sub(*rest, 0, n);

	*rest = slice_sub(*rest, n + 1, rest->n);
	if (line.n > 0 && line.p[line.n - 1] == '\r')
		line.n--;
	return line;
}

void mbox_write(FILE *f, struct slice message, int64_t arrived)
{
	char date[64];
	time_t t = (time_t)arrived;
	struct tm tm;

	gmtime_r(&t, &tm);
	strftime(date, sizeof date, "%a %b %e %H:%M:%S %Y", &tm);
	fprintf(f, "From MAILER-DAEMON %s\n", date);
	while (message.n > 0) {
		struct slice line = next_line(&message);
		if (is_from_line(line))
			fputc('>', f);
		fwrite(line.p, 1, line.n, f);
		fputc('\n', f);
	}
	fputc('\n', f);
}

/* The empty line in front of the next message is the file's, not the message's. */
static int give(struct buf *b, bool last_empty, int (*fn)(void *arg, struct slice message), void *arg)
{
	struct slice message = buf_slice(b);

	if (last_empty)
		message.n -= 2;
	int rc = message.n > 0 ? fn(arg, message) : 0;
	buf_clear(b);
	return rc;
}

int mbox_read(struct slice bytes, int (*fn)(void *arg, struct slice message), void *arg)
{
	bool mbox = bytes.n >= 5 && memcmp(bytes.p, "From ", 5) == 0, empty = true;
	struct buf b;
	int rc = 0;

	buf_init(&b, SIZE_MAX / 2);
	while (bytes.n > 0 && rc == 0) {
		struct slice line = next_line(&bytes);
		if (mbox && empty && line.n >= 5 && memcmp(line.p, "From ", 5) == 0) {
			rc = give(&b, b.n > 0, fn, arg);
			empty = false;
			continue;
		}
		empty = line.n == 0;
		if (mbox && line.n > 0 && line.p[0] == '>' && is_from_line(line))
			line = slice_sub(line, 1, line.n);
		buf_add_slice(&b, line);
		buf_add_str(&b, "\r\n");
	}
	if (rc == 0)
		rc = give(&b, mbox && empty && b.n > 0, fn, arg);
	buf_free(&b);
	return rc;
}

/* ---- into a mailbox ---- */

struct mbox_place {
	int tmp, new;
	struct stat owner; /* whose mailbox it is: ours may be root's hands */
	struct strlist names;
};

struct mbox_place *mbox_place_open(struct maildir *m, const char *user, struct err *e)
{
	struct mbox_place *p = xcalloc(1, sizeof *p);

	p->tmp = p->new = -1;
	if (maildir_create(m, user, e) == 0 && maildir_flush(m, e) == 0 &&
	    (p->tmp = maildir_open_dir(m, user, "tmp", e)) >= 0 &&
	    (p->new = maildir_open_dir(m, user, "new", e)) >= 0) {
		if (fstat(maildir_root_fd(m), &p->owner) == 0)
			return p;
		err_errno(e, "the mailbox of %s", user);
	}
	mbox_place_close(&p, false, NULL);
	return NULL;
}

int mbox_place_put(struct mbox_place *p, struct slice message, struct err *e)
{
	char unique[RANDOM_NAME_MAX];

	random_name(unique);
	char *name = xasprintf("%s,S=%zu", unique, message.n);
	int fd = openat(p->tmp, name, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC | O_NOFOLLOW, 0600);
	int rc = 0;

	if (fd < 0 || io_write_all(fd, message) != 0 || fsync(fd) != 0)
		rc = err_errno(e, "a message cannot be written");
	else if (geteuid() == 0 && fchown(fd, p->owner.st_uid, p->owner.st_gid) != 0)
		rc = err_errno(e, "a message cannot be given to its owner");
	if (fd >= 0) {
		strlist_add(&p->names, name);
		close(fd);
	}
	free(name);
	return rc;
}

static int move_all(struct mbox_place *p, struct err *e)
{
	for (size_t i = 0; i < p->names.n; i++)
		if (renameat(p->tmp, p->names.v[i], p->new, p->names.v[i]) != 0)
			return err_errno(e, "a message cannot be moved into the mailbox");
	return fsync(p->new) == 0 ? 0 : err_errno(e, "the mailbox cannot be flushed to disk");
}

int mbox_place_close(struct mbox_place **pp, bool keep, struct err *e)
{
	struct mbox_place *p = *pp;
	int rc = keep ? move_all(p, e) : 0;

	for (size_t i = 0; i < p->names.n && (!keep || rc != 0); i++)
		if (unlinkat(p->tmp, p->names.v[i], 0) != 0 && keep)
			unlinkat(p->new, p->names.v[i], 0);
	strlist_free(&p->names);
	if (p->tmp >= 0)
		close(p->tmp);
	if (p->new >= 0)
		close(p->new);
	free(p);
	*pp = NULL;
	return rc;
}
