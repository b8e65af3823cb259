#include "config/here.h"

#include <limits.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

/* Members of a group of one's own (the user-private groups of most systems) are nobody else. */
static bool others_write(const struct stat *st)
{
	bool theirs = (st->st_mode & S_IWOTH) != 0 ||
	              ((st->st_mode & S_IWGRP) != 0 && st->st_gid != 0 && st->st_gid != getegid());

	/* In a sticky folder (/tmp) everybody may write, and nobody may move what is another's. */
	return theirs && !(S_ISDIR(st->st_mode) && (st->st_mode & S_ISVTX) != 0);
}

static bool is_safe(const char *path, const struct stat *st, struct err *e)
{
	if (st->st_uid != 0 && st->st_uid != geteuid()) {
		err_set(e, 0, "%s belongs to another user (uid %u)", path, (unsigned)st->st_uid);
		return false;
	}
	if (!S_ISLNK(st->st_mode) && others_write(st)) {
		err_set(e, 0, "%s can be written by others", path);
		return false;
	}
	return true;
}

/* The name itself and, of a symbolic link, what it leads to. */
static bool name_is_safe(const char *path, struct err *e)
{
	struct stat st;

	if (lstat(path, &st) != 0)
		return err_errno(e, "%s", path) == 0;
	if (!is_safe(path, &st, e))
		return false;
	if (!S_ISLNK(st.st_mode))
		return true;
	if (stat(path, &st) != 0)
		return err_errno(e, "%s", path) == 0;
	return is_safe(path, &st, e);
}

/* The folder and all above it: whoever may rename one of them may put another in its place. */
static bool folders_are_safe(struct err *e)
{
	char path[PATH_MAX];

	if (getcwd(path, sizeof path) == NULL)
		return err_errno(e, "the current folder") == 0;
	for (;;) {
		if (!name_is_safe(path, e))
			return false;
		char *last = strrchr(path, '/');
		if (last == NULL || path[1] == '\0')
			return true;
		last[last == path ? 1 : 0] = '\0';
	}
}

enum here here_look(struct err *e)
{
	if (access("etc/ofmsrv.ini", F_OK) != 0)
		return HERE_NONE;
	return name_is_safe("etc/ofmsrv.ini", e) && name_is_safe("etc", e) && folders_are_safe(e) ? HERE_OURS
	                                                                                          : HERE_SOMEBODYS;
}
