/* The POP3 server's protocol (RFC 1939, 2449, 2595, 5034) as a pure machine: bytes in, bytes and wishes out. It owns
 * no socket, clock or file. One thread at a time. */
#ifndef OFM_POP3_CORE_H
#define OFM_POP3_CORE_H

#include "base/buf.h"
#include "store/maildir.h"

enum {
	POP3_LINE_MAX = 512,       /* a command with its CRLF */
	POP3_AUTH_MAX = 12288,     /* RFC 5034, 4 */
	POP3_SKIP_MAX = 64 * 1024, /* of an endless line; then the connection ends */
	POP3_OUT_SOFT = 16 * 1024, /* a run stops behind this much output */
	POP3_OUT_MAX = 24 * 1024,  /* what the output buffer of a run must be able to hold */
	POP3_BAD_MAX = 100         /* commands in a row that are none: this is no POP3 client */
};

enum pop3_state { POP3_AUTHORIZATION, POP3_TRANSACTION, POP3_ENDED };

struct pop3_offer {         /* what the server can do on this connection now */
	bool stls;          /* a certificate is there and TLS is not yet */
	bool login;         /* log-in is allowed (auth_tls) */
	int64_t expire;     /* days that mail is kept at least, over all users; -1 = for ever */
	bool expire_varies; /* not the same for all */
};

enum pop3_step {
	POP3_WANTS_INPUT,   /* everything was consumed */
	POP3_WANTS_OUTPUT,  /* write out, then run again */
	POP3_WANTS_LOGIN,   /* login_user, login_password; answer by pop3_core_login */
	POP3_WANTS_TLS,     /* write out, shake hands, then pop3_core_secured */
	POP3_WANTS_MESSAGE, /* message, top; answer by pop3_core_sent (status line and text were written) or _failed */
	POP3_WANTS_COMMIT,  /* QUIT: delete what pop3_core_deleted says; answer by pop3_core_committed */
	POP3_WANTS_CLOSE    /* write out, then close */
};

enum pop3_login { POP3_LOGIN_OK, POP3_LOGIN_WRONG, POP3_LOGIN_IN_USE, POP3_LOGIN_TEMP, POP3_LOGIN_BANNED };

struct pop3_core {
	enum pop3_state state;
	enum pop3_step pending; /* a wish that is not yet answered, or POP3_WANTS_INPUT */
	struct pop3_offer offer;
	struct buf line;      /* the start of a line that is not yet whole */
	size_t skipped;       /* bytes of an over-long line so far; 0 = none */
	unsigned char sasl;   /* enum of sasl.h */
	unsigned char bad;    /* commands in a row that were none */
	char *login_user;     /* after USER, or with POP3_WANTS_LOGIN */
	char *login_password; /* with POP3_WANTS_LOGIN alone; wiped afterwards */
	size_t login_password_len;
	const struct maildir_list *list; /* borrowed, from log-in to the end */
	int64_t user_expire;             /* days, as in the offer, but this user's */
	unsigned char *marks;            /* one bit a message: DELE */
	size_t left;                     /* messages not marked */
	uint64_t left_octets;
	size_t message;        /* index, with POP3_WANTS_MESSAGE */
	int64_t top;           /* body lines, or -1 for RETR */
	unsigned char listing; /* a LIST or UIDL under way */
	size_t listing_next;
	unsigned retrieved, topped; /* for the log */
};

void pop3_core_init(struct pop3_core *c, const struct pop3_offer *offer);
/* What the server can do may change while a session is open: tell it before each run. */
void pop3_core_offer(struct pop3_core *c, const struct pop3_offer *offer);
void pop3_core_free(struct pop3_core *c);
void pop3_core_greet(struct buf *out);
/* Consumes from the front of *in (which it shortens) and appends to out, whose maximum is at least POP3_OUT_MAX and
 * which is empty. While a wish is unanswered it does nothing and returns it. */
enum pop3_step pop3_core_run(struct pop3_core *c, struct slice *in, struct buf *out);
/* Whether a line has begun and is not whole: a deadline runs. */
bool pop3_core_in_line(const struct pop3_core *c);

/* list is borrowed and given with POP3_LOGIN_OK alone; expire as in the offer, this user's. */
void pop3_core_login(struct pop3_core *c, enum pop3_login r, const struct maildir_list *list, int64_t expire,
                     struct buf *out);
/* Everything said before is forgotten (RFC 2595, 4). */
void pop3_core_secured(struct pop3_core *c, const struct pop3_offer *offer);
void pop3_core_sent(struct pop3_core *c);
void pop3_core_failed(struct pop3_core *c, bool gone, struct buf *out);
bool pop3_core_deleted(const struct pop3_core *c, size_t message);
size_t pop3_core_deletions(const struct pop3_core *c);
void pop3_core_committed(struct pop3_core *c, bool ok, struct buf *out);

#endif
