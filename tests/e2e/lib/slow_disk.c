/* Preloaded: every flush takes SLOW_DISK_MS longer, as on a disk that turns. */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <stdlib.h>
#include <unistd.h>

static void wait_a_while(void)
{
	const char *ms = getenv("SLOW_DISK_MS");

	if (ms != NULL)
		usleep((useconds_t)atoi(ms) * 1000);
}

int fdatasync(int fd)
{
	int (*real)(int) = (int (*)(int))dlsym(RTLD_NEXT, "fdatasync");

	wait_a_while();
	return real(fd);
}

int fsync(int fd)
{
	int (*real)(int) = (int (*)(int))dlsym(RTLD_NEXT, "fsync");

	wait_a_while();
	return real(fd);
}

int syncfs(int fd)
{
	int (*real)(int) = (int (*)(int))dlsym(RTLD_NEXT, "syncfs");

	wait_a_while();
	return real(fd);
}
