/* Other Maildir software writes into tmp/ and may die there; the gateway's own unfinished files stand in .spool. */
#include "store/maildir.h"

#include "base/log.h"

#include <dirent.h>
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

/* The age that maildir(5) names. */
enum { STALE_S = 36 * 60 * 60 };

static bool is_stale(const struct stat *st, int64_t now)
{
	return S_ISREG(st->st_mode) && st->st_mtime < now - STALE_S && st->st_atime < now - STALE_S;
}

void maildir_sweep_tmp(struct maildir *m, const char *user, int64_t now)
{
	struct err e;
	int fd = maildir_open_dir(m, user, "tmp", &e);
	DIR *d = fd >= 0 ? fdopendir(fd) : NULL;
	unsigned removed = 0;

	if (d == NULL) {
		if (fd >= 0)
			close(fd);
		return;
	}
	for (struct dirent *en; (en = readdir(d)) != NULL;) {
		struct stat st;
		if (fstatat(fd, en->d_name, &st, AT_SYMLINK_NOFOLLOW) == 0 && is_stale(&st, now) &&
		    unlinkat(fd, en->d_name, 0) == 0)
			removed++;
	}
	closedir(d);
	if (removed > 0)
		log_info("mailbox.swept", kv_s("user", user), kv_u("files", removed));
}
