/* Preloaded: no flush of the database ends while the file that STILL_DISK names is there. */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <stdlib.h>
#include <unistd.h>

int fdatasync(int fd)
{
	int (*real)(int) = (int (*)(int))dlsym(RTLD_NEXT, "fdatasync");
	const char *path = getenv("STILL_DISK");

	while (path != NULL && access(path, F_OK) == 0)
		usleep(2000);
	return real(fd);
}
