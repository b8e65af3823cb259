/* Replies of an SMTP server (RFC 5321 4.2), read from a stream that may hold anything. Pure. */
#ifndef OFM_SEND_SMTP_REPLY_H
#define OFM_SEND_SMTP_REPLY_H

#include "base/buf.h"

enum {
	SMTP_REPLY_TEXT_MAX = 4096,  /* kept of a reply; the rest is read and dropped */
	SMTP_REPLY_LINES_MAX = 200,  /* more lines are no reply but an attack */
	SMTP_REPLY_LINE_MAX = 16384, /* so are longer lines */
	SMTP_REPLY_SHOWN_MAX = 500,  /* of what people see of it */
	SMTP_STATUS_MAX = 12         /* "5.123.123" */
};

struct smtp_reply {
	int code;                     /* 200..599 */
	char status[SMTP_STATUS_MAX]; /* enhanced code (RFC 3463) of the same class, or "" */
	struct buf text;              /* lines without their codes, joined by LF */
};

enum smtp_reading { SMTP_READ_MORE, SMTP_READ_DONE, SMTP_READ_BAD };

struct smtp_reader {
	struct smtp_reply reply; /* valid after SMTP_READ_DONE until the next call */
	struct buf line;
	size_t line_bytes;
	unsigned lines;
	bool fresh; /* the next byte opens a new reply */
};

void smtp_reader_init(struct smtp_reader *r);
void smtp_reader_free(struct smtp_reader *r);
/* Takes bytes up to the end of one reply; *used says how many. After SMTP_READ_BAD (no reply code, NUL, too long, codes
 * that differ between lines) nothing more can be read. */
enum smtp_reading smtp_reader_feed(struct smtp_reader *r, struct slice in, size_t *used);
/* "550 5.1.1 text of all lines" on one harmless line, for logs and bounces. The caller frees. */
char *smtp_reply_show(const struct smtp_reply *r);

/* What a server offers (RFC 1870, 2920, 3030, 6152). */
struct smtp_caps {
	bool pipelining, chunking, eight_bit, smtputf8, size;
	uint64_t size_max; /* 0 = not said */
};

/* From the text of an EHLO reply. */
void smtp_caps_of_ehlo(struct smtp_caps *caps, struct slice text);
/* From all lines of a greeting and log-in: the last 250 reply is EHLO's. false where there is none. */
bool smtp_caps_of_transcript(struct smtp_caps *caps, struct slice transcript);

#endif
