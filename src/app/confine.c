#include "app/confine.h"

#include "base/alloc.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <libgen.h>
#include <linux/landlock.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

/* Debian 12's headers are older than the kernels that it may run on. */
#define FS_TRUNCATE (1ULL << 14)  /* from version 3 */
#define FS_IOCTL_DEV (1ULL << 15) /* from version 5 */
#define SCOPE_ABSTRACT_UNIX (1ULL << 0)
#define SCOPE_SIGNAL (1ULL << 1) /* both from version 6 */

enum {
	VERSION_REFER = 2, /* before it links between folders are forbidden, and a mailbox is filled by links */
	VERSION_TRUNCATE = 3,
	VERSION_IOCTL = 5,
	VERSION_SCOPE = 6
};

struct ruleset { /* struct landlock_ruleset_attr as of version 6; an older kernel gets the part that it knows */
	uint64_t fs, net, scoped;
};

#define READ_RIGHTS (LANDLOCK_ACCESS_FS_READ_FILE | LANDLOCK_ACCESS_FS_READ_DIR)
#define WRITE_RIGHTS                                                                                                   \
	(READ_RIGHTS | LANDLOCK_ACCESS_FS_WRITE_FILE | LANDLOCK_ACCESS_FS_REMOVE_DIR |                                 \
	 LANDLOCK_ACCESS_FS_REMOVE_FILE | LANDLOCK_ACCESS_FS_MAKE_DIR | LANDLOCK_ACCESS_FS_MAKE_REG |                  \
	 LANDLOCK_ACCESS_FS_MAKE_SOCK | LANDLOCK_ACCESS_FS_REFER | FS_TRUNCATE)
#define FORBIDDEN                                                                                                      \
	(LANDLOCK_ACCESS_FS_EXECUTE | LANDLOCK_ACCESS_FS_MAKE_CHAR | LANDLOCK_ACCESS_FS_MAKE_BLOCK |                   \
	 LANDLOCK_ACCESS_FS_MAKE_FIFO | LANDLOCK_ACCESS_FS_MAKE_SYM | FS_IOCTL_DEV)
#define FILE_RIGHTS (LANDLOCK_ACCESS_FS_READ_FILE | LANDLOCK_ACCESS_FS_WRITE_FILE | FS_TRUNCATE)

struct confine {
	int fd, version;
	uint64_t handled;
};

static uint64_t known_rights(int version)
{
	uint64_t all = WRITE_RIGHTS | FORBIDDEN;

	if (version < VERSION_TRUNCATE)
		all &= ~FS_TRUNCATE;
	if (version < VERSION_IOCTL)
		all &= ~FS_IOCTL_DEV;
	return all;
}

struct confine *confine_new(void)
{
	long version = syscall(SYS_landlock_create_ruleset, NULL, 0, LANDLOCK_CREATE_RULESET_VERSION);

	if (version < VERSION_REFER)
		return NULL;
	struct ruleset r = {.fs = known_rights((int)version)};
	size_t size = sizeof r.fs;
	if (version >= VERSION_SCOPE) {
		r.scoped = SCOPE_ABSTRACT_UNIX | SCOPE_SIGNAL;
		size = sizeof r;
	}
	long fd = syscall(SYS_landlock_create_ruleset, &r, size, 0);
	if (fd < 0)
		return NULL;
	struct confine *c = xcalloc(1, sizeof *c);
	*c = (struct confine){(int)fd, (int)version, r.fs};
	return c;
}

void confine_free(struct confine **c)
{
	if (*c == NULL)
		return;
	close((*c)->fd);
	free(*c);
	*c = NULL;
}

int confine_version(const struct confine *c)
{
	return c->version;
}

void confine_allow(struct confine *c, const char *path, enum confine_access access)
{
	struct landlock_path_beneath_attr rule = {.parent_fd = open(path, O_PATH | O_CLOEXEC)};
	struct stat st;

	if (rule.parent_fd < 0)
		return;
	rule.allowed_access = (access == CONFINE_WRITE ? WRITE_RIGHTS : READ_RIGHTS) & c->handled;
	if (fstat(rule.parent_fd, &st) == 0 && !S_ISDIR(st.st_mode))
		rule.allowed_access &= FILE_RIGHTS;
	/* What cannot be allowed stays forbidden, and whoever needs it says so. */
	(void)!syscall(SYS_landlock_add_rule, c->fd, LANDLOCK_RULE_PATH_BENEATH, &rule, 0);
	close(rule.parent_fd);
}

static void allow_parent(struct confine *c, const char *file, enum confine_access access)
{
	char *copy = xstrdup(file);
	const char *folder = dirname(copy);

	confine_allow(c, strcmp(folder, "/") == 0 ? file : folder, access);
	free(copy);
}

void confine_allow_folder_of(struct confine *c, const char *file, enum confine_access access)
{
	char *real = realpath(file, NULL);

	allow_parent(c, file, access);
	if (real != NULL)
		allow_parent(c, real, access);
	free(real);
}

/* Name resolution alone reads in many places (/etc, /run, the libraries of nsswitch.conf), certificates lie in as many,
 * and a reload may name new ones: permissions rule there. */
void confine_allow_common(struct confine *c)
{
	static const char *const homes[] = {".", "..", "root", "home"};
	DIR *root = opendir("/");

	if (root == NULL)
		return;
	for (const struct dirent *en; (en = readdir(root)) != NULL;) {
		char path[sizeof en->d_name + 1];
		bool home = false;
		for (size_t i = 0; i < sizeof homes / sizeof homes[0]; i++)
			home = home || strcmp(en->d_name, homes[i]) == 0;
		snprintf(path, sizeof path, "/%s", en->d_name);
		if (!home)
			confine_allow(c, path, CONFINE_READ);
	}
	closedir(root);
}

int confine_enter(struct confine *c, struct err *e)
{
	if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) != 0 || syscall(SYS_landlock_restrict_self, c->fd, 0) != 0)
		return err_errno(e, "cannot confine the process by Landlock");
	return 0;
}

bool confine_hides(const char *file)
{
	int fd = open(file, O_RDONLY | O_NONBLOCK | O_NOCTTY | O_CLOEXEC);

	if (fd >= 0)
		close(fd);
	return fd < 0 && errno == EACCES && faccessat(AT_FDCWD, file, R_OK, AT_EACCESS) == 0;
}
