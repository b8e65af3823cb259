/* Password checks for both servers: yescrypt takes 70 ms, so it runs on workers, and a success is remembered under a
 * keyed hash until the configuration changes. Loop thread. */
#ifndef OFM_STORE_PASSWORDS_H
#define OFM_STORE_PASSWORDS_H

#include "config/config.h"
#include "disk/workers.h"

struct passwords;

struct passwords *passwords_new(struct loop *l, struct workers *w);
void passwords_free(struct passwords **p);
void passwords_forget(struct passwords *p); /* at reload */
/* done(ok) exactly once, maybe from inside this call. password is copied and wiped. A user without a password:
 * any is right where any_if_empty, none otherwise (postmaster, boss, SMTP AUTH: SPEC's rule is the caller's). */
void passwords_check(struct passwords *p, const struct config_user *u, struct slice password, bool any_if_empty,
                     void (*done)(void *arg, bool ok), void *arg);
/* A new yescrypt hash; for ofmctl too. 0, or -1 with e. */
int passwords_hash(const char *password, char out[static 256], struct err *e);

#endif
