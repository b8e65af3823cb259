/* What ofmsrv and ofmctl say to each other: one JSON object a line. Pure; both ends use it.
 *
 * Request:  {"do":"sync","accounts":["info"],"wait":true}
 * Replies:  any number of {"event":NAME,…}, then exactly one {"ok":true,…} or {"ok":false,"error":TEXT}.
 * Requests of one connection are answered one after another. */
#ifndef OFM_CONTROL_CODEC_H
#define OFM_CONTROL_CODEC_H

#include "base/buf.h"
#include "base/err.h"
#include "base/strlist.h"

#include <jansson.h>

enum {
	CODEC_REQUEST_MAX = 64 * 1024,
	CODEC_REPLY_MAX = 16 * 1024 * 1024,
	CODEC_TEXT_MAX = 1024, /* one string of a request */
	CODEC_ACCOUNTS_MAX = 100
};

/* ---- lines ---- */

struct codec_lines {
	struct buf b;
	size_t max;     /* bytes of one line */
	size_t scanned; /* without LF up to here, so that slow senders cost no more than fast ones */
	size_t taken;   /* bytes already handed out */
};

enum codec_line { CODEC_LINE, CODEC_MORE, CODEC_TOO_LONG };

void codec_lines_init(struct codec_lines *l, size_t max);
void codec_lines_free(struct codec_lines *l);
/* Appends bytes; false where the line is too long already (nothing was taken). */
bool codec_lines_feed(struct codec_lines *l, struct slice bytes);
/* The next line without LF or CRLF; valid until the next feed. */
enum codec_line codec_lines_next(struct codec_lines *l, struct slice *line);

/* ---- requests ---- */

enum control_verb {
	CONTROL_STATUS,
	CONTROL_SYNC,
	CONTROL_QUEUE,
	CONTROL_QUEUE_SHOW,
	CONTROL_QUEUE_DROP,
	CONTROL_QUEUE_RETRY,
	CONTROL_QUEUE_HOLD,
	CONTROL_QUEUE_RELEASE,
	CONTROL_USERS,
	CONTROL_JOURNAL,
	CONTROL_REPORT,
	CONTROL_METRICS,
	CONTROL_RESUME,
	CONTROL_RELOAD,
	CONTROL_STOP
};

struct control_request {
	enum control_verb verb;
	struct strlist accounts; /* sync: only these; empty = everything */
	bool wait;               /* sync: events, and the reply at its end */
	char *what;              /* queue-show: an id; queue-…: id, address or "all"; resume: an account; else NULL */
	char *after;             /* queue: the page begins behind this id; may be NULL */
	bool known;              /* resume: what the server lists is known */
	/* journal: as in journal/query.h; texts may be NULL */
	char *user, *from, *to, *id, *subject;
	int64_t since; /* wall seconds; report too */
	int64_t until; /* report */
	int64_t behind, event;
	bool follow;
};

const char *codec_verb_name(enum control_verb v);
bool codec_verb_reads(enum control_verb v); /* changes nothing */
/* Unknown verbs and fields, wrong types, missing fields, NUL and too long strings are errors in words. On success the
 * caller frees with codec_request_free. */
int codec_request_parse(struct slice line, struct control_request *out, struct err *e);
/* With LF; the caller frees. */
char *codec_request_format(const struct control_request *r);
void codec_request_free(struct control_request *r);

/* ---- replies ---- */

json_t *codec_ok(void);
json_t *codec_error(const char *text);
json_t *codec_event(const char *name);
/* A JSON string of any bytes: NUL and what is no UTF-8 become \xHH. */
json_t *codec_text(struct slice s);
void codec_set_text(json_t *object, const char *key, const char *s);
void codec_set_int(json_t *object, const char *key, int64_t i);
void codec_set_bool(json_t *object, const char *key, bool b);
/* Takes the object. With LF; the caller frees. */
char *codec_line_of(json_t *object);
/* NULL with e where the line is no reply. The caller frees with json_decref. */
json_t *codec_reply_parse(struct slice line, struct err *e);

#endif
