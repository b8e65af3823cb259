/* What a refusal speaks of, by its codes and its words: the command that it answers, or something wider (the
 * connection, the relay's limits). Servers agree on few codes for limits, so the words count. Pure. */
#ifndef OFM_SEND_SMTP_TOPIC_H
#define OFM_SEND_SMTP_TOPIC_H

#include "send/smtp_reply.h"

enum smtp_topic {
	SMTP_TOPIC_COMMAND,     /* what was asked: this sender, recipient or message */
	SMTP_TOPIC_LOGIN,       /* 530, 534, 535, 538: a log-in is required, or a better one */
	SMTP_TOPIC_RATE,        /* too much mail in too short a time */
	SMTP_TOPIC_BUSY,        /* 4xx: busy or out of room; that may be a limit, or about this message */
	SMTP_TOPIC_RECIPIENTS,  /* too many recipients in one transaction */
	SMTP_TOPIC_MESSAGES,    /* too many messages in one connection */
	SMTP_TOPIC_CONNECTIONS, /* too many connections at once */
	SMTP_TOPIC_PIPELINING,  /* commands must not be sent before the reply to the one before */
	SMTP_TOPIC_CHUNKING,    /* BDAT is not known or not allowed */
	SMTP_TOPIC_HELLO        /* our own name in EHLO is refused */
};

/* SMTP_TOPIC_COMMAND for codes under 400. */
enum smtp_topic smtp_topic_of(const struct smtp_reply *r);
/* The same of a reply as people see it: "421 4.7.0 text", on one line. */
enum smtp_topic smtp_topic_of_line(const char *line);

#endif
