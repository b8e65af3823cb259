#include "control/control.h"

#include "base/alloc.h"
#include "base/clock.h"
#include "base/log.h"
#include "control/control_internal.h"
#include "control/socket.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

/* Descriptors kept back, so that the administrator gets in when clients took all others. */
void control_refill_spare(struct control *c)
{
	for (size_t i = 0; i < CONTROL_SPARE_FDS; i++)
		if (c->spare[i] < 0)
			c->spare[i] = open("/dev/null", O_RDONLY | O_CLOEXEC);
}

static bool give_up_spare(struct control *c)
{
	for (size_t i = 0; i < CONTROL_SPARE_FDS; i++)
		if (c->spare[i] >= 0) {
			close(c->spare[i]);
			c->spare[i] = -1;
			return true;
		}
	return false;
}

static int accept_one(struct control *c)
{
	int fd = accept4(c->fd, NULL, NULL, SOCK_CLOEXEC | SOCK_NONBLOCK);

	if (fd < 0 && (errno == EMFILE || errno == ENFILE) && give_up_spare(c))
		fd = accept4(c->fd, NULL, NULL, SOCK_CLOEXEC | SOCK_NONBLOCK);
	return fd;
}

static void turn_away(int fd)
{
	static const char full[] = "{\"ok\":false,\"error\":\"too many control connections; try again\"}\n";

	if (send(fd, full, sizeof full - 1, MSG_NOSIGNAL | MSG_DONTWAIT) < 0)
		log_debug("control.full", kv_i("errno", errno));
	close(fd);
}

static void on_acceptable(evutil_socket_t sock, short what, void *arg)
{
	struct control *c = arg;
	int fd = accept_one(c);

	(void)sock;
	(void)what;
	if (fd < 0) {
		if (errno == EAGAIN || errno == EINTR || errno == ECONNABORTED)
			return;
		event_del(c->acceptable);
		loop_timer_set(c->pause, 100);
		return;
	}
	if (c->nclients >= CONTROL_CLIENTS_MAX)
		turn_away(fd);
	else
		control_client_new(c, fd);
}

static void on_pause_over(void *arg)
{
	struct control *c = arg;

	control_refill_spare(c);
	event_add(c->acceptable, NULL);
}

struct control *control_new(const struct control_deps *deps, const char *path, struct err *e)
{
	struct stat st;
	int fd = control_socket_listen(path, e);

	if (fd < 0)
		return NULL;
	struct control *c = xcalloc(1, sizeof *c);
	c->deps = *deps;
	c->path = xstrdup(path);
	c->fd = fd;
	c->since = clock_wall_s();
	if (lstat(path, &st) == 0) {
		c->dev = st.st_dev;
		c->ino = st.st_ino;
	}
	memset(c->spare, -1, sizeof c->spare);
	control_refill_spare(c);
	c->pause = loop_timer_new(deps->loop, on_pause_over, c);
	c->acceptable = event_new(loop_base(deps->loop), fd, EV_READ | EV_PERSIST, on_acceptable, c);
	event_add(c->acceptable, NULL);
	return c;
}

static void remove_socket(struct control *c)
{
	struct stat st;

	if (lstat(c->path, &st) == 0 && st.st_dev == c->dev && st.st_ino == c->ino)
		unlink(c->path);
}

void control_free(struct control **cp)
{
	struct control *c = *cp;

	if (c == NULL)
		return;
	while (c->clients != NULL)
		control_client_free(c->clients);
	control_users_forget(c);
	event_free(c->acceptable);
	loop_timer_free(&c->pause);
	remove_socket(c);
	close(c->fd);
	while (give_up_spare(c))
		;
	free(c->path);
	free(c);
	*cp = NULL;
}
