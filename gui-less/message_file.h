/* Reading message files, or the standard input, in pieces of bounded size. A read that fails is an error, never an end.
 */
#ifndef OFM_CTL_MESSAGE_FILE_H
#define OFM_CTL_MESSAGE_FILE_H

#include "base/buf.h"
#include "base/err.h"

enum { MESSAGE_HEADER_MAX = 64 * 1024 * 1024 };

/* The beginning of a message up to the end of its header section, and perhaps some of what follows; all of it where
 * there is no empty line. path "-" is the standard input. Initializes out; false after an error on stderr, of which a
 * header section over MESSAGE_HEADER_MAX is one. */
bool message_file_head(const char *path, struct buf *out);

/* All of a file that is expected to be small; false after an error on stderr, of which a longer one is one. */
bool message_file_whole(const char *path, size_t max, struct buf *out);

/* A descriptor to read from ("-": the standard input, which the caller closes as well); -1 after an error on stderr. */
int message_file_open(const char *path);
/* Hands everything behind the descriptor's position to fn in pieces, which are fn's until it returns; fn returns 0 to
 * go on. 0, -1 with e where reading failed, or what fn returned. */
int message_file_each(int fd, int (*fn)(void *arg, struct slice piece), void *arg, struct err *e);

#endif
