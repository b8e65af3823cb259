#include "app/process.h"

#include "base/alloc.h"

#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <linux/capability.h>
#include <pwd.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

/* Low ports can be bound after root is gone, at a reload too. */
static int keep_low_ports(void)
{
	struct __user_cap_header_struct head = {_LINUX_CAPABILITY_VERSION_3, 0};
	struct __user_cap_data_struct data[2] = {{0}};

	data[0].effective = data[0].permitted = 1U << CAP_NET_BIND_SERVICE;
	return (int)syscall(SYS_capset, &head, data);
}

static int make_state(const struct config *c, const struct passwd *pw, struct err *e)
{
	if (mkdir(c->state, 0750) != 0) {
		if (errno == EEXIST)
			return 0;
		return err_errno(e, "[server] state: cannot make %s", c->state);
	}
	if (pw != NULL && chown(c->state, pw->pw_uid, pw->pw_gid) != 0)
		return err_errno(e, "[server] state: cannot give %s to %s", c->state, pw->pw_name);
	return 0;
}

static const struct passwd *wanted_user(const struct config *c, struct err *e)
{
	const char *name = c->run_as[0] != '\0' ? c->run_as : "ofmsrv";
	// cppcheck-suppress getpwnamCalled ; this thread alone asks
	const struct passwd *pw = getpwnam(name);

	if (pw == NULL && c->run_as[0] != '\0')
		err_set(e, ENOENT, "[server] run_as: no user %s on this machine; create it or leave the key empty",
		        name);
	return pw;
}

static int drop_to(const struct passwd *pw, struct err *e)
{
	if (pw->pw_uid == 0)
		return 0;
	if (prctl(PR_SET_KEEPCAPS, 1) != 0 || initgroups(pw->pw_name, pw->pw_gid) != 0 || setgid(pw->pw_gid) != 0 ||
	    setresuid(pw->pw_uid, pw->pw_uid, pw->pw_uid) != 0 || keep_low_ports() != 0)
		return err_errno(e, "[server] run_as: cannot become %s", pw->pw_name);
	return 0;
}

static int must_write(const char *path, const char *key, struct err *e)
{
	if (access(path, R_OK | W_OK | X_OK) == 0)
		return 0;
	int why = errno;
	// cppcheck-suppress getpwuidCalled ; this thread alone asks
	const struct passwd *me = getpwuid(geteuid());
	errno = why;
	return err_errno(e, "[server] %s: %s cannot be written by %s (chown it to that user)", key, path,
	                 me != NULL ? me->pw_name : "this user");
}

int process_become(const struct config *c, struct err *e)
{
	const struct passwd *pw = NULL;

	if (geteuid() == 0) {
		pw = wanted_user(c, e);
		if (pw == NULL && c->run_as[0] != '\0')
			return -1;
	}
	if (make_state(c, pw, e) != 0 || (pw != NULL && drop_to(pw, e) != 0))
		return -1;
	if (must_write(c->state, "state", e) != 0 || must_write(c->mailboxes, "mailboxes", e) != 0)
		return -1;
	return must_write(c->outqueue, "outqueue", e);
}

int process_lock(const struct config *c, struct err *e)
{
	char *path = xasprintf("%s/lock", c->state);
	int fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0640);

	if (fd < 0) {
		err_errno(e, "%s", path);
	} else if (flock(fd, LOCK_EX | LOCK_NB) != 0) {
		char pid[24] = "";
		if (read(fd, pid, sizeof pid - 1) < 0)
			pid[0] = '\0';
		err_set(e, EWOULDBLOCK, "%s: another ofmsrv uses this home (process %s)", path, pid);
		close(fd);
		fd = -1;
	} else if (ftruncate(fd, 0) != 0 || dprintf(fd, "%d", (int)getpid()) < 0) {
		err_errno(e, "%s", path);
		close(fd);
		fd = -1;
	}
	free(path);
	return fd;
}

void process_limits(void)
{
	struct rlimit files;
	const struct rlimit none = {0, 0};

	if (getrlimit(RLIMIT_NOFILE, &files) == 0) {
		files.rlim_cur = files.rlim_max;
		setrlimit(RLIMIT_NOFILE, &files);
	}
	setrlimit(RLIMIT_CORE, &none);
	prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0);
}
