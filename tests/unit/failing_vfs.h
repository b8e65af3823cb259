/* An SQLite file system that cannot flush its log, finds no space for it, or cannot lock, on demand. Install it before
 * the first database is opened. */
#ifndef OFM_TESTS_FAILING_VFS_H
#define OFM_TESTS_FAILING_VFS_H

#include <sqlite3.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>

static atomic_int fail_wal_syncs;  /* so many of the next flushes of the log fail */
static atomic_int fail_wal_writes; /* so many of the next writes to the log find no space */
static atomic_int wal_room;        /* the log finds no space beyond so many bytes; 0 = all there is */
static atomic_int fail_locks;      /* so many of the next locks cannot be had */
static atomic_int slow_syncs_ms;   /* every flush of the database itself takes so much longer */
static atomic_int wal_writes;      /* so many have reached the log */

struct wrapped {
	sqlite3_file base;
	bool wal;
	sqlite3_file *real;
};

static sqlite3_file *real_of(sqlite3_file *f)
{
	return ((struct wrapped *)f)->real;
}

static int w_close(sqlite3_file *f)
{
	return real_of(f)->pMethods->xClose(real_of(f));
}
static int w_read(sqlite3_file *f, void *p, int n, sqlite3_int64 at)
{
	return real_of(f)->pMethods->xRead(real_of(f), p, n, at);
}
static int w_write(sqlite3_file *f, const void *p, int n, sqlite3_int64 at)
{
	wal_writes += ((struct wrapped *)f)->wal;
	if (((struct wrapped *)f)->wal && fail_wal_writes > 0 && fail_wal_writes-- > 0)
		return SQLITE_FULL;
	if (((struct wrapped *)f)->wal && wal_room > 0 && at + n > wal_room)
		return SQLITE_FULL;
	return real_of(f)->pMethods->xWrite(real_of(f), p, n, at);
}
static int w_truncate(sqlite3_file *f, sqlite3_int64 n)
{
	return real_of(f)->pMethods->xTruncate(real_of(f), n);
}
static int w_sync(sqlite3_file *f, int flags)
{
	if (((struct wrapped *)f)->wal && fail_wal_syncs > 0 && fail_wal_syncs-- > 0)
		return SQLITE_IOERR_FSYNC;
	if (!((struct wrapped *)f)->wal && slow_syncs_ms > 0)
		sqlite3_sleep(slow_syncs_ms);
	return real_of(f)->pMethods->xSync(real_of(f), flags);
}
static int w_size(sqlite3_file *f, sqlite3_int64 *n)
{
	return real_of(f)->pMethods->xFileSize(real_of(f), n);
}
static int w_lock(sqlite3_file *f, int l)
{
	return real_of(f)->pMethods->xLock(real_of(f), l);
}
static int w_unlock(sqlite3_file *f, int l)
{
	return real_of(f)->pMethods->xUnlock(real_of(f), l);
}
static int w_reserved(sqlite3_file *f, int *out)
{
	return real_of(f)->pMethods->xCheckReservedLock(real_of(f), out);
}
static int w_control(sqlite3_file *f, int op, void *arg)
{
	return real_of(f)->pMethods->xFileControl(real_of(f), op, arg);
}
static int w_sector(sqlite3_file *f)
{
	return real_of(f)->pMethods->xSectorSize(real_of(f));
}
static int w_device(sqlite3_file *f)
{
	return real_of(f)->pMethods->xDeviceCharacteristics(real_of(f));
}
static int w_map(sqlite3_file *f, int page, int size, int extend, void volatile **p)
{
	return real_of(f)->pMethods->xShmMap(real_of(f), page, size, extend, p);
}
static int w_shm_lock(sqlite3_file *f, int at, int n, int flags)
{
	if ((flags & SQLITE_SHM_LOCK) != 0 && fail_locks > 0 && fail_locks-- > 0)
		return SQLITE_IOERR_SHMLOCK;
	return real_of(f)->pMethods->xShmLock(real_of(f), at, n, flags);
}
static void w_barrier(sqlite3_file *f)
{
	real_of(f)->pMethods->xShmBarrier(real_of(f));
}
static int w_unmap(sqlite3_file *f, int del)
{
	return real_of(f)->pMethods->xShmUnmap(real_of(f), del);
}

static const sqlite3_io_methods methods = {2,          w_close,   w_read,     w_write,   w_truncate, w_sync,   w_size,
                                           w_lock,     w_unlock,  w_reserved, w_control, w_sector,   w_device, w_map,
                                           w_shm_lock, w_barrier, w_unmap,    NULL,      NULL};

static sqlite3_vfs *system_vfs;

static int w_open(sqlite3_vfs *vfs, const char *name, sqlite3_file *f, int flags, int *out)
{
	struct wrapped *w = (struct wrapped *)f;

	(void)vfs;
	w->real = (sqlite3_file *)(w + 1);
	w->wal = (flags & SQLITE_OPEN_WAL) != 0;
	int rc = system_vfs->xOpen(system_vfs, name, w->real, flags, out);
	w->base.pMethods = w->real->pMethods != NULL ? &methods : NULL;
	return rc;
}

static sqlite3_vfs failing_vfs;

static int install_vfs(void **state)
{
	(void)state;
	system_vfs = sqlite3_vfs_find(NULL);
	failing_vfs = *system_vfs;
	failing_vfs.zName = "failing";
	failing_vfs.szOsFile += (int)sizeof(struct wrapped);
	failing_vfs.xOpen = w_open;
	return sqlite3_vfs_register(&failing_vfs, 1);
}

#endif
