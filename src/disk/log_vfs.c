#include "disk/log_vfs.h"

#include "base/alloc.h"

#include <pthread.h>
#include <sqlite3.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

enum {
	HOLD_MAX = 120 * 1024, /* SQLite's own file system takes no more than 131,071 bytes at once */
	AHEAD = 1024 * 1024,   /* so much the log grows at a time, */
	GROW_BY =
	    16 * 1024,     /* in such pieces: the kernel writes a page that came in a large piece back as part of it */
	FRAME_HEADER = 24, /* https://www.sqlite.org/fileformat2.html#walformat */
	AFTER_COMMIT = 4   /* in it: the database's pages after the commit; 0 in other frames */
};

struct log_vfs {
	sqlite3_vfs base;
	sqlite3_vfs *real;
};

struct log_file {
	sqlite3_file base;
	char *held;
	int n, room;
	bool commit;         /* the next page ends a transaction */
	sqlite3_int64 end;   /* where the last write ended; -1 = unknown */
	sqlite3_int64 reach; /* so long it is at least, as far as anybody has looked */
	sqlite3_int64 lost;  /* from here on what was held could not be written; -1 = nothing was */
	sqlite3_file real[]; /* as large as it wants to be */
};

static struct log_file *log_of(sqlite3_file *f)
{
	return (struct log_file *)f;
}

static const sqlite3_io_methods *real_methods(sqlite3_file *f)
{
	return log_of(f)->real->pMethods;
}

/* ---- holding ---- */

/* A log that grows makes each of its flushes write the file's new length too, which on a journal costs as much again as
 * the flush itself. So it grows by much at a time. SQLite reads a log up to the first frame that is none of it. */
static void grow_ahead(struct log_file *l, sqlite3_int64 end)
{
	const sqlite3_io_methods *m = l->real->pMethods;
	sqlite3_int64 at;

	if (end <= l->reach || m->xFileSize(l->real, &at) != SQLITE_OK)
		return;
	l->reach = at > end ? at : end + AHEAD;
	if (at > end)
		return;
	char *nothing = xcalloc(1, GROW_BY);
	for (int n; at < l->reach; at += n) {
		n = l->reach - at < GROW_BY ? (int)(l->reach - at) : GROW_BY;
		if (m->xWrite(l->real, nothing, n, at) != SQLITE_OK)
			break; /* no matter: it grows as it is written, then */
	}
	free(nothing);
}

static int write_real(struct log_file *l, const void *p, int n, sqlite3_int64 at)
{
	int rc = l->real->pMethods->xWrite(l->real, p, n, at);

	if (rc == SQLITE_OK)
		grow_ahead(l, at + n);
	return rc;
}

static int pass_on(struct log_file *l)
{
	int n = l->n;

	l->n = 0;
	if (n == 0)
		return SQLITE_OK;
	int rc = write_real(l, l->held, n, l->end - n);
	if (rc != SQLITE_OK) {
		l->lost = l->end - n;
		l->end = -1;
	}
	return rc;
}

static bool hold(struct log_file *l, const void *p, int n)
{
	if (l->n + n > HOLD_MAX)
		return false;
	if (l->n + n > l->room) {
		l->room = 2 * (l->n + n) < HOLD_MAX ? 2 * (l->n + n) : HOLD_MAX;
		l->held = xrealloc(l->held, (size_t)l->room);
	}
	memcpy(l->held + l->n, p, (size_t)n);
	l->n += n;
	l->end += n;
	return true;
}

static bool ends_transaction(const void *frame_header)
{
	static const char none[4];

	return memcmp((const char *)frame_header + AFTER_COMMIT, none, sizeof none) != 0;
}

/* ---- the file ---- */

static int log_write(sqlite3_file *f, const void *p, int n, sqlite3_int64 at)
{
	struct log_file *l = log_of(f);
	bool last = l->commit && n > FRAME_HEADER;

	/* A transaction that went on without what could not be written must not be completed. */
	if (l->lost >= 0 && at > l->lost)
		return SQLITE_IOERR_WRITE;
	l->lost = -1;
	l->commit = n == FRAME_HEADER && ends_transaction(p);
	if (at == l->end && hold(l, p, n))
		return last ? pass_on(l) : SQLITE_OK;
	int rc = pass_on(l);
	if (rc != SQLITE_OK)
		return rc;
	l->end = at + n;
	return write_real(l, p, n, at);
}

static int log_read(sqlite3_file *f, void *p, int n, sqlite3_int64 at)
{
	int rc = pass_on(log_of(f));

	return rc != SQLITE_OK ? rc : real_methods(f)->xRead(log_of(f)->real, p, n, at);
}

static int log_truncate(sqlite3_file *f, sqlite3_int64 n)
{
	int rc = pass_on(log_of(f));

	log_of(f)->end = -1;
	log_of(f)->reach = 0;
	return rc != SQLITE_OK ? rc : real_methods(f)->xTruncate(log_of(f)->real, n);
}

static int log_sync(sqlite3_file *f, int flags)
{
	int rc = pass_on(log_of(f));

	return rc != SQLITE_OK ? rc : real_methods(f)->xSync(log_of(f)->real, flags);
}

static int log_size(sqlite3_file *f, sqlite3_int64 *n)
{
	int rc = pass_on(log_of(f));

	return rc != SQLITE_OK ? rc : real_methods(f)->xFileSize(log_of(f)->real, n);
}

/* What is still held belongs to a transaction that was rolled back. */
static int log_close(sqlite3_file *f)
{
	free(log_of(f)->held);
	return real_methods(f)->xClose(log_of(f)->real);
}

static int log_lock(sqlite3_file *f, int level)
{
	return real_methods(f)->xLock(log_of(f)->real, level);
}

static int log_unlock(sqlite3_file *f, int level)
{
	return real_methods(f)->xUnlock(log_of(f)->real, level);
}

static int log_reserved(sqlite3_file *f, int *out)
{
	return real_methods(f)->xCheckReservedLock(log_of(f)->real, out);
}

static int log_control(sqlite3_file *f, int op, void *arg)
{
	return real_methods(f)->xFileControl(log_of(f)->real, op, arg);
}

static int log_sector(sqlite3_file *f)
{
	return real_methods(f)->xSectorSize(log_of(f)->real);
}

static int log_device(sqlite3_file *f)
{
	return real_methods(f)->xDeviceCharacteristics(log_of(f)->real);
}

static const sqlite3_io_methods log_methods = {.iVersion = 1,
                                               .xClose = log_close,
                                               .xRead = log_read,
                                               .xWrite = log_write,
                                               .xTruncate = log_truncate,
                                               .xSync = log_sync,
                                               .xFileSize = log_size,
                                               .xLock = log_lock,
                                               .xUnlock = log_unlock,
                                               .xCheckReservedLock = log_reserved,
                                               .xFileControl = log_control,
                                               .xSectorSize = log_sector,
                                               .xDeviceCharacteristics = log_device};

/* ---- the file system ---- */

static int log_open(sqlite3_vfs *vfs, const char *name, sqlite3_file *f, int flags, int *out)
{
	sqlite3_vfs *real = ((struct log_vfs *)vfs)->real;
	struct log_file *l = log_of(f);

	if ((flags & SQLITE_OPEN_WAL) == 0)
		return real->xOpen(real, name, f, flags, out);
	*l = (struct log_file){.end = -1, .lost = -1};
	int rc = real->xOpen(real, name, l->real, flags, out);
	l->base.pMethods = l->real->pMethods != NULL ? &log_methods : NULL;
	return rc;
}

static void install(void)
{
	sqlite3_vfs *real = sqlite3_vfs_find(NULL);
	struct log_vfs *v = xmalloc(sizeof *v);

	*v = (struct log_vfs){*real, real};
	v->base.pNext = NULL;
	v->base.zName = "ofmsrv-log";
	v->base.szOsFile += (int)sizeof(struct log_file);
	v->base.xOpen = log_open;
	if (sqlite3_vfs_register(&v->base, 0) != SQLITE_OK)
		free(v);
}

const char *log_vfs_name(void)
{
	static pthread_once_t once = PTHREAD_ONCE_INIT;

	pthread_once(&once, install);
	return sqlite3_vfs_find("ofmsrv-log") != NULL ? "ofmsrv-log" : NULL;
}
