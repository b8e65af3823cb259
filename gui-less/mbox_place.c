/* Messages on their way into a mailbox. They wait in its tmp/ until all of them are there. */
#include "base/alloc.h"
#include "base/buf.h"
#include "base/io.h"
#include "base/random.h"
#include "mbox.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

enum { BUFFER = 256 * 1024 };

struct mbox_place {
	int tmp, new;
	struct stat owner; /* whose mailbox it is: ours may be root's hands */
	struct strlist names;
	/* the message under way */
	int fd; /* -1 = none */
	char unique[RANDOM_NAME_MAX];
	uint64_t size;
	struct buf waiting; /* to be written */
};

struct mbox_place *mbox_place_open(struct maildir *m, const char *user, struct err *e)
{
	struct mbox_place *p = xcalloc(1, sizeof *p);

	p->tmp = p->new = p->fd = -1;
	buf_init(&p->waiting, 2 * (size_t)BUFFER);
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

static int begin(struct mbox_place *p, struct err *e)
{
	random_name(p->unique);
	p->size = 0;
	p->fd = openat(p->tmp, p->unique, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC | O_NOFOLLOW, 0600);
	return p->fd >= 0 ? 0 : err_errno(e, "a message cannot be written");
}

static int write_out(struct mbox_place *p, struct slice s, struct err *e)
{
	if (p->waiting.n > 0 && io_write_all(p->fd, buf_slice(&p->waiting)) != 0)
		return err_errno(e, "a message cannot be written");
	buf_clear(&p->waiting);
	return io_write_all(p->fd, s) == 0 ? 0 : err_errno(e, "a message cannot be written");
}

int mbox_place_add(struct mbox_place *p, struct slice piece, struct err *e)
{
	if (p->fd < 0 && begin(p, e) != 0)
		return -1;
	p->size += piece.n;
	if (p->waiting.n + piece.n <= BUFFER) {
		buf_add_slice(&p->waiting, piece);
		return 0;
	}
	return write_out(p, piece, e);
}

int mbox_place_end(struct mbox_place *p, struct err *e)
{
	char *name = xasprintf("%s,S=%" PRIu64, p->unique, p->size);
	int rc = write_out(p, slice_make("", 0), e);

	if (rc == 0 && fsync(p->fd) != 0)
		rc = err_errno(e, "a message cannot be written");
	if (rc == 0 && geteuid() == 0 && fchown(p->fd, p->owner.st_uid, p->owner.st_gid) != 0)
		rc = err_errno(e, "a message cannot be given to its owner");
	if (rc == 0 && renameat(p->tmp, p->unique, p->tmp, name) != 0)
		rc = err_errno(e, "a message cannot be written");
	if (rc == 0) {
		strlist_add(&p->names, name);
		close(p->fd);
		p->fd = -1;
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

static void remove_all(struct mbox_place *p, bool moved)
{
	if (p->fd >= 0)
		unlinkat(p->tmp, p->unique, 0);
	for (size_t i = 0; i < p->names.n; i++)
		if (unlinkat(p->tmp, p->names.v[i], 0) != 0 && moved)
			unlinkat(p->new, p->names.v[i], 0);
}

int mbox_place_close(struct mbox_place **pp, bool keep, struct err *e)
{
	struct mbox_place *p = *pp;
	sigset_t all, before;

	/* Nobody's Ctrl-C leaves half of it. */
	sigfillset(&all);
	sigprocmask(SIG_SETMASK, &all, &before);
	int rc = keep ? move_all(p, e) : 0;
	if (!keep || rc != 0)
		remove_all(p, keep);
	sigprocmask(SIG_SETMASK, &before, NULL);
	strlist_free(&p->names);
	buf_free(&p->waiting);
	if (p->fd >= 0)
		close(p->fd);
	if (p->tmp >= 0)
		close(p->tmp);
	if (p->new >= 0)
		close(p->new);
	free(p);
	*pp = NULL;
	return rc;
}
