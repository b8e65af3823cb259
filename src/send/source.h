/* A queued message's bytes, read by workers in chunks: never whole in memory, never a blocked loop. Loop thread. */
#ifndef OFM_SEND_SOURCE_H
#define OFM_SEND_SOURCE_H

#include "base/slice.h"
#include "disk/workers.h"

enum { SOURCE_CHUNK = 64 * 1024 };

struct source;

/* changed: the opening ended, or another chunk is there; never from inside a call. */
struct source *source_open(struct workers *w, const char *path, void (*changed)(void *arg), void *arg);
bool source_opened(const struct source *s); /* the opening ended, well or not */
int source_error(const struct source *s);   /* errno (ENOENT: gone), also of later reads; 0 = none */
uint64_t source_size(const struct source *s);
/* The chunk at hand; empty while the next one is being read. Valid until source_next. */
struct slice source_chunk(const struct source *s);
void source_next(struct source *s);
uint64_t source_left(const struct source *s); /* bytes from the chunk at hand to the end */
void source_close(struct source **s);         /* sets NULL, accepts NULL */

#endif
