/* The POP3 client's machine (RFC 1939, 2449, 5034): commands in, bytes out; bytes in, events out. Pure: no socket,
 * clock or file. Commands wait in line; with pipelining as many travel at once as the window holds, otherwise one.
 * What changes the server's state travels alone (RFC 2449 6.6): some servers throw away what was sent behind a log-in.
 * Only CRLF.CRLF ends a multi-line reply. */
#ifndef OFM_FETCH_POP3_CLIENT_H
#define OFM_FETCH_POP3_CLIENT_H

#include "base/buf.h"
#include "base/err.h"

#include <stdint.h>

enum pop3_verb {
	POP3_CAPA,
	POP3_USER,
	POP3_PASS,
	POP3_AUTH_PLAIN, /* argument: the base64 response, sent after the server's "+" */
	POP3_UIDL,
	POP3_LIST,
	POP3_TOP, /* number 0: headers alone */
	POP3_RETR,
	POP3_DELE,
	POP3_QUIT
};

enum {
	POP3_WINDOW = 1024,                   /* commands under way */
	POP3_WINDOW_BYTES = 16 * 1024 * 1024, /* expected in reply; 60 ms at 2 Gbit/s */
	POP3_LINE_MAX = 8 * 1024,             /* of a status line, or of one in a listing */
	POP3_LISTING_MAX = 32 * 1024 * 1024,  /* bytes of one listing */
	POP3_BLANK_MAX = 16                   /* empty lines before a reply: some servers send one too many */
};

struct pop3_command {
	enum pop3_verb verb;
	uint32_t number; /* message number; 0 where the verb takes none */
	size_t tag;      /* the owner's */
	uint64_t expect; /* bytes of the reply, roughly */
};

/* All may queue commands; none may free the client, but pop3_client_halt is allowed. Slices live for the call. */
struct pop3_client_events {
	/* The status line, without "+OK " or "-ERR ". After a true one for a multi-line verb lines or body follow. */
	void (*reply)(void *arg, const struct pop3_command *cmd, bool ok, struct slice text);
	void (*line)(void *arg, const struct pop3_command *cmd, struct slice line); /* CAPA, UIDL, LIST */
	void (*body)(void *arg, const struct pop3_command *cmd, struct slice run);  /* TOP, RETR; decoded */
	void (*end)(void *arg, const struct pop3_command *cmd);                     /* a multi-line reply is complete */
};

struct pop3_client;

struct pop3_client *pop3_client_new(const struct pop3_client_events *ev, void *arg);
void pop3_client_free(struct pop3_client **c);
void pop3_client_set_pipelining(struct pop3_client *c, bool on);
/* argument: of USER, PASS and AUTH, copied and wiped once sent; else NULL. It must hold no CR and LF (aborts). */
void pop3_client_queue(struct pop3_client *c, const struct pop3_command *cmd, const char *argument);
/* The same for one without an argument, before all that were not sent yet. */
void pop3_client_queue_first(struct pop3_client *c, const struct pop3_command *cmd);
/* Forgets commands that were not sent yet. */
void pop3_client_forget_queued(struct pop3_client *c);
/* Bytes to send; the caller empties it. */
struct buf *pop3_client_out(struct pop3_client *c);
/* Takes received bytes. -1 with e where the server breaks the protocol: nothing more can be trusted. */
int pop3_client_feed(struct pop3_client *c, struct slice in, struct err *e);
/* No more events, whatever comes. */
void pop3_client_halt(struct pop3_client *c);
/* Commands sent and not yet answered in full; commands waiting to be sent. */
size_t pop3_client_outstanding(const struct pop3_client *c);
size_t pop3_client_queued(const struct pop3_client *c);
/* The command whose reply comes next or is coming; NULL without one. */
const struct pop3_command *pop3_client_oldest(const struct pop3_client *c);
/* Whether a reply is due of which nothing has come yet. */
bool pop3_client_awaits_reply(const struct pop3_client *c);
/* Whether the command whose reply is due travelled together with others: should it never come, pipelining may be why.
 */
bool pop3_client_in_pipeline(const struct pop3_client *c);
/* Whether commands ever travelled together. */
bool pop3_client_has_pipelined(const struct pop3_client *c);

#endif
