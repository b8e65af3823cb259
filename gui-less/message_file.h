#ifndef OFM_CTL_MESSAGE_FILE_H
#define OFM_CTL_MESSAGE_FILE_H

#include "base/buf.h"

/* A message's bytes, at most 2 GiB of them; "-" is the standard input. Initializes out; false after an error on stderr.
 */
bool message_file_read(const char *path, struct buf *out);

#endif
