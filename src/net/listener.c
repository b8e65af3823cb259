#include "net/listener.h"

#include "base/alloc.h"
#include "base/clock.h"
#include "base/log.h"

#include <arpa/inet.h>
#include <errno.h>
#include <event2/event.h>
#include <linux/capability.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

enum { BACKLOG = 1024, PAUSE_MS = 100, CALM_MS = 10 * 1000, AGAIN_MS = 60 * 1000, ACCEPT_AT_ONCE = 64 };

struct socket_slot {
	struct listener *owner;
	struct event *ev;
	int fd;
};

struct listener {
	struct loop *loop;
	listener_accepted *fn;
	void *arg;
	struct loop_timer *resume;
	bool paused, resting; /* by its owner; for want of descriptors */
	struct listener_shortage own, *shortage;
	size_t n;
	struct socket_slot slots[];
};

static uint16_t port_of(const struct sockaddr_storage *ss)
{
	struct sockaddr_in v4;
	struct sockaddr_in6 v6;

	if (ss->ss_family == AF_INET) {
		memcpy(&v4, ss, sizeof v4);
		return ntohs(v4.sin_port);
	}
	memcpy(&v6, ss, sizeof v6);
	return ntohs(v6.sin6_port);
}

static void watch(struct listener *l, bool on)
{
	for (size_t i = 0; i < l->n; i++) {
		if (on)
			event_add(l->slots[i].ev, NULL);
		else
			event_del(l->slots[i].ev);
	}
}

static void look_whether_over(struct listener_shortage *s)
{
	if (s->told_ms == 0 || clock_mono_ms() - s->last_ms < CALM_MS)
		return;
	log_info("net.accept_again", kv_u("pauses", s->pauses));
	*s = (struct listener_shortage){0, 0, 0};
}

static void on_resume(void *arg)
{
	struct listener *l = arg;

	if (l->resting && !l->paused)
		watch(l, true);
	if (!l->resting)
		look_whether_over(l->shortage);
	else
		loop_timer_set(l->resume, CALM_MS);
	l->resting = false;
}

/* No descriptors: the connection stays in the backlog until some are free again. */
static void out_of_descriptors(struct listener *l)
{
	struct listener_shortage *s = l->shortage;
	const char *error = strerror(errno);

	s->pauses++;
	s->last_ms = clock_mono_ms();
	if (s->told_ms == 0 || s->last_ms - s->told_ms >= AGAIN_MS) {
		log_warning("net.accept", kv_s("error", error), kv_u("pauses", s->pauses));
		s->told_ms = s->last_ms;
	}
	l->resting = true;
	watch(l, false);
	loop_timer_set(l->resume, PAUSE_MS);
}

/* Up to so many. */
static void accept_some(const struct socket_slot *slot, int most)
{
	struct listener *l = slot->owner;

	for (int i = 0; i < most; i++) {
		struct sockaddr_storage ss = {0};
		socklen_t len = sizeof ss;
		struct ip_addr peer;
		int fd = accept4(slot->fd, (struct sockaddr *)&ss, &len, SOCK_CLOEXEC | SOCK_NONBLOCK);
		if (fd < 0) {
			if (errno == EMFILE || errno == ENFILE || errno == ENOBUFS || errno == ENOMEM)
				out_of_descriptors(l);
			return;
		}
		if (!ip_addr_from_sockaddr((struct sockaddr *)&ss, &peer)) {
			close(fd);
			continue;
		}
		const int one = 1;
		setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof one);
		l->fn(l->arg, fd, &peer, port_of(&ss));
	}
}

static void on_accept(evutil_socket_t lfd, short what, void *arg)
{
	(void)lfd;
	(void)what;
	accept_some(arg, ACCEPT_AT_ONCE);
}

void listener_share(struct listener *l, struct listener_shortage *s)
{
	l->shortage = s;
}

void listener_drain(struct listener *l)
{
	for (size_t i = 0; i < l->n; i++)
		accept_some(&l->slots[i], BACKLOG);
}

static bool make_sockaddr(const char *text, uint16_t port, struct sockaddr_storage *ss, socklen_t *len)
{
	struct sockaddr_in *v4 = (struct sockaddr_in *)ss;
	struct sockaddr_in6 *v6 = (struct sockaddr_in6 *)ss;

	memset(ss, 0, sizeof *ss);
	if (inet_pton(AF_INET, text, &v4->sin_addr) == 1) {
		v4->sin_family = AF_INET;
		v4->sin_port = htons(port);
		*len = sizeof *v4;
		return true;
	}
	if (inet_pton(AF_INET6, text, &v6->sin6_addr) == 1) {
		v6->sin6_family = AF_INET6;
		v6->sin6_port = htons(port);
		*len = sizeof *v6;
		return true;
	}
	return false;
}

/* Root was given up and this one right kept, to be used here alone. */
static bool raise_low_ports(bool on)
{
	struct __user_cap_header_struct head = {_LINUX_CAPABILITY_VERSION_3, 0};
	struct __user_cap_data_struct data[2] = {{0}};

	if (syscall(SYS_capget, &head, data) != 0 || (data[0].permitted & 1U << CAP_NET_BIND_SERVICE) == 0)
		return false;
	data[0].effective &= ~(1U << CAP_NET_BIND_SERVICE);
	data[0].effective |= (on ? 1U : 0U) << CAP_NET_BIND_SERVICE;
	return syscall(SYS_capset, &head, data) == 0;
}

static int bind_with_rights(int fd, const struct sockaddr_storage *ss, socklen_t len)
{
	if (bind(fd, (const struct sockaddr *)ss, len) == 0)
		return 0;
	if (errno != EACCES || !raise_low_ports(true))
		return -1;
	int rc = bind(fd, (const struct sockaddr *)ss, len), saved = errno;
	raise_low_ports(false);
	errno = saved;
	return rc;
}

static const char *mend_of(int error)
{
	if (error == EACCES)
		return " (start it as root, or once: setcap cap_net_bind_service=+ep FILE-OF-OFMSRV, or choose a port "
		       "over 1023)";
	if (error == EADDRINUSE)
		return " (ss -ltnp shows who has it)";
	return "";
}

static int fail_to_listen(struct err *e, const char *text, uint16_t port)
{
	int error = errno;

	return err_set(e, error, "listen on %s port %u: %s%s", text, port, strerror(error), mend_of(error));
}

static int bind_one(const char *text, uint16_t port, struct err *e)
{
	struct sockaddr_storage ss;
	socklen_t len;
	const int one = 1;

	if (!make_sockaddr(text, port, &ss, &len))
		return err_set(e, 0, "bind %s: not a numeric address", text);
	int fd = socket(ss.ss_family, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	if (fd < 0)
		return fail_to_listen(e, text, port);
	setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &one, sizeof one);
	if (ss.ss_family == AF_INET6)
		setsockopt(fd, IPPROTO_IPV6, IPV6_V6ONLY, &one, sizeof one);
	if (bind_with_rights(fd, &ss, len) != 0 || listen(fd, BACKLOG) != 0) {
		fail_to_listen(e, text, port);
		close(fd);
		return -1;
	}
	return fd;
}

static bool no_ipv6_here(const char *text, int code)
{
	return strchr(text, ':') != NULL && (code == EAFNOSUPPORT || code == EADDRNOTAVAIL);
}

struct listener *listener_new(struct loop *loop, const struct strlist *bind_to, uint16_t port, listener_accepted *fn,
                              void *arg, struct err *e)
{
	struct listener *l = xcalloc(1, sizeof *l + bind_to->n * sizeof l->slots[0]);

	*l = (struct listener){.loop = loop, .shortage = &l->own, .fn = fn, .arg = arg};
	l->resume = loop_timer_new(loop, on_resume, l);
	for (size_t i = 0; i < bind_to->n; i++) {
		struct err why = {0, ""};
		int fd = bind_one(bind_to->v[i], port, &why);
		if (fd < 0 && no_ipv6_here(bind_to->v[i], why.code)) {
			log_warning("net.no_ipv6", kv_s("error", why.text));
			continue;
		}
		if (fd < 0) {
			if (e != NULL)
				*e = why;
			listener_free(&l);
			return NULL;
		}
		struct socket_slot *slot = &l->slots[l->n++];
		*slot = (struct socket_slot){l, NULL, fd};
		slot->ev = event_new(loop_base(loop), fd, EV_READ | EV_PERSIST, on_accept, slot);
		event_add(slot->ev, NULL);
	}
	return l;
}

void listener_free(struct listener **lp)
{
	struct listener *l = *lp;

	if (l == NULL)
		return;
	*lp = NULL;
	for (size_t i = 0; i < l->n; i++) {
		event_free(l->slots[i].ev);
		close(l->slots[i].fd);
	}
	loop_timer_free(&l->resume);
	free(l);
}

void listener_pause(struct listener *l, bool paused)
{
	l->paused = paused;
	if (!l->resting)
		watch(l, !paused);
}
