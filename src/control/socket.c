#include "control/socket.h"

#include <errno.h>
#include <grp.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

static int address_of(const char *path, struct sockaddr_un *sa, struct err *e)
{
	size_t n = strlen(path);

	*sa = (struct sockaddr_un){.sun_family = AF_UNIX};
	if (n >= sizeof sa->sun_path)
		return err_set(e, ENAMETOOLONG, "control socket %s: a socket's path has at most %zu bytes", path,
		               sizeof sa->sun_path - 1);
	memcpy(sa->sun_path, path, n + 1);
	return 0;
}

static void close_if(int fd)
{
	int saved = errno;

	if (fd >= 0)
		close(fd);
	errno = saved;
}

/* 0, or -1 with errno. */
static int try_connect(const char *path, int fd, struct err *e)
{
	struct sockaddr_un sa;

	if (address_of(path, &sa, e) != 0)
		return -1;
	return connect(fd, (struct sockaddr *)&sa, sizeof sa) == 0 ? 0 : err_errno(e, "control socket %s", path);
}

int control_socket_connect(const char *path, struct err *e)
{
	int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);

	if (fd < 0)
		return err_errno(e, "socket");
	if (try_connect(path, fd, e) == 0)
		return fd;
	close_if(fd);
	return -1;
}

/* Removes what a dead daemon left; -1 where a living one answers, or it is something else. */
static int make_way(const char *path, struct err *e)
{
	struct stat st;
	struct err why = {.code = 0};

	if (lstat(path, &st) != 0)
		return errno == ENOENT ? 0 : err_errno(e, "control socket %s", path);
	if (!S_ISSOCK(st.st_mode))
		return err_set(e, EEXIST, "control socket %s: something that is no socket stands there; move it away",
		               path);
	int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	if (fd < 0)
		return err_errno(e, "socket");
	int rc = try_connect(path, fd, &why);
	close(fd);
	if (rc != 0 && why.code == ECONNREFUSED) {
		if (unlink(path) != 0 && errno != ENOENT)
			return err_errno(e, "control socket %s: removing a stale one", path);
		return 0;
	}
	if (rc != 0 && why.code == ENOENT)
		return 0;
	return err_set(e, EADDRINUSE, "control socket %s: another ofmsrv is running there; stop it first (ofmctl stop)",
	               path);
}

static void give_to_group(const char *path)
{
	char scratch[16384];
	struct group gr, *found = NULL;

	if (getgrnam_r("ofmsrv", &gr, scratch, sizeof scratch, &found) != 0 || found == NULL)
		return;
	/* Without the right to do so the socket stays its owner's alone, which is the safe side. */
	if (lchown(path, (uid_t)-1, found->gr_gid) != 0)
		return;
}

int control_socket_listen(const char *path, struct err *e)
{
	struct sockaddr_un sa;
	int fd = -1;

	if (make_way(path, e) != 0 || address_of(path, &sa, e) != 0)
		return -1;
	fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	/* The socket's own mode is the file's, less the umask: there is no moment with a wider one than 0660. */
	if (fd < 0 || fchmod(fd, 0660) != 0 || bind(fd, (struct sockaddr *)&sa, sizeof sa) != 0)
		goto fail;
	give_to_group(path);
	if (chmod(path, 0660) != 0 || listen(fd, 64) != 0)
		goto fail;
	return fd;
fail:
	err_errno(e, "control socket %s", path);
	close_if(fd);
	return -1;
}
