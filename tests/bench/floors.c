/* The physical limits of this disk and loopback, measured beside the jobs:
 *
 * floors files DIR --threads N --count N --size B   a file a message: create, fsync, rename, fsync of the folder
 * floors append DIR --count N --size B              append and fdatasync, one after another
 * floors sendfile DIR --clients N --count N --size B  files to N sockets of loopback, by sendfile */
#include "kit.h"

#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/sendfile.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

struct floor {
	const char *dir;
	long threads, count, size;
	struct message m;
	atomic_long next;
	int port;
};

typedef void *(*worker)(void *);

static void run_threads(long n, worker w, void *arg)
{
	pthread_t *t = calloc((size_t)n, sizeof *t);

	for (long i = 0; i < n; i++)
		pthread_create(&t[i], NULL, w, arg);
	for (long i = 0; i < n; i++)
		pthread_join(t[i], NULL);
	free(t);
}

static void write_file(int dir, const char *name, const struct message *m, bool flush)
{
	int fd = openat(dir, name, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600);

	if (fd < 0 || write(fd, m->bytes, m->n) != (ssize_t)m->n || (flush && fsync(fd) != 0))
		die("%s: %s", name, strerror(errno));
	close(fd);
}

static void *file_thread(void *arg)
{
	struct floor *f = arg;
	char tmp[64], name[64];
	int dir = open(f->dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);

	for (long i; (i = atomic_fetch_add(&f->next, 1)) < f->count;) {
		snprintf(tmp, sizeof tmp, "t%ld", i);
		snprintf(name, sizeof name, "m%ld", i);
		write_file(dir, tmp, &f->m, true);
		if (renameat(dir, tmp, dir, name) != 0 || fsync(dir) != 0)
			die("%s: %s", name, strerror(errno));
	}
	close(dir);
	return NULL;
}

static void append(struct floor *f)
{
	int dir = open(f->dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	int fd = openat(dir, "append", O_WRONLY | O_CREAT | O_TRUNC | O_APPEND | O_CLOEXEC, 0600);

	for (long i = 0; i < f->count; i++)
		if (write(fd, f->m.bytes, (size_t)f->size) != f->size || fdatasync(fd) != 0)
			die("append: %s", strerror(errno));
	close(fd);
	unlinkat(dir, "append", 0);
	close(dir);
}

static void *sink_thread(void *arg)
{
	struct floor *f = arg;
	int fd = dial("127.0.0.1", f->port);
	char *into = malloc(LINE_BUF);

	while (recv(fd, into, LINE_BUF, 0) > 0)
		;
	free(into);
	close(fd);
	return NULL;
}

struct source {
	struct floor *f;
	int fd;
};

static void *source_thread(void *arg)
{
	struct source *s = arg;
	char name[64];
	int dir = open(s->f->dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);

	for (long i; (i = atomic_fetch_add(&s->f->next, 1)) < s->f->count;) {
		off_t at = 0;
		snprintf(name, sizeof name, "m%ld", i % 4000);
		int file = openat(dir, name, O_RDONLY | O_CLOEXEC);
		while (at < s->f->size)
			if (sendfile(s->fd, file, &at, (size_t)(s->f->size - at)) <= 0)
				die("sendfile: %s", strerror(errno));
		close(file);
	}
	close(s->fd);
	close(dir);
	return NULL;
}

static void *accept_all(void *arg)
{
	struct floor *f = arg;
	int listener = listen_on(f->port);
	pthread_t *t = calloc((size_t)f->threads, sizeof *t);
	struct source *s = calloc((size_t)f->threads, sizeof *s);

	for (long i = 0; i < f->threads; i++) {
		s[i] = (struct source){f, accept4(listener, NULL, NULL, SOCK_CLOEXEC)};
		pthread_create(&t[i], NULL, source_thread, &s[i]);
	}
	for (long i = 0; i < f->threads; i++)
		pthread_join(t[i], NULL);
	close(listener);
	free(t);
	free(s);
	return NULL;
}

static double time_sendfile(struct floor *f)
{
	pthread_t t;
	int dir = open(f->dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	char name[64];

	for (long i = 0; i < 4000 && i < f->count; i++) {
		snprintf(name, sizeof name, "m%ld", i);
		write_file(dir, name, &f->m, false);
	}
	close(dir);
	double began = now();
	pthread_create(&t, NULL, accept_all, f);
	usleep(50000);
	run_threads(f->threads, sink_thread, f);
	pthread_join(t, NULL);
	return now() - began - 0.05;
}

int main(int argc, char **argv)
{
	if (argc < 3)
		die("floors files|append|sendfile DIR --threads N --count N --size B");
	struct floor f = {.dir = argv[2],
	                  .threads = option_n(argc - 2, argv + 2, "--threads", 16),
	                  .count = option_n(argc - 2, argv + 2, "--count", 4000),
	                  .size = option_n(argc - 2, argv + 2, "--size", 4096),
	                  .port = (int)option_n(argc - 2, argv + 2, "--port", 0)};
	double seconds, began = now();

	f.m = message_new((size_t)f.size);
	if (strcmp(argv[1], "files") == 0) {
		run_threads(f.threads, file_thread, &f);
		seconds = now() - began;
	} else if (strcmp(argv[1], "append") == 0) {
		append(&f);
		seconds = now() - began;
	} else {
		seconds = time_sendfile(&f);
	}
	printf("{\"seconds\": %.6f, \"count\": %ld, \"rate\": %.1f, \"bytes\": %ld}\n", seconds, f.count,
	       (double)f.count / seconds, f.count * f.size);
	return 0;
}
