/* The Unix socket at both ends: stale files, permissions. */
#ifndef OFM_CONTROL_SOCKET_H
#define OFM_CONTROL_SOCKET_H

#include "base/err.h"

/* A listening, non-blocking socket with mode 0660 and group ofmsrv where that exists. A stale file of a daemon that is
 * gone is replaced; a living daemon's is not, nor is anything that is no socket. -1 with e. */
int control_socket_listen(const char *path, struct err *e);
/* Connected and blocking; -1 with e (code ENOENT or ECONNREFUSED: nobody is there). */
int control_socket_connect(const char *path, struct err *e);

#endif
