/* Small files that are whole or absent, whatever happens. Any thread; blocks. */
#ifndef OFM_DISK_FILE_H
#define OFM_DISK_FILE_H

#include "base/buf.h"
#include "base/err.h"

/* Replaces `name` under dirfd: a temporary file, flushed, renamed, and the folder flushed. 0, or -1 with e. */
int file_write_durable(int dirfd, const char *name, struct slice bytes, struct err *e);
/* Appends the file's bytes up to out's maximum. 0; -1 with e (code ENOENT where there is none). No symlinks. */
int file_read(int dirfd, const char *name, struct buf *out, struct err *e);

#endif
