/* Inside the core: what core.c, commands.c and sasl.c share. */
#ifndef OFM_POP3_CORE_INTERNAL_H
#define OFM_POP3_CORE_INTERNAL_H

#include "pop3/core.h"

enum { SASL_NONE, SASL_PLAIN, SASL_LOGIN_USER, SASL_LOGIN_PASSWORD };
enum { LISTING_NONE, LISTING_SIZES, LISTING_UIDLS };

/* One whole line without its end. */
void pop3_command(struct pop3_core *c, struct slice line, struct buf *out);
/* Continues a listing until it ends or out has reached POP3_OUT_SOFT. */
void pop3_listing_continue(struct pop3_core *c, struct buf *out);

void pop3_sasl_command(struct pop3_core *c, struct slice args, struct buf *out);
void pop3_sasl_line(struct pop3_core *c, struct slice line, struct buf *out);

/* Why log-in is not allowed now, where it is not (auth_tls). */
void pop3_say_needs_tls(const struct pop3_core *c, struct buf *out);
/* Takes copies; wishes POP3_WANTS_LOGIN. */
void pop3_wish_login(struct pop3_core *c, struct slice user, struct slice password);
void pop3_forget_login(struct pop3_core *c);

#endif
