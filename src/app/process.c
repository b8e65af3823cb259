#include "app/process.h"

#include "app/confine.h"
#include "base/alloc.h"
#include "base/log.h"

#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <linux/capability.h>
#include <malloc.h>
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

#define CAPABILITY(c) (1U << (c))
/* Low ports can be bound after root is gone, at a reload too: net/listener.c raises this while it binds. */
#define FOR_PORTS CAPABILITY(CAP_NET_BIND_SERVICE)
/* What one who stays root needs where folders are another's. */
#define FOR_FOLDERS (CAPABILITY(CAP_DAC_OVERRIDE) | CAPABILITY(CAP_FOWNER) | CAPABILITY(CAP_CHOWN))

/* Gives up all capabilities but these. */
static int keep(uint32_t permitted, uint32_t effective)
{
	struct __user_cap_header_struct head = {_LINUX_CAPABILITY_VERSION_3, 0};
	struct __user_cap_data_struct data[2] = {{0}};

	if (syscall(SYS_capget, &head, data) != 0)
		return -1;
	data[0] = (struct __user_cap_data_struct){.permitted = data[0].permitted & permitted,
	                                          .effective = data[0].permitted & effective};
	data[1] = (struct __user_cap_data_struct){0};
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
	if (prctl(PR_SET_KEEPCAPS, 1) != 0 || initgroups(pw->pw_name, pw->pw_gid) != 0 || setgid(pw->pw_gid) != 0 ||
	    setresuid(pw->pw_uid, pw->pw_uid, pw->pw_uid) != 0 || keep(FOR_PORTS, 0) != 0)
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

/* Not under AddressSanitizer, whose search for leaks at the end traces the process. */
void process_guard_memory(void)
{
	const struct rlimit none = {0, 0};

	setrlimit(RLIMIT_CORE, &none);
#ifndef __SANITIZE_ADDRESS__
	prctl(PR_SET_DUMPABLE, 0);
#endif
}

int process_become(const struct config *c, struct err *e)
{
	const struct passwd *pw = NULL;

	if (geteuid() == 0) {
		pw = wanted_user(c, e);
		if (pw == NULL && c->run_as[0] != '\0')
			return -1;
	}
	if (make_state(c, pw, e) != 0)
		return -1;
	if (pw != NULL && pw->pw_uid != 0) {
		if (drop_to(pw, e) != 0)
			return -1;
	} else if (geteuid() != 0) {
		(void)!keep(FOR_PORTS, 0); /* systemd may have given us that one */
	} else if (keep(FOR_PORTS | FOR_FOLDERS, FOR_FOLDERS) != 0) {
		return err_errno(e, "cannot give up root's capabilities");
	}
	process_guard_memory(); /* again: becoming another user undoes a part of it */
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

	if (getrlimit(RLIMIT_NOFILE, &files) == 0) {
		files.rlim_cur = files.rlim_max;
		setrlimit(RLIMIT_NOFILE, &files);
	}
	prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0);
	/* What one thread takes another gives back: with a heap for each, all of them keep what only one needs. */
	mallopt(M_ARENA_MAX, 2);
}

/* The folders of the configuration's files, as far as they lie in somebody's home. */
static void allow_named_files(struct confine *f, const struct config *c)
{
	confine_allow_folder_of(f, c->file, CONFINE_READ);
	for (size_t i = 0; i < c->files.n; i++)
		confine_allow_folder_of(f, c->files.v[i], CONFINE_READ);
}

int process_confine(const struct config *c, int *landlock, struct err *e)
{
	const char *const folders[] = {c->mailboxes, c->outqueue, c->state};
	struct confine *f = confine_new();

	*landlock = 0;
	if (f == NULL) {
		log_warning("process.unconfined", kv_s("why", "this kernel has no Landlock of version 2 or later"),
		            kv_i("uid", geteuid()));
		return 0;
	}
	confine_allow_common(f);
	confine_allow(f, c->home, CONFINE_READ);
	allow_named_files(f, c);
	for (size_t i = 0; i < sizeof folders / sizeof folders[0]; i++)
		confine_allow(f, folders[i], CONFINE_WRITE);
	confine_allow_folder_of(f, c->control, CONFINE_WRITE);
	confine_allow_folder_of(f, c->log_path, CONFINE_WRITE);
	int version = confine_version(f), rc = confine_enter(f, e);
	confine_free(&f);
	if (rc == 0) {
		*landlock = version;
		log_info("process.confined", kv_i("uid", geteuid()), kv_i("landlock", version),
		         kv_s("write", "mailboxes, outqueue, state, folders of log and control"),
		         kv_s("run", "nothing"));
	}
	return rc;
}

int process_reaches(const struct config *c, struct err *e)
{
	for (size_t i = 0; i < c->files.n; i++)
		if (confine_hides(c->files.v[i]))
			return err_set(e, EACCES,
			               "%s: %s lies in a home, where the running program cannot read any more; needs a "
			               "restart, or move it to the configuration's folder",
			               c->file, c->files.v[i]);
	return 0;
}
