/* One conversation with the daemon. */
#ifndef OFM_CTL_CLIENT_H
#define OFM_CTL_CLIENT_H

#include "control/codec.h"
#include "ctl.h"

enum { CLIENT_PATIENCE = 60, CLIENT_FOREVER = 0 }; /* seconds without a word from the daemon */

struct client;

/* NULL after an error on stderr. */
struct client *client_open(const struct ctl_options *o);
/* From now on the command itself shows what takes long. */
void client_be_quiet(struct client *c);
/* Whether a daemon answers, without a word on stderr. */
bool client_reachable(const struct ctl_options *o);
void client_close(struct client **c);
/* Sends the request and returns its last reply ({"ok":…}), giving every event before it to `event` (may be NULL,
 * borrowed). NULL after an error on stderr. The caller frees with json_decref. */
json_t *client_ask(struct client *c, const struct control_request *r, int patience,
                   void (*event)(void *arg, json_t *event), void *arg);
/* Waits until the daemon has closed the connection; false after so many seconds. */
bool client_wait_end(struct client *c, int seconds);

/* open, ask, close; a reply that is not ok was told on stderr and is NULL too. */
json_t *client_simple(const struct ctl_options *o, const struct control_request *r, int patience);
/* Whether it is ok; if not, its error goes to stderr. */
bool client_ok(const json_t *reply);
/* Members of a reply, with "", 0 or false where they are missing. */
const char *client_text(const json_t *o, const char *key);
int64_t client_int(const json_t *o, const char *key);
bool client_bool(const json_t *o, const char *key);
/* For --json: the reply without its "ok", indented, on stdout. */
void client_dump_json(const json_t *o, size_t flags);
void client_print_json(json_t *reply);

#endif
