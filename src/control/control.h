/* The control socket, which ofmctl speaks to: one JSON object a line, request and replies. Loop thread. */
#ifndef OFM_CONTROL_CONTROL_H
#define OFM_CONTROL_CONTROL_H

#include "config/config.h"
#include "digest/facts.h"
#include "journal/journal.h"
#include "pop3/service.h"
#include "smtp/service.h"
#include "sync/sync.h"

struct control;

struct control_deps { /* all borrowed */
	struct digest_deps digest;
	struct loop *loop;
	struct sync *sync;
	struct sender *sender;
	struct fetcher *fetcher;
	struct smtp_service *smtp;
	struct pop3_service *pop3;
	struct maildir *maildir;
	struct journal *journal;
	struct workers *workers;
	/* Reads the ini file again; 0, or -1 with every fault in text (the caller frees). */
	int (*reload)(void *arg, char **text);
	void (*stop)(void *arg);
	const struct config *(*config)(void *arg); /* the snapshot in force */
	void *arg;
	int landlock; /* the version that confines the process; 0 = none */
};

/* Binds the socket (mode 0660, group ofmsrv where it exists), replacing a stale one; refuses a live one. */
struct control *control_new(const struct control_deps *deps, const char *path, struct err *e);
void control_free(struct control **c);

#endif
