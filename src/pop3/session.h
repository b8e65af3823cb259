/* Inside pop3/: one connection, and what service.c, session.c, login.c and transfer.c share. Loop thread. */
#ifndef OFM_POP3_SESSION_H
#define OFM_POP3_SESSION_H

#include "net/stream.h"
#include "pop3/core.h"
#include "pop3/locks.h"
#include "pop3/service.h"

enum {
	POP3_OUT_HIGH = 128 * 1024,  /* bytes that may wait for one peer */
	POP3_IN_HIGH = 4 * 1024,     /* pipelined commands that may wait */
	POP3_CHUNK = 32 * 1024,      /* of a message, read at a time */
	POP3_BIG_CHUNK = 256 * 1024, /* of a large one, as long as its pieces go out as they stand */
	POP3_ROUNDS = 32,            /* then other sessions have their turn */
	POP3_LOGIN_TRIES = 10,       /* wrong passwords on one connection */
	POP3_PATIENCE_MS = 60000,    /* for a command from its first byte, and for a handshake, at most */
	POP3_SETTLE_MAX_MS = 20000,  /* what is not settled by then is for the next log-in */
	POP3_SCRATCH = 2 * POP3_CHUNK + 1024
};

struct pop3_transfer;

struct pop3_session {
	struct pop3_service *service;
	struct pop3_session *prev, *next;
	struct stream *stream; /* NULL: ended; the rest is freed when nothing is under way */
	struct ip_addr peer;
	uint64_t id;
	int64_t last_active; /* monotonic ms */
	size_t last_out;
	struct pop3_core core;
	struct pop3_claim claim;
	char *user; /* claim's; NULL before log-in */
	struct maildir_list list;
	struct pop3_transfer *transfer;
	struct loop_timer *timer;
	void (*timer_fn)(struct pop3_session *s);
	int64_t login_started;
	unsigned under_way; /* callbacks that will come */
	unsigned failures;
	bool busy;    /* a wish is being fulfilled: the core waits */
	bool running; /* inside pop3_session_run */
	bool again;   /* its continuation is posted */
	bool eof;     /* the peer has said all it will */
	bool in_line; /* a deadline runs */
	bool committing;
	bool settled;
	char sid[16];
};

void pop3_session_start(struct pop3_service *sv, int fd, const struct ip_addr *peer, SSL_CTX *tls);
/* Takes commands from the input while there are some and nothing else is under way. May free s. */
void pop3_session_run(struct pop3_session *s);
/* A wish is fulfilled: writes what the core said, and goes on. */
void pop3_session_answered(struct pop3_session *s, struct buf *out);
/* Closes: at once, or when what was written has left. May free s. */
void pop3_session_end(struct pop3_session *s, const char *why, bool flush);
void pop3_session_timer(struct pop3_session *s, int64_t ms, void (*fn)(struct pop3_session *s));
/* Brackets for callbacks that will come; leave returns false where the session has ended (and may be freed). */
void pop3_session_enter(struct pop3_session *s);
bool pop3_session_leave(struct pop3_session *s);
bool pop3_session_idle(const struct pop3_session *s);
int64_t pop3_session_silent(const struct pop3_session *s);

/* login.c: from POP3_WANTS_LOGIN to pop3_core_login. */
void pop3_login_begin(struct pop3_session *s);
/* The user that a log-in name means, or NULL. */
const struct config_user *pop3_login_user(const struct config *c, struct slice name);
/* Days that a client may count on (CAPA EXPIRE): -1 = for ever. */
int64_t pop3_login_days(const struct config_user *u);

/* transfer.c: from POP3_WANTS_MESSAGE to pop3_core_sent. */
void pop3_transfer_begin(struct pop3_session *s);
void pop3_transfer_continue(struct pop3_session *s);
void pop3_transfer_free(struct pop3_transfer **t);

/* service.c, for the sessions. */
const struct pop3_service_deps *pop3_service_deps(const struct pop3_service *sv);
const struct config *pop3_service_config(const struct pop3_service *sv);
SSL_CTX *pop3_service_tls(const struct pop3_service *sv);
struct pop3_locks *pop3_service_locks(const struct pop3_service *sv);
/* Empty, of POP3_SCRATCH bytes; for one use between two returns to the loop. */
struct buf *pop3_service_scratch(struct pop3_service *sv);
char *pop3_service_chunk(struct pop3_service *sv, size_t n); /* n bytes, to POP3_BIG_CHUNK; alike */
/* Whether the mailboxes' file system can say at once that a read would have to wait (RWF_NOWAIT): true until it was
 * found that it cannot. */
bool pop3_service_reads_ahead(const struct pop3_service *sv);
void pop3_service_reads_blindly(struct pop3_service *sv);
struct pop3_offer pop3_service_offer(const struct pop3_service *sv, bool tls);
uint64_t pop3_service_add(struct pop3_service *sv, struct pop3_session *session);
void pop3_service_ended(struct pop3_service *sv, struct pop3_session *session); /* connection is gone */
/* Who will call back keeps the service's memory. */
void pop3_service_remember(struct pop3_service *sv);
void pop3_service_forget(struct pop3_service *sv);

#endif
