/* Inside disk/: an SQLite file system that writes its log in few calls.
 *
 * SQLite hands over a transaction's log frame by frame, and each frame as a header and a page: a commit of twenty
 * messages is 80 writes. This one holds what follows upon what it was given last, and passes it on as one write when
 * the page of a commit frame has come, or before anything else is done with the file. So nothing is held when a commit
 * is complete, and the write that brings its last page tells of any failure, as ever; what was held and could not be
 * written belongs to that transaction alone.
 *
 * And the log grows by a megabyte of zeros at a time, behind what was just written; where that cannot be, as it is
 * written.
 *
 * Files that are no log, and all that does not open, read or write, are the default file system's. */
#ifndef OFM_DISK_LOG_VFS_H
#define OFM_DISK_LOG_VFS_H

/* Its name for sqlite3_open_v2, registered over what is SQLite's default when first asked; NULL (that default) where
 * there is no memory. Any thread. */
const char *log_vfs_name(void);

#endif
