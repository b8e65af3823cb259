/* Blocking writes to a file descriptor. Any thread. */
#ifndef OFM_BASE_IO_H
#define OFM_BASE_IO_H

#include "base/slice.h"

/* Writes all of s, however often the kernel takes only a part. 0, or -1 with errno. */
int io_write_all(int fd, struct slice s);

#endif
