/* Shared by the files of the SMTP engine. */
#ifndef OFM_SMTP_CORE_INTERNAL_H
#define OFM_SMTP_CORE_INTERNAL_H

#include "mail/dot.h"
#include "smtp/core.h"

enum smtp_state {
	SMTP_START,  /* before HELO */
	SMTP_READY,  /* greeted, no transaction */
	SMTP_MAILED, /* sender taken */
	SMTP_RCPTED, /* at least one recipient taken */
	SMTP_BDATED, /* between two chunks of a message */
	SMTP_DATA,
	SMTP_CHUNK,
	SMTP_SASL, /* awaits an answer to a 334 */
	SMTP_CHECKING,
	SMTP_STORING,
	SMTP_HANDSHAKE,
	SMTP_CLOSED
};

enum smtp_mechanism { SMTP_PLAIN, SMTP_LOGIN_NAME, SMTP_LOGIN_PASSWORD };

struct smtp_core {
	const struct smtp_hooks *hooks;
	void *arg;
	enum smtp_state state;
	unsigned char errors, login_failures;
	bool extended, logged_in;
	bool utf8;                /* MAIL said SMTPUTF8 */
	bool seen_line, lf_lines; /* how this client ends its lines */
	bool skipping;            /* inside a line that is too long */
	uint32_t skipped;
	struct buf line; /* a line's beginning, while its end is not here */
	struct buf out;
	char *helo;
	/* content */
	struct dot_decoder dot;
	bool last_cr;
	bool chunk_last;
	const char *chunk_refusal; /* NULL = it is wanted */
	uint64_t chunk_left, chunk_size;
	enum smtp_state chunk_back; /* where a refused one leads */
	/* log-in */
	enum smtp_mechanism mechanism;
	char *login_name;
};

void smtp_core_set_state(struct smtp_core *c, enum smtp_state state);
void smtp_core_reply(struct smtp_core *c, const char *line);
/* A reply to something that a well-behaved client does not do; too many of them end the connection. */
void smtp_core_fault(struct smtp_core *c, const char *line);
void smtp_core_reset(struct smtp_core *c); /* forgets the transaction */

/* Command handlers; rest is what stands behind the verb, trimmed. */
void smtp_cmd_mail(struct smtp_core *c, struct slice rest);
void smtp_cmd_rcpt(struct smtp_core *c, struct slice rest);
void smtp_cmd_data(struct smtp_core *c, struct slice rest);
void smtp_cmd_bdat(struct smtp_core *c, struct slice rest);
void smtp_cmd_auth(struct smtp_core *c, struct slice rest);
void smtp_core_sasl_line(struct smtp_core *c, struct slice line);
void smtp_core_sasl_forget(struct smtp_core *c);
size_t smtp_core_take_data(struct smtp_core *c, struct slice in);
size_t smtp_core_take_chunk(struct smtp_core *c, struct slice in);

#endif
