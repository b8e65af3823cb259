/* The inside of the SMTP client: smtp_client.c writes, smtp_answers.c reads. */
#ifndef OFM_SEND_SMTP_CLIENT_INTERNAL_H
#define OFM_SEND_SMTP_CLIENT_INTERNAL_H

#include "mail/dot.h"
#include "send/smtp_client.h"

enum smtp_expected {
	EXPECT_EHLO,
	EXPECT_HELO,
	EXPECT_RSET,
	EXPECT_MAIL,
	EXPECT_RCPT,
	EXPECT_DATA,
	EXPECT_FINAL,
	EXPECT_QUIT
};

struct smtp_expect { /* a reply that will come */
	enum smtp_expected kind;
	struct smtp_transaction *t;
	size_t i;
};

struct smtp_client {
	const struct smtp_client_events *ev;
	void *arg;
	struct smtp_caps caps;
	struct smtp_reader reader;
	struct buf out;
	struct dot_encoder dot;
	struct smtp_expect *expects; /* a queue: [head, head + n) of cap, in a ring */
	size_t head, n, cap;
	struct smtp_transaction *open[SMTP_CLIENT_WINDOW]; /* begun and unfinished, in order */
	size_t nopen;
	struct smtp_transaction *current; /* begun, its last byte not yet written */
	bool feeding;                     /* … and its bytes are wanted */
	bool started, careful, no_chunking, no_pipelining, needs_rset, quitting, quit_done;
	bool worked;         /* a MAIL was accepted */
	bool answered;       /* a transaction ended by the server's word about it */
	bool login_refused;  /* a MAIL was refused for want of a log-in, before any was accepted */
	bool chunking_works; /* BDAT was taken, here or before */
	bool spent, failed, untaken, dismissed, lied_chunking;
	enum smtp_topic topic; /* of what spent it or made it fail */
	char *trouble;
	char *name;
};

/* smtp_client.c */
void smtp_client_expect(struct smtp_client *c, enum smtp_expected kind, struct smtp_transaction *t, size_t i);
bool smtp_client_lock_step(const struct smtp_client *c);
void smtp_client_say_rcpt(struct smtp_client *c, struct smtp_transaction *t, size_t i);
void smtp_client_say_data(struct smtp_client *c, struct smtp_transaction *t);
void smtp_client_fail(struct smtp_client *c, const char *why);
void smtp_client_finish(struct smtp_client *c, struct smtp_transaction *t);

/* smtp_answers.c */
void smtp_client_take_reply(struct smtp_client *c, const struct smtp_reply *r);

#endif
