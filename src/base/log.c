#include "base/log.h"

#include "base/alloc.h"
#include "base/buf.h"
#include "base/clock.h"
#include "base/text.h"

#include <fcntl.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

enum { VALUE_MAX = 400, LINE_MAX_BYTES = 2000, SECRET_MIN = 4, SECRETS_MAX = 4096 };

/* The log is the one thing that every thread and room shares, so it is the one set of file-level variables. */
static struct {
	pthread_mutex_t lock;
	enum log_level level;
	bool to_stderr;
	int fd;
	char *path;
	size_t limit; /* bytes of one of the two files */
	size_t size;
	char **secrets;
	size_t nsecrets;
	bool secret_begins[256]; /* with this byte */
	struct buf line;         /* kept from one event to the next */
	int64_t second;          /* as `when` says it */
	char when[24];
} the_log = {.lock = PTHREAD_MUTEX_INITIALIZER, .level = LOG_INFO, .to_stderr = true, .fd = -1};

static int open_file(const char *path, size_t *size, struct err *e)
{
	int fd = open(path, O_WRONLY | O_APPEND | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0640);
	struct stat st;

	if (fd < 0)
		return err_errno(e, "log file %s", path);
	if (fstat(fd, &st) != 0 || !S_ISREG(st.st_mode)) {
		close(fd);
		return err_set(e, 0, "log file %s: not a regular file", path);
	}
	*size = (size_t)st.st_size;
	return fd;
}

/* What an earlier, larger limit has left: both files together must not exceed the new one. */
static void trim(const char *path, size_t limit)
{
	char *old = xasprintf("%s.1", path);
	struct stat st;

	if (lstat(path, &st) == 0 && S_ISREG(st.st_mode) && (size_t)st.st_size > limit)
		unlink(path);
	if (lstat(old, &st) == 0 && S_ISREG(st.st_mode) && (size_t)st.st_size > limit)
		unlink(old);
	free(old);
}

int log_open(const char *path, unsigned size_kib, enum log_level level, struct err *e)
{
	size_t size = 0;
	int fd = -1;

	if (size_kib > 0) {
		trim(path, (size_t)size_kib * 1024 / 2);
		if ((fd = open_file(path, &size, e)) < 0)
			return -1;
	}
	pthread_mutex_lock(&the_log.lock);
	if (the_log.fd >= 0)
		close(the_log.fd);
	free(the_log.path);
	the_log.fd = fd;
	the_log.path = xstrdup(path);
	the_log.limit = (size_t)size_kib * 1024 / 2;
	the_log.size = size;
	the_log.level = level;
	the_log.to_stderr = false;
	pthread_mutex_unlock(&the_log.lock);
	return 0;
}

void log_close(void)
{
	pthread_mutex_lock(&the_log.lock);
	if (the_log.fd >= 0)
		close(the_log.fd);
	the_log.fd = -1;
	free(the_log.path);
	the_log.path = NULL;
	the_log.to_stderr = true;
	buf_free(&the_log.line);
	pthread_mutex_unlock(&the_log.lock);
	log_secrets_forget();
}

bool log_wants(enum log_level level)
{
	return level <= the_log.level && (the_log.fd >= 0 || the_log.to_stderr);
}

/* Tokens come and go for as long as the program runs: each once, and the oldest of them make room. Those of the
 * configuration were noted first, and stand in the first half. */
static void note_secret(const char *secret)
{
	for (size_t i = 0; i < the_log.nsecrets; i++)
		if (strcmp(the_log.secrets[i], secret) == 0)
			return;
	if (the_log.nsecrets == SECRETS_MAX) {
		char **oldest = &the_log.secrets[SECRETS_MAX / 2];
		free(*oldest);
		memmove(oldest, oldest + 1, (--the_log.nsecrets - SECRETS_MAX / 2) * sizeof *oldest);
	}
	the_log.secrets = xreallocarray(the_log.secrets, the_log.nsecrets + 1, sizeof *the_log.secrets);
	the_log.secrets[the_log.nsecrets++] = xstrdup(secret);
	the_log.secret_begins[(unsigned char)secret[0]] = true;
}

void log_secret(const char *secret)
{
	if (secret == NULL || strlen(secret) < SECRET_MIN)
		return;
	pthread_mutex_lock(&the_log.lock);
	note_secret(secret);
	pthread_mutex_unlock(&the_log.lock);
}

void log_secrets_forget(void)
{
	pthread_mutex_lock(&the_log.lock);
	for (size_t i = 0; i < the_log.nsecrets; i++)
		free(the_log.secrets[i]);
	free(the_log.secrets);
	the_log.secrets = NULL;
	the_log.nsecrets = 0;
	memset(the_log.secret_begins, 0, sizeof the_log.secret_begins);
	pthread_mutex_unlock(&the_log.lock);
}

/* Length of the secret that begins at s.p[at], or 0. */
static size_t secret_at(struct slice s, size_t at)
{
	if (!the_log.secret_begins[(unsigned char)s.p[at]])
		return 0;
	for (size_t i = 0; i < the_log.nsecrets; i++) {
		size_t n = strlen(the_log.secrets[i]);
		if (n <= s.n - at && memcmp(s.p + at, the_log.secrets[i], n) == 0)
			return n;
	}
	return 0;
}

/* Adds s by `add`, with *** for each secret in it. */
static void add_masked(struct buf *line, struct slice s, void (*add)(struct buf *b, struct slice s))
{
	size_t from = 0;

	for (size_t at = 0; at < s.n; at++) {
		size_t n = the_log.nsecrets > 0 ? secret_at(s, at) : 0;
		if (n == 0)
			continue;
		add(line, slice_sub(s, from, at - from));
		buf_add_str(line, "***");
		at += n - 1;
		from = at + 1;
	}
	add(line, slice_sub(s, from, s.n - from));
}

static void add_escaped(struct buf *line, struct slice s)
{
	text_escape(line, s, VALUE_MAX);
}

static void add_plain(struct buf *b, struct slice s)
{
	buf_add_slice(b, s);
}

char *log_masked(struct slice text)
{
	struct buf out;

	buf_init(&out, SIZE_MAX / 4);
	pthread_mutex_lock(&the_log.lock);
	add_masked(&out, text, add_plain);
	pthread_mutex_unlock(&the_log.lock);
	return buf_steal(&out);
}

static bool needs_quotes(struct slice s)
{
	if (s.n == 0)
		return true;
	for (size_t i = 0; i < s.n; i++) {
		unsigned char c = (unsigned char)s.p[i];
		if (c <= ' ' || c == '"' || c == '=' || c == '\\' || c >= 0x7f)
			return true;
	}
	return false;
}

static void add_value(struct buf *line, const struct kv *kv)
{
	if (kv->is_int) {
		buf_printf(line, "%lld", (long long)kv->i);
		return;
	}
	bool quote = needs_quotes(kv->s);
	if (quote)
		buf_add_char(line, '"');
	add_masked(line, kv->s, add_escaped);
	if (quote)
		buf_add_char(line, '"');
}

static void turn_over(void)
{
	struct err e;
	char *old = xasprintf("%s.1", the_log.path);

	close(the_log.fd);
	if (rename(the_log.path, old) != 0)
		unlink(the_log.path);
	free(old);
	the_log.fd = open_file(the_log.path, &the_log.size, &e);
}

static void put(struct slice line)
{
	if (the_log.to_stderr) {
		if (write(STDERR_FILENO, line.p, line.n) < 0)
			return;
		return;
	}
	if (the_log.fd >= 0 && the_log.size + line.n > the_log.limit)
		turn_over();
	if (the_log.fd >= 0 && write(the_log.fd, line.p, line.n) == (ssize_t)line.n)
		the_log.size += line.n;
}

static const char *second_text(void)
{
	int64_t now = clock_wall_s();

	if (now != the_log.second || the_log.when[0] == '\0')
		clock_iso8601(now, the_log.when);
	the_log.second = now;
	return the_log.when;
}

void log_event(enum log_level level, const char *event, const struct kv *kv)
{
	static const char *const names[] = {"error", "warning", "info", "debug"};
	struct buf *line = &the_log.line;

	pthread_mutex_lock(&the_log.lock);
	buf_clear(line);
	line->max = LINE_MAX_BYTES * 2;
	buf_printf(line, "%s %s %s", second_text(), names[level], event);
	for (; kv->key != NULL && line->n < LINE_MAX_BYTES; kv++) {
		buf_add_char(line, ' ');
		buf_add_str(line, kv->key);
		buf_add_char(line, '=');
		add_value(line, kv);
	}
	if (!the_log.to_stderr && line->n >= the_log.limit && the_log.limit > 0)
		line->n = the_log.limit - 1;
	buf_add_char(line, '\n');
	put(buf_slice(line));
	pthread_mutex_unlock(&the_log.lock);
}
