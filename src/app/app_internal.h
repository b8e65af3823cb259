/* Inside app/. */
#ifndef OFM_APP_APP_INTERNAL_H
#define OFM_APP_APP_INTERNAL_H

#include "app/app.h"
#include "app/commands.h"
#include "control/control.h"
#include "digest/digest.h"
#include "route/rebuild.h"

#include <event2/event.h>

enum { APP_SIGNALS = 3 };

struct app {
	const struct options *options;
	struct config *config;
	int lock_fd;
	int landlock; /* its version in force; 0 = none */
	struct runner *runner;
	struct commands commands; /* the helper's copy counts */
	struct loop *loop;
	struct workers *mail_workers;  /* files of accepted mail: never behind a password hash or a folder scan */
	struct workers *other_workers; /* all else that may block */
	struct workers *crew;          /* what blocks nowhere and takes long all the same: handshakes of TLS */
	struct database *db;
	struct journal *journal;
	int64_t journal_told; /* mono ms: postmaster last heard that its file was damaged; 0 = not yet */
	struct maildir *maildir;
	struct delivery *delivery;
	struct passwords *passwords;
	struct brake *brake;
	struct ports_pool *ports;
	struct smtp_service *smtp;
	struct pop3_service *pop3;
	struct fetcher *fetcher;
	struct sender *sender;
	struct learnt *learnt_pop3, *learnt_smtp; /* of providers and relays */
	struct sync *sync;
	struct digest *digest;
	struct control *control;
	struct event *signals[APP_SIGNALS];
	struct rebuilt rebuilt;
	bool stopping, clean;
	unsigned stops; /* parts still stopping */
};

/* Loads and checks; prints every finding on stderr, or gives the faults as text where `text` is not NULL. */
struct config *app_load_config(const struct options *o, char **text);
/* Secrets that the log must mask. */
void app_note_secrets(const struct config *c);
int app_open_log(const struct config *c, struct err *e);
/* Every user's folders. One that is a symbolic link, or somebody else's, costs its own user alone: that is logged, and
 * postmaster told where delivery stands already. */
int app_create_mailboxes(struct app *a, const struct config *c, struct err *e);
/* Postmaster hears that mail cannot be put into a mailbox, once; error 0: it can again. */
void app_mailbox_trouble(void *app, const char *user, int error);
/* Postmaster hears that mail could not be stored since then (wall seconds), and why. */
void app_well_again(void *app, int64_t since, const char *trouble);
void app_journal_aside(void *app, const char *aside, const char *why); /* journal_on_aside */
/* What was rebuilt at this start, if anything was. */
void app_report_rebuild(struct app *a);
/* The ini file again, into the running program. 0, or -1 with the faults (the caller frees); the old one stays. */
int app_reload(void *arg, char **text);
/* Prepares both servers for c and binds all ports; -1 with e: nothing has changed. Then either of the others. */
int app_servers_bind(struct app *a, const struct config *c, struct err *e);
void app_servers_commit(struct app *a);
void app_servers_abort(struct app *a);
void app_stop(void *arg);

#endif
