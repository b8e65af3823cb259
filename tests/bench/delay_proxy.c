/* A long line: takes connections, and hands everything on after a while, each way. One thread.
 *
 * delay_proxy --port P --to P --ms N: half of the round trip that it adds. */
#include "kit.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/queue.h>
#include <sys/socket.h>
#include <sys/timerfd.h>
#include <unistd.h>

struct piece {
	STAILQ_ENTRY(piece) link;
	double due;
	size_t n, at;
	char bytes[];
};

struct side { /* one direction's receiving end and what is on the way out of it */
	int fd;
	struct side *other;
	struct pair *pair;
	STAILQ_HEAD(, piece) queue; /* read here, to be written to the other */
	size_t held;
	bool eof, eof_sent, blocked; /* blocked: the other's socket is full */
	unsigned watched;
	double eof_due;
};

struct pair {
	LIST_ENTRY(pair) link;
	struct side a, b;
	bool dead;
};

struct proxy {
	int epoll, listener, timer, to;
	double delay;
	LIST_HEAD(, pair) pairs;
};

enum { HELD_MAX = 4 * 1024 * 1024, READ = 64 * 1024 };

/* A side that waits for nothing leaves the set, or a hang-up would be told without end. */
static void watch(struct proxy *p, struct side *s)
{
	bool read = !s->eof && s->held < HELD_MAX;
	struct epoll_event e = {.events = (read ? EPOLLIN : 0U) | (s->other->blocked ? EPOLLOUT : 0U), .data.ptr = s};

	if (e.events == s->watched)
		return;
	epoll_ctl(p->epoll, e.events == 0 ? EPOLL_CTL_DEL : s->watched == 0 ? EPOLL_CTL_ADD : EPOLL_CTL_MOD, s->fd, &e);
	s->watched = e.events;
}

static void end(struct proxy *p, struct pair *c)
{
	struct piece *q;

	(void)p;
	for (int i = 0; i < 2; i++) {
		struct side *s = i == 0 ? &c->a : &c->b;
		close(s->fd);
		while ((q = STAILQ_FIRST(&s->queue)) != NULL) {
			STAILQ_REMOVE_HEAD(&s->queue, link);
			free(q);
		}
	}
	LIST_REMOVE(c, link);
	free(c);
}

static void take(struct proxy *p, struct side *s)
{
	if (s->eof)
		return;
	struct piece *q = malloc(sizeof *q + READ);
	ssize_t n = recv(s->fd, q->bytes, READ, MSG_DONTWAIT);

	if (n > 0) {
		q = realloc(q, sizeof *q + (size_t)n);
		q->due = now() + p->delay;
		q->n = (size_t)n;
		q->at = 0;
		STAILQ_INSERT_TAIL(&s->queue, q, link);
		s->held += (size_t)n;
		return;
	}
	free(q);
	if (n < 0 && (errno == EAGAIN || errno == EINTR))
		return;
	if (n < 0)
		s->pair->dead = true;
	s->eof = true;
	s->eof_due = now() + p->delay;
}

/* Writes what is due; returns when the next is, or 0. */
static double give(struct side *s, double t)
{
	struct piece *q;

	s->blocked = false;
	while ((q = STAILQ_FIRST(&s->queue)) != NULL) {
		if (q->due > t)
			return q->due;
		ssize_t n = send(s->other->fd, q->bytes + q->at, q->n - q->at, MSG_NOSIGNAL | MSG_DONTWAIT);
		if (n < 0) {
			s->blocked = errno == EAGAIN;
			s->pair->dead = !s->blocked;
			return 0;
		}
		q->at += (size_t)n;
		s->held -= (size_t)n;
		if (q->at == q->n) {
			STAILQ_REMOVE_HEAD(&s->queue, link);
			free(q);
		}
	}
	if (s->eof && !s->eof_sent) {
		if (s->eof_due > t)
			return s->eof_due;
		shutdown(s->other->fd, SHUT_WR);
		s->eof_sent = true;
	}
	return 0;
}

static void arm(struct proxy *p, double next)
{
	struct itimerspec when = {0};
	double left = next - now();

	if (next > 0) {
		if (left < 1e-6)
			left = 1e-6;
		when.it_value.tv_sec = (time_t)left;
		when.it_value.tv_nsec = (long)((left - (double)when.it_value.tv_sec) * 1e9);
	}
	timerfd_settime(p->timer, 0, &when, NULL);
}

static void sweep(struct proxy *p)
{
	double t = now(), next = 0;

	for (struct pair *c = LIST_FIRST(&p->pairs), *after; c != NULL; c = after) {
		after = LIST_NEXT(c, link);
		for (int i = 0; i < 2 && !c->dead; i++) {
			double due = give(i == 0 ? &c->a : &c->b, t);
			if (due > 0 && (next == 0 || due < next))
				next = due;
		}
		if (c->dead || (c->a.eof_sent && c->b.eof_sent)) {
			end(p, c);
			continue;
		}
		watch(p, &c->a);
		watch(p, &c->b);
	}
	arm(p, next);
}

static void join(struct proxy *p, int fd)
{
	struct pair *c = calloc(1, sizeof *c);

	c->a = (struct side){.fd = fd, .other = &c->b, .pair = c};
	c->b = (struct side){.fd = dial("127.0.0.1", p->to), .other = &c->a, .pair = c};
	STAILQ_INIT(&c->a.queue);
	STAILQ_INIT(&c->b.queue);
	LIST_INSERT_HEAD(&p->pairs, c, link);
}

static void drain_timer(const struct proxy *p)
{
	uint64_t ticks;

	if (read(p->timer, &ticks, sizeof ticks) < 0 && errno != EAGAIN)
		die("timer: %s", strerror(errno));
}

int main(int argc, char **argv)
{
	struct proxy p = {.epoll = epoll_create1(EPOLL_CLOEXEC),
	                  .listener = listen_on((int)option_n(argc, argv, "--port", 0)),
	                  .timer = timerfd_create(CLOCK_MONOTONIC, TFD_CLOEXEC | TFD_NONBLOCK),
	                  .to = (int)option_n(argc, argv, "--to", 0),
	                  .delay = (double)option_n(argc, argv, "--ms", 30) / 1000};
	struct epoll_event events[256], e = {.events = EPOLLIN};

	signal(SIGPIPE, SIG_IGN);
	e.data.ptr = &p.listener;
	epoll_ctl(p.epoll, EPOLL_CTL_ADD, p.listener, &e);
	e.data.ptr = &p.timer;
	epoll_ctl(p.epoll, EPOLL_CTL_ADD, p.timer, &e);
	for (;;) {
		int n = epoll_wait(p.epoll, events, 256, -1);
		for (int i = 0; i < n; i++) {
			if (events[i].data.ptr == &p.listener)
				join(&p, accept4(p.listener, NULL, NULL, SOCK_CLOEXEC));
			else if (events[i].data.ptr == &p.timer)
				drain_timer(&p);
			else if (events[i].events & (EPOLLIN | EPOLLHUP | EPOLLERR))
				take(&p, events[i].data.ptr);
		}
		sweep(&p);
	}
}
