/* Inside disk/: one SQLite connection with its statements. */
#ifndef OFM_DISK_CONN_H
#define OFM_DISK_CONN_H

#include "disk/database.h"

/* Opens PATH with the settings that durability rests on (WAL, synchronous = FULL). NULL with e. */
struct db_conn *conn_open(const char *path, bool read_only, struct err *e);
void conn_close(struct db_conn **c);
/* Pages in the write-ahead log after the last commit of this connection. */
int conn_wal_pages(const struct db_conn *c);
/* err_set with SQLite's words and code. */
int conn_error(struct db_conn *c, const char *what, struct err *e);

#endif
