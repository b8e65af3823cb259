/* When: the schedule, the daemon user's wishes, sending soon after queueing, the line up and down. Loop thread. */
#ifndef OFM_SYNC_SYNC_H
#define OFM_SYNC_SYNC_H

#include "config/config.h"
#include "fetch/fetcher.h"
#include "net/runner.h"
#include "send/sender.h"

struct sync;

struct sync_deps { /* all borrowed */
	struct loop *loop;
	struct fetcher *fetcher;
	struct sender *sender;
	struct delivery *delivery;
	struct database *database;
	struct runner *runner;
};

extern const char sync_schema[]; /* last runs, for `at` times missed while the program was down */

struct sync *sync_new(const struct sync_deps *deps);
void sync_configure(struct sync *s, const struct config *c);
/* Starts the schedule; a sync wanted before the last stop (fact "sync_wanted") is made up. */
void sync_start(struct sync *s);
void sync_mail_queued(struct sync *s); /* on_send */
/* min_interval; follows a running one once. user: who is told of it where daemon_reply says so; "" = nobody. */
void sync_daemon_called(struct sync *s, const char *user);

struct sync_watcher { /* of one sync by hand; all may be NULL */
	void (*fetch)(void *arg, const struct fetch_progress *p);
	void (*send)(void *arg, const struct send_progress *p);
	void (*line)(void *arg, const char *state); /* "up", "up failed: …", "down" */
	void (*done)(void *arg, bool failed);
	void *arg;
};
/* accounts NULL: everything; else only those, and no sending. Where one runs, this begins beside it: accounts that are
 * busy are collected once more after (fetcher_run). */
void sync_by_hand(struct sync *s, const struct strlist *accounts, const struct sync_watcher *w);
void sync_forget_watcher(struct sync *s, const void *arg);
bool sync_running(const struct sync *s);
const char *
sync_reason(const struct sync *s);          /* of the newest: "schedule", "daemon anna", "by hand", "mail queued", "" */
int64_t sync_next_at(const struct sync *s); /* wall seconds of the next scheduled one, 0 = none */
void sync_stop(struct sync *s, int64_t ms, void (*done)(void *arg), void *arg);
void sync_free(struct sync **s);

#endif
