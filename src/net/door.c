#include "net/door.h"

#include "base/alloc.h"
#include "base/clock.h"
#include "base/log.h"
#include "net/crowd.h"
#include "net/refusals.h"

#include <stdlib.h>
#include <string.h>
#include <unistd.h>

struct door {
	const char *event;
	const struct door_words *words;
	struct crowd *crowd;
	unsigned inside;
	struct refusals refusals;
};

struct door *door_new(const char *event, const struct door_words *words)
{
	struct door *d = xcalloc(1, sizeof *d);

	d->event = event;
	d->words = words;
	d->crowd = crowd_new();
	return d;
}

static void turn_away(int fd, bool tls, const char *line)
{
	char waste[512];

	if (!tls)
		(void)!send(fd, line, strlen(line), MSG_NOSIGNAL | MSG_DONTWAIT);
	shutdown(fd, SHUT_WR);
	/* Bytes left unread would turn the close into a reset, which can eat the line. */
	(void)!recv(fd, waste, sizeof waste, MSG_DONTWAIT);
	close(fd);
}

static void note(struct door *d, const struct ip_addr *peer, const char *reason)
{
	char ip[46];
	unsigned before;

	if (!refusals_note(&d->refusals, peer, clock_mono_ms(), &before))
		return;
	ip_addr_format(peer, ip);
	log_warning(d->event, kv_s("peer", ip), kv_s("reason", reason), kv_u("since_last_line", before));
}

bool door_admits(struct door *d, const struct ip_filter *filter, unsigned max, int fd, bool tls,
                 const struct ip_addr *peer)
{
	const char *reason, *line;

	if (!ip_filter_serves(filter, peer)) {
		reason = "ip_filter";
		line = d->words->stranger;
	} else if (d->inside >= max) {
		reason = "max_connections";
		line = d->words->full;
	} else if (!crowd_has_room(d->crowd, peer, max)) {
		reason = "max_connections of one address";
		line = d->words->crowded;
	} else {
		return true;
	}
	note(d, peer, reason);
	turn_away(fd, tls, line);
	return false;
}

void door_enter(struct door *d, const struct ip_addr *peer)
{
	d->inside++;
	crowd_enter(d->crowd, peer);
}

void door_leave(struct door *d, const struct ip_addr *peer)
{
	d->inside--;
	crowd_leave(d->crowd, peer);
}

unsigned door_inside(const struct door *d)
{
	return d->inside;
}

void door_free(struct door **d)
{
	if (*d == NULL)
		return;
	crowd_free(&(*d)->crowd);
	free(*d);
	*d = NULL;
}
