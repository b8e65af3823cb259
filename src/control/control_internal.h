/* What the files of control/ share: control.c (the socket), client.c (one connection), requests.c and status.c (what
 * is asked). */
#ifndef OFM_CONTROL_CONTROL_INTERNAL_H
#define OFM_CONTROL_CONTROL_INTERNAL_H

#include "control/codec.h"
#include "control/control.h"
#include "net/stream.h"

#include <sys/types.h>

enum {
	CONTROL_CLIENTS_MAX = 32,
	CONTROL_SPARE_FDS = 2,              /* given up for a client when descriptors run out */
	CONTROL_EVENTS_HIGH = 256 * 1024,   /* unread bytes above which progress is left out */
	CONTROL_REPLIES_HIGH = 1024 * 1024, /* and above which no more requests are taken */
	CONTROL_IDLE_MS = 60000,
	CONTROL_PAGE = 100 /* messages in one answer to `queue`: little enough to stay in the processor's caches */
};

struct control_client;

/* A request that takes longer than its call. Its client may go first. */
struct control_op {
	struct control_client *client; /* NULL: gone, the answer goes nowhere */
	/* The client went: lets go of what can be let go of; may free the op by control_op_free. May be NULL. */
	void (*abandon)(struct control_op *op);
	void *abandon_arg;
	struct control_op *next; /* among those who wait for one scan */
};

struct users_scan;

struct control {
	struct control_deps deps;
	char *path;
	dev_t dev; /* of the socket we bound, so that a successor's is not removed */
	ino_t ino;
	int fd;
	struct event *acceptable;
	struct loop_timer *pause;
	int spare[CONTROL_SPARE_FDS];
	struct control_client *clients;
	size_t nclients;
	struct users_scan *scan; /* under way */
	struct control_op *scan_waiting;
	int64_t since; /* wall seconds */
};

struct control_client {
	struct control_client *next;
	struct control *control;
	struct stream *stream;
	struct codec_lines lines;
	struct control_op *op; /* under way: further requests wait */
	bool taking;           /* inside the loop that takes requests */
	uid_t uid;
};

/* client.c */
void control_client_new(struct control *c, int fd);
void control_client_free(struct control_client *cl); /* leaves the list */
/* Takes the reply. */
void control_client_reply(struct control_client *cl, json_t *reply);
/* Takes the event; left out where the client does not read. */
void control_client_event(struct control_client *cl, json_t *event);
struct control_op *control_op_new(struct control_client *cl);
void control_op_free(struct control_op *op);
/* Takes the reply, answers where somebody still waits, frees the op. */
void control_op_end(struct control_op *op, json_t *reply);

/* requests.c: answers, or leaves an op with the client. */
void control_requests_handle(struct control_client *cl, const struct control_request *r);

/* status.c, queue.c, queue_act.c, users.c, journal.c, report.c */
json_t *control_status_render(struct control *c);
/* The status, and what was counted since the start. */
json_t *control_metrics_render(struct control *c);
void control_queue_list(struct control_client *cl, const char *after);
void control_queue_show(struct control_client *cl, const char *id);
void control_queue_act(struct control_client *cl, enum sender_action action, const char *what);
/* kept.c: whether a text looks like an id of ours; and the outqueue's ids of the message whose sender was told this
 * one. done on the loop's thread, with e where the journal cannot be read. */
bool control_kept_is_id(const char *text);
void control_kept_find(struct control *c, const char *id,
                       void (*done)(void *arg, const struct strlist *ids, const struct err *e), void *arg);
void control_users_list(struct control_client *cl);
void control_report(struct control_client *cl, const struct control_request *r);
void control_journal(struct control_client *cl, const struct control_request *r);
/* The control is going away: a scan's end finds nobody. */
void control_users_forget(struct control *c);

/* control.c */
void control_refill_spare(struct control *c);

#endif
