/* The folder in which messages wait for their places.
 *
 * ext4 gives a new file the first free inode of its folder's block group. Without a journal it passes over those that
 * were freed within the last minutes, one by one and anew for each file: beside a few thousand deletions that costs ten
 * times as much as the file. So an empty spool is made anew at the start, in a block group where little has been so
 * far: below a folder with this flag ("top of hierarchies", chattr +T) the folders are spread over the disk, by a hash
 * of the name. Other file systems know no such flag, and nothing is lost. */
#include "base/random.h"
#include "route/delivery_internal.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/fs.h>
#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/stat.h>
#include <unistd.h>

#define SPOOL ".spool"
#define FRESH ".spool."

/* Returns the flags as they were, or -1. */
static int spread(int fd)
{
	int flags, with;

	if (ioctl(fd, FS_IOC_GETFLAGS, &flags) != 0)
		return -1;
	with = flags | FS_TOPDIR_FL;
	return ioctl(fd, FS_IOC_SETFLAGS, &with) == 0 ? flags : -1;
}

/* Only an empty folder gives way. */
static void renew(int fd)
{
	char name[sizeof FRESH + RANDOM_NAME_MAX] = FRESH;
	int flags = spread(fd);

	if (flags < 0)
		return;
	random_name(name + strlen(FRESH));
	if (mkdirat(fd, name, 0700) == 0 && renameat(fd, name, fd, SPOOL) != 0)
		unlinkat(fd, name, AT_REMOVEDIR);
	ioctl(fd, FS_IOC_SETFLAGS, &flags);
}

/* What a start that was killed has left. */
static void sweep(int fd)
{
	int own = openat(fd, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	DIR *dir = own >= 0 ? fdopendir(own) : NULL;

	if (dir == NULL) {
		if (own >= 0)
			close(own);
		return;
	}
	for (const struct dirent *de; (de = readdir(dir)) != NULL;)
		if (strncmp(de->d_name, FRESH, strlen(FRESH)) == 0)
			unlinkat(fd, de->d_name, AT_REMOVEDIR);
	closedir(dir);
}

int spool_open(const char *path, struct err *e)
{
	int fd = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);

	if (fd < 0)
		return err_errno(e, "%s", path);
	sweep(fd);
	renew(fd);
	int inner = -1;
	if (mkdirat(fd, SPOOL, 0700) != 0 && errno != EEXIST) {
		err_errno(e, "%s/" SPOOL, path);
		goto out;
	}
	inner = openat(fd, SPOOL, O_RDONLY | O_DIRECTORY | O_CLOEXEC | O_NOFOLLOW);
	if (inner < 0)
		err_errno(e, "%s/" SPOOL, path);
	/* Its own name must survive a power cut before anything in it counts. */
	else if (fsync(fd) != 0) {
		err_errno(e, "%s", path);
		close(inner);
		inner = -1;
	}
out:
	close(fd);
	return inner;
}
