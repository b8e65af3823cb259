#include "disk/ballast.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

static const char name[] = "ballast";

bool ballast_fill(int state_fd)
{
	struct stat st;
	int fd = openat(state_fd, name, O_WRONLY | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0600);

	if (fd < 0)
		return false;
	/* Blocks, not length: a sparse file would be no ballast. */
	bool full =
	    fstat(fd, &st) == 0 && (st.st_blocks * 512 >= BALLAST_BYTES || posix_fallocate(fd, 0, BALLAST_BYTES) == 0);
	close(fd);
	if (!full)
		unlinkat(state_fd, name, 0);
	return full;
}

void ballast_release(int state_fd)
{
	unlinkat(state_fd, name, 0);
}
