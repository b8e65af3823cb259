/* Inside `ofmctl init`: the answers, and what is made of them. */
#ifndef OFM_CTL_INIT_H
#define OFM_CTL_INIT_H

#include "base/buf.h"
#include "config/config.h"
#include "ctl.h"
#include "dialog.h"

#include <stddef.h>

enum { INIT_MOST = 100 };

struct init_login { /* strings as answered; host NULL or "" = none */
	char *host, *port, *security, *user, *password;
	char *command; /* instead of a password: prints a token (XOAUTH2) */
};

struct init_user {
	char *name, *alias, *password; /* the password in its hash's form by the time of init_text */
};

struct init_rule {
	char *text, *deliver;
};

struct init_answers {
	char *domain, *address, *keep, *postmaster;
	struct init_login account, relay;
	bool relay_is_account;
	struct init_user users[INIT_MOST];
	size_t nusers;
	struct init_rule rules[INIT_MOST];
	size_t nrules;
};

void init_answers_free(struct init_answers *a);
/* The commented ini file. 0, or 1 after an error on stderr. */
int init_text(const struct init_answers *a, struct buf *out);
/* Atomically; its folder is made. 0, or 1 after an error on stderr. */
int init_write(const char *path, struct slice text);
/* What to type into mail programs, and what comes next. */
void init_say_next(const struct ctl_options *o, const struct config *c);

#endif
