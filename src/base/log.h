/* The log: one line an event, `time level event key=value …`, whose values are quoted and escaped where they
 * hold anything but plain printable text, and shortened, so that no peer can forge a line or a field.
 *
 *	log_info("smtp.accept", kv_s("sid", sid), kv_u("size", size));
 *
 * Any thread. Never blocks longer than one write to the page cache. Before log_open lines go to stderr. */
#ifndef OFM_BASE_LOG_H
#define OFM_BASE_LOG_H

#include "base/err.h"
#include "base/slice.h"

#include <stdint.h>

enum log_level { LOG_ERROR, LOG_WARNING, LOG_INFO, LOG_DEBUG };

struct kv {
	const char *key;
	struct slice s;
	int64_t i;
	bool is_int;
};

static inline struct kv kv_s(const char *key, const char *s)
{
	return (struct kv){key, slice_of(s != NULL ? s : ""), 0, false};
}
static inline struct kv kv_n(const char *key, struct slice s)
{
	return (struct kv){key, s, 0, false};
}
static inline struct kv kv_i(const char *key, int64_t i)
{
	return (struct kv){key, {NULL, 0}, i, true};
}
static inline struct kv kv_u(const char *key, uint64_t u)
{
	return (struct kv){key, {NULL, 0}, (int64_t)u, true};
}

#define KV_END ((struct kv){NULL, {NULL, 0}, 0, false})

/* Opens (or, called again, changes) the log. size_kib 0..999: the file and its predecessor PATH.1 together never
 * exceed it; 0 = no log. -1 with e set where the file cannot be opened; the former log then stays. */
int log_open(const char *path, unsigned size_kib, enum log_level level, struct err *e);
void log_close(void);
bool log_wants(enum log_level level);
/* kv ends with KV_END. */
void log_event(enum log_level level, const char *event, const struct kv *kv);
/* A string that must never reach the log (a password, a token): every later value that contains it shows
 * "***" in its place. Strings under 4 bytes are not masked. forget_all before a reload adds the new ones. */
void log_secret(const char *secret);
/* The text with secrets masked so, for what others will read of a peer's words; the caller frees. */
char *log_masked(struct slice text);
void log_secrets_forget(void);

/* The first of the list only stands before the comma that goes where there are no values. */
#define LOG_KV(level, event, ...)                                                                                      \
	do {                                                                                                           \
		if (log_wants(level))                                                                                  \
			log_event(level, event, (const struct kv[]){KV_END, ##__VA_ARGS__, KV_END} + 1);               \
	} while (0)
#define log_error(...) LOG_KV(LOG_ERROR, __VA_ARGS__)
#define log_warning(...) LOG_KV(LOG_WARNING, __VA_ARGS__)
#define log_info(...) LOG_KV(LOG_INFO, __VA_ARGS__)
#define log_debug(...) LOG_KV(LOG_DEBUG, __VA_ARGS__)

#endif
